package queue

import (
	"context"
	"time"
)

// Results reads what workers left for a sender. It needs no right over lanes.
type Results interface {
	// Result returns the result kept for a message, ErrNoResult when none is.
	// The bytes are the broker's word only: open them with the worker's key.
	Result(ctx context.Context, queue, resultKey, id string) ([]byte, error)

	// Wait calls got once for each id as its result comes, one call at a time and
	// in any order, and returns nil when all have come. Where something stands in a result's place that cannot be one, got is
	// called without a result: Result says why, and a worker may yet put the result there. It outlives losses of the
	// connection. It ends early with ctx's error, joined with a *UnavailableError if the broker could not be used just then, or
	// with a *UnavailableError that waiting cannot mend (ReasonAuth, ReasonPermission), or with ErrClosed.
	Wait(ctx context.Context, queue, resultKey string, ids []string, got func(id string, result []byte)) error
}

// DeadLetter is a message that ended without a run that counted, and why.
type DeadLetter struct {
	Entry   string // its name, and the place to page on from
	Code    string
	Reason  string
	Lane    Lane
	ID      string // "" when the message was never verified
	Message []byte // at most MessageBytesMax bytes of it; nil when it had vanished
	Worker  string
	At      time.Time
}

// Phase is where a message stands.
type Phase string

const (
	PhaseUnknown Phase = ""        // no worker has seen it, or its state has expired
	PhaseWaiting Phase = "waiting" // to be retried, parked or released
	PhaseRunning Phase = "running"
	PhaseDone    Phase = "done"
	PhaseDead    Phase = "dead"
)

// TaskState is what the broker keeps about one message.
type TaskState struct {
	Phase   Phase
	Lane    Lane
	Digest  string
	Worker  string // who holds it, or held it last
	Attempt int    // of the run that goes on, or that comes next
	Crashes int
}

// Depth counts the messages of one lane.
type Depth struct {
	Lane    Lane
	Waiting int64 // in the lane and not claimed
	Running int64 // claimed and not settled
}

// Depths counts lanes, and the sets of their queues.
type Depths struct {
	Lanes []Depth          // in the order asked for
	Due   map[string]int64 // by queue: parked or to be retried
	Dead  map[string]int64 // by queue: dead letters kept
}

// Inspector looks at a queue and changes nothing.
type Inspector interface {
	// DeadLetters returns up to n (1 to PageMax) letters, oldest first, after the
	// entry named (none: from the first). Of large ones it returns fewer: only when there is none the letters end.
	DeadLetters(ctx context.Context, queue, after string, n int) ([]DeadLetter, error)

	// State returns what is kept about the message of that id. Only lane's queue
	// and tenant count.
	State(ctx context.Context, lane Lane, id string) (TaskState, error)

	// Depth counts the lanes named, 1 to LanesMax.
	Depth(ctx context.Context, lanes []Lane) (Depths, error)
}
