// Package runtime is the worker: it turns messages in lanes into settled outcomes.
//
// A delivery passes these steps, in this order, and never goes back:
//
//	claim -> open (signature) -> start (state, lease) -> [a runner is free] -> authorise (policy)
//	      -> resolve (release) -> hold (capabilities) -> run (sandbox) -> verdict -> settle (one script per batch)
//
// Every delivery ends in exactly one [queue.Verdict]: done, retried, parked until its time, released to its lane,
// dead with a code, or dropped as a second copy of what already waits or runs.
//
// The worker never parses what it has not verified, never keeps work in memory without a lease for it at the
// broker, and tells a sender nothing of a guest's or a host's detail but the code and the text that the task
// itself wrote. It reads no flag, environment variable or settings file: [Config] carries all of it.
//
// Its goroutines, all owned by [Worker.Run] and waited for by it. For each queue:
//
//   - the claimer, which blocks in the broker while there is room for work, and which runs and settles a delivery that comes alone;
//   - the maintainer, which moves due messages back into their lanes and takes over a dead worker's deliveries;
//   - the settler, which writes outcomes in batches;
//   - the renewer, which renews the leases of all that is in flight and ends a run whose lease was lost;
//   - with an Admin, one that carries out orders and answers them, and with Events, one that writes events.
//
// For all queues together: Config.Concurrency runners, one task each; one that releases what waits behind long tasks; one that
// writes progress; and with a Listener, one that receives orders.
//
// Ending the context given to Run drains the worker: it claims nothing more, running tasks may finish within Config.Drain, and
// what has not begun goes back to its lane. [Worker.Cut] ends the drain at once.
//
// The package is named for its folder; Go's own runtime is imported as goruntime everywhere.
package runtime
