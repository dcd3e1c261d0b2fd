package sandbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// The tests in wasm_*_test.go try what package wasm writes under wazero. They stand here because only this room may know that engine.

// A meter is the host's side of metering for one test: what tick does.
type meter struct {
	slice int64 // handed out at each tick
	limit int64 // units after which the guest ends; 0 for none
	spent int64 // at ticks so far
	ticks int
	late  int64  // the most units that fuel was below zero at a tick
	seen  func() // called at each tick, when it is set
}

var (
	errFuel  = errors.New("out of fuel")
	errDepth = errors.New("out of stack")
)

func (m *meter) tick(fuel, depth int64) int64 {
	m.ticks++
	m.spent += m.slice - fuel
	m.late = max(m.late, -fuel)
	if m.seen != nil {
		m.seen()
	}
	if depth < 0 {
		panic(errDepth)
	}
	if m.limit > 0 && m.spent > m.limit {
		panic(errFuel)
	}
	return m.slice
}

type meterKey struct{}

// A rig is a wazero runtime with the instrumenter's import.
type rig struct {
	rt    wazero.Runtime
	ctx   context.Context
	meter *meter
}

var rigEngines = map[string]func() wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler,
	"interpreter": wazero.NewRuntimeConfigInterpreter,
}

func newRig(tb testing.TB, engine string) *rig {
	tb.Helper()
	m := &meter{slice: 1 << 40}
	r := &rig{ctx: context.WithValue(context.Background(), meterKey{}, m), meter: m}
	config := rigEngines[engine]().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	r.rt = wazero.NewRuntimeWithConfig(r.ctx, config)
	tb.Cleanup(func() { r.rt.Close(r.ctx) })
	tick := api.GoFunc(func(ctx context.Context, stack []uint64) {
		stack[0] = uint64(ctx.Value(meterKey{}).(*meter).tick(int64(stack[0]), int64(stack[1])))
	})
	i64 := api.ValueTypeI64
	_, err := r.rt.NewHostModuleBuilder(wasm.ModuleTick).NewFunctionBuilder().
		WithGoFunction(tick, []api.ValueType{i64, i64}, []api.ValueType{i64}).Export(wasm.ImportTick).Instantiate(r.ctx)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// A rigged module is an instance of what the instrumenter wrote.
type rigged struct {
	api.Module
	rig         *rig
	fuel, depth api.MutableGlobal
}

const rigStack = 1 << 40 // bytes of depth: wazero's own end comes first

// anyImport lets a module import every function.
var anyImport = wasm.Rules{Import: func(string, string, wasm.FuncType) error { return nil }}

var rigOptions = wasm.Options{MemoryPagesMax: 65535, TableElementsMax: 10_000_000}

// instrument reads and rewrites code.
func instrument(code []byte, o wasm.Options) (*wasm.Instrumented, error) {
	m, err := wasm.Read(code, anyImport)
	if err != nil {
		return nil, err
	}
	return m.Instrument(o)
}

var errDataBounds = errors.New("wasm error: out of bounds memory access")

// start instantiates what was instrumented, with all that its host owes it: data, then the start function.
func (r *rig) start(in *wasm.Instrumented, name string) (*rigged, error) {
	mod, err := r.rt.InstantiateWithConfig(r.ctx, in.Code, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	g := &rigged{Module: mod, rig: r}
	g.fuel = mod.ExportedGlobal(wasm.ExportFuel).(api.MutableGlobal)
	g.depth = mod.ExportedGlobal(wasm.ExportDepth).(api.MutableGlobal)
	g.fuel.Set(uint64(r.meter.slice))
	g.depth.Set(rigStack)
	for _, s := range in.Data {
		size := uint64(mod.Memory().Size())
		if uint64(s.Offset)+uint64(len(s.Bytes)) > size {
			return nil, errDataBounds
		}
		if len(s.Bytes) > 0 {
			mod.Memory().Write(s.Offset, s.Bytes)
		}
	}
	if in.Start != "" {
		if _, err := mod.ExportedFunction(in.Start).Call(r.ctx); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// spent gives the units charged so far by this instance, when it is the only one of its rig.
func (g *rigged) spent() int64 { return g.rig.meter.spent + g.rig.meter.slice - int64(g.fuel.Get()) }

// trapLine cuts an error of the engine to its first line, which says which trap it was.
func trapLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// otherProcesses holds what this test program can be started as, besides what asOtherProcess knows, by its first argument.
var otherProcesses = map[string]func() error{}
