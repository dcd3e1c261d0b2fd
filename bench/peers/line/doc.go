// Package line lets a benchmark drive an engine that lives in a process of its own, by one line of JSON each way.
//
// Every peer that bench compares is such a process, and so is what it has of its own: none shares a heap, a collector or a scheduler with another,
// and the driver can interleave them (A B C A B C ...) so that a noisy minute hits all of them alike. A folder of the same name in
// bench/peers is a copy, byte for byte, because the peers are a Go module of their own and neither may depend on the other.
//
// A process serves ways. A way is one manner to run a task in an engine ("fresh", "reused", ...): it turns the bytes of a guest into a
// Program, and that into Workers, each for one goroutine, each made before the clock starts and kept for later rounds.
//
//	{"op":"load","way":"fresh","guest":"go","path":"/…/go.wasm"}                                -> {}
//	{"op":"run","way":"fresh","guest":"go","input":"…","want":"…","count":500,"workers":16}     -> {"took":81233412}
//
// "took" is in nanoseconds, from the moment when all workers are let go to the end of the last. Each run's result is compared with "want",
// inside the measured time, so that an engine that does nothing cannot win. Any other op is handed to the process's own table of acts.
package line
