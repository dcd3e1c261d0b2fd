package sandbox

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// A Job is one task for a Program.
type Job struct {
	ID     string            // of the message, for the log
	Tenant string            // whose keys and connections are used
	Held   capability.Held   // what the task may do; the zero value holds nothing
	Limits capability.Limits // a field that is 0 means the default of limits.go. Stack is not judged by this engine, Payload is the queue's
	Input  []byte            // the payload; only read
	// Log takes the task's log, one line at a time, escaped, at most limits.log bytes and limits.log_lines lines in all.
	// level is "debug", "info", "warn" or "error". It is called on the goroutine of Run. nil drops the log.
	Log func(level, line string)
}

// instanceConfig is the same for every instance: no name, no start functions, and nothing of the system, which is reached through package host only.
var instanceConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions()

// Run runs the job in a fresh instance and returns when it has ended. When ctx ends, the guest is ended and the outcome is "task.cancelled".
// It never panics on anything that a guest does, and leaves no goroutine.
func (p *Program) Run(ctx context.Context, j Job) (out Outcome) {
	s := p.sandbox
	if !s.enter() {
		return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the worker is closing"}
	}
	defer s.busy.Done()
	c, err := s.acquire(ctx, p.module) // compiled again if it was evicted meanwhile
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, errClosed)):
		return Outcome{Verdict: Crash, Code: CodeCancelled, Error: "the run was cancelled"}
	case err != nil:
		s.log.Error("module cannot be compiled again", "task_id", j.ID, "error", err)
		return Outcome{Verdict: Crash, Code: CodeCrash, Error: "the module cannot be compiled again"}
	}
	defer s.releaseModule(c)

	defer func() {
		if v := recover(); v != nil {
			s.log.Error("run panicked", "task_id", j.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			out = Outcome{Verdict: Crash, Code: CodeCrash, Error: "internal error in the sandbox"}
		}
	}()
	j.Limits = withDefaults(j.Limits)
	return p.run(ctx, c, j)
}

// run does one job on a thread of its own, whose CPU time is then the guest's.
func (p *Program) run(parent context.Context, c *compiled, j Job) Outcome {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	cpu := threadClock()
	cpuStart, wallStart := cpu(), time.Now()
	used := func() time.Duration { return cpu() - cpuStart }

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	defer context.AfterFunc(p.sandbox.closing, func() { cancel(errClosed) })()
	stopWatch := watchCPU(j.Limits.CPU, used, func() { cancel(errCPU) })
	defer stopWatch()
	ctx, cancelWall := context.WithDeadlineCause(ctx, wallStart.Add(j.Limits.Wall), errWall)
	defer cancelWall()

	run := p.sandbox.host.Begin(host.RunConfig{
		Tenant: j.Tenant, Held: j.Held, Limits: j.Limits, Input: j.Input,
		Args: p.module.Args, Env: p.module.Env, StdoutLogs: p.stdout, Log: j.Log,
	})
	mem := &memory{limit: uint64(j.Limits.Memory) / pageSize * pageSize}
	defer mem.Free()
	var out Outcome
	if uint64(p.facts.MemoryMin) > mem.limit {
		out = outOfMemory()
	} else {
		status, err := p.call(run.Context(ctx), run, c, mem)
		run.Finish()
		if mem.failed {
			out = Outcome{Verdict: Crash, Code: CodeCrash, Error: "no memory left on this machine"}
		} else {
			out = judge(ctx, run, mem, status, err)
		}
		if err != nil && (out.Code == CodeTrap || out.Code == CodeStack || out.Code == CodeCrash) {
			p.sandbox.log.Debug("guest trapped", "task_id", j.ID, "trace", host.Escape([]byte(err.Error()[:min(len(err.Error()), traceSizeMax)])))
		}
	}
	out.Usage = Usage{CPU: used(), Wall: time.Since(wallStart), Memory: int64(mem.size), Calls: run.Calls(), LogBytes: run.LogSize()}
	return out
}

// call makes the instance, initialises it, and enters the task. ctx carries the run.
func (p *Program) call(ctx context.Context, run *host.Run, c *compiled, mem *memory) (status abi.Status, err error) {
	guest, err := p.instantiate(ctx, c, mem)
	if err != nil {
		return 0, err
	}
	// Not ctx: it may have ended, and closing must not fail for that. After it nobody looks at the memory, which the caller frees.
	defer guest.Close(context.WithoutCancel(ctx))
	if p.form == command {
		run.Enter()
		_, err = guest.ExportedFunction(abi.ExportStart).Call(ctx)
		return abi.StatusDone, err
	}
	if f := guest.ExportedFunction(abi.ExportInitialize); f != nil {
		if _, err := f.Call(ctx); err != nil {
			return 0, err
		}
	}
	run.Enter()
	results, err := guest.ExportedFunction(abi.ExportRun).Call(ctx)
	if err != nil {
		return 0, err
	}
	return api.DecodeI32(results[0]), nil
}

// errNoMemory is that wazero panicked because its first memory was refused.
var errNoMemory = errors.New("sandbox: no memory")

// instantiate makes the instance; a start section runs here, under the same limits.
func (p *Program) instantiate(ctx context.Context, c *compiled, mem *memory) (guest api.Module, err error) {
	defer func() {
		if mem.failed && recover() != nil {
			err = errNoMemory
		}
	}()
	return p.sandbox.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, mem), c.module, instanceConfig)
}
