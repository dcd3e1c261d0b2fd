package redisqueue

import "time"

const (
	// blockMax bounds one blocking read. Claim waits longer by asking again. It
	// is how late Close may be, and how soon a half-open connection shows.
	blockMax = time.Second

	// blockLanes is how many lanes a read may name each second: about 40 KB. With more, an idle worker's reads wait for
	// up to blockManyMax.
	blockLanes   = 1024
	blockManyMax = 3 * time.Second

	// lookMax bounds the lanes that are looked at, beside the hot ones, in one Claim: about 20 KB and 0.1 ms of Redis. Of
	// more lanes, other ones each turn.
	lookMax = 512

	// coldPart is the part of a Claim, one in so many, that is kept for lanes which had little the last time: enough that
	// none of them waits for long, and little to lose when they are empty.
	coldPart = 4

	// timeoutMin keeps a reply's deadline above blockMax, or idle reads would fail.
	timeoutMin = 2 * time.Second

	// leaseMin and leaseMax bound Config.Lease: below, renewal cannot keep up;
	// above, a dead worker's messages wait for longer than anybody wants.
	leaseMin = 100 * time.Millisecond
	leaseMax = time.Hour

	// brokenFor is how long a lane that is no stream is left out of reads.
	brokenFor = 10 * time.Second

	// replyBytesMax bounds one reply: the largest blob, which is more than the messages of a claim and the letters of a page
	// may have, and what stands around it.
	replyBytesMax = blobBytesMax + 16<<20

	// retireEvery and retireAfter: names of workers that are gone are looked for
	// once a minute, and removed an hour after their last sign of life.
	retireEvery    = time.Minute
	retireAfter    = time.Hour
	retireLanesMax = 256
	retireMax      = 64

	// regainMax bounds the entries moved by one script call that regains what nobody holds, and regainRounds the calls each time.
	regainMax    = 256
	regainRounds = 16

	// stateBytesMax bounds a state that is read: nine short fields.
	stateBytesMax = 1 << 10

	// sweepPiece is about how many states one script call removes, and sweepRounds how many calls one Promote makes: a second's
	// worth of a queue that ends 60,000 tasks a second. Removing takes Redis less than 1 us each.
	sweepPiece  = 1024
	sweepRounds = 64

	// recoverRounds bounds how many pieces of a lane's pending list one Recover
	// looks through; the next one goes on from there.
	recoverRounds = 8

	// settleBytesMax bounds the results in one script call, so that a batch of
	// large results does not stop Redis for long.
	settleBytesMax = 8 << 20

	// sendBytesMax bounds what is written in one trip: over a slow line too it must arrive before Timeout has passed. With 5 s, 8 MiB
	// need 14 Mbit/s.
	sendBytesMax = 8 << 20

	// blobPiece is how much of a blob is written and read in the first trip, see pace: with 5 s it needs 0.9 Mbit/s, and blobPieceMin, to which a trip
	// that took more than paceSlow leads, 0.1. Trips shorter than paceFast lead to blobPieceMax.
	blobPiece    = 512 << 10
	blobPieceMin = 64 << 10
	blobPieceMax = 8 << 20
	paceFast     = 250 * time.Millisecond
	paceSlow     = time.Second

	// blobPartKept is how long a part of a blob outlives its last piece.
	blobPartKept = 10 * time.Minute

	// carriedBytesMax bounds a result that comes with the word that it is there; as lua/settle.lua has it for a message.
	carriedBytesMax = 16 << 10

	// answerSoon is how long a read or a wait must be under way, when time is over, to be said to have no answer.
	answerSoon = 100 * time.Millisecond

	// waitBatch bounds the results read in one trip.
	waitBatch = 32

	// Retries of Wait when Redis answers with an error: they grow from the first
	// to the last, with jitter.
	waitRetryMin = 50 * time.Millisecond
	waitRetryMax = 2 * time.Second

	// KVQuotaMax is the largest quota of one tenant's values, in bytes: Redis holds
	// them in memory, so what is larger is a slip of the unit.
	KVQuotaMax = 4 << 30

	// Values of tenants.
	kvQuotaDefault  = 16 << 20
	kvKeyBytesMax   = 1 << 10
	kvValueBytesMax = 1 << 20
	kvTTLMax        = 366 * 24 * time.Hour
	kvListMax       = 1000
	kvScanPiece     = 512  // keys looked at in one script call
	kvChargeBytes   = 96   // about what index, expiry and hash take for a key
	kvPurgeMax      = 1024 // expired keys removed by one write that needs room

	// Blobs: names are digests and paths of releases.
	blobNameBytesMax = 512
	blobBytesMax     = 128 << 20
	blobListMax      = 10000

	// keptPiece bounds the orders read in one script call, each of which may be large.
	keptPiece = 64

	// cancelsSince is how far back a listener that hears for the first time reads cancellations: what is older was given
	// before anything of its own ran, and is kept under the message's id.
	cancelsSince = time.Minute

	// deadFew is how many dead letters are read first: 2 MiB of the largest that senders can make. While they have less than deadFewBytes together, twice
	// as many are read next; a page ends when it has deadPageBytes.
	deadFew       = 8
	deadFewBytes  = 1 << 20
	deadPageBytes = 8 << 20

	// letterPiece and purgePiece bound what one script call looks at: letters and entries carry whole messages.
	letterPiece = 64
	purgePiece  = 256

	// parkedPiece bounds the members of the due set that one script call looks at.
	parkedPiece = 512

	// eventsPerEntry bounds the events in one entry of the stream, so that EventsMax entries bound its bytes too.
	eventsPerEntry = 128

	// followPiece bounds the entries of events read in one trip.
	followPiece = 64

	// eventTextMax bounds the names in an event (task, worker): longer ones are cut.
	eventTextMax = 256

	// addrsMax bounds the addresses to begin at: any one that answers names all others.
	addrsMax = 64

	// masterBytesMax bounds the name of a master that Sentinels watch.
	masterBytesMax = 128

	// caBytesMax bounds certificates and keys given as PEM.
	caBytesMax = 1 << 20

	// deadMaxDefault is how many dead letters a queue keeps.
	deadMaxDefault = 10000
	deadMaxMax     = 1000000

	// deadKeepDefault is how long a dead letter is kept: somebody who is away for the weekend finds it still.
	deadKeepDefault = 7 * 24 * time.Hour
	deadKeepMin     = time.Minute
	deadKeepMax     = 366 * 24 * time.Hour

	// inputsPiece bounds the inputs read in one trip, when they are too large for the reply of start.
	inputsPiece = 16
)
