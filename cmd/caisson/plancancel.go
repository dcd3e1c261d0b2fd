package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// cancelGrace is how much longer than a plan an order to cancel it is kept, for workers whose clocks are behind.
const cancelGrace = time.Hour

func planCancelCommand() *cobra.Command {
	f, note := clientFlags{}, ""
	c := &cobra.Command{
		Use:   "cancel ID|RECEIPT",
		Short: "Cancel what has not ended of a plan",
		Long: `Signs an order and leaves it in the broker for the workers, which hold it against policy: a submit key may cancel what its own principal
sent. Steps that wait never start, those that run are ended; each ends refused, task.cancelled. What is done stays done.

The order is kept until an hour after the plan has expired, or for 25 hours when only its ID is given. Prints the order's id.`,
		Example: "  caisson plan cancel receipt.json\n  caisson plan cancel 0192f3a4b5c6d7e8f901234567890abc --note 'wrong input'",
		Args:    exactly("ID or RECEIPT"),
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			o := envelope.Order{ID: envelope.NewMessageID(), Act: envelope.ActCancel, Target: args[0], Issued: now, Expires: now.Add(envelope.CancelLifetimeMax), Note: note}
			if _, err := envelope.ParseMessageID(args[0]); err != nil {
				kept, err := readReceipt(args[0])
				if err != nil {
					return err
				}
				if !kept.Expires.After(now) {
					return fmt.Errorf("plan %s expired at %s: nothing of it runs any more", kept.ID, kept.Expires.Format(time.RFC3339))
				}
				o.Target, o.Queue = kept.ID.String(), kept.Queue
				if late := kept.Expires.Add(cancelGrace); late.Before(o.Expires) {
					o.Expires = late
				}
			}
			return cancelPlan(c, f, o)
		},
	}
	f.add(c)
	c.Flags().StringVar(&note, "note", "", "why, for the workers' logs")
	return c
}

// cancelPlan signs o, whose queue is f's unless it has one, and gives it to the workers.
func cancelPlan(c *cobra.Command, f clientFlags, o envelope.Order) error {
	if f.queue == "" {
		f.queue = o.Queue
	}
	conn, err := connect(f.config, f.queue)
	if err != nil {
		return err
	}
	defer conn.close()
	o.Audience, o.Tenant, o.Queue = conn.file.Audience, conn.file.Tenant, conn.file.Queue
	order, err := envelope.SignOrder(o, conn.key)
	if err != nil {
		return misused(err)
	}
	lane := queue.Lane{Queue: o.Queue, Tenant: o.Tenant}
	if err := conn.redis.Cancel(c.Context(), lane, o.Target, order, time.Until(o.Expires)); err != nil {
		return err
	}
	if f.json {
		return printJSON(c.OutOrStdout(), map[string]any{"order": o.ID.String(), "plan": o.Target, "queue": o.Queue, "expires": o.Expires.UTC()})
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), o.ID)
	return err
}
