package queue

import "time"

// Bounds on what crosses this room. A broker refuses more with *FieldError.
const (
	// StartLate is the part of a lease, one in so many, that may be over when Start grants it: a delivery that was claimed more
	// recently keeps its lease, which saves a write in the common case. It is 0.25 in lua/begin.lua of redisqueue.
	StartLate = 4

	// NameBytesMax bounds a queue's or tenant's name: names become parts of keys.
	NameBytesMax = 64

	// IDBytesMax bounds a message id, a result key and a lease token (hex of
	// 16 bytes is 32; the rest is room for other brokers).
	IDBytesMax = 64

	// DigestBytesMax bounds a digest's text ("sha256:" and 64 hex digits are 71).
	DigestBytesMax = 128

	// MessageBytesMax bounds a message at Send, and how much of a message a dead letter keeps. An envelope is at most 256 KiB; the
	// rest is room for other formats.
	MessageBytesMax = 512 << 10

	// ResultBytesMax bounds a stored result: the largest task result of
	// 16 MiB and what the worker's signature adds.
	ResultBytesMax = 16<<20 + 64<<10

	// BatchMax bounds deliveries, leases and settlements in one call, so that a
	// broker's script runs for milliseconds, not seconds.
	BatchMax = 1024

	// LanesMax bounds the lanes named in one call.
	LanesMax = 16384

	// CodeBytesMax and ReasonBytesMax bound what is kept beside a dead letter.
	CodeBytesMax   = 64
	ReasonBytesMax = 1 << 10

	// PageMax bounds one page of dead letters, which carry their messages.
	PageMax = 100

	// DelayMax bounds how far ahead a message may be parked: an envelope lives
	// 24 h at most; beyond a week it is surely a wrong clock.
	DelayMax = 7 * 24 * time.Hour

	// StateGrace is how long the state of a message outlives the message, so that
	// a copy that arrives late, by any clock within an hour, is still recognised.
	StateGrace = time.Hour

	// StateTTLMax bounds the life of a state record: DelayMax and the grace.
	StateTTLMax = DelayMax + StateGrace

	// AfterMax bounds what one message waits for; a plan has at most as many steps.
	AfterMax = 256

	// InputsBytesMax bounds the results that one message is given together: they become its payload, in memory.
	InputsBytesMax = 64 << 20

	// SuspectCrashes is how many crashes make a message a suspect. When a worker dies, every message that it ran counts a crash,
	// whichever was to blame. So a broker grants suspects one at a time in each queue, and a worker runs one beside nothing else
	// and says when that begins (Start.Begins): the next crash shows which one it is.
	SuspectCrashes = 2

	// GatesMax bounds the gates before one message: queue, tenant, task and principal, each with either bound.
	GatesMax = 8

	// InFlightMax and BurstMax bound a gate's numbers: a broker handles a set of that many members easily.
	InFlightMax = 65536
	BurstMax    = 65536

	// OrderBytesMax bounds a signed order, which is a few names and times.
	OrderBytesMax = 4 << 10

	// OrdersMax is about how many orders a queue keeps; the oldest go first.
	OrdersMax = 1000

	// OrderTTLMax bounds how long an order is kept.
	OrderTTLMax = 30 * 24 * time.Hour

	// EventsMax is about how many batches of events a queue keeps; the oldest go first.
	EventsMax = 4096

	// ProgressBytesMax bounds one report of progress.
	ProgressBytesMax = 1 << 10
)
