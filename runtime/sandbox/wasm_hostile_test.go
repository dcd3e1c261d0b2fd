package sandbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// hostileModule makes a module of functions of type (i32) -> (), with one page of memory that can grow to pages, a table that holds all of them, and passive segments of elements and of data.
// Each body is given without its locals, which are two i32 besides the parameter, and without its end. The first is exported as "run".
func hostileModule(pages int, bodies ...string) []byte {
	var funcs, code, all []string
	for i, b := range bodies {
		funcs = append(funcs, "\x00")
		code = append(code, genSized("\x01\x02\x7f"+b+"\x0b"))
		all = append(all, genU(uint64(i)))
	}
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x05\x01\x60\x01\x7f\x00" + "\x03" + genSized(genVector(funcs)) + "\x04\x04\x01\x70\x00\x20" +
		"\x05" + genSized("\x01\x01"+genU(uint64(pages))+genU(uint64(pages))) + "\x07\x07\x01\x03run\x00\x00" +
		"\x09" + genSized("\x02\x00\x41\x00\x0b"+genVector(all)+"\x01\x00"+genVector(all)) + "\x0c\x01\x01" + "\x0a" + genSized(genVector(code)) +
		"\x0b" + genSized("\x01\x01"+genSized(strings.Repeat("x", 600<<10))))
}

// Pieces of hostile code.
const (
	asmUnits2 = "\x20\x00\x1a"             // local.get 0, drop
	asmLoop   = "\x03\x40"                 // loop
	asmAgain  = "\x0c\x00\x0b"             // br 0, end
	asmBlock  = "\x02\x40"                 // block
	asmSkip   = "\x20\x00\x0d\x00"         // local.get 0, br_if 0
	asmCall0  = "\x41\x00\x10\x00"         // i32.const 0, call 0
	asmHuge   = "\x41\x80\x80\x80\x80\x04" // i32.const 1 GiB
)

// units gives n units of straight code.
func units(n int) string { return strings.Repeat(asmUnits2, n/2) }

type hostile struct {
	name   string
	pages  int
	arg    uint64
	bodies []string
	stack  uint64 // bytes of depth, when the test is about it
	ends   error  // how it ends, when it does not run on until the limit: nil in the table means errFuel
	gap    int64  // units that may run between two ticks beyond a slice; 0 means hostileGap
}

var errDone = errors.New("done") // of a guest that ends by itself

// Bounds that fuel.go states: a function's unchecked stretch and what it owes, or the tails of those that return into each other.
const (
	hostileSlice = 10_000
	hostileGap   = 3_000
	hostileLimit = 1_000_000
)

func hostiles() []hostile {
	tree := make([]string, 31) // each calls the next twice: 2^30 calls, no loop
	for i := range tree {
		if i < 30 {
			next := "\x41\x00\x10" + genU(uint64(i+1))
			tree[i] = next + next
		}
	}
	jumps := strings.Repeat(asmBlock+asmSkip+units(250)+"\x0b", 400)
	cases := strings.Repeat(asmBlock, 200) + "\x20\x01\x41\x01\x6a\x22\x01\x41\xc8\x01\x70\x0e" + genVector(labelList(200)) + "\x00" + strings.Repeat("\x0b"+units(20), 200)
	calls := strings.Repeat("\x41\x00\x10\x01", 1000)
	down := func(tail int) string { // if (n) run(n - 1); tail
		return "\x20\x00\x04\x40\x20\x00\x41\x01\x6b\x10\x00\x0b" + units(tail)
	}
	fill := "\x41\x00\x41\x01" + asmHuge + "\xfc\x0b\x00"
	return []hostile{
		{name: "loop", bodies: []string{asmLoop + asmAgain}},
		{name: "loop/conditional", bodies: []string{asmLoop + "\x41\x01\x0d\x00\x0b"}},
		{name: "loop/deep", bodies: []string{strings.Repeat(asmLoop, 900) + "\x0c\x83\x07" + strings.Repeat("\x0b", 900)}}, // br 899
		{name: "straight", bodies: []string{units(200_000)}, ends: errDone},
		{name: "branches over charges", arg: 1, bodies: []string{asmLoop + jumps + asmAgain}},
		{name: "charges", bodies: []string{asmLoop + jumps + asmAgain}},
		{name: "blocks just below a charge", bodies: []string{strings.Repeat(asmBlock+asmSkip+units(28)+"\x0b", 1000)}, ends: errDone},
		{name: "br_table over everything", bodies: []string{asmLoop + cases + asmAgain}},
		{name: "br_table of ways back", bodies: []string{asmLoop + asmLoop + units(20) + "\x20\x00\x0e\x03\x00\x01\x00\x01\x0b\x0b"}},
		{name: "tree", bodies: tree},
		{name: "calls of a leaf", bodies: []string{asmLoop + calls + asmAgain, units(250)}},
		{name: "calls of a small leaf", bodies: []string{asmLoop + calls + asmAgain, units(60)}},
		{name: "calls of a forked leaf", bodies: []string{asmLoop + calls + asmAgain, asmBlock + asmSkip + units(200) + "\x0b" + asmBlock + asmSkip + units(200) + "\x0b"}},
		{name: "recursion/direct", bodies: []string{asmCall0}, ends: errDepth, stack: 1 << 20},
		{name: "recursion/mutual", bodies: []string{"\x41\x00\x10\x01", asmCall0}, ends: errDepth, stack: 1 << 20},
		{name: "recursion/indirect", bodies: []string{"\x41\x00\x41\x01\x11\x00\x00", "\x41\x00\x41\x00\x11\x00\x00"}, ends: errDepth, stack: 1 << 20},
		// 10,000 frames return into each other: each may have tailUnits unchecked.
		{name: "unwinding/short tails", arg: 10_000, bodies: []string{down(56)}, ends: errDone, stack: 16 << 20, gap: 10_000 * 64},
		{name: "unwinding/long tails", arg: 4_000, bodies: []string{down(180)}, ends: errDone, stack: 16 << 20},
		{name: "memory.fill", pages: 16384, bodies: []string{asmLoop + fill + asmAgain}, gap: 64 << 10},
		{name: "memory.copy/up", pages: 20000, bodies: []string{asmLoop + "\x41\x20\x41\x00" + asmHuge + "\xfc\x0a\x00\x00" + asmAgain}, gap: 64 << 10},
		{name: "memory.copy/down", pages: 20000, bodies: []string{asmLoop + "\x41\x00\x41\x20" + asmHuge + "\xfc\x0a\x00\x00" + asmAgain}, gap: 64 << 10},
		{name: "memory.init", pages: 20, bodies: []string{asmLoop + "\x41\x00\x41\x00\x41\x80\x80\x20\xfc\x08\x00\x00" + asmAgain}, gap: 96 << 10},
		{name: "memory.grow", pages: 1, bodies: []string{asmLoop + "\x41\x01\x40\x00\x1a" + asmAgain}, gap: 64 << 10},
		{name: "table.fill", pages: 1, bodies: []string{asmLoop + "\x41\x00\xd2\x00\x41\x20\xfc\x11\x00" + asmAgain}},
		{name: "table.copy", pages: 1, bodies: []string{asmLoop + "\x41\x00\x41\x01\x41\x1f\xfc\x0e\x00\x00" + asmAgain}},
		{name: "table.init", pages: 1, bodies: []string{asmLoop + "\x41\x00\x41\x00\x41\x01\xfc\x0c\x01\x00" + asmAgain}},
		{name: "table.grow", pages: 1, bodies: []string{asmLoop + "\xd2\x00\x41\x01\xfc\x0f\x00\x1a" + asmAgain}, gap: 64 << 10},
	}
}

// labelList gives the labels 0 to n-1.
func labelList(n int) (list []string) {
	for i := range n {
		list = append(list, genU(uint64(i)))
	}
	return list
}

// TestWasmHostile runs code that is made to outlast its limits, and measures in units, not in time, how late each tick comes: units that ran since the tick before, beyond a slice.
func TestWasmHostile(t *testing.T) {
	if unraced(t) {
		return
	}
	for _, h := range hostiles() {
		for engine := range rigEngines {
			if engine == "interpreter" && h.stack > 0 {
				continue // its own 2,000 frames come first
			}
			t.Run(h.name+"/"+engine, func(t *testing.T) { runHostile(t, h, engine) })
		}
	}
}

func runHostile(t *testing.T, h hostile, engine string) {
	o := rigOptions
	o.Counted = true
	in, err := instrument(hostileModule(max(h.pages, 1), h.bodies...), o)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, engine)
	*r.meter = meter{slice: hostileSlice, limit: hostileLimit}
	g, err := r.start(in, "")
	if err != nil {
		t.Fatal(err)
	}
	if h.stack > 0 {
		g.depth.Set(h.stack)
	}
	var last, gap int64
	r.meter.seen = func() {
		now := int64(g.ExportedGlobal(wasm.ExportCount).Get())
		gap = max(gap, now-last-hostileSlice)
		last = now
	}
	_, err = g.ExportedFunction("run").Call(r.ctx, h.arg)
	want, most := h.ends, int64(hostileGap)
	if want == nil {
		want = errFuel
	}
	if h.gap > 0 {
		most = h.gap
	}
	if err == nil {
		err = errDone
	}
	if !errors.Is(err, want) {
		t.Errorf("ended by %v, not %v", trapLine(err), want)
	}
	if gap > most || r.meter.late > most {
		t.Errorf("%d units ran and %d were charged beyond a slice before a tick, at most %d may", gap, r.meter.late, most)
	}
	t.Logf("%d ticks, %d units; latest tick after %d units that ran, %d charged, beyond the slice", r.meter.ticks, g.spent(), gap, r.meter.late)
}
