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

	// CoalesceMaxDefault bounds the calls of Send that share a signature. With more, the signature's part in the cost of a message
	// hardly falls.
	CoalesceMaxDefault = 256

	// CoalesceWindowMax bounds how long a Send may wait for others.
	CoalesceWindowMax = time.Second

	// coalesceSizeMax bounds the payloads that share a write, in bytes, unless one is larger alone.
	coalesceSizeMax = 4 << 20

	// writesMax bounds the writes of Send that are under way at a time. With two, one is sent while the reply to the other travels;
	// with more, batches would be smaller.
	writesMax = 2

	// cancelGrace is how long an order to cancel outlives the message, for clocks that differ.
	cancelGrace = 10 * time.Minute

	// WithinDefault is the default of Config.Within.
	WithinDefault = time.Hour
)

const (
	// againMin and againMax bound the pause before a result is read again after one was rejected. Only somebody who tampers with the
	// broker causes that; the true result will replace the false one.
	againMin = 50 * time.Millisecond
	againMax = 5 * time.Second

	// rejectedMax bounds the rejected results in the error of a wait that ended early.
	rejectedMax = 8
)
