package main

import "time"

const (
	// roundsMax bounds --rounds: a night.
	roundsMax = 1000
	// countMax bounds the runs of one measurement.
	countMax = 1 << 20
	// tailSize is how much of a build's output is shown when it fails, in bytes.
	tailSize = 2 << 10
)

// How often and how long. The quick mode is for a look; its spread is wide.
const (
	roundsFull  = 9
	roundsQuick = 3
	slotFull    = 250 * time.Millisecond // of one series in one round
	slotQuick   = 25 * time.Millisecond
)

const (
	// runawayLimit is short, so that many runs fit in; what is measured does not depend on it.
	runawayLimit = 20 * time.Millisecond
	// runawaysAlone and runawaysTogether are how many runs of one guest a round has: one after the other, and so many at once.
	runawaysAlone    = 40
	runawaysTogether = 320
	runawaysAtOnce   = 16
	// beatGapMax is a tenth of the shortest lease that a worker can have (1 s, docs/reference/worker.md): renewals come at each third of it.
	beatGapMax = 100 * time.Millisecond
	// cellsWarm is how many idle cells are weighed together.
	cellsWarm = 200
)
