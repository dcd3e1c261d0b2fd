package sandbox

import (
	"context"
	"fmt"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/runtime/wasm"
	"github.com/tetratelabs/wazero/api"
)

// A template is the frozen state that the cells of one pool start from: memory and globals.
type template struct {
	image   *image
	globals []uint64 // of artifact.globals
	// initialised says that the start function and _initialize have run.
	initialised bool
}

// makeTemplate runs a module up to the point that its tasks start from, under the limits of the job that needs it first and as a run that
// holds nothing and has no input. The instance that it made goes on as the first cell.
//
// A resettable reactor whose manifest says start = "template" is initialised here. All others are only laid out, and initialised by every task; so are those whose
// init was refused memory, for what became of them hangs on the limits of this one job, which its sender may have chosen.
func (p *pool) makeTemplate(ctx context.Context, j *Job, turn *turn) (*template, *cell, *Outcome) {
	t, c, out := p.layTemplate(ctx, j, turn, p.initialises())
	if c != nil && c.memory.denied {
		t.image.close()
		c.close()
		t, c, out = p.layTemplate(ctx, j, turn, false)
	}
	return t, c, out
}

// layTemplate makes the template, initialised or not.
func (p *pool) layTemplate(ctx context.Context, j *Job, turn *turn, initialised bool) (*template, *cell, *Outcome) {
	s := p.sandbox
	if p.program.facts.MemoryMin > j.Limits.Memory {
		out := outOfMemory()
		return nil, nil, &out
	}
	mem, err := newMemory(p.regionSize(j.Limits.Memory, 0))
	if err != nil {
		return nil, nil, s.noMemory(j, err)
	}
	c, err := p.instantiate(mem)
	if err != nil {
		mem.Free()
		return nil, nil, s.noInstance(j, err)
	}
	var out *Outcome
	t := &template{initialised: initialised}
	if out = c.layOut(p.compiled.data); out == nil && t.initialised {
		out = c.initialise(ctx, j, turn)
	}
	if out == nil {
		if t.image, err = s.restorer.image(mem.region[:mem.size], s.page); err != nil {
			out = s.noMemory(j, err)
		}
	}
	if out != nil {
		c.close()
		return nil, nil, out
	}
	t.globals = make([]uint64, len(c.globals))
	for i, g := range c.globals {
		t.globals[i] = g.Get()
	}
	c.template = t
	if err := s.restorer.fill(mem.region, t.image); err != nil {
		c.close()
		t.image.close()
		return nil, nil, s.noMemory(j, err)
	}
	mem.peak = mem.size
	return t, c, nil
}

// initialises says whether the template is to hold a reactor that is initialised already. What init may change beside memory and globals would be in the first cell
// only, so that of such a module runs for every task.
func (p *pool) initialises() bool {
	return p.program.form == reactor && p.program.module.Start != "each" && p.compiled.facts.resettable()
}

// layOut writes the active data that the instrumenter took out, as instantiation would have.
func (c *cell) layOut(data []wasm.Segment) *Outcome {
	for _, d := range data {
		if uint64(d.Offset)+uint64(len(d.Bytes)) > uint64(c.memory.size) {
			return &Outcome{Verdict: Retry, Code: CodeTrap, Error: "trap: out of bounds memory access by a data segment"}
		}
		copy(c.memory.region[d.Offset:], d.Bytes)
	}
	return nil
}

// initialise runs the start function and _initialize for a template. Its outcome is nil when all went well.
func (c *cell) initialise(ctx context.Context, j *Job, turn *turn) *Outcome {
	run := c.begin(ctx, j, turn)
	err := c.callInit(run.Context(&c.meter))
	run.Finish()
	c.finish()
	s := c.pool.sandbox
	s.mu.Lock()
	s.stats.count(&c.meter, 0)
	s.mu.Unlock()
	if err == nil && run.Ending().Kind == host.EndingNone {
		return nil
	}
	out := c.judge(run, abi.StatusDone, err, j)
	if out.Verdict == Done { // it exited with status 0, and has not become what it should be
		out = Outcome{Verdict: Retry, Code: CodeError, Error: "the module exited while it was initialised"}
	}
	out.Usage = c.usage(run)
	return &out
}

// noMemory is the outcome when the machine has nothing left: not the task's doing.
func (s *Sandbox) noMemory(j *Job, err error) *Outcome {
	s.log.Warn("no memory for a cell", "task_id", j.ID, "error", err)
	return &Outcome{Verdict: Crash, Code: CodeCrash, Error: "no memory left on this machine"}
}

func (s *Sandbox) noInstance(j *Job, err error) *Outcome {
	s.log.Error("module cannot be instantiated", "task_id", j.ID, "error", err)
	return &Outcome{Verdict: Crash, Code: CodeCrash, Error: "internal error in the engine"}
}

// regionSize is how long the region of a cell must be for a memory of at least least bytes and at most limit: no longer than the module's own maximum.
func (p *pool) regionSize(limit int64, least int) int {
	if !p.compiled.facts.hasMemory {
		return 0
	}
	return max(int(min(uint64(limit), p.memoryMost())), least, pageSize)
}

// memoryMost is the most bytes of memory that a cell can come to, whatever its limit is: the module's own maximum, or ours.
func (p *pool) memoryMost() uint64 {
	if own := p.compiled.facts.memoryMax; own > 0 {
		return min(own, memoryMax)
	}
	return memoryMax
}

// instantiate makes a cell whose memory and globals are those of a fresh instance. No code of the guest runs.
func (p *pool) instantiate(mem *memory) (c *cell, err error) {
	mem.own = p.memoryMost()
	guest, err := p.sandbox.instance(p.compiled.module, mem)
	if err != nil {
		return nil, err
	}
	c = &cell{pool: p, guest: guest, memory: mem}
	global := func(name string) api.MutableGlobal {
		g, ok := guest.ExportedGlobal(name).(api.MutableGlobal)
		if !ok && err == nil {
			err = fmt.Errorf("internal error: no global %s", name)
		}
		return g
	}
	c.fuel, c.depth = global(wasm.ExportFuel), global(wasm.ExportDepth)
	c.tableDenied, c.tableRoom = global(wasm.ExportTableDenied), global(wasm.ExportTableRoom)
	for _, g := range p.compiled.globals {
		c.globals = append(c.globals, global(g.Export))
	}
	if err != nil {
		c.close()
		return nil, err
	}
	c.findFunctions()
	return c, nil
}

// findFunctions makes the handles by which the guest is called, with small stacks.
func (c *cell) findFunctions() {
	c.deepest = 0
	if start := c.pool.compiled.start; start != "" {
		c.start = c.guest.ExportedFunction(start)
	}
	if c.pool.program.form == command {
		c.run = c.guest.ExportedFunction(abi.ExportStart)
		return
	}
	c.initialize = c.guest.ExportedFunction(abi.ExportInitialize)
	c.resume = c.guest.ExportedFunction(abi.ExportResume)
	c.run = c.guest.ExportedFunction(abi.ExportRun)
}
