package sandbox_test

import (
	"context"
	"flag"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// An observation is what one call of a generated module showed: how it ended, and what it left.
type observation struct {
	trap    string
	results []uint64
	globals []uint64
	memory  uint64 // hash
	size    uint32 // of memory
}

var memorySeed = maphash.MakeSeed()

// A differ runs generated modules in several ways. Each has a runtime of its own, so that modules do not meet.
type differ struct {
	plain  map[string]wazero.Runtime
	rigs   map[string]*rig
	budget uint64        // of each call: see genBudgetMax
	most   time.Duration // of a module: one that took longer is not compared further. 0: no bound
	known  int           // modules on which wazero's engines differ by themselves
	calls  int
	traps  int
	worst  float64 // the most units charged for a unit that ran
	sum    [2]int64
}

func newDiffer(tb testing.TB, budget uint64) *differ {
	d := &differ{budget: budget, plain: map[string]wazero.Runtime{}, rigs: map[string]*rig{}}
	ctx := context.Background()
	for engine, config := range rigEngines {
		d.rigs[engine] = newRig(tb, engine)
		rt := wazero.NewRuntimeWithConfig(ctx, config().WithCoreFeatures(api.CoreFeaturesV2))
		tb.Cleanup(func() { rt.Close(ctx) })
		d.plain[engine] = rt
		for _, rt := range []wazero.Runtime{rt, d.rigs[engine].rt} {
			f := func(x int32) int32 { return x + 1 }
			if _, err := rt.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(f).Export("f").Instantiate(ctx); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return d
}

// A call is a function of a generated module and its arguments.
type genCall struct {
	name string
	args []uint64
}

func genCalls(seed uint64, m *wasm.Module) (list []genCall) {
	r := rand.New(rand.NewPCG(seed, 2))
	for _, e := range m.Exports {
		if e.Kind != wasm.KindFunc {
			continue
		}
		t, _ := m.ExportedFunc(e.Name)
		c := genCall{name: e.Name}
		for _, p := range t.Params {
			v := r.Uint64() >> r.IntN(64)
			if p == wasm.I32 || p == wasm.F32 {
				v = uint64(uint32(v))
			}
			c.args = append(c.args, v)
		}
		list = append(list, c)
	}
	return append(list, list...) // twice, the second time on what the first has left
}

// observe runs calls on an instance.
func (d *differ) observe(ctx context.Context, mod api.Module, calls []genCall, after func()) (list []observation) {
	for _, c := range calls {
		mod.ExportedGlobal("g0").(api.MutableGlobal).Set(d.budget)
		f := mod.ExportedFunction(c.name)
		results, err := f.Call(ctx, c.args...)
		o := observation{trap: trapLine(err), size: mod.Memory().Size()}
		for i, r := range results {
			o.results = append(o.results, canonical(r, f.Definition().ResultTypes()[i]))
		}
		for i := range 4 {
			g := mod.ExportedGlobal(fmt.Sprint("g", i))
			o.globals = append(o.globals, canonical(g.Get(), g.Type()))
		}
		b, _ := mod.Memory().Read(0, o.size)
		o.memory = maphash.Bytes(memorySeed, b)
		list = append(list, o)
		after()
	}
	return list
}

// canonical makes every NaN one.
func canonical(v uint64, t api.ValueType) uint64 {
	switch {
	case t == api.ValueTypeF32 && math.IsNaN(float64(math.Float32frombits(uint32(v)))):
		return 0x7fc00000
	case t == api.ValueTypeF64 && math.IsNaN(math.Float64frombits(v)):
		return 0x7ff8000000000000
	case t == api.ValueTypeI32 || t == api.ValueTypeF32:
		return uint64(uint32(v))
	}
	return v
}

func same(a, b []observation) bool {
	return slices.EqualFunc(a, b, func(x, y observation) bool {
		return x.trap == y.trap && x.memory == y.memory && x.size == y.size && slices.Equal(x.results, y.results) && slices.Equal(x.globals, y.globals)
	})
}

func (d *differ) runPlain(tb testing.TB, engine string, code []byte, calls []genCall) []observation {
	ctx := context.Background()
	mod, err := d.plain[engine].InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		tb.Fatalf("the generated module does not start: %v", err)
	}
	defer mod.Close(ctx)
	return d.observe(ctx, mod, calls, func() {})
}

// metered is what a call cost: charged, and as counted instruction by instruction.
type metered struct{ charged, counted int64 }

func (d *differ) runOurs(tb testing.TB, engine string, in *wasm.Instrumented, calls []genCall) (list []observation, costs []metered) {
	r := d.rigs[engine]
	*r.meter = meter{slice: 1 << 40}
	mod, err := r.start(in, "")
	if err != nil {
		tb.Fatalf("instrumented, it does not start: %v", err)
	}
	defer mod.Close(r.ctx)
	var was metered
	var depths []uint64
	list = d.observe(r.ctx, mod, calls, func() {
		now := metered{charged: mod.spent()}
		if count := mod.ExportedGlobal(wasm.ExportCount); count != nil {
			now.counted = int64(count.Get())
		}
		costs = append(costs, metered{now.charged - was.charged, now.counted - was.counted})
		depths = append(depths, mod.depth.Get())
		was = now
		mod.depth.Set(rigStack) // a trap gives nothing back
	})
	for i, o := range list {
		if o.trap == "" && depths[i] != rigStack {
			tb.Errorf("%s: call %d came back with %d bytes of stack, not %d", engine, i, depths[i], uint64(rigStack))
		}
	}
	return list, costs
}

// try makes the module of a seed and compares all ways to run it.
func (d *differ) try(tb testing.TB, seed uint64) {
	begun := time.Now()
	late := func() bool { return d.most > 0 && time.Since(begun) > d.most }
	code := generateModule(seed)
	m, err := wasm.Read(code, anyImport)
	if err != nil {
		tb.Fatalf("seed %d: the gate refuses a valid module: %v", seed, err)
	}
	calls := genCalls(seed, m)
	want := d.runPlain(tb, "interpreter", code, calls)
	if !same(want, d.runPlain(tb, "compiler", code, calls)) {
		d.known++ // not ours: see wazero's issue 2516
		return
	}
	if late() {
		return
	}
	o := wasm.Options{MemoryPagesMax: 8, TableElementsMax: 1 << 30}
	in, err := m.Instrument(o)
	if err != nil {
		tb.Fatalf("seed %d: %v", seed, err)
	}
	o.Counted = true
	counted, err := m.Instrument(o)
	if err != nil {
		tb.Fatalf("seed %d: %v", seed, err)
	}
	compiled, compiledCosts := d.runOurs(tb, "compiler", in, calls)
	interpreted, costs := d.runOurs(tb, "interpreter", in, calls)
	if late() {
		return
	}
	exact, exactCosts := d.runOurs(tb, "interpreter", counted, calls)
	for name, got := range map[string][]observation{"compiled": compiled, "interpreted": interpreted, "counted": exact} {
		if !same(want, got) {
			tb.Fatalf("seed %d: %s: %s", seed, name, difference(calls, want, got))
		}
	}
	for i, c := range exactCosts {
		if compiledCosts[i].charged != c.charged || costs[i].charged != c.charged {
			tb.Fatalf("seed %d: call %d of %s: the compiler charged %d, the interpreter %d, counted code %d", seed, i, calls[i].name, compiledCosts[i].charged, costs[i].charged, c.charged)
		}
		d.judge(tb, seed, calls[i].name, want[i].trap, c)
	}
}

// What may have run uncharged: a small function that the host calls itself; at a trap, also what each active function owed.
const (
	hostCallUnits = 64
	trapUnits     = genBudgetMax * 400
)

func (d *differ) judge(tb testing.TB, seed uint64, name, trap string, c metered) {
	d.calls++
	slack := int64(0)
	if c.charged == 0 { // it is small, and the host pays for nothing
		slack = hostCallUnits
	}
	if trap != "" {
		d.traps++
		slack = trapUnits
	}
	if c.counted > c.charged+slack {
		tb.Fatalf("seed %d: %s ran %d units and was charged %d (%s)", seed, name, c.counted, c.charged, trap)
	}
	d.sum[0] += c.charged
	d.sum[1] += c.counted
	if c.counted > 1000 {
		d.worst = max(d.worst, float64(c.charged)/float64(c.counted))
	}
}

func difference(calls []genCall, want, got []observation) string {
	for i := range want {
		if !same(want[i:i+1], got[i:i+1]) {
			return fmt.Sprintf("call %d of %s%x\nwant %+v\ngot  %+v", i, calls[i].name, calls[i].args, want[i], got[i])
		}
	}
	return "none"
}

// differCases has TestWasmDifferential go on with as many smaller modules. A seed tells a fuzzer's coverage nothing, and without its instrumentation of wazero this is ten times as fast:
// go test -run TestWasmDifferential -timeout 0 ./runtime/sandbox -cases 10000 -first 20000.
var (
	differCases = flag.Uint64("cases", 0, "modules that TestWasmDifferential generates beyond its own")
	differFirst = flag.Uint64("first", 0, "how many of those to leave out, so that a run goes on where another ended")
)

// TestWasmDifferential runs generated modules on both engines, with and without the instrumenter, and compares what can be seen; and it compares what was charged with what ran.
func TestWasmDifferential(t *testing.T) {
	if unraced(t) {
		return
	}
	seeds := uint64(200)
	if testing.Short() {
		seeds = 60
	}
	d := newDiffer(t, genBudgetMax)
	for seed := range seeds {
		d.try(t, seed)
	}
	d.budget = fuzzBudget
	for seed := range *differCases {
		d.try(t, 1_000_000+*differFirst+seed)
	}
	t.Logf("%d modules, %d calls, %d of them trapped; on %d modules wazero's engines differ by themselves; units charged for a unit that ran: %.2f over all, %.2f at most",
		seeds+*differCases, d.calls, d.traps, d.known, float64(d.sum[0])/float64(d.sum[1]), d.worst)
	if d.known > int(seeds+*differCases)/50 || d.calls-d.traps < int(seeds) {
		t.Error("the generator makes little of use")
	}
}

// fuzzBudget is less than the test's: deep calls are what takes the interpreter most, and a case more shows more than a longer one.
const fuzzBudget = 150

// fuzzMost keeps a module on a busy machine within the 10 s after which Go's fuzzer ends its worker, and says that it hung: a case takes up to half a second in its
// instrumented code, and has been seen to take eight times as long beside other load.
const fuzzMost = 3 * time.Second

// FuzzWasmDifferential is the same without end.
func FuzzWasmDifferential(f *testing.F) {
	d := newDiffer(f, fuzzBudget)
	d.most = fuzzMost
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { d.try(t, seed) })
}
