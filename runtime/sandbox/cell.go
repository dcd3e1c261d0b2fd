package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// A cell is one instance of a module, which serves one task after the other, each from the state of its template. One goroutine uses it at a time.
type cell struct {
	pool     *pool
	template *template
	guest    api.Module
	memory   *memory
	meter    meter
	record   host.Run // of the run that goes on, or the last one

	globals     []api.MutableGlobal // of artifact.globals, in order
	fuel, depth api.MutableGlobal
	tableDenied api.MutableGlobal
	tableRoom   api.MutableGlobal

	// Handles are kept, since each look-up allocates a stack. Those but run are nil where the module has no such function.
	start, initialize, resume, run api.Function
	stack                          [1]uint64 // parameters and results of a call
	deepest                        int64     // the most stack that a run took with these handles, bytes: their stacks never shrink
}

// newCell makes a cell of t whose memory can grow to limit bytes.
func (p *pool) newCell(t *template, limit int64) (*cell, error) {
	mem, err := newMemory(p.regionSize(limit, t.image.size))
	if err != nil {
		return nil, errors.Join(errNoMemory, err)
	}
	if mem.region != nil {
		if err := p.sandbox.restorer.fill(mem.region, t.image); err != nil {
			mem.Free()
			return nil, errors.Join(errNoMemory, err)
		}
		mem.forced = t.image.size
	}
	c, err := p.instantiate(mem)
	if err != nil {
		mem.Free()
		return nil, err
	}
	mem.peak = mem.size
	c.template = t
	c.setGlobals()
	return c, nil
}

// errNoMemory is that the machine has no memory, or no room for another mapping.
var errNoMemory = errors.New("sandbox: no memory")

// instanceConfig is the same for every instance: no name, no start functions, and nothing of the system, which is reached through package host only. The source of
// randomness, which nobody reads either, is set because wazero seeds one of its own for each instance otherwise: a tenth of what making it takes, and 5 KiB.
var instanceConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)

// instance makes an instance whose memory is mem. Its start section was taken out, so no code of the guest runs.
func (s *Sandbox) instance(module wazero.CompiledModule, mem *memory) (guest api.Module, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("internal error: instantiation panicked: %v", v)
		}
	}()
	return s.runtime.InstantiateModule(experimental.WithMemoryAllocator(context.Background(), mem), module, instanceConfig)
}

func (c *cell) setGlobals() {
	for i, g := range c.globals {
		g.Set(c.template.globals[i])
	}
}

// fits says whether a task with that limit of memory can run here: it begins with no more, and can grow to it. The limits of one program's tasks are mostly the same.
func (c *cell) fits(limit int64) bool {
	return int64(c.template.image.size) <= limit && len(c.memory.region) >= c.pool.regionSize(limit, 0)
}

// size is what an idle cell costs in bytes.
func (c *cell) size() int64 {
	size := cellOverhead + tableElementCost*int64(c.pool.compiled.facts.elements) + int64(c.memory.private*c.pool.sandbox.page)
	if c.deepest > stackStart {
		size += 2 * c.deepest // wazero doubles a stack when it is full
	}
	return size
}

// call calls f. A guest that is ended leaves the depth where it was, so it is set each time.
func (c *cell) call(ctx context.Context, f api.Function) error {
	if f == nil {
		return nil
	}
	c.depth.Set(uint64(c.meter.stack))
	return f.CallWithStack(ctx, c.stack[:])
}

// callInit runs what comes before a task: with a template, once for all of them.
func (c *cell) callInit(ctx context.Context) error {
	if err := c.call(ctx, c.start); err != nil {
		return err
	}
	return c.call(ctx, c.initialize)
}

// begin starts the count of a run, and puts its limits into the guest.
func (c *cell) begin(ctx context.Context, j *Job, t *turn) *host.Run {
	s, m := c.pool.sandbox, &c.meter
	m.begin(ctx, s.closing, j.Limits, *c.pool.pace.Load(), c.depth, t)
	c.memory.limit = min(int(j.Limits.Memory), len(c.memory.region))
	c.fuel.Set(uint64(m.grant()))
	c.tableRoom.Set(uint64(j.Limits.Tables - int64(c.pool.compiled.facts.elements)))
	config := c.pool.program.runConfig(j, m)
	if j.Log != nil {
		config.Log = m.aside(j.Log)
	}
	s.host.BeginAt(&c.record, config)
	return &c.record
}

// serve runs the job and says how it ended. The cell is then to be restored or dropped.
func (c *cell) serve(ctx context.Context, j *Job, t *turn) (Outcome, dropCause) {
	run := c.begin(ctx, j, t)
	status, err := c.task(run.Context(&c.meter), run, j)
	run.Finish()
	c.finish()
	out := c.judge(run, status, err, j)
	out.Usage = c.usage(run)
	cause := c.cleanliness(run, err)
	c.record = host.Run{} // an idle cell keeps no payload, no result, and no context
	c.meter.forget()
	return out, cause
}

func (c *cell) task(ctx context.Context, run *host.Run, j *Job) (status abi.Status, err error) {
	if !c.template.initialised {
		if err := c.callInit(ctx); err != nil {
			return 0, err
		}
	}
	if j.Begin != nil {
		j.Begin()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	run.Enter()
	if err := c.call(ctx, c.resume); err != nil {
		return 0, err
	}
	if err := c.call(ctx, c.run); err != nil || c.pool.program.form == command {
		return abi.StatusDone, err
	}
	return api.DecodeI32(c.stack[0]), nil
}

// finish ends the meter and lets the pool's next run begin with the slice that it found. A guest that trapped may have kept its fuel in a register: what
// the global holds then is a little too much.
func (c *cell) finish() {
	c.meter.finish(int64(c.fuel.Get()))
	if p := c.meter.pace(); p != *c.pool.pace.Load() {
		changed := p // only what changed is allocated
		c.pool.pace.Store(&changed)
	}
	if c.deepest = max(c.deepest, c.meter.stack); c.deepest > stackKept {
		c.findFunctions()
	}
}

func (c *cell) usage(run *host.Run) Usage {
	m := &c.meter
	return Usage{
		Begun: epoch.Add(m.began), CPU: m.cpu, Wall: m.segment - m.began, Memory: int64(c.memory.peak), Calls: run.Calls(), LogBytes: run.LogSize(),
		Fuel: m.spent, Ticks: m.ticks,
	}
}

// cleanliness says why the cell cannot be restored after the run, dropNone when it can.
//
// A guest that returned has left nothing but memory and globals, where the module is resettable. So has one that called proc_exit: the panic that ended it unwound
// frames of Go's and dropped the machine stack that its handle keeps; wazero marks nothing as closed, and resets the handle in callEngine.callWithStack, whose
// comment says "we can reuse this callEngine even after an error". Most commands end that way. Other ends are as clean as far as
// its code tells, but come from code that misbehaves, and are worth a new instance.
func (c *cell) cleanliness(run *host.Run, err error) dropCause {
	switch kind := run.Ending().Kind; {
	case c.meter.ended != endingNone, kind == host.EndingLimit, kind == host.EndingInterrupted:
		return dropEnded
	case kind == host.EndingCrash:
		return dropCrashed
	case err != nil && kind != host.EndingExit:
		return dropTrapped
	case !c.pool.compiled.facts.resettable():
		return dropKept
	}
	return dropNone
}

// restore makes the cell what it was before its task, and checks that if it is told to. written is the number of pages that the task had changed, where that can be told.
func (c *cell) restore(check bool) (written int, cause dropCause) {
	s, i := c.pool.sandbox, c.template.image
	if s.restorer.restore == nil {
		return 0, dropFresh
	}
	m := c.memory
	if m.size != i.size && !m.resize(c.guest, i.size) {
		s.log.Error("a cell cannot be restored: its memory cannot be made as small as it was")
		return 0, dropFailed
	}
	written, err := s.restorer.undo(m, i, s.page)
	if err != nil {
		s.log.Error("a cell cannot be restored", "error", err)
		return written, dropFailed
	}
	c.setGlobals()
	c.tableDenied.Set(0)
	if check && !c.clean() {
		return written, dropDirty
	}
	m.peak, m.denied = m.size, false
	return written, dropNone
}

// clean says whether memory and globals are the template's, byte by byte: it compares where a sum would do, since that is as fast and cannot be fooled.
func (c *cell) clean() bool {
	if !c.template.image.matches(c.memory.region[:c.memory.peak]) || len(c.memory.region) > 0 && int(c.guest.Memory().Size()) != c.template.image.size {
		return false
	}
	for i, g := range c.globals {
		if g.Get() != c.template.globals[i] {
			return false
		}
	}
	return c.tableDenied.Get() == 0
}

// close frees the cell.
func (c *cell) close() {
	// Not the context of a run: it may have ended, and closing must not fail for that. After it nobody looks at the memory.
	_ = c.guest.Close(context.Background())
	c.memory.Free()
}

// judge turns the end of a guest into an outcome: status when err is nil, else err. The order matters: who ended it knows best, then wazero.
func (c *cell) judge(run *host.Run, status abi.Status, err error, j *Job) Outcome {
	out := c.verdict(run, status, err)
	s := c.pool.sandbox
	if err != nil && (out.Code == CodeTrap || out.Code == CodeStack || out.Code == CodeCrash) && s.log.IsDebug() {
		s.log.Debug("guest trapped", "task_id", j.ID, "trace", host.Escape([]byte(c.pool.compiled.trace(err.Error()))))
	}
	return out
}

func (c *cell) verdict(run *host.Run, status abi.Status, err error) Outcome {
	switch e := run.Ending(); {
	case e.Kind == host.EndingLimit:
		return Outcome{Verdict: Limit, Code: e.Code, Error: e.Text}
	case e.Kind == host.EndingCrash:
		return Outcome{Verdict: Crash, Code: e.Code, Error: e.Text}
	case c.meter.ended != endingNone: // which host.EndingInterrupted is
		return judgeEnding(c.meter.ended)
	case e.Kind == host.EndingExit:
		return c.judgeStatus(run, e.Status)
	case err == nil:
		return c.judgeStatus(run, status)
	}
	// What is left is a trap. The first line is all wazero's own; the following ones hold names of the guest's.
	text, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case strings.HasSuffix(text, wazeroRecovered):
		return Outcome{Verdict: Crash, Code: CodeCrash, Error: "internal error in the engine"}
	case strings.HasSuffix(text, stackOverflow):
		return judgeEnding(endingStack)
	}
	if denied := c.judgeDenied(); denied != nil {
		return *denied
	}
	if _, cause, ok := strings.Cut(text, wasmErrorPrefix); ok {
		text = cause
	}
	return Outcome{Verdict: Retry, Code: CodeTrap, Error: "trap: " + host.Escape([]byte(text[:min(len(text), errorLineMax)]))}
}

func (c *cell) judgeStatus(run *host.Run, status abi.Status) Outcome {
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
	if denied := c.judgeDenied(); denied != nil {
		return *denied
	}
	if text == "" {
		text = fmt.Sprintf("the task ended with status %d", status)
	}
	return Outcome{Verdict: Retry, Code: CodeError, Error: text, RetryAfter: after}
}

// judgeDenied is the outcome of a task that failed after a growth of its memory or a table was refused; nil when none was.
func (c *cell) judgeDenied() *Outcome {
	switch {
	case c.memory.denied:
		out := outOfMemory()
		return &out
	case c.tableDenied.Get() != 0:
		out := outOfTables()
		return &out
	}
	return nil
}
