package queue

import "time"

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

// Unique asks that of all messages of one tenant with the same key only the first runs within a window.
type Unique struct {
	Key    string        // by the grammar of CheckID: a digest of what the sender chose
	Window time.Duration // from the first one's start, 1 ms to StateTTLMax
}
