package queue

import (
	"context"
	"time"
)

// Results reads what workers left for a sender. It needs no right over lanes.
type Results interface {
	// Result returns the result kept for a message. The bytes belong to the caller. They are the broker's word: open them with the
	// worker's key.
	// Errors: ErrNoResult when none is kept; *FieldError (final), *UnavailableError, ErrClosed, ctx's.
	Result(ctx context.Context, queue, resultKey, id string) ([]byte, error)

	// Wait calls got once for each id as its result arrives, one call at a time and in any order, and returns nil when all have
	// arrived. It does not poll, and it reconnects by itself. When the key of a result holds something that cannot be one, got is
	// called with a nil result: Result says why, and a worker may still write the result there.
	// Errors: ctx's, joined with a *UnavailableError if the broker could not be used at that moment; a *UnavailableError that waiting
	// does not cure (ReasonAuth, ReasonPermission); *FieldError (final); ErrClosed.
	Wait(ctx context.Context, queue, resultKey string, ids []string, got func(id string, result []byte)) error
}

// A DeadLetter is a message that was refused or has failed for good, with the reason. All of it is the broker's word.
type DeadLetter struct {
	Entry   string    // the letter's name, and the cursor of the next page
	Code    string    // of the refusal or failure, such as "policy.denied"
	Reason  string    // for people, at most ReasonBytesMax bytes
	Lane    Lane      // where the message came from
	ID      string    // "" when the message was never verified
	Message []byte    // at most MessageBytesMax bytes of it, owned by the caller; nil when it had been deleted from its lane
	Worker  string    // the name of the worker that settled it
	At      time.Time // when, by the broker's clock
}

// Phase is the stage of life that a message is in.
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

// Depths counts the messages of lanes, and of the sets of their queues.
type Depths struct {
	Lanes []Depth          // in the order asked for
	Due   map[string]int64 // by queue: parked or to be retried
	Dead  map[string]int64 // by queue: dead letters kept
}

// An Inspector reads the state of queues and changes nothing.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's.
type Inspector interface {
	// DeadLetters returns up to n (1 to PageMax) letters, oldest first, after the entry named ("": from the first). It returns
	// fewer when letters are large; only an empty page means that there are no more.
	DeadLetters(ctx context.Context, queue, after string, n int) ([]DeadLetter, error)

	// State returns what is kept about the message of that id, with PhaseUnknown when that is nothing. Only lane's queue and tenant
	// count.
	State(ctx context.Context, lane Lane, id string) (TaskState, error)

	// Depth counts the lanes named, 1 to LanesMax.
	Depth(ctx context.Context, lanes []Lane) (Depths, error)
}
