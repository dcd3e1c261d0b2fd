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
	// Log takes the task's log, one line at a time, escaped, at most limits.log bytes and limits.log_lines lines in all.
	// level is "debug", "info", "warn" or "error". It is called on the goroutine of Run. nil drops the log.
	Log func(level, line string)
}

// Run runs the job in a cell that nothing of an earlier task is left in, and returns when it has ended. When ctx ends, the guest is ended and
// the outcome is "task.cancelled". Its wall time begins when a cell is there and less than Config.Running guests run.
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

	select {
	case s.running <- struct{}{}:
	default:
		select {
		case s.running <- struct{}{}:
		case <-ctx.Done():
			return cancelled()
		case <-s.closing.Done():
			return closing()
		}
	}
	defer func() { <-s.running }()
	pl := s.poolOf(p, c, j.Tenant)
	defer s.leavePool(pl)
	return pl.run(ctx, &j)
}

// run runs the job in a cell of pl.
func (pl *pool) run(ctx context.Context, j *Job) (out Outcome) {
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
		return outOfTables()
	}
	var none *Outcome
	if c, none = pl.take(ctx, j); c == nil {
		return *none
	}
	out, cause = c.serve(ctx, j)
	return out
}

// runConfig is what a run in package host starts with.
func (p *Program) runConfig(j *Job, m *meter) host.RunConfig {
	return host.RunConfig{
		Tenant: j.Tenant, Held: j.Held, Limits: j.Limits, Input: j.Input,
		Args: p.module.Args, Env: p.module.Env, StdoutLogs: p.stdout, Log: j.Log, Meter: m,
	}
}
