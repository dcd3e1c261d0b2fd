package queue

import (
	"context"
	"fmt"
	"time"
)

// Orders carries signed orders to the workers of a queue. The broker knows nothing of signatures: an order means
// something only to a worker that has verified it, so whoever can write to the broker can order nothing.
type Orders interface {
	// Mode keeps order as the one that says whether the queue is paused, for ttl, and tells the workers. Workers judge
	// which of two is newer by what is signed.
	Mode(ctx context.Context, queue string, order []byte, ttl time.Duration) error

	// Cancel keeps order for the message or plan of that id, for ttl, and tells the workers. Of lane only queue and
	// tenant count. Start gives it back, so that what waits never starts.
	Cancel(ctx context.Context, lane Lane, id string, order []byte, ttl time.Duration) error

	// Once gives the workers an order to carry out: to requeue or purge. It is kept among the OrdersMax newest.
	Once(ctx context.Context, queue string, order []byte) error
}

// Listener is a worker's ear for orders.
type Listener interface {
	// Listen calls heard, one call at a time, for the mode that is kept for each queue and for the orders of Once that are
	// still kept, oldest first, and with a nil order when that was all of the queue; then for each order as it is given,
	// Cancel included, until ctx ends, and returns ctx's error.
	// It outlives losses of the connection, after which it may call heard again for what was heard before. trouble is told why
	// nothing is heard for a queue, once for each reason, and nil when its orders are heard again: one call at a time with heard's.
	// Queues may lie on different servers, and one that is gone keeps nobody from hearing the orders of others.
	Listen(ctx context.Context, queues []string, heard func(queue string, order []byte), trouble func(queue string, err error)) error
}

// DeadFilter chooses dead letters; zero fields choose all.
type DeadFilter struct {
	Entry  string // this one only
	Code   string
	Tenant string
	ID     string
	Before time.Time // those that died before
}

// Admin carries out what orders say. Each act is bounded by max (1 to BatchMax), returns how many it was, and is
// called again while that is max. Doing one twice does no harm.
type Admin interface {
	// Requeue puts dead letters that have a message back into their lanes, as if they had never been met, and forgets
	// the letters.
	Requeue(ctx context.Context, queue string, f DeadFilter, max int) (n int, err error)

	// PurgeDead forgets dead letters.
	PurgeDead(ctx context.Context, queue string, f DeadFilter, max int) (n int, err error)

	// Purge forgets what waits in lanes or is parked for them and was put there before the time. What runs is left alone.
	Purge(ctx context.Context, lanes []Lane, before time.Time, max int) (n int, err error)

	// Answer leaves result for whoever gave the order: as a settlement would, unless there is one already.
	Answer(ctx context.Context, queue, resultKey, id string, result []byte, ttl time.Duration) error
}

// Check says whether f can be a filter.
// Errors, final: *FieldError.
func (f DeadFilter) Check() error {
	if len(f.Entry) > IDBytesMax {
		return &FieldError{Field: "entry", Text: fmt.Sprintf("has %d bytes, at most %d", len(f.Entry), IDBytesMax)}
	}
	if len(f.Code) > CodeBytesMax {
		return &FieldError{Field: "code", Text: fmt.Sprintf("has %d bytes, at most %d", len(f.Code), CodeBytesMax)}
	}
	if f.Tenant != "" {
		if err := CheckName("tenant", f.Tenant); err != nil {
			return err
		}
	}
	if f.ID != "" {
		return CheckID("id", f.ID)
	}
	return nil
}

// Match says whether f chooses d.
func (f DeadFilter) Match(d DeadLetter) bool {
	return (f.Entry == "" || f.Entry == d.Entry) &&
		(f.Code == "" || f.Code == d.Code) &&
		(f.Tenant == "" || f.Tenant == d.Lane.Tenant) &&
		(f.ID == "" || f.ID == d.ID) &&
		(f.Before.IsZero() || d.At.Before(f.Before))
}
