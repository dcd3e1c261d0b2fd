package wasm

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// everything is a body with each kind of immediate once; the operands are of no matter to the gate.
const everything = "\x02\x40\x03\x7f\x04\x02\x05\x0b\x0b\x0b" + // block, loop, if of a type, else
	"\x0c\x00\x0d\x00\x0e\x02\x00\x00\x00\x0f\x10\x00\x11\x01\x00" + // branches, calls
	"\x1a\x1b\x1c\x01\x70\x20\x00\x21\x01\x22\x02\x23\x00\x24\x00\x25\x00\x26\x01" + // select, locals, globals, tables
	"\x28\x02\x80\x01\x37\x03\xff\xff\xff\xff\x0f\x3f\x00\x40\x00" + // memory
	"\x41\x7f\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x43\x00\x00\xc0\x7f\x44\x00\x00\x00\x00\x00\x00\xf8\xff" + // constants
	"\xd0\x6f\xd1\xd2\x01\xc4" +
	"\xfc\x07\xfc\x08\x00\x00\xfc\x09\x00\xfc\x0a\x00\x00\xfc\x0b\x00\xfc\x0c\x00\x00\xfc\x0d\x00\xfc\x0e\x00\x01\xfc\x0f\x01\xfc\x10\x00\xfc\x11\x00" +
	"\xfd\x00\x04\x00\xfd\x0c0123456789abcdef\xfd\x0d\x00\x01\x02\x03\x04\x05\x06\x07\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\xfd\x15\x0f\xfd\x57\x03\x10\x01\xfd\xff\x01" +
	"\x0b"

// smallBy makes a module with every section, each kind of segment, and every kind of immediate.
func smallBy(before, after, data string) []byte {
	return assemble(before, section(1, asmTypes), section(2, asmImports), section(3, "\x02\x01\x00"), section(4, asmTables), section(5, asmMemory),
		section(6, "\x05\x7f\x01\x41\x00\x0b\x7e\x00\x42\x7f\x0b\x7b\x00\xfd\x0c0123456789abcdef\x0b\x70\x01\xd2\x01\x0b\x6f\x00\xd0\x6f\x0b"),
		section(7, "\x04\x03run\x00\x01\x01m\x02\x00\x01t\x01\x01\x01g\x03\x04"), section(8, "\x02"),
		section(9, "\x08\x00\x41\x00\x0b\x01\x01\x01\x00\x01\x00\x02\x00\x41\x00\x0b\x00\x01\x01\x03\x00\x01\x02",
			"\x04\x41\x00\x0b\x01\xd2\x01\x0b\x05\x6f\x01\xd0\x6f\x0b\x06\x01\x41\x00\x0b\x6f\x01\xd0\x6f\x0b\x07\x70\x00"),
		section(12, "\x03"),
		section(10, vector(sized("\x02\x01\x7e\x03\x6f"+everything), sized("\x00\x0b"))),
		section(11, data), after)
}

var (
	smallNames = section(0, sized("name"), "\x01\x04\x01\x01\x01f")
	small      = smallBy(section(0, sized("producers"), "x"), smallNames, "\x03\x00\x41\x10\x0b\x02hi\x01\x01x\x02\x00\x41\x7f\x0b\x00")
)

func TestFacts(t *testing.T) {
	m, err := Read(small, anyImport)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.Size == len(small), m.Types, m.Imports, m.Functions, m.Tables, *m.Memory, m.Globals, m.Exports, m.Elements, m.DataSegments, m.Customs)
	want := "true 3 [{env f () -> ()}] 2 [{funcref 1 0 false} {externref 0 5 true}] {1 0 false} 5 [{run function 1} {m memory 0} {t table 1} {g global 4}] 8 3 2"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if f, ok := m.ExportedFunc("run"); !ok || f.String() != "(i32) -> (i32)" {
		t.Error(f, ok)
	}
	if _, ok := m.ExportedFunc("m"); ok {
		t.Error("a memory is an exported function")
	}
	if name := m.Names().Func(1); name != "f" {
		t.Errorf("function 1 is %q", name)
	}
	for i, c := range m.changes {
		if !c.found || c.function != 1 {
			t.Errorf("%s: %+v", changingOps[i].name, c)
		}
	}
}

// TestRewrite: what is read and written anew is read as the same, which is then its own canonical form.
func TestRewrite(t *testing.T) {
	checkRewrite(t, small)
	specModules(t, func(c specCommand, code []byte) {
		if _, err := Read(code, anyImport); err == nil {
			checkRewrite(t, code)
		}
	})
	checkRewrite(t, goGuest(t, "reactor"))
}

func checkRewrite(t *testing.T, code []byte) {
	t.Helper()
	m, err := Read(code, anyImport)
	if err != nil {
		t.Fatal(err)
	}
	once := rewrite(m)
	m, err = Read(once, anyImport)
	if err != nil {
		t.Fatalf("%v\n%x\nbecame %x", err, code[:min(len(code), 1000)], once[:min(len(once), 1000)])
	}
	if twice := rewrite(m); string(twice) != string(once) {
		t.Errorf("%x becomes %x", once, twice)
	}
}

// TestCanonical: small loses its custom sections and the number of its one memory, and nothing else.
func TestCanonical(t *testing.T) {
	m, err := Read(small, anyImport)
	if err != nil {
		t.Fatal(err)
	}
	want := smallBy("", "", "\x03\x00\x41\x10\x0b\x02hi\x01\x01x\x00\x41\x7f\x0b\x00")
	if got := rewrite(m); string(got) != string(want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestLongNumbers: numbers spelled longer than they need are read, and written short.
func TestLongNumbers(t *testing.T) {
	m, err := Read(withBody("\x80\x00", "\x20\x80\x80\x80\x80\x00\x41\xff\xff\xff\xff\x7f\x42\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x02\x81\x00\x0b\xfd\xcc\x80\x80\x00\x0b"), anyImport)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(rewrite(m)), string(withBody("\x00", "\x20\x00\x41\x7f\x42\x7f\x02\x01\x0b\xfd\x4c\x0b")); got != want {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestSigned walks the edges of signed numbers.
func TestSigned(t *testing.T) {
	rows := []struct {
		bits int
		code string
		want int64
		ok   bool
	}{
		{32, "\x3f", 63, true}, {32, "\x40", -64, true}, {32, "\xbf\x7f", -65, true}, {32, "\xc0\x00", 64, true},
		{32, "\xff\xff\xff\xff\x07", 1<<31 - 1, true}, {32, "\x80\x80\x80\x80\x78", -1 << 31, true},
		{32, "\xff\xff\xff\xff\x0f", 0, false}, {32, "\x80\x80\x80\x80\x70", 0, false}, {32, "\x80\x80\x80\x80\x80\x00", 0, false},
		{33, "\xff\xff\xff\xff\x0f", 1<<32 - 1, true}, {33, "\x80\x80\x80\x80\x70", -1 << 32, true}, {33, "\xff\xff\xff\xff\x1f", 0, false},
		{64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 1<<63 - 1, true}, {64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", -1 << 63, true},
		{64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 0, false}, {64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 0, false},
	}
	for _, row := range rows {
		r := reader{code: []byte(row.code)}
		got := r.signed(row.bits)
		if ok := r.err == nil; ok != row.ok || got != row.want {
			t.Errorf("%d bits of %x are %d, %v", row.bits, row.code, got, r.err)
		}
		if row.ok {
			r = reader{code: appendSigned(nil, row.want)}
			if again := r.signed(row.bits); again != row.want || r.left() != 0 {
				t.Errorf("%d is written as %x", row.want, r.code)
			}
		}
	}
}

// TestTruncated: no beginning of a module is a module, unless it ends between sections that need nothing after them.
func TestTruncated(t *testing.T) {
	for i := range small {
		m, err := Read(small[:i:i], anyImport)
		var e *Error
		switch {
		case err == nil && m.Functions > 0 && i < len(small)-len(smallNames):
			t.Errorf("the first %d bytes are read", i)
		case err != nil && (!errors.As(err, &e) || e.Offset > i):
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
}

// TestFlipped: with any one bit or byte changed, the module is refused with an offset inside it, or is one that can be written anew.
func TestFlipped(t *testing.T) {
	for i := range small {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			code := slices.Clone(small)
			code[i] ^= flip
			_, err := Read(code, anyImport)
			var e *Error
			if err == nil {
				checkRewrite(t, code)
			} else if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(code) || e.Reason == "" {
				t.Errorf("byte %d by %#x: %v", i, flip, err)
			}
		}
	}
}

func TestRules(t *testing.T) {
	no := errors.New("sandbox: no such function")
	var asked []string
	_, err := Read(small, Rules{Import: func(module, name string, f FuncType) error {
		asked = append(asked, module+"."+name+f.String())
		return no
	}})
	var e *Error
	if !errors.Is(err, no) || !errors.As(err, &e) || e.Code != "module.import" || e.Section != "import" {
		t.Error(err)
	}
	if !slices.Equal(asked, []string{"env.f() -> ()"}) {
		t.Error(asked)
	}
	_, err = Read(small, Rules{})
	if want := `wasm: import section at 0x28: imports "f" of "env", but nothing may be imported`; err == nil || err.Error() != want {
		t.Error(err)
	}
}

// repeat makes a module with one section of n entries.
func repeat(n int, id byte, entry func(i int) string) []byte {
	var entries strings.Builder
	for i := range n {
		entries.WriteString(entry(i))
	}
	prefix := ""
	if id == 7 || id == 11 {
		prefix = section(5, asmMemory)
	}
	return assemble(prefix, section(id, number(n), entries.String()))
}

// costly makes, of n parts each, modules that cost the most for their size.
var costly = []struct {
	name string
	n    int // the most
	code func(n int) []byte
}{
	{"types", typesMax, func(n int) []byte { return repeat(n, 1, func(int) string { return "\x60\x00\x00" }) }},
	{"one type", 500, func(n int) []byte {
		return repeat(n, 1, func(int) string { return "\x60" + sized(strings.Repeat("\x7f", paramsMax)) + "\x00" })
	}},
	{"globals", globalsMax, func(n int) []byte { return repeat(n, 6, func(int) string { return "\x7f\x01\x41\x00\x0b" }) }},
	{"exports", exportsMax, func(n int) []byte {
		return repeat(n, 7, func(i int) string { return sized(string(rune(0x80+i))) + "\x02\x00" })
	}},
	{"exports of long names", 1000, func(n int) []byte {
		return repeat(n, 7, func(i int) string { return sized(fmt.Sprintf("%0*d", nameSizeMax, i)) + "\x02\x00" })
	}},
	{"imports", importsMax, func(n int) []byte {
		return assemble(section(1, "\x01\x60\x00\x00"), section(2, number(n), strings.Repeat("\x00\x00\x00\x00", n)))
	}},
	{"functions", functionsMax, func(n int) []byte {
		return assemble(section(1, "\x01\x60\x00\x00"), section(3, number(n), strings.Repeat("\x00", n)),
			section(10, number(n), strings.Repeat("\x02\x00\x0b", n)))
	}},
	{"functions without bodies", functionsMax, func(n int) []byte {
		return assemble(section(1, "\x01\x60\x00\x00"), section(3, number(n), strings.Repeat("\x00", n)))
	}},
	{"element segments", segmentsMax, func(n int) []byte { return repeat(n, 9, func(int) string { return "\x01\x00\x00" }) }},
	{"elements", segmentElementsMax, func(n int) []byte {
		return assemble(section(9, "\x01\x05\x70", number(n), strings.Repeat("\xd0\x70\x0b", n)))
	}},
	{"data segments", segmentsMax, func(n int) []byte { return repeat(n, 11, func(int) string { return "\x01\x00" }) }},
	{"custom sections", 200_000, func(n int) []byte { return assemble(strings.Repeat(section(0, sized("name")), n)) }},
	{"blocks", blocksMax, func(n int) []byte {
		return withBody(noLocals, strings.Repeat("\x02\x40", n)+strings.Repeat("\x0b", n+1))
	}},
	{"labels", labelsMax, func(n int) []byte {
		code := ""
		for i := 1; i < n; i *= 2 {
			code += "\x0e" + number(i) + strings.Repeat("\x00", i+1)
		}
		return withBody(noLocals, code+"\x0b")
	}},
	{"label lists that grow", 1000, func(n int) []byte {
		var code strings.Builder
		for i := range n {
			code.WriteString("\x0e" + number(i) + strings.Repeat("\x00", i+1))
		}
		return withBody(noLocals, code.String()+"\x0b")
	}},
	{"instructions", 1 << 20, func(n int) []byte { return withBody(noLocals, strings.Repeat("\x20\x00", n)+"\x0b") }},
	{"local groups", localGroupsMax, func(n int) []byte { return withBody(number(n)+strings.Repeat("\x00\x7f", n), "\x0b") }},
}

// readMemoryMax is what Read may allocate in all for a module of that size. The quarter of a MiB covers what stands for small counts.
func readMemoryMax(size int) uint64 { return uint64(4*size) + 256<<10 }

// allocated gives the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMemory(t *testing.T) {
	check := func(name string, code []byte) {
		var err error
		got := allocated(func() { _, err = Read(code, anyImport) })
		if got > readMemoryMax(len(code)) {
			t.Errorf("%s: %d bytes for a module of %d (%v)", name, got, len(code), err)
		}
	}
	for _, c := range costly {
		code := c.code(c.n)
		if _, err := Read(code, anyImport); err != nil && c.name != "functions without bodies" {
			t.Errorf("%s: %v", c.name, err)
		}
		check(c.name, code)
		check(c.name+", cut", code[:len(code)-1])
	}
	for _, row := range hostile() {
		check(row.name, row.code)
	}
	check("reactor", goGuest(t, "reactor"))
}

// TestLinear: a byte of a long module takes about as long as one of a short module, and by no means five times. The shortest time of several is
// taken, since others use this machine too.
func TestLinear(t *testing.T) {
	perByte := func(code []byte) float64 {
		least := time.Hour
		for range 5 {
			start := time.Now()
			_, _ = Read(code, anyImport)
			least = min(least, time.Since(start))
		}
		return float64(least) / float64(len(code))
	}
	for _, c := range costly {
		short, long := perByte(c.code(c.n/8)), perByte(c.code(c.n))
		if long > 5*short {
			t.Errorf("%s: %.2f ns a byte, %.2f when short", c.name, long, short)
		}
	}
}

// FuzzRead: whatever the bytes, Read does not panic, stays within its memory, and what it accepts has a canonical form that reads the same.
func FuzzRead(f *testing.F) {
	f.Add(small)
	for _, row := range hostile() {
		if len(row.code) < 1000 {
			f.Add(row.code)
		}
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		var m *Module
		var err error
		const noise = 1 << 20 // of the fuzzer's own goroutines
		if got := allocated(func() { m, err = Read(code, anyImport) }); got > readMemoryMax(len(code))+noise {
			t.Errorf("%d bytes for a module of %d", got, len(code))
		}
		if err == nil {
			m.Names()
			checkRewrite(t, code)
		} else if e := (*Error)(nil); !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(code) {
			t.Error(err)
		}
	})
}
