package main

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// bare is the product's rewriting and its host, driven by hand: one instance per worker that is never restored. Production cannot be configured to that, so
// it is put together here.
type bare struct {
	ctx     context.Context
	host    *host.Host
	runtime wazero.Runtime
	running atomic.Int32 // guests
}

// How the bare cell ticks; as in runtime/sandbox.
const (
	bareTickAim  = 100 * time.Microsecond
	bareYield    = time.Millisecond
	bareSliceMin = 500
	bareSliceMax = 200_000
	bareStack    = 1 << 20
	barePages    = 1 << 10 // 64 MiB
	bareTable    = 1 << 18
)

var bareLimits = capability.Limits{
	Memory: barePages << 16, Result: 1 << 20, Log: 256 << 10, LogLines: 1000, Wall: time.Minute, CPU: time.Minute, Calls: 1000,
}

// newBare opens it, with a compile cache in folder.
func newBare(ctx context.Context, folder string) (*bare, error) {
	h, err := host.New(host.Config{})
	if err != nil {
		return nil, err
	}
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	if config, err = cached(config, folder); err != nil {
		return nil, err
	}
	b := &bare{ctx: ctx, host: h, runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	if err := h.Install(ctx, b.runtime); err != nil {
		return nil, err
	}
	i64 := api.ValueTypeI64
	_, err = b.runtime.NewHostModuleBuilder(wasm.ModuleTick).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(b.tick), []api.ValueType{i64, i64}, []api.ValueType{i64}).Export(wasm.ImportTick).Instantiate(ctx)
	return b, err
}

func (b *bare) ways() map[string]line.Way {
	return map[string]line.Way{
		"bare":                  func(guest []byte) (line.Program, error) { return b.load(guest, false, taskOf) },
		"bare works":            func(guest []byte) (line.Program, error) { return b.load(guest, false, worksOfCell) },
		"bare works, unmetered": func(guest []byte) (line.Program, error) { return b.load(guest, true, worksOfCell) },
	}
}

// A rhythm is when a guest ticks.
type rhythm struct {
	slice    int64
	at       time.Time
	yielded  time.Time
	deadline time.Time
}

type rhythmKey struct{}

// tick does what the product's does: it looks at the clock, yields where guests may fill all processors, else now and then, and aims for the next tick in bareTickAim.
func (b *bare) tick(ctx context.Context, stack []uint64) {
	r := ctx.Value(rhythmKey{}).(*rhythm)
	now := time.Now()
	if int64(stack[1]) < 0 || now.After(r.deadline) || ctx.Err() != nil {
		panic(errors.New("a limit is spent"))
	}
	used := r.slice - int64(stack[0])
	next := int64(float64(used) * float64(bareTickAim) / float64(max(now.Sub(r.at), time.Microsecond)))
	r.slice = max(bareSliceMin, min(next, bareSliceMax))
	if int(b.running.Load()) >= goruntime.GOMAXPROCS(0) || now.Sub(r.yielded) >= bareYield {
		goruntime.Gosched()
		r.yielded = now
	}
	r.at = time.Now()
	stack[0] = uint64(r.slice)
}

func (b *bare) load(guest []byte, unmetered bool, worker func(*bareCell) line.Worker) (line.Program, error) {
	m, err := wasm.Read(guest, wasm.Rules{Import: func(string, string, wasm.FuncType) error { return nil }})
	if err != nil {
		return nil, err
	}
	written, err := m.Instrument(wasm.Options{MemoryPagesMax: barePages, TableElementsMax: bareTable, Unmetered: unmetered})
	if err != nil {
		return nil, err
	}
	compiled, err := b.runtime.CompileModule(b.ctx, written.Code)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		c, err := b.newCell(compiled, written)
		if err != nil {
			return nil, err
		}
		return worker(c), nil
	}, nil
}

// taskOf runs the guest's task, by fd 0 and 1.
func taskOf(c *bareCell) line.Worker {
	run := c.guest.ExportedFunction(abi.ExportRun)
	return func(input []byte) ([]byte, error) { return c.call(run, input) }
}

// worksOfCell calls the exports of the compute set.
func worksOfCell(c *bareCell) line.Worker {
	exports := works{instance: c.guest}
	return func(input []byte) (out []byte, err error) {
		_, err = c.within(nil, func(ctx context.Context) error {
			out, err = exports.call(ctx, input)
			return err
		})
		return out, err
	}
}

// A bareCell is one instance with its globals.
type bareCell struct {
	*bare
	guest       api.Module
	rhythm      rhythm
	fuel, depth api.MutableGlobal // nil in an unmetered module
}

// newCell makes an instance and initialises it.
func (b *bare) newCell(compiled wazero.CompiledModule, written *wasm.Instrumented) (*bareCell, error) {
	guest, err := b.runtime.InstantiateModule(b.ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	for _, d := range written.Data {
		if !guest.Memory().Write(d.Offset, d.Bytes) {
			return nil, errors.New("data out of bounds")
		}
	}
	c := &bareCell{bare: b, guest: guest, rhythm: rhythm{slice: bareSliceMax / 10}}
	c.fuel, _ = guest.ExportedGlobal(wasm.ExportFuel).(api.MutableGlobal)
	c.depth, _ = guest.ExportedGlobal(wasm.ExportDepth).(api.MutableGlobal)
	for _, name := range []string{written.Start, abi.ExportInitialize} {
		if f := guest.ExportedFunction(name); name != "" && f != nil {
			if _, err := c.call(f, nil); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return c, nil
}

// call enters the guest for one task.
func (c *bareCell) call(f api.Function, input []byte) ([]byte, error) {
	return c.within(input, func(ctx context.Context) error {
		status, err := f.Call(ctx)
		if err == nil && len(status) > 0 && status[0] != 0 {
			err = fmt.Errorf("status %d", status[0])
		}
		return err
	})
}

// within gives enter the context in which the guest has its host functions and its ticks, and returns the result of the task.
func (c *bareCell) within(input []byte, enter func(context.Context) error) ([]byte, error) {
	c.rhythm.at = time.Now()
	c.rhythm.deadline, c.rhythm.yielded = c.rhythm.at.Add(bareLimits.Wall), c.rhythm.at
	c.running.Add(1)
	defer c.running.Add(-1)
	if c.fuel != nil {
		c.fuel.Set(uint64(c.rhythm.slice))
		c.depth.Set(bareStack)
	}
	run := c.host.Begin(host.RunConfig{Tenant: "bench", Limits: bareLimits, Input: input})
	run.Enter()
	err := enter(run.Context(context.WithValue(c.ctx, rhythmKey{}, &c.rhythm)))
	run.Finish()
	return run.Result(), err
}
