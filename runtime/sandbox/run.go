package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
)

// A Job is one task for a Program.
type Job struct {
	ID     string            // of the message, for the log
	Tenant string            // whose keys and connections are used; cells are never shared between tenants
	Held   capability.Held   // what the task may do; the zero value holds nothing
	Limits capability.Limits // a field that is 0 means the default of limits.go
	Input  []byte            // the payload; only read
	// Begin is called on the goroutine of Run when all that a run may wait for is there, right before the guest sees the task. Where it
	// ends Run's ctx, nothing of the task runs. nil does nothing.
	Begin func()
	// Log takes the task's log, one line at a time, escaped, at most limits.log bytes and limits.log_lines lines in all.
	// level is "debug", "info", "warn" or "error". It is called on the goroutine of Run. nil drops the log.
	Log func(level, line string)
	// Progress takes what the task says of how far it is, as host.RunConfig says. nil drops it.
	Progress func(text string)
}

// Run runs the job in a cell that nothing of an earlier task is left in, and returns when it has ended. When ctx ends, the guest is ended and
// the outcome is "task.cancelled". Its wall time begins when a cell is there, less than Config.Running guests run, and Config.Memory has room for it. For
// the last it waits as long as its wall time at most; then the outcome is "sandbox.busy", and nothing ran.
// It never panics on anything that a guest does, and leaves no goroutine.
func (p *Program) Run(ctx context.Context, j Job) Outcome {
	s := p.sandbox
	j.Limits = withDefaults(j.Limits)
	if int64(len(j.Input)) > j.Limits.Payload {
		return Outcome{Verdict: Limit, Code: CodePayload, Error: fmt.Sprintf("the payload has %d bytes, more than %d", len(j.Input), j.Limits.Payload)}
	}
	if !s.enter() {
		return closing()
	}
	defer s.busy.Done()
	c, err := s.acquire(ctx, p.module) // compiled again if it was evicted meanwhile
	switch {
	case errors.Is(err, errClosed):
		return closing()
	case err != nil && ctx.Err() != nil:
		return cancelled()
	case err != nil:
		s.log.Error("module cannot be compiled again", "task_id", j.ID, "error", err)
		return Outcome{Verdict: Crash, Code: CodeCrash, Error: "the module cannot be compiled again"}
	}
	defer s.releaseModule(c)

	pl := s.poolOf(p, c, j.Tenant)
	defer s.leavePool(pl)
	e := entrance{sandbox: s, ctx: ctx, wall: j.Limits.Wall}
	for {
		if out := e.enter(pl.footprint(&j.Limits)); out != nil {
			return *out
		}
		s.clearUp()
		turn := turn{processors: s.processors}
		turn.take()
		out, making := pl.run(ctx, &j, &turn)
		turn.give()
		e.leave()
		if making == nil {
			return out
		}
		// Its template would have come from its own run under its own limits, had no other come first.
		if out := e.wait(making, func() Outcome { return judgeEnding(endingWall) }); out != nil {
			return *out
		}
	}
}

// footprint is what a run under these limits may come to take, in bytes: its memory, and its stack, which is copied as it grows.
func (pl *pool) footprint(l *capability.Limits) int64 {
	return int64(pl.regionSize(l.Memory, 0)) + 2*l.Stack
}

// run runs the job in a cell of pl. When another run is making the template, nothing has run, and making is closed when it may be tried again.
func (pl *pool) run(ctx context.Context, j *Job, t *turn) (out Outcome, making <-chan struct{}) {
	var c *cell
	cause := dropCrashed
	defer func() {
		if v := recover(); v != nil {
			pl.sandbox.log.Error("run panicked", "task_id", j.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			out = Outcome{Verdict: Crash, Code: CodeCrash, Error: "internal error in the sandbox"}
		}
		if c != nil {
			out.Usage.Pages = int64(pl.giveBack(c, cause))
		}
	}()
	if int64(pl.compiled.facts.elements) > j.Limits.Tables {
		return outOfTables(), nil
	}
	var none *Outcome
	if c, none, making = pl.take(ctx, j, t); c == nil {
		if none != nil {
			out = *none
		}
		return out, making
	}
	out, cause = c.serve(ctx, j, t)
	return out, nil
}

// runConfig is what a run in package host starts with.
func (p *Program) runConfig(j *Job, m *meter) host.RunConfig {
	return host.RunConfig{
		Tenant: j.Tenant, Held: j.Held, Limits: j.Limits, Input: j.Input,
		Args: p.module.Args, Env: p.module.Env, StdoutLogs: p.stdout, Log: j.Log, Progress: j.Progress, Meter: m,
	}
}
