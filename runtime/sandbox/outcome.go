package sandbox

import (
	"fmt"
	"time"
)

// A Verdict says what an outcome means for the task.
type Verdict int

const (
	_      Verdict = iota
	Done           // the output is the result
	Failed         // the task failed for good, by its own word
	Retry          // the task failed, and may be tried again as its manifest says
	Limit          // the task spent a limit; final, as trying again would
	Crash          // not the task's doing: the run was cancelled, or the sandbox has a defect. It counts for nothing
)

var verdictNames = [...]string{Done: "done", Failed: "failed", Retry: "retry", Limit: "limit", Crash: "crash"}

func (v Verdict) String() string {
	if v <= 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("Verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// Codes of outcomes. Done has none.
const (
	CodeFailed    = "task.failed"    // Failed: status 65
	CodeError     = "task.error"     // Retry: any other status but 0
	CodeTrap      = "task.trap"      // Retry: unreachable, division by zero, out of bounds, ...
	CodeMemory    = "limit.memory"   // Limit, as the following
	CodeWall      = "limit.wall"     //
	CodeCPU       = "limit.cpu"      //
	CodeStack     = "limit.stack"    //
	CodePayload   = "limit.payload"  //
	CodeFuel      = "limit.fuel"     //
	CodeTables    = "limit.tables"   //
	CodeResult    = "limit.result"   // as host says it
	CodeLog       = "limit.log"      // as host says it
	CodeCalls     = "limit.calls"    // as host says it
	CodeCancelled = "task.cancelled" // Crash: the context of Run ended, or the sandbox was closed
	CodeCrash     = "sandbox.crash"  // Crash: a defect of ours, or no memory left on this machine
	CodeBusy      = "sandbox.busy"   // Crash: the memory for running guests had no room for this one within its wall time
)

// Parts of wazero's error texts, which are all it tells. A test holds each against the version in go.mod.
const (
	stackOverflow   = "stack overflow"
	wasmErrorPrefix = "wasm error: "
	wazeroRecovered = "(recovered by wazero)"
)

// An Outcome is how one run ended.
type Outcome struct {
	Verdict    Verdict
	Code       string        // one of the Code constants, "" for Done
	Output     []byte        // Done: the result, at most limits.result; the caller's
	Error      string        // other than Done: one line for the sender and the log, escaped, without paths of the worker
	RetryAfter time.Duration // Retry: the delay that the task asked for, 0 for none
	Usage      Usage
}

// Usage is what a run took.
type Usage struct {
	Begun    time.Time     // when its wall time began; zero where nothing ran
	CPU      time.Duration // of the guest and its host calls, without what these waited. Outside of Linux wall time stands for it
	Wall     time.Duration // from the begin in a cell to the end, without what came before: waiting, compiling, making the cell
	Memory   int64         // peak of linear memory, bytes
	Calls    int64         // host calls as counted against limits.calls
	LogBytes int64
	Fuel     int64 // units that metering charged; the same for the same module on the same input
	Ticks    int64 // slices of fuel that were spent
	Pages    int64 // pages of the system that the task wrote, as the restore found them; 0 where none was made
}

// judgeEnding is the outcome of a guest that its meter ended.
func judgeEnding(e ending) Outcome {
	switch e {
	case endingStack:
		return Outcome{Verdict: Limit, Code: CodeStack, Error: "the call stack is too deep"}
	case endingFuel:
		return Outcome{Verdict: Limit, Code: CodeFuel, Error: "more fuel than allowed"}
	case endingWall:
		return Outcome{Verdict: Limit, Code: CodeWall, Error: "more wall time than allowed"}
	case endingCPU:
		return Outcome{Verdict: Limit, Code: CodeCPU, Error: "more CPU time than allowed"}
	case endingClosed:
		return closing()
	}
	return cancelled()
}

func closing() Outcome {
	return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the worker is closing"}
}

func cancelled() Outcome {
	return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the run was cancelled"}
}

func busy() Outcome {
	return Outcome{Verdict: Crash, Code: CodeBusy, Error: "other tasks take the memory that this worker has"}
}

func outOfTables() Outcome {
	return Outcome{Verdict: Limit, Code: CodeTables, Error: "more table elements than allowed"}
}

func outOfMemory() Outcome {
	return Outcome{Verdict: Limit, Code: CodeMemory, Error: "more memory than allowed"}
}
