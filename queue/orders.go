package queue

import (
	"context"
	"fmt"
	"time"
)

// Orders carries signed orders to the workers of a queue. The broker knows nothing of signatures; workers obey an order only
// once they have verified it, so write access to the broker is not enough to give one.
// An order has 1 to OrderBytesMax bytes and is not kept after the call; a ttl is 1 ms to OrderTTLMax.
// Errors of all methods: *FieldError (final, nothing was sent), *UnavailableError (giving the order again is safe), ctx's.
type Orders interface {
	// Mode stores order, to pause or resume, in place of the last one, for ttl, and tells the workers. Workers judge which of two
	// orders is newer by what is signed.
	Mode(ctx context.Context, queue string, order []byte, ttl time.Duration) error

	// Cancel stores order for the message or plan of that id, for ttl, and tells the workers. Only lane's queue and tenant count.
	// Start returns the order with the message, so that a waiting one never runs.
	Cancel(ctx context.Context, lane Lane, id string, order []byte, ttl time.Duration) error

	// Once hands the workers an order to carry out once: to requeue or purge. It stays among the OrdersMax newest.
	Once(ctx context.Context, queue string, order []byte) error
}

// A Listener receives orders for a worker.
type Listener interface {
	// Listen calls heard for the orders of queues until ctx ends, and returns ctx's error. For each queue it begins with what is
	// stored: the mode, then the orders of Once, oldest first, then one nil order. After that come new orders of all kinds.
	//
	// It reconnects by itself, after which heard may be called again for orders that it had before. When the orders of a queue
	// cannot be received, it calls trouble with the reason, once for each reason, and with nil when they are received again.
	// Calls of heard and trouble never overlap. Queues may lie on different servers; a server that is away does not hold up the
	// orders of other queues.
	// Errors: *FieldError (final), ErrClosed, ctx's.
	Listen(ctx context.Context, queues []string, heard func(queue string, order []byte), trouble func(queue string, err error)) error
}

// A DeadFilter selects the dead letters that match every field that is set; the zero filter selects all.
type DeadFilter struct {
	Entry  string    // the letter of this entry only
	Code   string    // letters with this code
	Tenant string    // letters of this tenant
	ID     string    // letters of the message of this id
	Before time.Time // letters that died before
}

// Admin carries out operators' orders. Each act does at most max (1 to BatchMax) and returns how many it did; call it again while
// that is max. Acts are idempotent.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's. With an error, n is what was done before it.
type Admin interface {
	// Requeue puts the messages of dead letters back into their lanes, deletes their states, so that they can run again, and
	// deletes the letters. Letters without a message stay.
	Requeue(ctx context.Context, queue string, f DeadFilter, max int) (n int, err error)

	// PurgeDead deletes dead letters.
	PurgeDead(ctx context.Context, queue string, f DeadFilter, max int) (n int, err error)

	// Purge deletes the messages that wait in lanes, or are parked for them, and were put there before the given time. Running ones
	// are left alone.
	Purge(ctx context.Context, lanes []Lane, before time.Time, max int) (n int, err error)

	// Answer stores result, of 1 to ResultBytesMax bytes, for the giver of an order, as a settlement would, unless there is one
	// already. ttl is 1 ms to StateTTLMax.
	Answer(ctx context.Context, queue, resultKey, id string, result []byte, ttl time.Duration) error
}

// Check reports what is wrong with f, nil if it can be used.
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

// Match reports whether f selects d.
func (f DeadFilter) Match(d DeadLetter) bool {
	return (f.Entry == "" || f.Entry == d.Entry) &&
		(f.Code == "" || f.Code == d.Code) &&
		(f.Tenant == "" || f.Tenant == d.Lane.Tenant) &&
		(f.ID == "" || f.ID == d.ID) &&
		(f.Before.IsZero() || d.At.Before(f.Before))
}
