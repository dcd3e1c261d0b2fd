package queue

import (
	"fmt"
	"time"
)

// A Gate is a bound that all workers of a queue share: how many of its messages may run at a time, and how often one
// may begin. Several may stand before one message; it passes all or none.
type Gate struct {
	// Name names the counter within the queue, by the grammar of CheckID. Whoever makes it says what it counts for: a
	// tenant, a task, a principal.
	Name string

	// InFlight is the most messages that may run at a time behind this gate, 1 to InFlightMax; 0: no such bound.
	InFlight int

	// Every is the least time between two that begin, on average, and Burst how many may begin at once after a quiet
	// time (1 to BurstMax). Every 0: no such bound. Source of the rule: the generic cell rate algorithm, ITU-T I.371.
	Every time.Duration
	Burst int
}

// Check says whether g can be a gate.
// Errors, final: *FieldError.
func (g Gate) Check() error {
	if err := CheckID("gate", g.Name); err != nil {
		return err
	}
	if g.InFlight < 0 || g.InFlight > InFlightMax {
		return &FieldError{Field: "in flight", Text: fmt.Sprintf("%d is not within 0 to %d", g.InFlight, InFlightMax)}
	}
	if g.Every < 0 || g.Every > StateTTLMax || g.Every > 0 && g.Every < time.Microsecond {
		return &FieldError{Field: "every", Text: fmt.Sprintf("%s is not 0 or within 1us to %s", g.Every, StateTTLMax)}
	}
	if g.Every > 0 && (g.Burst < 1 || g.Burst > BurstMax) {
		return &FieldError{Field: "burst", Text: fmt.Sprintf("%d is not within 1 to %d", g.Burst, BurstMax)}
	}
	return nil
}

// Unique asks that of all messages of one tenant with the same key only the first runs within a window.
type Unique struct {
	Key    string        // by the grammar of CheckID: a digest of what the sender chose
	Window time.Duration // from the first one's start, 1 ms to StateTTLMax
}

// Check says whether u can be asked; the zero value asks nothing.
// Errors, final: *FieldError.
func (u Unique) Check() error {
	if u.Key == "" {
		return nil
	}
	if err := CheckID("unique key", u.Key); err != nil {
		return err
	}
	if u.Window < time.Millisecond || u.Window > StateTTLMax {
		return &FieldError{Field: "unique window", Text: fmt.Sprintf("%s is not within 1ms to %s", u.Window, StateTTLMax)}
	}
	return nil
}
