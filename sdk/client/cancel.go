package client

import (
	"context"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Cancel orders the workers to cancel the message of receipt r: if it waits it never starts, and if it runs it is ended. The
// order is signed with the Client's key, so it counts for messages of this key's principal only. nil means that the broker has
// stored the order; Wait tells whether it came in time.
// Errors: *ReceiptError and *ConfigError, final; else those of the queue: giving the order again does no harm.
func (c *Client) Cancel(ctx context.Context, r Receipt) error {
	return c.cancel(ctx, r.ID, r.Queue, r.Expires)
}

// CancelPlan does the same for all steps of a plan.
// Errors: as Cancel's.
func (c *Client) CancelPlan(ctx context.Context, r PlanReceipt) error {
	return c.cancel(ctx, r.ID, r.Queue, r.Expires)
}

func (c *Client) cancel(ctx context.Context, id envelope.MessageID, name string, expires time.Time) error {
	if c.cfg.Orders == nil {
		return &ConfigError{"Orders", "is missing"}
	}
	if id.IsZero() || name == "" {
		return &ReceiptError{id, "has no id or no queue"}
	}
	issued := c.cfg.Now()
	life := envelope.CancelLifetimeMax
	if !expires.IsZero() {
		life = min(max(expires.Sub(issued), 0)+cancelGrace, life)
	}
	order, err := envelope.SignOrder(envelope.Order{
		ID: envelope.NewMessageID(), Audience: c.cfg.Audience, Queue: name, Act: envelope.ActCancel,
		Tenant: c.cfg.Tenant, Target: id.String(), Issued: issued, Expires: issued.Add(life),
	}, c.cfg.Key)
	if err != nil {
		return &ReceiptError{id, err.Error()}
	}
	lane := queue.Lane{Queue: name, Tenant: c.cfg.Tenant, Priority: queue.PriorityNormal}
	if err := c.cfg.Orders.Cancel(ctx, lane, id.String(), order, life); err != nil {
		return fmt.Errorf("client: cancel: %w", err)
	}
	return nil
}
