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
	// Send writes the whole batch in one pipelined write (more than BatchMax, and
	// more than some MiB, go in several). nil means that the broker has taken all of them.
	// Errors: *FieldError (final, nothing was sent), *UnavailableError (some may
	// have been taken; sending the same bytes again is safe).
	Send(ctx context.Context, batch []Outgoing) error
}

// Claim says what a worker is ready to take.
type Claim struct {
	Lanes []Lane        // 1 to LanesMax, all of one queue, and always the same; see Queue.Claim for whose turn it is
	Max   int           // 1 to BatchMax
	Wait  time.Duration // how long to wait for the first message; 0 means only what is there
}

// A Delivery is one entry of a lane, leased to this worker.
type Delivery struct {
	Lane    Lane
	Entry   string // the broker's name for it within the lane
	Message []byte // owned by the caller
	Token   string // the fence that Start puts up; of this delivery alone

	// Fault is "" or says why the entry is no message: it did not come from a
	// Sender. It can be settled with Dead or Drop and never starts.
	Fault string

	// Leased is, by the broker's clock, no later than when this lease began; the zero time where the broker does not say.
	Leased time.Time

	// Redelivered says that a lease on it ran out before.
	Redelivered bool
}

// Unstarted returns the lease of a delivery that did not get as far as Start,
// to settle it with Dead, Release or Drop, or to renew it until it does.
func (d Delivery) Unstarted() Lease { return Lease{Lane: d.Lane, Entry: d.Entry} }

// Start asks to begin work on a delivery that has been verified.
type Start struct {
	Delivery Delivery
	ID       string    // message id, from the verified envelope
	Digest   string    // of the whole message; equal digests are the same message
	Expires  time.Time // when the message expires; its state is kept for StateGrace longer

	// ResultKey is where the results of the message's sender are kept, see Settlement. Required with After.
	ResultKey string

	// Plan is "" or names what the message is a step of; orders to cancel are kept for the plan as for the message.
	Plan string

	// After are the ids of the messages, of the same lane's queue and tenant, whose results this one needs: at most
	// AfterMax. While one has none, the answer is Waits.
	After []string

	// Unique, when it has a key, and Gates, at most GatesMax, are asked when the message is about to be granted.
	Unique Unique
	Gates  []Gate

	// Unasked: the message has a unique key that is not to be asked for, since it must not run now: its time has not come, say.
	// It is granted, and asks for its key at the first start that names it, whatever became of this one. Unique is empty then.
	Unasked bool
}

// Check says whether s can be asked.
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
	// Replayed: the same bytes have ended already. Drop it, by the lease of the answer: see Lease.
	Replayed
	// Duplicate: the same bytes wait, or run, as another entry. Drop it, likewise.
	Duplicate
	// Conflict: the id was used for other bytes. Let it be Dead.
	Conflict
	// Lost: the entry belongs to another worker by now. Forget it.
	Lost
	// Waits: a result in After is missing. The broker has parked the message; it comes again when the last of them
	// has been settled (see Settlement.Wake), or when it expires. Forget it.
	Waits
	// Throttled: a gate is closed, or the message is a suspect (see SuspectCrashes) and another one runs. The broker has
	// parked the message until it may pass. Forget it.
	Throttled
	// Taken: the unique key is another message's, Started.First. Nothing was granted, but the lease can be settled
	// with Dead, so that the sender is told.
	Taken
)

// String returns the word for s.
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

// Started is what became of one Start, in the same place of the batch.
type Started struct {
	State State
	Lease Lease // with a token when State is Granted or Taken; without one otherwise

	Attempt int // 1 for the first; of Granted only
	Crashes int // how often a lease ran out, or was settled with Retry's crash; of Granted only

	// Cancels are the orders kept for the message or its plan (see Orders.Cancel), as the broker gives them: they mean
	// nothing until their signatures hold. Of Granted only.
	Cancels [][]byte

	// Inputs are the results of After, in its order, as the broker gives them; one that was deleted meanwhile is empty.
	// Of Granted only. None when the message has expired, or when they have more than InputsBytesMax bytes together.
	Inputs [][]byte

	// First is the id that holds the unique key. Of Taken only.
	First string
}

// A Lease is the right to settle one entry.
// Token is "" for a delivery that was not granted. One that has an ID all the same is of a copy, as Start answered: it can be
// settled only where the message has ended, or another entry can lead to its run. Between Start and Settle another server can
// have taken the place of the one that knew so, and there the copy may be the message itself.
type Lease struct {
	Lane  Lane
	Entry string
	ID    string
	Token string

	// Gates are the names of those with InFlight that it passed, with spaces between: renewed and freed with the lease.
	Gates string
}

// A Queue hands out messages and records what became of them. All methods are
// safe for concurrent use and take batches of at most BatchMax.
// Errors of all methods: *FieldError (final), *UnavailableError, ctx's.
type Queue interface {
	// Claim waits in the broker, never by sleeping and asking again, and returns
	// as soon as one message is there: from 0 (Wait has passed) to Max of them.
	// Lanes of one priority share alike, and one with few messages does not wait
	// for one with many. Where several priorities have many, they share 6 to 3 to 1.
	// When ctx ends it returns ctx's error at once and loses nothing.
	Claim(ctx context.Context, c Claim) ([]Delivery, error)

	// Start records that work begins, and grants each message to one worker only. Its lease began when Start was asked, or
	// up to a StartLate-th of a lease before.
	// Asking again with the same delivery gives the same answer.
	Start(ctx context.Context, batch []Start) ([]Started, error)

	// Renew lets the leases last on, and returns those that are lost: work on
	// them should end, for nothing of it can be settled.
	Renew(ctx context.Context, batch []Lease) (lost []Lease, err error)

	// Settle ends leases. Answers stand in the same places. Settling again what
	// has been settled under the same lease answers Applied and changes nothing.
	Settle(ctx context.Context, batch []Settlement) ([]Settled, error)
}

// Recovered is what Recover found.
type Recovered struct {
	Deliveries []Delivery
	// Vanished counts entries that were leased but deleted from their lane by
	// somebody else, so that nothing is left to deliver.
	Vanished int
	// Retired counts dead workers whose names were removed from lanes.
	Retired int
}

// A Maintainer does the periodic work of a queue: it moves due messages into their lanes and recovers the deliveries of dead
// workers. Every worker runs one; any number may run at a time.
type Maintainer interface {
	// Promote moves messages whose time has come from the due set back into
	// their lanes: at most max (1 to BatchMax), so call again while n is max.
	// next is when the next one is due, zero when none waits. Due is by the
	// broker's clock.
	Promote(ctx context.Context, queue string, max int) (n int, next time.Time, err error)

	// Recover takes over at most max (1 to BatchMax) deliveries whose lease has
	// run out. Start them like others. Call again at once while it returns any,
	// else every second or so.
	Recover(ctx context.Context, lanes []Lane, max int) (Recovered, error)

	// LeftOut returns the lanes that claims skip for now because their key holds something that is no lane. It sends nothing to
	// the broker.
	LeftOut() []Lane
}
