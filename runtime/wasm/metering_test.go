package wasm

import (
	"slices"
	"strings"
	"testing"
)

// codeOf gives the function bodies of a module, each without its size.
func codeOf(t *testing.T, code []byte) (bodies []string) {
	t.Helper()
	section := sectionOf(t, code, sectionCode)
	r := reader{code: section}
	for range r.u32() {
		bodies = append(bodies, string(r.take(int(r.u32()))))
	}
	if r.err != nil || r.left() > 0 {
		t.Fatal("not a code section", r.err)
	}
	return bodies
}

// sectionOf gives the content of a section, or nil.
func sectionOf(t *testing.T, code []byte, want byte) []byte {
	t.Helper()
	r := reader{code: code, at: headerSize}
	for r.left() > 0 {
		id := r.byte()
		if content := r.take(int(r.u32())); id == want {
			return content
		}
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return nil
}

func metered(t *testing.T, code []byte, o Options) *Instrumented {
	t.Helper()
	m, err := Read(code, anyImport)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Instrument(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Pieces of the code that metering adds to the module of withBody: global 2 is the fuel, 3 the depth, 4 says that a table did not grow; function 3 calls tick.
const (
	asmLow   = "\x42\x00\x59\x04\x40\x05\x10\x03\x0b" // i64.const 0, i64.ge_s, if, else, call 3, end
	asmCheck = "\x23\x02" + asmLow                    // global.get 2, is it below zero
	asmBoth  = "\x23\x02\x23\x03\x84" + asmLow        // global.get 2, global.get 3, i64.or, is it below zero
)

// Pieces for functions with loops, where local 1 holds the fuel, too.
const (
	asmHold  = "\x23\x02\x21\x01"                                        // global.get 2, local.set 1
	asmOpen  = "\x02\x40\x03\x40\x02\x40\x03\x40"                        // block, loop, block, and the loop itself
	asmClose = "\x0b\x0c\x02\x0b\x10\x03" + asmHold + "\x0c\x00\x0b\x0b" // end, br 2, end, call 3, read the fuel, br 0, end, end
)

// asmTakeHeld is: take n, below 64, off the fuel.
func asmTakeHeld(n string) string { return "\x20\x01\x42" + n + "\x7d\x22\x01\x24\x02" }

// asmTake is: take n, below 64, off global g.
func asmTake(g, n string) string {
	return "\x23" + g + "\x42" + n + "\x7d\x24" + g // global.get g, i64.const n, i64.sub, global.set g
}

// TestMeteredBody: what becomes of the body of function 1, (i32) -> (i32), which is function 2 behind tick.
func TestMeteredBody(t *testing.T) {
	const fuel, depth = "\x02", "\x03"
	for _, row := range []struct{ name, code, want string }{
		{"a small leaf is left alone", "\x20\x00\x0b", "\x00\x20\x00\x0b"},
		{
			"a recursion pays for its frame of 80 bytes, and has one exit",
			"\x20\x00\x04\x40\x41\x05\x0f\x0b\x20\x00\x10\x01\x0b", // local.get 0, if, i32.const 5, return, end, local.get 0, call 1
			"\x00" + asmTake(fuel, "\x08") + asmTake(depth, "\xd0\x00") + asmBoth + "\x02\x7f" + // block (result i32)
				"\x20\x00\x04\x40\x41\x05\x0c\x01\x0b\x20\x00\x10\x02\x0b" + // br 1 for return, call 2
				"\x23\x03\x42\xd0\x00\x7c\x24\x03\x0b", // global 3 plus 80
		},
		{
			"a conditional way back pays for its turn where it is taken",
			"\x03\x40\x20\x00\x0d\x00\x0b\x41\x00\x0b", // loop, local.get 0, br_if 0, end, i32.const 0
			"\x01\x01\x7e\x23\x02\x42\x06\x7d\x22\x01\x24\x02" + asmOpen + "\x20\x00\x04\x40" + asmTakeHeld("\x02") +
				"\x20\x01\x42\x00\x53\x0d\x02\x0c\x01\x0b" + asmClose + "\x41\x00\x0b", // local.get 1, is it below zero, br_if 2, br 1, end
		},
		{
			"so does a br_table that has one",
			"\x03\x40\x20\x00\x20\x00\x0e\x01\x00\x01\x0b\x41\x00\x0b",
			"\x01\x01\x7e" + asmHold + asmOpen + "\x20\x00\x20\x00" + asmTakeHeld("\x04") +
				"\x20\x01\x42\x00\x59\x04\x40\x05\x10\x03" + asmHold + "\x0b\x0e\x01\x00\x04" + asmClose + "\x41\x00\x0b",
		},
		{
			"what others charge in a loop is read again, and a call that looks at the fuel is enough",
			"\x03\x40\x20\x00\x10\x01\x0d\x00\x0b\x41\x00\x0b", // loop, local.get 0, call 1, br_if 0, end, i32.const 0
			"\x01\x01\x7e\x23\x02\x42\x0a\x7d\x22\x01\x24\x02" + asmTake(depth, "\xd8\x00") + "\x23\x02\x23\x03\x84\x42\x00\x59\x04\x40\x05\x10\x03" + asmHold + "\x0b\x02\x7f" +
				asmOpen + "\x20\x00\x10\x02\x04\x40\x23\x02\x42\x06\x7d\x22\x01\x24\x02\x0c\x01\x0b" + asmClose + "\x41\x00\x0b\x23\x03\x42\xd8\x00\x7c\x24\x03\x0b",
		},
		{
			"a jump that leads ahead is a branch to there, and one that leads back pays for a turn",
			// loop, block, block, local.get 0, br_table 0 1, end, local.get 0, if, {i32.const 1, local.set 0, br 2}, end, end, local.get 0, if, {i32.const 0, local.set 0, br 1}, end, end, i32.const 0
			"\x03\x40\x02\x40\x02\x40\x20\x00\x0e\x01\x00\x01\x0b\x20\x00\x04\x40\x41\x01\x21\x00\x0c\x02\x0b\x0b\x20\x00\x04\x40\x41\x00\x21\x00\x0c\x01\x0b\x0b\x41\x00\x0b",
			"\x00" + asmTake(fuel, "\x0d") + asmOpen + "\x02\x40\x02\x40\x20\x00\x0e\x01\x00\x01\x0b\x20\x00\x04\x40\x41\x01\x21\x00\x0c\x01\x0b\x0b" +
				"\x20\x00\x04\x40\x41\x00\x21\x00" + asmTake(fuel, "\x0c") + "\x23\x02\x42\x00\x53\x0d\x02\x0c\x01\x0b" +
				"\x0b\x0c\x02\x0b\x10\x03\x0c\x00\x0b\x0b\x41\x00\x0b",
		},
		{
			"table.grow is charged by what it adds and what was there, or noted as denied",
			"\xd2\x01\x20\x00\xfc\x0f\x00\x0b", // ref.func 1, local.get 0, table.grow 0
			"\x01\x02\x7f" + asmTake(fuel, "\x07") + "\xd2\x02\x20\x00\x22\x01" + // local.tee 1
				"\x41\x7f\x23\x05\x20\x01\xad\x59\x1b\xfc\x0f\x00\x22\x02" + // or -1, unless global 5 >= local 1; table.grow, local.tee 2
				"\x41\x7f\x46\x04\x40\x41\x01\x24\x04\x05" + // i32.const -1, i32.eq, if, global 4 = 1, else
				"\x23\x05\x20\x01\xad\x7d\x24\x05" + // global 5 -= local 1
				"\x23\x02\x20\x01\xad\x7d\x20\x02\xad\x7d\x24\x02\x0b" + asmTake(fuel, "\x80\x04") + asmCheck + "\x20\x02\x0b",
		},
		{
			"table.fill is charged by its length",
			"\x20\x00\xd2\x01\x20\x00\xfc\x11\x00\x41\x00\x0b",
			"\x01\x01\x7f" + asmTake(fuel, "\x09") + "\x20\x00\xd2\x02\x20\x00\x22\x01" + "\x23\x02\x20\x01\xad\x7d\x24\x02" + "\xfc\x11\x00" + asmCheck + "\x41\x00\x0b",
		},
		{
			"memory.fill is a call of the helper behind the one that ticks",
			"\x20\x00\x41\x00\x41\x09\xfc\x0b\x00\x41\x00\x0b",
			"\x00" + asmTake(fuel, "\x09") + "\x20\x00\x41\x00\x41\x09\x10\x04\x41\x00\x0b",
		},
		{
			"code that cannot run is kept, so that it is still judged",
			"\x00\x20\x00\xfc\x0b\x00\x0b", // unreachable, local.get 0, memory.fill
			"\x00\x00\x20\x00\xfc\x0b\x00\x0b",
		},
	} {
		if got := codeOf(t, metered(t, withBody(noLocals, row.code), roomy).Code)[0]; got != row.want {
			t.Errorf("%s:\n got %x\nwant %x", row.name, got, row.want)
		}
		unmetered := roomy
		unmetered.Unmetered = true
		if bodies := codeOf(t, metered(t, withBody(noLocals, row.code), unmetered).Code); strings.Contains(bodies[0], "\x23\x02") || len(bodies) != 1 {
			t.Errorf("%s: metered though it should not be: %x", row.name, bodies)
		}
	}
}

// TestMeteredCalls: who calls a small function owes what it costs; who calls another only the call.
func TestMeteredCalls(t *testing.T) {
	straight := strings.Repeat("\x20\x00\x1a", 20) // local.get 0, drop: 40 units
	for _, row := range []struct {
		name, callee string
		fuel         byte
	}{
		{"small", straight, 1 + 4 + 42 + 1},
		{"long", straight + straight, 1 + 4 + 1},
		{"with a loop", "\x03\x40\x0b", 1 + 4 + 1},
	} {
		code := assemble(section(1, "\x01\x60\x01\x7f\x01\x7f"), section(3, "\x02\x00\x00"),
			section(10, vector(sized(noLocals+"\x20\x00\x10\x01\x0b"), sized(noLocals+row.callee+"\x20\x00\x0b"))))
		caller := codeOf(t, metered(t, code, roomy).Code)[0]
		if row.name == "small" { // the caller is small too, and its callers owe for both
			if want := "\x00\x20\x00\x10\x02\x0b"; caller != want {
				t.Errorf("%s: got %x, want %x", row.name, caller, want)
			}
			continue
		}
		if want := "\x00\x23\x00\x42" + string(row.fuel) + "\x7d\x24\x00"; !strings.HasPrefix(caller, want) {
			t.Errorf("%s: got %x, want it to begin with %x", row.name, caller, want)
		}
	}
}

// TestMeteredHostInLoop: a small function that calls the host, which charges by itself, leaves the local that holds the fuel behind; another one does not.
func TestMeteredHostInLoop(t *testing.T) {
	for callee, read := range map[string]string{"\x20\x00\x10\x00\x0b": "\x23\x00", "\x20\x00\x0b": "\x20\x01"} { // global.get 0, local.get 1
		code := assemble(section(1, "\x01\x60\x01\x7f\x01\x7f"), section(2, vector(sized("m")+sized("f")+"\x00\x00")), section(3, "\x02\x00\x00"),
			section(10, vector(sized(noLocals+callee), sized(noLocals+"\x03\x40\x20\x00\x10\x01\x0d\x00\x0b\x20\x00\x0b"))))
		caller := codeOf(t, metered(t, code, roomy).Code)[1]
		if want := "\x20\x00\x10\x02\x04\x40" + read + "\x42"; !strings.Contains(caller, want) { // local.get 0, call 2, if, the fuel, i64.const
			t.Errorf("%x: got %x, want %x in it", callee, caller, want)
		}
	}
}

// TestInstrumentClamps: what memory and tables may grow to, and what starts beyond it.
func TestInstrumentClamps(t *testing.T) {
	code := withBody(noLocals, "\x20\x00\x0b")
	out := metered(t, code, Options{MemoryPagesMax: 7, TableElementsMax: 3}).Code
	if got, want := string(sectionOf(t, out, sectionTable)), "\x02\x70\x01\x01\x03\x6f\x01\x00\x03"; got != want {
		t.Errorf("tables %x, want %x", got, want)
	}
	if got, want := string(sectionOf(t, out, sectionMemory)), "\x01\x01\x01\x07"; got != want {
		t.Errorf("memory %x, want %x", got, want)
	}
	out = metered(t, code, Options{MemoryPagesMax: 1 << 16, TableElementsMax: 1 << 20}).Code
	if got, want := string(sectionOf(t, out, sectionMemory)), "\x01\x01\x01\xff\xff\x03"; got != want { // 65535: wazero takes 4 GiB for none
		t.Errorf("memory %x, want %x", got, want)
	}
	for o, want := range map[Options]string{
		{MemoryPagesMax: 7, TableElementsMax: 3, SparePage: true}:       "\x01\x01\x01\x08",
		{MemoryPagesMax: 1 << 16, TableElementsMax: 3, SparePage: true}: "\x01\x01\x01\xff\xff\x03",
	} {
		if got := string(sectionOf(t, metered(t, code, o).Code, sectionMemory)); got != want {
			t.Errorf("%+v: memory %x, want %x", o, got, want)
		}
	}
	m, err := Read(code, anyImport)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{MemoryPagesMax: 0, TableElementsMax: 9}, {MemoryPagesMax: 9, TableElementsMax: 0}} {
		if _, err := m.Instrument(o); err == nil || err.(*Error).Code != codeShape {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestInstrumentLifts: active data, the start function and mutable globals are handed to the host; custom sections are gone.
func TestInstrumentLifts(t *testing.T) {
	code := assemble(section(0, sized("producers"), "x"), section(1, "\x01\x60\x00\x00"), section(3, "\x01\x00"), section(5, "\x01\x00\x01"),
		section(6, vector("\x7f\x01\x41\x00\x0b", "\x7e\x00\x42\x00\x0b", "\x7c\x01\x44\x00\x00\x00\x00\x00\x00\x00\x00\x0b", "\x70\x01\xd0\x70\x0b")), section(8, "\x00"),
		section(12, "\x03"), section(10, vector(sized(noLocals+"\x41\x00\x41\x00\x41\x00\xfc\x08\x00\x00\xfc\x09\x00\x0b"))), // memory.init 0, data.drop 0
		section(11, vector("\x00\x41\x08\x0b\x02ab", "\x01\x03cde", "\x00\x41\x7f\x0b\x01f")))
	out := metered(t, code, roomy)
	if len(out.Data) != 2 || out.Data[0].Offset != 8 || string(out.Data[0].Bytes) != "ab" || out.Data[1].Offset != 1<<32-1 || string(out.Data[1].Bytes) != "f" {
		t.Errorf("data %+v", out.Data)
	}
	if got, want := string(sectionOf(t, out.Code, sectionData)), "\x03\x01\x00\x01\x03cde\x01\x00"; got != want {
		t.Errorf("data section %x, want %x", got, want)
	}
	if want := []SavedGlobal{{"caisson:g0", I32}, {"caisson:g2", F64}}; !slices.Equal(out.Globals, want) {
		t.Errorf("globals %v, want %v", out.Globals, want)
	}
	if out.Start != exportStart || sectionOf(t, out.Code, sectionStart) != nil || sectionOf(t, out.Code, sectionCustom) != nil {
		t.Errorf("start %q, or a section that should be gone", out.Start)
	}
	if !out.Resettable { // it drops only what is dropped, and its funcref global is never written
		t.Errorf("kept: %v", out.Kept)
	}
}

// TestInstrumentKept: what a run can leave changed, besides memory and globals.
func TestInstrumentKept(t *testing.T) {
	for code, want := range map[string]string{
		"\x41\x00\xd2\x01\x26\x00\x20\x00\x0b":                 "table.set in function 1",
		"\xfc\x09\x00\x20\x00\x0b":                             "data.drop in function 1",
		"\xfc\x0d\x00\x20\x00\x0b":                             "elem.drop in function 1",
		"\x00\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x00\x00\x0b": "table.copy in function 1", // also where it cannot run
	} {
		out := metered(t, withBody(noLocals, code), roomy)
		if out.Resettable || len(out.Kept) != 1 || out.Kept[0] != want {
			t.Errorf("%x: resettable %v, kept %q, want %q", code, out.Resettable, out.Kept, want)
		}
	}
}

// TestCallGraph: chains as long as a module can make them, and a ring of them, are judged without recursion of our own.
func TestCallGraph(t *testing.T) {
	const n = 100_000
	for _, ring := range []bool{false, true} {
		var bodies strings.Builder
		for i := range n {
			next := i + 1
			if next == n && ring {
				next = 0
			}
			body := noLocals + "\x10" + number(next) + "\x0b"
			if next == n {
				body = noLocals + "\x0b"
			}
			bodies.WriteString(sized(body))
		}
		code := assemble(section(1, "\x01\x60\x00\x00"), section(3, number(n), strings.Repeat("\x00", n)), section(10, number(n), bodies.String()))
		m, err := Read(code, anyImport)
		if err != nil {
			t.Fatal(err)
		}
		p, err := m.plan(roomy)
		if err != nil {
			t.Fatal(err)
		}
		charged := 0
		for i := range p.funcs {
			if p.funcs[i].stack > 0 {
				charged++
			}
		}
		// In the chain, frames of 64 bytes are charged together, each time that chainMax is passed.
		if want := map[bool]int{false: n / (chainMax/64 + 1), true: n}[ring]; charged != want {
			t.Errorf("ring %v: %d of %d functions are charged for their stack, want %d", ring, charged, n, want)
		}
	}
}
