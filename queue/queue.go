package queue

import (
	"context"
	"fmt"
	"time"
)

// Outgoing is a message and the lane that it goes to.
type Outgoing struct {
	Lane    Lane
	Message []byte // 1 to MessageBytesMax bytes; not kept after Send returns
}

// A Sender puts messages into lanes. It needs no other right than that.
type Sender interface {
	// Send writes the whole batch in one pipelined write; more than BatchMax messages, or more than some MiB, go in several.
	// nil means that the broker has taken all of them.
	// Errors: *FieldError (final, nothing was sent), *UnavailableError (some may
	// have been taken; sending the same bytes again is safe).
	Send(ctx context.Context, batch []Outgoing) error
}

// Claim says what a worker is ready to take.
type Claim struct {
	Lanes []Lane        // 1 to LanesMax, all of one queue; the same at each call, so that each gets its turn (see Queue.Claim)
	Max   int           // 1 to BatchMax
	Wait  time.Duration // how long to wait for the first message; 0 means only what is there
}

// A Delivery is one entry of a lane, leased to this worker.
type Delivery struct {
	Lane    Lane
	Entry   string // the broker's name for it within the lane
	Message []byte // owned by the caller
	Token   string // the fencing token that Start records; unique to this delivery

	// Fault says why the entry is no message, that is, did not come from a Sender; "" for a message. An entry with a fault can be
	// settled with Dead or Drop, and cannot be started.
	Fault string

	// Leased is a lower bound of when this lease began, by the broker's clock; zero where the broker does not say.
	Leased time.Time

	// Redelivered says that an earlier lease on the entry has run out.
	Redelivered bool
}

// Unstarted returns the lease of a delivery that was not started, to settle it with Dead, Release or Drop, or to renew it.
func (d Delivery) Unstarted() Lease { return Lease{Lane: d.Lane, Entry: d.Entry} }

// Start asks to begin work on a delivery that has been verified.
type Start struct {
	Delivery Delivery
	ID       string    // message id, from the verified envelope
	Digest   string    // of the whole message; equal digests are the same message
	Expires  time.Time // when the message expires; its state is kept for StateGrace longer

	// ResultKey is the key under which the sender's results are kept, see Settlement. Required with After.
	ResultKey string

	// Plan names the plan that the message is a step of, or is "". An order to cancel may name the plan instead of the message.
	Plan string

	// After are the ids of the messages whose results this one needs, at most AfterMax, all of the lane's queue and tenant. While
	// one of them has no result, the answer is Waits.
	After []string

	// Unique (if it has a key) and Gates (at most GatesMax) are checked just before the message is granted.
	Unique Unique
	Gates  []Gate

	// Begins: the message, a suspect that was granted before by the same token, is about to run. Before that its worker's death is no
	// crash of it. The answer is Granted, or Lost when the lease is. Of others it says nothing.
	Begins bool

	// Unasked: the message has a unique key that is not to be asked for, since it must not run now: its time has not come, say.
	// It is granted, and asks for its key at the first start that names it, whatever became of this one. Unique is empty then.
	Unasked bool
}

// Check reports what is wrong with s, nil if it can be asked.
// Errors, final: *FieldError.
func (s Start) Check() error {
	lease := s.Delivery.Unstarted()
	lease.Token, lease.ID = s.Delivery.Token, s.ID
	if err := lease.Check(); err != nil {
		return err
	}
	if s.Delivery.Token == "" {
		return &FieldError{Field: "token", Text: "none; the delivery is not from Claim or Recover"}
	}
	if s.Delivery.Fault != "" {
		return &FieldError{Field: "fault", Text: "a malformed entry cannot start: " + s.Delivery.Fault}
	}
	if err := CheckDigest(s.Digest); err != nil {
		return err
	}
	if err := s.Unique.Check(); err != nil {
		return err
	}
	if s.Unasked && s.Unique.Key != "" {
		return &FieldError{Field: "unasked", Text: "with a unique key"}
	}
	if err := s.checkAfter(); err != nil {
		return err
	}
	return s.checkGates()
}

func (s Start) checkAfter() error {
	if s.Plan != "" {
		if err := CheckID("plan", s.Plan); err != nil {
			return err
		}
	}
	if len(s.After) == 0 {
		return nil
	}
	if len(s.After) > AfterMax {
		return &FieldError{Field: "after", Text: fmt.Sprintf("%d, at most %d", len(s.After), AfterMax)}
	}
	for _, id := range s.After {
		if err := CheckID("after", id); err != nil {
			return err
		}
	}
	return CheckID("result key", s.ResultKey)
}

func (s Start) checkGates() error {
	if len(s.Gates) > GatesMax {
		return &FieldError{Field: "gates", Text: fmt.Sprintf("%d, at most %d", len(s.Gates), GatesMax)}
	}
	for i, g := range s.Gates {
		if err := g.Check(); err != nil {
			return err
		}
		for _, before := range s.Gates[:i] {
			if before.Name == g.Name {
				return &FieldError{Field: "gates", Text: g.Name + " twice"}
			}
		}
	}
	return nil
}

// State is the answer to Start.
type State int

const (
	// Granted: the message is this worker's to run.
	Granted State = iota + 1
	// Replayed: the same bytes have already ended. Settle with Drop, under the lease of the answer (see Lease).
	Replayed
	// Duplicate: the same bytes wait or run as another entry. Settle with Drop, under the lease of the answer.
	Duplicate
	// Conflict: the id was used for other bytes. Settle with Dead.
	Conflict
	// Lost: the entry belongs to another worker by now. Nothing is to be settled.
	Lost
	// Waits: a result in After is missing. The broker has parked the message. It is delivered again when the last of them has
	// been settled (see Settlement.Wake), or when it expires. Nothing is to be settled.
	Waits
	// Throttled: a gate is closed, or the message is a suspect (see SuspectCrashes) and another suspect runs. The broker has
	// parked the message until it may pass. Nothing is to be settled.
	Throttled
	// Taken: another message, Started.First, holds the unique key. The message must not run; settle with Dead, so that the
	// sender is told.
	Taken
)

// String returns s as one lower-case word, "invalid" for the zero State.
func (s State) String() string {
	switch s {
	case Granted:
		return "granted"
	case Replayed:
		return "replayed"
	case Duplicate:
		return "duplicate"
	case Conflict:
		return "conflict"
	case Lost:
		return "lost"
	case Waits:
		return "waits"
	case Throttled:
		return "throttled"
	case Taken:
		return "taken"
	}
	return "invalid"
}

// Started is the answer to one Start; answers are in the order of the batch.
type Started struct {
	State State
	Lease Lease // with a token when State is Granted or Taken; without one otherwise

	// Set when State is Granted:

	Attempt int // of this run, 1 for the first
	Crashes int // earlier runs whose lease ran out, or that were settled with Crash

	// Cancels are the orders to cancel that are kept for the message or its plan (see Orders.Cancel). They are the broker's word:
	// verify their signatures first.
	Cancels [][]byte

	// Inputs are the results of After, in its order; one that was deleted meanwhile is empty. They are the broker's word: verify
	// them. Inputs is nil when the message has expired, or when they have more than InputsBytesMax bytes together.
	Inputs [][]byte

	// Set when State is Taken:

	First string // the id of the message that holds the unique key
}

// A Lease is the right to settle one entry. There are three kinds:
//
//   - with Token: of a delivery that Start granted (or answered with Taken); ID is its message.
//   - without Token and ID: of a delivery that was not started, see Delivery.Unstarted.
//   - with ID only: of a copy, when Start answered Replayed or Duplicate. Drop removes it only if the message has ended or another
//     entry can still lead to its run: a failover between Start and Settle may have lost both, and then the copy is the message.
type Lease struct {
	Lane  Lane
	Entry string
	ID    string
	Token string

	// Gates are the names of the gates with InFlight that the message has passed, separated by spaces. Their places are renewed
	// and freed with the lease.
	Gates string
}

// A Queue hands out messages and records what became of them. All methods are
// safe for concurrent use and take batches of at most BatchMax.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's.
type Queue interface {
	// Claim blocks in the broker (it does not poll) and returns as soon as one message is there: 1 to Max deliveries, or none after
	// Wait. Lanes of one priority get equal shares, and a lane with few messages does not wait for one with many. Busy
	// priorities share 6 to 3 to 1. When ctx ends, Claim returns ctx's error at once; what it had claimed goes back to its lane.
	Claim(ctx context.Context, c Claim) ([]Delivery, error)

	// Start records that work begins, and grants each message to one worker only. The lease counts from this call, or from up to
	// a StartLate-th of a lease before it. Start is idempotent: the same delivery gets the same answer.
	Start(ctx context.Context, batch []Start) ([]Started, error)

	// Renew extends the leases by a whole lease from now, and returns those that are lost. Work under a lost lease should end, for
	// nothing of it can be settled.
	Renew(ctx context.Context, batch []Lease) (lost []Lease, err error)

	// Settle ends leases; answers are in the order of the batch. Settle is idempotent: the same settlement under the same lease
	// answers Applied again and changes nothing.
	Settle(ctx context.Context, batch []Settlement) ([]Settled, error)
}

// Recovered is what Recover found.
type Recovered struct {
	Deliveries []Delivery
	// Vanished counts leased entries that somebody else deleted from their lane, so that nothing is left to deliver.
	Vanished int
	// Retired counts dead workers whose names were removed from lanes.
	Retired int
}

// A Maintainer does the periodic work of a queue: it moves due messages into their lanes and recovers the deliveries of dead
// workers. Every worker runs one; any number may run at a time.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's.
type Maintainer interface {
	// Promote moves at most max (1 to BatchMax) messages that are due, by the broker's clock, into their lanes; call it again while
	// n is max. next is when the next message is due, by our clock; zero when none waits.
	Promote(ctx context.Context, queue string, max int) (n int, next time.Time, err error)

	// Recover takes over at most max (1 to BatchMax) deliveries whose lease has run out; start them like others. Call it again at
	// once while it returns any, else every second or so.
	Recover(ctx context.Context, lanes []Lane, max int) (Recovered, error)

	// LeftOut returns the lanes that claims skip for now because their key holds something that is no lane. It sends nothing to
	// the broker.
	LeftOut() []Lane
}
