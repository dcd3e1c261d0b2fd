package runtime

import (
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Bounds of the worker. Each says what it protects.
const (
	// ConcurrencyMax bounds the runners of one worker: each may hold a task's whole memory.
	ConcurrencyMax = 4096

	// aheadFor is how much work a worker prefetches, as the time that the runners need for it: several round trips to a broker in
	// the same building, so that runners do not wait for the network, and little enough that what a dead worker held is made up for
	// soon.
	aheadFor = 20 * time.Millisecond

	// aheadMax bounds the prefetched deliveries: two claims.
	aheadMax = 512

	// paceWeight is the weight, one in so many, of the newest run in the moving average of run times.
	paceWeight = 8

	// claimMax bounds one claim, and so one start script, whatever the concurrency: a script of Redis blocks
	// the server while it runs.
	claimMax = 256

	// openEach is how many deliveries of a batch are verified on one goroutine before it is worth to use another.
	openEach = 16

	// releasePart is the part of a lease, one in so many, after which a delivery that still waits for a runner, behind tasks that last
	// longer than was foreseen, is released.
	releasePart = 15

	// endedMax and endedBytesMax bound the outcomes of one queue that wait for the broker, in number and in bytes of their results. At
	// the bound nothing more is claimed from the queue.
	endedMax      = 2048
	endedBytesMax = 64 << 20

	// recentKeep is how long an outcome is kept to be written again, beyond the lease after which its message is delivered again: many
	// times the two seconds of writes that Redis can lose with its machine, or a failover with its master. Keeping an hour would
	// take tens of megabytes for nothing.
	recentKeep = time.Minute

	// recentMax and recentBytesMax bound the same in number and in bytes: two seconds of work at the highest rate that one
	// worker was seen to reach, twice over. They are kept and forgotten by pages of recentPage.
	recentMax      = 1 << 16
	recentBytesMax = 32 << 20
	recentPage     = 64 << 10

	// promoteMax bounds one move of due messages, for the same reason.
	promoteMax = 256

	// settleMax bounds one settle script, for the same reason.
	settleMax = 256

	// settleEnough is how many outcomes start a second write while one is under way; fewer wait for its end, so that writes are few
	// when the broker is busy. settleWrites bounds the writes under way at a time.
	settleEnough = 64
	settleWrites = 2

	// claimWait is how long a claim blocks in the broker before it looks at the context and the policy again.
	claimWait = 2 * time.Second

	// maintainEvery is how often due messages and dead workers' deliveries are looked for. Recovery is promised
	// within the lease and one second; half of that second is this interval.
	maintainEvery = 500 * time.Millisecond

	// maintainSoonest is the least time between two rounds of maintenance, so that a due time in the past makes no busy loop.
	maintainSoonest = 20 * time.Millisecond

	// renewPart is the part of a lease, one in so many, after which it is renewed: two renewals may fail before it ends.
	renewPart = 3

	// LeaseMin is the shortest lease. Below it a pause of Go's collector or of Redis's disk looks like death.
	LeaseMin = time.Second

	// LeaseMax bounds how long a dead worker's task waits.
	LeaseMax = 10 * time.Minute

	// busyPause is how long a task is parked for which this worker had no memory within its wall time; another worker may take it.
	busyPause = time.Second

	// crashesMax is how often a task may crash its runner before it is refused as poison. At one crash less it is a suspect, and
	// suspects run one at a time, so that none is blamed for another's crash.
	crashesMax = queue.SuspectCrashes + 1

	// suspectWait is how long a worker begins nothing while a suspect waits for what runs to end; then the suspect runs beside it.
	// suspectAlone is how long nothing begins beside a suspect. A worker must not stand still for the sake of tasks that take long.
	suspectWait  = 5 * time.Second
	suspectAlone = 10 * time.Second

	// releaseFresh is how long a resolved release is used before the store is asked again. A new release or
	// a revoked publisher takes effect within it.
	releaseFresh = 2 * time.Second

	// seenFresh is how long a stored release that was read for a pinned module is not read again for another pin. Else, for a task with
	// 10,000 releases, each message that pins another module would have all of them read. Releases published since are read at once.
	seenFresh = 10 * time.Second

	// seenMax bounds the tasks for which that is remembered: 64 bytes for each release, at most 10,000 of them.
	seenMax = 64

	// releasesMax bounds the resolved releases kept, each of which refers to a module's bytes.
	releasesMax = 256

	// brokerBackoffMin and brokerBackoffMax bound the pause between attempts while the broker cannot be used.
	brokerBackoffMin = 50 * time.Millisecond
	brokerBackoffMax = 5 * time.Second

	// healthMemory is how long a failed act counts if it is not tried again: longer than the longest pause between attempts.
	healthMemory = time.Minute

	// healthBrief is the same when the reason is one of everywhere and another act has succeeded: longer than a pause and an attempt to
	// connect.
	healthBrief = 15 * time.Second

	// recoverGrace is how long this worker recovers nothing after an outage of the broker. By then the leases of all workers
	// have run out; those that live settle what they hold within two rounds of maintenance.
	recoverGrace = 3 * maintainEvery

	// retryAfterMax bounds the delay that a guest may ask for; past it a message would likely expire.
	retryAfterMax = 24 * time.Hour

	// drainFlush is how long the last settlements may take after the drain has ended: long enough for a
	// broker that is there, short enough that a supervisor's kill does not come first.
	drainFlush = 3 * time.Second

	// eventsMax bounds the events of one queue that wait to be written; more are dropped.
	eventsMax = 1024

	// blockedMax bounds the deliveries that wait for Config.Limits and do not count against what a worker may hold.
	blockedMax = 512

	// limitedWait is how long a claim blocks that leaves lanes out because too much of theirs waits here; surplusWait is how long, at
	// most, a delivery is parked of whose task too much waits.
	limitedWait = 100 * time.Millisecond
	surplusWait = time.Second

	// onceMax bounds the orders of one queue that wait to be carried out. The broker keeps them too.
	onceMax = 64

	// cancelsMax bounds the targets of remembered orders to cancel, which are needed for messages that are being started when the order
	// is heard; cancelsEach bounds the orders for one target, of which one valid one is enough.
	cancelsMax  = 4096
	cancelsEach = 8

	// ActMax bounds one act of a requeue or purge, as claimMax does a claim. Up to that many are done by one worker, which then knows
	// their number; of more, each worker that hears the order does a part.
	ActMax = 256

	// answerAfter is how long a worker that had nothing to do for an order waits for the others to answer it.
	answerAfter = time.Second

	// standingMax bounds the orders to requeue and purge that are remembered until they expire, within an hour.
	standingMax = 1024

	// endedShards, endedSets and endedWays bound the table of settled messages: 2^20 of them in 24 MiB. A shard, at most 96 KiB, is
	// copied at once when it grows; a set is searched linearly. All are powers of two.
	endedShards = 1 << 8
	endedSets   = 1 << 8
	endedWays   = 16

	// requeueWait is how long a dead letter that is delivered again waits for the order that requeued it.
	requeueWait = 2 * time.Second

	// inputsBytesMax bounds the payload that is made of several results: the largest result.
	inputsBytesMax = 16 << 20

	// inputsHeldMax bounds the inputs of all steps that a worker holds and that do not run yet, in bytes: two steps with the largest
	// inputs. Further steps are parked for inputsPause; a single step is always taken.
	inputsHeldMax = 2 * queue.InputsBytesMax
	inputsPause   = time.Second

	// hearWithin bounds how long a worker that starts waits for the stored orders.
	hearWithin = 5 * time.Second
)
