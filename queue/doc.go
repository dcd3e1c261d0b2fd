// Package queue says what a broker of signed messages must do: keep them in
// lanes, hand them out under leases, and record exactly one outcome for each.
//
// It holds interfaces and plain types only. It never opens a connection, reads
// no message bytes and imports no other room; queue/redisqueue is the one
// implementation and queue/queuetest the suite that every implementation passes.
//
// The life of a message:
//
//	Send    -> lane                             any number of copies
//	Claim   -> a Delivery, leased to one worker
//	Start   -> Granted: run it                  or Replayed, Duplicate, Conflict, Lost, Waits, Throttled, Taken
//	Renew   -> the lease is extended            while the work lasts
//	Settle  -> Done, Dead                       final
//	           Retry, Crash, Park               it waits in the due set, see Maintainer.Promote
//	           Release                          back to its lane at once
//	           Drop                             this copy is deleted, the message is not
//
// A lease is fenced: a Settlement is applied only while its token is the
// newest one given out for that message, whatever any clock says. So a worker
// that was stopped past its lease can settle nothing.
//
// A message is known by tenant and id. A second message under the same id is
// the same one when its digest is equal (Replayed or Duplicate) and a Conflict
// otherwise; it never runs beside or after the first. Tenants cannot meet each
// other's ids.
//
// Promise: at least once as far as the broker keeps its writes; at most one
// settled outcome for a message. Brokers are untrusted storage: what they say
// is checked by the rooms above, and a broker that forgets the state of a
// message can at worst have it run again before it expires.
//
// Limits are in limits.go.
package queue
