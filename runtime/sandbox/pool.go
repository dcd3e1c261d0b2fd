package sandbox

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/caisson-run/caisson/manifest/capability"
)

// A dropCause is why a cell was not used again.
type dropCause int

const (
	dropNone    dropCause = iota // it is used again
	dropEnded                    // its guest was ended: a limit, a cancelled run
	dropTrapped                  // its guest trapped
	dropCrashed                  // a host function or the sandbox panicked
	dropKept                     // its module can change tables or drop segments
	dropFailed                   // the system failed to restore it
	dropDirty                    // the check found that it was not restored
	dropFresh                    // this machine has no way to restore
	dropIdle                     // too much memory in idle cells, or too many of them, or the module was evicted
	dropCauses
)

// dropNames are the keys of Stats.Dropped.
var dropNames = [dropCauses]string{
	dropNone: "", dropEnded: "ended", dropTrapped: "trapped", dropCrashed: "crashed", dropKept: "not_resettable",
	dropFailed: "restore_failed", dropDirty: "dirty", dropFresh: "fresh", dropIdle: "idle",
}

// poolKey says who shares cells: one tenant's tasks of one module under one set of constants. Entropy that was drawn while a
// template was made, and every byte that a bug might leave, stays within it.
type poolKey struct {
	digest    [32]byte
	constants string // of the manifest: start, args, env
	tenant    string
}

// A pool is the template of one program for one tenant, and its idle cells.
type pool struct {
	sandbox  *Sandbox
	key      poolKey
	program  *Program
	compiled *compiled
	pace     atomic.Pointer[pace] // of the last run

	// Under Sandbox.mu:
	share    *share // of its tenant
	uses     int    // runs and builds going on
	used     uint64 // when it was last used, by Sandbox.clock
	gone     bool   // it was evicted; its cells go with it
	template *template
	making   chan struct{} // closed when the template that is being made is there, or could not be made; else nil
	failure  *failure
	idle     []*cell // the last one was used last
	region   int64   // memory limit of the last task, for cells that are built ahead
}

// A failure is that a template could not be made. For a while, tasks under the same limits have the same outcome without another try.
type failure struct {
	outcome Outcome
	limits  capability.Limits // under which it failed: senders choose theirs, and must not fail each other's tasks
	until   instant
}

// poolOf returns the pool for p's tasks of a tenant; the caller gives it back with leavePool. c is in use by the caller.
func (s *Sandbox) poolOf(p *Program, c *compiled, tenant string) *pool {
	key := poolKey{digest: p.module.Digest, constants: p.constants, tenant: tenant}
	s.mu.Lock()
	defer s.mu.Unlock()
	pl := s.pools[key]
	if pl == nil {
		pl = &pool{sandbox: s, key: key, program: p, compiled: c}
		pl.pace.Store(&pace{slice: sliceStart})
		pl.join()
		s.pools[key] = pl
	}
	pl.uses++
	s.clock++
	pl.used = s.clock
	return pl
}

// leavePool ends a use of pl, and evicts what is too much.
func (s *Sandbox) leavePool(pl *pool) {
	s.mu.Lock()
	pl.uses--
	trash := s.evictPools()
	s.mu.Unlock()
	trash.empty()
}

// take returns a cell for j: an idle one, or a new one. Else its outcome is set, when there is none to be had, or making, when another run is making the template.
func (pl *pool) take(ctx context.Context, j *Job, turn *turn) (c *cell, out *Outcome, making <-chan struct{}) {
	t, c, out, making := pl.idleOrTemplate(ctx, j, turn)
	if t == nil || c != nil || out != nil {
		return c, out, making
	}
	if int64(t.image.size) > j.Limits.Memory {
		out := outOfMemory()
		return nil, &out, nil
	}
	c, err := pl.build(t, j.Limits.Memory)
	switch {
	case errors.Is(err, errNoMemory):
		return nil, pl.sandbox.noMemory(j, err), nil
	case err != nil:
		return nil, pl.sandbox.noInstance(j, err), nil
	}
	return c, nil, nil
}

// idleOrTemplate returns an idle cell, or the template, which it makes first if there is none. Of several tasks that need it, one makes it; then it has
// the first cell, too. For the others making is closed when that is over.
func (pl *pool) idleOrTemplate(ctx context.Context, j *Job, turn *turn) (t *template, c *cell, out *Outcome, making <-chan struct{}) {
	s := pl.sandbox
	s.mu.Lock()
	pl.region = j.Limits.Memory
	if c := pl.pop(j.Limits.Memory); c != nil {
		s.mu.Unlock()
		return nil, c, nil, nil
	}
	switch {
	case pl.template != nil:
		t = pl.template
	case pl.failure.covers(j):
		failed := pl.failure.outcome
		out = &failed
	case pl.making != nil:
		making = pl.making
	default:
		made := make(chan struct{})
		pl.making = made
		s.mu.Unlock()
		t, c, out = pl.makeFirst(ctx, j, turn, made)
		return t, c, out, nil
	}
	s.mu.Unlock()
	return t, nil, out, making
}

// makeFirst makes the template and lets the others go on.
func (pl *pool) makeFirst(ctx context.Context, j *Job, turn *turn, made chan struct{}) (t *template, c *cell, out *Outcome) {
	s := pl.sandbox
	defer func() {
		s.mu.Lock()
		pl.template, pl.making, pl.failure = t, nil, nil
		if out != nil && out.Verdict != Crash { // a crash is not the module's doing
			pl.failure = &failure{*out, j.Limits, now() + templateRetry}
		}
		if t != nil {
			s.stats.Templates++
			pl.account(&s.imageSize, int64(len(t.image.data)))
		}
		if c != nil {
			s.stats.Built++
		}
		s.mu.Unlock()
		close(made)
	}()
	return pl.makeTemplate(ctx, j, turn)
}

// covers says whether j would fail as well, so that it need not be tried.
func (f *failure) covers(j *Job) bool {
	return f != nil && now() < f.until && f.limits == j.Limits
}

// pop takes the idle cell that was used last and fits, under Sandbox.mu. The most recent one has its pages in the processor's caches.
func (pl *pool) pop(limit int64) *cell {
	for i := len(pl.idle) - 1; i >= 0; i-- {
		c := pl.idle[i]
		if !c.fits(limit) {
			continue
		}
		pl.idle = slices.Delete(pl.idle, i, i+1)
		pl.account(&pl.sandbox.idleSize, -c.size())
		pl.sandbox.idleCells--
		return c
	}
	return nil
}

// build makes a cell and counts it.
func (pl *pool) build(t *template, limit int64) (*cell, error) {
	c, err := pl.newCell(t, limit)
	if err == nil {
		s := pl.sandbox
		s.mu.Lock()
		s.stats.Built++
		s.mu.Unlock()
	}
	return c, err
}

// giveBack restores c for the next task, or drops it for the cause given and has another built.
func (pl *pool) giveBack(c *cell, cause dropCause) (written int) {
	s := pl.sandbox
	check := cause == dropNone && s.sampled()
	if cause == dropNone {
		written, cause = c.restore(check)
	}
	if cause == dropDirty {
		s.log.Error("a cell was not clean after its restore: this is a defect of the sandbox", "module", pl.key.digest, "restored_by", s.restorer.name)
	}
	s.mu.Lock()
	s.stats.count(&c.meter, written)
	if check && (cause == dropNone || cause == dropDirty) {
		s.stats.Checked++
	}
	if cause == dropNone {
		s.stats.Restored++
		s.stats.RestoreTime += now() - c.meter.segment // since its end
		if pl.gone || len(pl.idle) >= idleCellsMax {
			cause = dropIdle
		} else {
			pl.push(c)
		}
	}
	var trash trash
	if cause == dropNone {
		trash = s.evictPools()
	} else {
		s.stats.dropped[cause]++
	}
	s.mu.Unlock()
	trash.empty()
	if cause != dropNone {
		s.discard(c)
		if cause != dropIdle {
			s.want(pl)
		}
	}
	return written
}

// push makes c idle, under Sandbox.mu.
func (pl *pool) push(c *cell) {
	pl.idle = append(pl.idle, c)
	pl.account(&pl.sandbox.idleSize, c.size())
	pl.sandbox.idleCells++
}
