package sandbox_test

import (
	"strings"
	"testing"
)

// recursions are functions that call themselves without end, made to have frames that are hard to guess. All are (i32) -> (i32), with 120 i32 and 16 v128 locals besides; global 0 counts calls.
func recursions() map[string]string {
	get := func(i int) string { return "\x20" + genU(uint64(i)) }
	set := func(i int) string { return "\x21" + genU(uint64(i)) }
	const self = "\x10\x00"
	repeat := func(n int, f func(i int) string) (out string) {
		for i := range n {
			out += f(i)
		}
		return out
	}
	load := func(i int) string { return "\x41\x00\x28\x02" + genU(uint64(4*i)) } // a value that cannot be computed again
	sum := func(n int) string { return strings.Repeat("\x6a", n) }
	vector := func(i int) string { return "\x41\x00\xfd\x00\x04" + genU(uint64(16*i)) }
	return map[string]string{
		"least":          get(0) + self,
		"two calls":      get(0) + self + get(0) + self + "\x6a",
		"results wait":   repeat(50, func(int) string { return get(0) + self }) + sum(49),
		"locals wait":    repeat(100, func(i int) string { return load(i) + set(1+i) }) + get(0) + self + repeat(100, func(i int) string { return get(1+i) + "\x6a" }),
		"operands wait":  repeat(100, load) + get(0) + self + sum(100),
		"one at a time":  repeat(100, func(i int) string { return load(i) + get(0) + self + "\x6a" + set(1) }) + get(1),
		"locals in turn": repeat(100, func(i int) string { return load(i) + set(1) + get(0) + self + get(1) + "\x6a" + set(2) }) + get(2),
		"pressure, one call": repeat(60, load) + repeat(60, func(i int) string { return set(1 + i) }) +
			repeat(60, func(i int) string { return get(1+i) + get(1+(i+30)%60) + "\x6c" + set(61+i) }) + repeat(60, func(i int) string { return get(61 + i) }) + sum(59) + self,
		"wide operands wait": repeat(100, func(i int) string { return "\x41\x00\x29\x03" + genU(uint64(8*i)) }) + get(0) + self + "\xac" + strings.Repeat("\x7c", 100) + "\xa7",
		"pressure, often": repeat(40, func(at int) string {
			return repeat(60, load) + repeat(60, func(i int) string { return set(1 + i) }) + repeat(60, func(i int) string { return get(60-i) + "\x41\x80\x01\x6c" }) + sum(59) + set(120)
		}) + get(120) + self,
		"branches": repeat(30, func(i int) string {
			return get(0) + "\x04\x40" + load(i) + set(1+i%10) + "\x05" + load(i+1) + set(1+i%10) + "\x0b"
		}) + get(0) + self + repeat(10, func(i int) string { return get(1+i) + "\x6a" }),
		"loops": repeat(20, func(i int) string {
			return load(i) + set(1+i) + "\x03\x40" + get(1+i) + "\x0d\x00\x0b"
		}) + get(0) + self + repeat(20, func(i int) string { return get(1+i) + "\x6a" }),
		"vectors wait": repeat(16, func(i int) string { return vector(i) + set(121+i) }) + get(0) + self +
			repeat(16, func(i int) string { return get(121+i) + "\xfd\x1b\x01\x6a" }),
	}
}

// recursionModule makes a module of one recursion: (func $0 (param i32) (result i32) count, body), with memory and a counter.
func recursionModule(body string) []byte {
	code := "\x02\x78\x7f\x10\x7b" + "\x23\x00\x41\x01\x6a\x24\x00" + body + "\x0b"
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x06\x01\x60\x01\x7f\x01\x7f" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x06\x06\x01\x7f\x01\x41\x00\x0b" + "\x07\x0b\x02\x03run\x00\x00\x01n\x03\x00" + "\x0a" + genSized("\x01"+genSized(code)))
}

// TestWasmDepthEstimate compares what a frame is charged with what wazero's compiled code takes, by counting how deep each recursion comes before wazero ends it. The bounds are
// those that depth.go and docs state.
func TestWasmDepthEstimate(t *testing.T) {
	if unraced(t) {
		return
	}
	for name, body := range recursions() {
		t.Run(name, func(t *testing.T) {
			in, err := instrument(recursionModule(body), rigOptions)
			if err != nil {
				t.Fatal(err)
			}
			plain := deepest(t, recursionModule(body))
			r := newRig(t, "compiler")
			g, err := r.start(in, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.ExportedFunction("run").Call(r.ctx, 1); err == nil || !strings.Contains(err.Error(), "stack overflow") {
				t.Fatal(err)
			}
			calls := int64(g.ExportedGlobal("n").Get())
			charged := (rigStack - int64(g.depth.Get())) / calls
			frame := frameOf(calls)
			ratio := float64(charged) / float64(frame)
			t.Logf("%6d bytes charged, %6d taken, %6d without the instrumenter: %.2f", charged, frame, frameOf(plain), ratio)
			if ratio < 1 || ratio > 5 {
				t.Errorf("a frame of %d bytes is charged %d", frame, charged)
			}
		})
	}
}

// deepest counts the calls of a recursion before wazero ends it.
func deepest(t *testing.T, code []byte) int64 {
	r := newRig(t, "compiler")
	mod, err := r.rt.Instantiate(r.ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mod.ExportedFunction("run").Call(r.ctx, 1); err == nil {
		t.Fatal("no end")
	}
	return int64(mod.ExportedGlobal("n").Get())
}

// frameOf gives the bytes of a frame of which so many fit on wazero's stack: that begins with 10,240 bytes, is doubled, with a frame added, and ends with the size that first exceeds 50,000,000.
func frameOf(calls int64) int64 {
	frame := int64(0)
	for range 10 {
		size := int64(10_240)
		for size <= 50_000_000 {
			size = 2*size + frame + 16
		}
		frame = size / calls
	}
	return frame
}
