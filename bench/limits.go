package main

import "time"

const (
	// roundsMax bounds --rounds: a night.
	roundsMax = 1000
	// countMax bounds the runs of one measurement.
	countMax = 1 << 20
	// foldersMax bounds the results of one suite kept on one day.
	foldersMax = 100
	// tailSize is how much of a build's output is shown when it fails, in bytes.
	tailSize = 2 << 10
)

// How often and how long. The quick mode is for a look; its spread is wide.
const (
	roundsFull  = 9
	roundsQuick = 3
	slotFull    = 250 * time.Millisecond // of one series in one round
	slotQuick   = 25 * time.Millisecond
	warmRuns    = 5 // a fifth of a slot's runs goes before it and is not measured
)

const (
	// runawayLimit is short, so that many runs fit in; what is measured does not depend on it.
	runawayLimit = 20 * time.Millisecond
	// runawaysAlone and runawaysTogether are how many runs of one guest a round has: one after the other, and so many at once.
	runawaysAlone    = 40
	runawaysTogether = 320
	runawaysAtOnce   = 16
	// crowdSize is the issue's: so many runaway guests are started at once.
	crowdSize = 10_000
	// crowdWorker is how many of them a worker with this concurrency runs at once.
	crowdWorker = 64
	// runawaysDeep is how many points of its way down a round ends a deep guest at.
	runawaysDeep = 100
	// beatGapMax is a tenth of the shortest lease that a worker can have (1 s, docs/reference/worker.md): renewals come at each third of it.
	beatGapMax = 100 * time.Millisecond
	// cellsWarm is how many idle cells are weighed together.
	cellsWarm = 200
)

// The suite of the queue.
const (
	// portTries bounds looking for a port that nobody takes before Redis does.
	portTries = 5
	// startMax bounds waiting for a process to be ready: Celery on a busy machine needs seconds.
	startMax = 60 * time.Second
	// pollEvery is how often such a condition is looked at.
	pollEvery = 5 * time.Millisecond
	// watchEvery is how often a drain is looked at: below half a percent of its time, and a few hundred cheap commands a second.
	watchEvery = 4 * time.Millisecond
	// stallMax is how long a drain may stand still before it is given up.
	stallMax = 30 * time.Second
	// replyMax bounds one reply of Redis. Emptying it of a million tasks takes seconds.
	replyMax = 60 * time.Second
	// checkBatch is how many results are asked for in one command.
	checkBatch = 1000
	// floorConnections are enough for every consumer or sender of the floor, and one that listens.
	floorConnections = 10
	// adminConnections serve the driver itself.
	adminConnections = 4
	// heldPieceSize and heldPiecesMax bound what a delayProxy holds back on one connection: 16 MiB.
	heldPieceSize = 32 << 10
	heldPiecesMax = 512
	// profileMax bounds waiting for a worker's profile.
	profileMax = 5 * time.Second
	// pagesSizeMax bounds a worker's metrics.
	pagesSizeMax = 1 << 20
)

// How often and how long the queue is measured. A round of all takes about two minutes and a half.
const (
	queueRoundsFull  = 5
	queueRoundsQuick = 3
	queueMostFull    = 20 * time.Minute // of all rounds, unless their number is given: a busy machine measures fewer
	queueMostQuick   = 42 * time.Second
	drainSlotFull    = 1200 * time.Millisecond // of what is measured of one drain
	drainSlotQuick   = 600 * time.Millisecond
	sendSlotFull     = 500 * time.Millisecond
	sendSlotQuick    = 250 * time.Millisecond
	tripsFull        = 300 // round trips in one round
	tripsFar         = 100 // with a delay
	tripsSlow        = 5   // of what takes a second each
	warmPart         = 4   // a fourth of each drain is not measured: processes start and get warm
)

// What the queue is measured with.
const (
	atOnce          = 16 // tasks at a time: of Caisson, of asynq
	atOnceWide      = 64 // so that Caisson's batches come near the floor's largest
	floorMany       = 8  // consumers of the floor
	celeryProcesses = 2
	sizeDefault     = 100 // bytes of a payload
	// payloadBytesMax bounds what large payloads of one drain take together.
	payloadBytesMax = 256 << 20
	// waitingCount is how many tasks are measured in front of those that wait.
	waitingCount = 20_000
	// drainCountMin is the least for one drain, so that a worker is warm before it is over.
	drainCountMin = 200
	// shortFactor is by how much more is tried of what was over too soon.
	shortFactor = 4
	// sendCountMax bounds what one measurement of enqueueing puts into Redis.
	sendCountMax = 300_000
	// checkedMax is of how many results the content is looked at.
	checkedMax = 100
)

// How queues are filled, which is not measured.
const (
	fillSenders = 2 // signing is arithmetic
	fillWaiting = 8
	fillBatch   = 500
	fillBytes   = 8 << 20 // of one batch
	fillMax     = 100_000 // of one request: the sender keeps all receipts
)

var (
	floorBatches  = []int{1, 16, 128}
	delays        = []time.Duration{time.Millisecond, 5 * time.Millisecond}
	laneCounts    = []int{100, 1000, 10_000}
	waitingCounts = []int{1000, 100_000, 1_000_000}
)
