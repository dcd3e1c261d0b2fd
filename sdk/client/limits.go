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

	// CoalesceMaxDefault bounds the calls of Send that share a signature: the second signature costs less than a
	// thousandth of what it is shared by.
	CoalesceMaxDefault = 256

	// CoalesceWindowMax bounds what a Send may wait for others. More than that is no sending any more.
	CoalesceWindowMax = time.Second

	// coalesceSizeMax bounds the payloads that share a write, in bytes, unless one is larger alone.
	coalesceSizeMax = 4 << 20

	// writesMax bounds the writes of Send that are under way at a time. With two, one goes out while the reply to the
	// other travels; with more, what is sent at a time would seldom be together.
	writesMax = 2

	// cancelGrace is how long an order to cancel outlives the message, by clocks that differ.
	cancelGrace = 10 * time.Minute

	// WithinDefault is how long after sending a task may begin when nothing else is said.
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
