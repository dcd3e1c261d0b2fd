package runtime

import "time"

// Bounds of the worker. Each says what it protects.
const (
	// ConcurrencyMax bounds the runners of one worker: each may hold a task's whole memory.
	ConcurrencyMax = 4096

	// prefetchFactor is how many deliveries a worker holds for each runner: one that runs and one that waits,
	// so that a runner never idles for a round trip, and so that a worker that dies delays little work.
	prefetchFactor = 2

	// claimMax bounds one claim, and so one start script, whatever the concurrency: a script of Redis blocks
	// the server while it runs.
	claimMax = 256

	// promoteMax bounds one move of due messages, for the same reason.
	promoteMax = 256

	// settleMax bounds one settle script, for the same reason.
	settleMax = 256

	// claimWait is how long a claim blocks in the broker before it looks at the context and the policy again.
	claimWait = 2 * time.Second

	// tendEvery is how often due messages and dead workers' deliveries are looked for. Recovery is promised
	// within the lease and one second; half of that second is this interval.
	tendEvery = 500 * time.Millisecond

	// tendSoonest keeps a due time that is already past from turning the tender into a busy loop.
	tendSoonest = 20 * time.Millisecond

	// renewShare is the part of a lease after which it is renewed: two renewals may be lost before it ends.
	renewShare = 3

	// LeaseMin is the shortest lease. Below it a pause of Go's collector or of Redis's disk looks like death.
	LeaseMin = time.Second

	// LeaseMax bounds how long a dead worker's task waits.
	LeaseMax = 10 * time.Minute

	// crashesMax is how often a task may take its runner down before it is put aside as poison.
	crashesMax = 3

	// releaseFresh is how long a resolved release is used before the store is asked again. A new release or
	// a revoked publisher takes effect within it.
	releaseFresh = 2 * time.Second

	// releasesMax bounds the resolved releases kept, each of which refers to a module's bytes.
	releasesMax = 256

	// brokerBackoffMin and brokerBackoffMax bound the pause between attempts while the broker cannot be used.
	brokerBackoffMin = 50 * time.Millisecond
	brokerBackoffMax = 5 * time.Second

	// healthMemory is how long a failed act of the broker counts that is not tried again: longer than the longest
	// pause between attempts.
	healthMemory = time.Minute

	// retryAfterMax bounds the delay that a guest may ask for; past it a message would likely expire.
	retryAfterMax = 24 * time.Hour

	// drainFlush is how long the last settlements may take after the drain has ended: long enough for a
	// broker that is there, short enough that a supervisor's kill does not come first.
	drainFlush = 3 * time.Second
)
