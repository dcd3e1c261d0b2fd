package queue

import (
	"context"
	"time"
)

// EventKind says what happened to a message.
type EventKind string

const (
	EventAccepted EventKind = "accepted" // a worker has verified it for the first time
	EventStarted  EventKind = "started"
	EventProgress EventKind = "progress"
	EventRetried  EventKind = "retried" // it will run again
	EventDone     EventKind = "done"
	EventFailed   EventKind = "failed"  // by the task's own word, or at a limit
	EventRefused  EventKind = "refused" // by our decision
	EventDead     EventKind = "dead"    // its attempts are used up, or its time
)

// An Event is for dashboards and other observers. Events may be lost, and nothing is decided by them.
type Event struct {
	Kind     EventKind
	At       time.Time // by the worker's clock
	Queue    string
	Tenant   string
	Task     string
	ID       string
	Worker   string
	Attempt  int
	Code     string // of retried, failed, refused and dead
	Progress string // of progress: at most ProgressBytesMax bytes, as the guest said it
}

// Events carries events from workers to observers.
type Events interface {
	// Emit appends batch, all of one queue, in one write. About EventsMax writes are kept. batch is not kept after the call.
	// Errors: *FieldError (final, nothing was written), *UnavailableError, ctx's.
	Emit(ctx context.Context, queue string, batch []Event) error

	// Follow calls got for each event after the cursor ("": from now on; "0": from the oldest kept) until ctx ends. got is told
	// the cursor to continue from later. It does not poll, and it reconnects by itself.
	// Errors: ctx's; a *UnavailableError that waiting does not cure (ReasonAuth, ReasonPermission, ReasonData); *FieldError (final);
	// ErrClosed.
	Follow(ctx context.Context, queue, after string, got func(cursor string, e Event)) error
}

// Progress stores the newest report of each running message.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's.
type Progress interface {
	// Report stores text, at most ProgressBytesMax bytes, for the message, for ttl.
	Report(ctx context.Context, lane Lane, id, text string, ttl time.Duration) error

	// Progress returns the newest report and when it was made; "" and the zero time when there is none.
	Progress(ctx context.Context, lane Lane, id string) (text string, at time.Time, err error)
}
