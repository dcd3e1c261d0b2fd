package queue

import (
	"fmt"
	"time"
)

// A Gate is a limit that all workers of a queue share: how many messages behind it may run at a time, and how often one may start.
// A message may have several gates; it passes all of them or none.
type Gate struct {
	// Name names the gate within the queue, by the grammar of CheckID. Its maker decides what it counts: messages of a tenant, a
	// task, a principal.
	Name string

	// InFlight is the most messages that may run at a time behind this gate, 1 to InFlightMax; 0: no such bound.
	InFlight int

	// Every is the least average time between two starts, 1 us to StateTTLMax, and Burst how many may start at once after a quiet
	// time (1 to BurstMax). Every 0: no such bound. Source: the generic cell rate algorithm, ITU-T I.371.
	Every time.Duration
	Burst int
}

// Check reports what is wrong with g, nil if it can be used.
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

// Unique asks that of all messages of one tenant with the same key only the first runs within a window. The zero Unique asks
// nothing.
type Unique struct {
	Key    string        // by the grammar of CheckID: a digest of what the sender chose
	Window time.Duration // from the first one's start, 1 ms to StateTTLMax
}

// Check reports what is wrong with u, nil if it can be asked.
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
