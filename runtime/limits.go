package runtime

import (
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Bounds of the worker. Each says what it protects.
const (
	// ConcurrencyMax bounds the runners of one worker: each may hold a task's whole memory.
	ConcurrencyMax = 4096

	// aheadFor is how much work, in time of all runners together, a worker has at hand beside what runs: several round
	// trips to a broker in the same building, so that runners do not wait for the network, and little enough that what
	// a dead worker held back is soon made good.
	aheadFor = 20 * time.Millisecond

	// aheadMax bounds the same in deliveries: two claims.
	aheadMax = 512

	// paceShare is the share of the newest run in the average by which the above is judged.
	paceShare = 8

	// claimMax bounds one claim, and so one start script, whatever the concurrency: a script of Redis blocks
	// the server while it runs.
	claimMax = 256

	// openEach is how many deliveries of a batch are verified on one goroutine before it is worth to use another.
	openEach = 16

	// shareShare is the part of a lease after which a delivery that still waits, behind tasks that last longer than
	// was foreseen, is given back.
	shareShare = 15

	// endedMax and endedBytesMax bound the outcomes of one queue that wait for the broker, in number and in bytes of
	// their results. When there are more, nothing is claimed from it.
	endedMax      = 2048
	endedBytesMax = 64 << 20

	// recentKeep is how long an outcome is kept to be written again, beyond the lease after which its message is given out again:
	// many times the two seconds that Redis loses with its machine, and all that a master had not sent on that its replica
	// replaces. An hour's would be tens of megabytes of what nobody asks for.
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

	// settleEnough is how many outcomes are worth a write while another one is still under way; fewer wait for its
	// end, so that writes are few when the broker is busy. settleWrites bounds the writes under way at a time.
	settleEnough = 64
	settleWrites = 2

	// claimWait is how long a claim blocks in the broker before it looks at the context and the policy again.
	claimWait = 2 * time.Second

	// maintainEvery is how often due messages and dead workers' deliveries are looked for. Recovery is promised
	// within the lease and one second; half of that second is this interval.
	maintainEvery = 500 * time.Millisecond

	// maintainSoonest keeps a due time that is already past from turning the maintainer into a busy loop.
	maintainSoonest = 20 * time.Millisecond

	// renewShare is the part of a lease after which it is renewed: two renewals may be lost before it ends.
	renewShare = 3

	// LeaseMin is the shortest lease. Below it a pause of Go's collector or of Redis's disk looks like death.
	LeaseMin = time.Second

	// LeaseMax bounds how long a dead worker's task waits.
	LeaseMax = 10 * time.Minute

	// busyPause is when a task is taken again for which this worker had no memory within its wall time; others may take it.
	busyPause = time.Second

	// crashesMax is how often a task may take its runner down before it is put aside as poison.
	// Before that it is a suspect, which runs alone among such, so that no other message is taken for it.
	crashesMax = queue.SuspectCrashes + 1

	// releaseFresh is how long a resolved release is used before the store is asked again. A new release or
	// a revoked publisher takes effect within it.
	releaseFresh = 2 * time.Second

	// seenFresh is how long a stored release that was read for a task with a pinned module is not read again for another one: of a task with
	// 10,000 releases each message that pins a module of its own would have all of them read. One that was published since is read at once.
	seenFresh = 10 * time.Second

	// seenMax bounds the tasks of which that is remembered: 64 B for each release, 10,000 at most.
	seenMax = 64

	// releasesMax bounds the resolved releases kept, each of which refers to a module's bytes.
	releasesMax = 256

	// brokerBackoffMin and brokerBackoffMax bound the pause between attempts while the broker cannot be used.
	brokerBackoffMin = 50 * time.Millisecond
	brokerBackoffMax = 5 * time.Second

	// healthMemory is how long a failed act of the broker counts that is not tried again: longer than the longest
	// pause between attempts.
	healthMemory = time.Minute

	// healthBrief is the same where the reason is one that the broker has for all acts alike, and another act went well: longer than a pause and an
	// attempt to connect.
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

	// limitedWait is how long a claim blocks that leaves lanes out, since too much of theirs waits here; surplusWait
	// how long, at most, a delivery is parked of whose task too much waits.
	limitedWait = 100 * time.Millisecond
	surplusWait = time.Second

	// onceMax bounds the orders of one queue that wait to be carried out. The broker keeps them too.
	onceMax = 64

	// cancelsMax bounds the targets of cancels that were heard and are remembered, for messages that are being started
	// at that moment; cancelsEach the orders for one target, of which one that counts is enough.
	cancelsMax  = 4096
	cancelsEach = 8

	// ActMax bounds one act of a requeue or purge, as claimMax. Fewer are done by one worker, which knows their number; of
	// more, each worker that hears the order does a part.
	ActMax = 256

	// answerAfter is how long a worker that had nothing to do for an order leaves others the time to answer it.
	answerAfter = time.Second

	// standingMax bounds the orders to requeue and purge that are remembered until they expire, within an hour.
	standingMax = 1024

	// endedShards, endedSets and endedWays bound the memory of settled messages: 2^20 of them in 24 MiB. A shard is what is copied
	// at once when it grows, 96 KiB at most, and a set what is searched; all are powers of two.
	endedShards = 1 << 8
	endedSets   = 1 << 8
	endedWays   = 16

	// requeueWait is how long a dead letter that came again waits for the order that requeued it.
	requeueWait = 2 * time.Second

	// inputsBytesMax bounds the payload that is made of several results: the largest result.
	inputsBytesMax = 16 << 20

	// inputsHeldMax bounds the inputs of all steps that a worker holds and that do not run yet, in bytes: two steps with the
	// largest inputs. What is beyond is parked for inputsPause, but for a step that is alone.
	inputsHeldMax = 2 * queue.InputsBytesMax
	inputsPause   = time.Second

	// hearWithin bounds how long a worker that starts waits for the orders that are kept.
	hearWithin = 5 * time.Second
)
