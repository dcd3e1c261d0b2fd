package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
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
	CodeFuel      = "limit.fuel"     //
	CodeTables    = "limit.tables"   //
	CodeResult    = "limit.result"   // as host says it
	CodeLog       = "limit.log"      // as host says it
	CodeCalls     = "limit.calls"    // as host says it
	CodeCancelled = "task.cancelled" // Crash: the context of Run ended, or the sandbox was closed
	CodeCrash     = "sandbox.crash"  // Crash: a defect of ours, or no memory left on this machine
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
	CPU      time.Duration // of its thread, host calls included; 0 where it cannot be measured
	Wall     time.Duration // from instance to end, without compiling
	Memory   int64         // peak of linear memory, bytes
	Calls    int64         // host calls as counted against limits.calls
	LogBytes int64
	Fuel     int64 // units that metering charged; 0 while there is none
	Ticks    int64 // slices of fuel that were spent
	Pages    int64 // pages of the system that the task wrote, as the restore found them; 0 where none was made
}

// Why the context of a run ended, as context.Cause tells.
var (
	errWall   = errors.New("wall time is spent")
	errCPU    = errors.New("CPU time is spent")
	errClosed = errors.New("the sandbox was closed")
)

// judge turns the end of a guest into an outcome: status when err is nil, else err. The order matters: the host knows best, then the context, then wazero.
func judge(ctx context.Context, run *host.Run, mem *memory, status abi.Status, err error) Outcome {
	switch e := run.Ending(); e.Kind {
	case host.EndingExit:
		return judgeStatus(run, mem, e.Status)
	case host.EndingLimit:
		return Outcome{Verdict: Limit, Code: e.Code, Error: e.Text}
	case host.EndingCrash:
		return Outcome{Verdict: Crash, Code: e.Code, Error: e.Text}
	case host.EndingInterrupted:
		return judgeContext(ctx)
	}
	if err == nil {
		return judgeStatus(run, mem, status)
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return judgeContext(ctx)
	}
	// What is left is a trap, in the guest or in its start section. The first line is all wazero's own; the following ones hold names of the guest's.
	text, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case strings.HasSuffix(text, wazeroRecovered):
		return Outcome{Verdict: Crash, Code: CodeCrash, Error: "internal error in the engine"}
	case strings.HasSuffix(text, stackOverflow):
		return Outcome{Verdict: Limit, Code: CodeStack, Error: "the call stack is too deep"}
	case mem.denied:
		return outOfMemory()
	}
	if _, cause, ok := strings.Cut(text, wasmErrorPrefix); ok {
		text = cause
	}
	return Outcome{Verdict: Retry, Code: CodeTrap, Error: "trap: " + host.Escape([]byte(text[:min(len(text), errorLineMax)]))}
}

func judgeStatus(run *host.Run, mem *memory, status abi.Status) Outcome {
	_, text, after := run.Error()
	switch status {
	case abi.StatusDone:
		return Outcome{Verdict: Done, Output: run.Result()}
	case abi.StatusFailed:
		if text == "" {
			text = "the task failed for good"
		}
		return Outcome{Verdict: Failed, Code: CodeFailed, Error: text}
	}
	if mem.denied {
		return outOfMemory()
	}
	if text == "" {
		text = fmt.Sprintf("the task ended with status %d", status)
	}
	return Outcome{Verdict: Retry, Code: CodeError, Error: text, RetryAfter: after}
}

func judgeContext(ctx context.Context) Outcome {
	switch cause := context.Cause(ctx); cause {
	case errWall:
		return Outcome{Verdict: Limit, Code: CodeWall, Error: "more wall time than allowed"}
	case errCPU:
		return Outcome{Verdict: Limit, Code: CodeCPU, Error: "more CPU time than allowed"}
	case errClosed:
		return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the worker is closing"}
	}
	return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the run was cancelled"}
}

func outOfMemory() Outcome {
	return Outcome{Verdict: Limit, Code: CodeMemory, Error: "more memory than allowed"}
}
