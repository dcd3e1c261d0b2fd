package client

import (
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

const (
	// BatchMax bounds the tasks of one SendMany. All of a batch is signed before any of it is sent.
	BatchMax = 10_000

	// BatchSizeMax bounds the messages of one SendMany together, in bytes: they are in memory at once.
	BatchSizeMax = 64 << 20

	// StepsMax bounds the steps of a plan: as many as one step may come after, and few enough for one batch.
	StepsMax = envelope.AfterMax

	// WithinDefault is how long a task may wait and run when nothing else is said.
	WithinDefault = time.Hour
)

const (
	// againMin and againMax bound the pause before a result that was rejected is read again. Only somebody who
	// tampers with the broker causes that; the true result, when it comes, takes the false one's place.
	againMin = 50 * time.Millisecond
	againMax = 5 * time.Second

	// rejectedMax bounds how many rejected results the error of a wait that ended early tells of.
	rejectedMax = 8
)
