// Package runtime is the worker: it turns messages in lanes into settled outcomes.
//
// A delivery goes down one road and never back up:
//
//	claim -> open (signature) -> start (state, lease) -> [a runner is free] -> authorise (policy)
//	      -> resolve (release) -> hold (capabilities) -> run (sandbox) -> verdict -> settle (one script per batch)
//
// Every delivery ends in exactly one [queue.Verdict]: done, retried, parked until its time, given back,
// dead with a code, or dropped as a second copy of what already waits or runs.
//
// The worker never parses what it has not verified, never keeps work in its memory that the broker does not
// hold a lease for, and never returns a guest's or a host's detail to a sender beyond the code and the text
// that the task itself wrote. It reads no flag, environment variable or settings file: [Config] carries all of it.
//
// Its goroutines, all owned by [Worker.Run] and waited for by it. For each queue:
//
//   - the claimer, which blocks in the broker while there is room for work, and which runs and settles what comes alone;
//   - the maintainer, which moves due messages back into their lanes and takes over a dead worker's deliveries;
//   - the settler, which writes whatever has ended by then in one batch;
//   - the renewer, which keeps the leases of all that is in flight and ends a run whose lease was lost;
//   - with an Admin, one that carries orders out and answers them, and with Events, one that writes what happened.
//
// For all queues together: Config.Concurrency runners, one task each; one that gives back what waits behind long tasks; one that passes
// progress on; and with a Listener, one that hears orders.
//
// Ending the context given to Run drains: nothing more is claimed, what runs may finish within Config.Drain,
// what had not begun goes back to its lane. [Worker.Cut] ends the draining at once.
//
// The package is called runtime for the room that it is; Go's own is imported as goruntime everywhere.
package runtime
