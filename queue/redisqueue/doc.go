// Package redisqueue keeps lanes, leases and results in Redis, over TLS that is
// always verified. It is the only room that speaks to Redis.
//
// It never reads a message's bytes, never decides what may run, and offers no
// way to connect without TLS or without checking the server's name.
//
// What is here, each over one Client:
//
//	Dial         the connection pool; queue.Sender, queue.Inspector
//	OpenQueue    queue.Queue and queue.Maintainer, for workers
//	OpenResults  queue.Results, for senders
//	OpenKV       values of tenants, within a quota
//	Blobs        named bytes, written once: the module store
//
// Keys, scripts and the rights that each user needs: docs/reference/redis.md.
// Every key of a queue carries the hash tag {queue}. What has to happen at once
// is one Lua script; lua/*.lua, each with its contract.
//
// Redis is untrusted storage. A state that was deleted, overwritten or made up
// can keep a message from running, or have it run again before it expires; it cannot
// make a worker run what does not verify. A key that holds something else is a
// *queue.UnavailableError with queue.ReasonData, and a lane of a wrong type is
// left out for a while so that the others go on.
//
// go-redis allocates what a reply declares, so replies are bounded before it reads
// them: one above 144 MiB ends its connection (bounded.go).
//
// Calls can be made again after any failure. A connection that went stale while
// it lay in the pool is replaced at once; a server that is away is reported as
// *queue.UnavailableError, and the next call dials again, for ever.
//
// Close of a Client, a Queue or Results may be called beside every other method and more than once. It ends the calls under
// way; those, and all later ones, return queue.ErrClosed (of a Queue, Claim does).
package redisqueue
