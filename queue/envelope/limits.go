package envelope

import "time"

// Bounds on what is signed and on what is read. A message with every field at its bound still fits in MessageSizeMax
// (a test builds it), so that a sender is told which field is too long, never just "too long".
const (
	// MessageSizeMax bounds a whole message, in bytes. Redis holds every waiting message in memory, and a worker
	// holds a batch of them; data larger than this belongs in a store, with its address in the payload.
	MessageSizeMax = 256 << 10

	// PayloadSizeMax bounds Task.Payload, in bytes. The other 32 KiB of a message are room for the fields.
	PayloadSizeMax = 224 << 10

	// ResultSizeMax bounds a whole signed result, in bytes: the output and 16 KiB for the fields.
	ResultSizeMax = OutputSizeMax + 16<<10

	// OutputSizeMax bounds Result.Output, in bytes. Results wait in Redis until they expire.
	// It is the most that a manifest's limits.result may ask for.
	OutputSizeMax = 16 << 20

	// LifetimeMax is the longest time from Issued to Expires. A worker remembers message ids until they expire,
	// so this bounds that memory, and the time for which a stolen message is of use.
	LifetimeMax = 24 * time.Hour

	// ActLifetimeMax is the longest life of an order to requeue or purge: it is for now, and a stolen one must not be for
	// next month.
	ActLifetimeMax = time.Hour

	// ModeLifetimeMax is the longest life of an order to pause or resume, which holds until it expires. As
	// queue.OrderTTLMax.
	ModeLifetimeMax = 30 * 24 * time.Hour

	// CancelLifetimeMax is the longest life of an order to cancel: it must outlive the message, by any clock within an hour.
	CancelLifetimeMax = LifetimeMax + time.Hour

	// SkewMax is how far ahead of the reader's clock Issued may be.
	SkewMax = 60 * time.Second

	// NameSizeMax bounds an audience, a tenant, a queue and a task name, in bytes. They become Redis keys.
	NameSizeMax = 64

	// CapsMax bounds how many capability lines a sender may narrow a task to.
	CapsMax = 64

	// CapSizeMax bounds one capability line, in bytes; capability.Parse has the same bound.
	CapSizeMax = 1 << 10

	// CapsSizeMax bounds all capability lines together, in bytes.
	CapsSizeMax = 16 << 10

	// UniqueKeySizeMax bounds a unique key, in bytes.
	UniqueKeySizeMax = 256

	// UniqueWindowMin is the shortest window of a unique key. Less is within what clocks and claims differ by, so it
	// would mean nothing.
	UniqueWindowMin = time.Second

	// AfterMax bounds the messages that a step waits for; a plan has at most as many steps. As queue.AfterMax.
	AfterMax = 256

	// BatchMax bounds the messages under one signature, so that a path has at most 14 hashes. A sender writes no more
	// at once than fits in memory and in one pipelined write.
	BatchMax = 1 << pathMax

	// RootsMax bounds the roots that a Roots remembers. One entry is about 250 bytes, so 2 MiB; at 128 messages a
	// batch they stand for a million messages. Forgetting one costs a verification.
	RootsMax = 1 << 13

	// ContentTypeSizeMax bounds a content type, in bytes.
	ContentTypeSizeMax = 128

	// OrderSizeMax bounds a whole order, in bytes. As queue.OrderBytesMax.
	OrderSizeMax = 4 << 10

	// NoteSizeMax bounds Order.Note, in bytes: a reason for the log.
	NoteSizeMax = 512

	// TargetSizeMax bounds Order.Target, in bytes. As queue.IDBytesMax.
	TargetSizeMax = 64

	// ErrorSizeMax bounds Result.Error, in bytes: enough for a message, too little for a dump.
	ErrorSizeMax = 4 << 10

	// CodeSizeMax bounds Result.Code, in bytes.
	CodeSizeMax = 64

	// AttemptsMax bounds Task.Attempts and Result.Attempt. A task that failed this often will not succeed.
	AttemptsMax = 1000

	// PriorityMax is the largest priority number. The numbers are those of queue.Priority: 0 high, 1 normal, 2 low.
	PriorityMax = 2
)

const (
	// frameVersion is the only version of the frame that is read or written.
	frameVersion = 1

	// depthMax bounds nesting, the outermost array counted: frame, signatures, signature, batch path, hashes.
	depthMax = 5

	// pathMax bounds the hashes of a batch path: the height of a tree of BatchMax leaves.
	pathMax = 14

	// timeMax is the last millisecond of the year 9999, the last that RFC 3339, and so JSON, can write.
	timeMax = 253402300799999

	// limitDurationMax bounds Limits.Wall and Limits.CPU: nothing runs longer than a message lives.
	limitDurationMax = LifetimeMax

	// fieldSizeMax bounds strings for which the format holds a place but which must be empty in this version.
	fieldSizeMax = 64
)
