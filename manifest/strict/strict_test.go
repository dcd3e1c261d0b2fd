package strict_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
)

// file is shaped like our own: scalars, sections, arrays of tables, maps and units.
type file struct {
	Task   string `toml:"task"`
	Limits struct {
		Memory strict.Size     `toml:"memory"`
		Wall   strict.Duration `toml:"wall"`
		Calls  int64           `toml:"calls"`
		Small  int8            `toml:"small"`
		Count  uint16          `toml:"count"`
		Rate   float64         `toml:"rate"`
		On     bool            `toml:"on"`
		Most   *int            `toml:"most"`
	} `toml:"limits"`
	Needs struct {
		Caps []string `toml:"caps"`
	} `toml:"needs"`
	Principals []struct {
		Name string `toml:"name"`
		keyed
	} `toml:"principal"`
	Tenants map[string]struct {
		Quota strict.Size `toml:"quota"`
	} `toml:"tenant"`
	Untagged string // is not filled: "Untagged" is an unknown key
}

// keyed is embedded: its keys are those of what it stands in.
type keyed struct {
	Keys []string `toml:"keys"`
}

func TestDecodeGood(t *testing.T) {
	text := `
task = "a.b"
needs.caps = ["log", 'clock fine'] # comment
[limits]
memory = "64MiB"
wall = "5s"
calls = 1_000
small = -16
count = 0o17
rate = 2
on = true
most = 3
[[principal]]
name = "x"
keys = [
  "k1",
  # between
  "k2",
]
[[principal]]
name = """y"""
[tenant.acme]
quota = "10B"
[tenant."a.b"]
quota = "1KiB"
`
	var v file
	f, err := strict.Decode("t.toml", []byte(text), &v)
	if err != nil || !f.Complete() {
		t.Fatalf("Decode: %v, complete %v", err, f.Complete())
	}
	l := v.Limits
	if v.Task != "a.b" || l.Memory != 64<<20 || time.Duration(l.Wall) != 5*time.Second || l.Calls != 1000 || l.Small != -16 ||
		l.Count != 15 || l.Rate != 2 || !l.On || l.Most == nil || *l.Most != 3 {
		t.Errorf("wrong values: %+v", v)
	}
	if len(v.Needs.Caps) != 2 || v.Needs.Caps[1] != "clock fine" || len(v.Principals) != 2 || v.Principals[0].Keys[1] != "k2" || v.Principals[1].Name != "y" {
		t.Errorf("wrong lists: %+v", v)
	}
	if len(v.Tenants) != 2 || v.Tenants["a.b"].Quota != 1024 {
		t.Errorf("wrong map: %+v", v.Tenants)
	}
	for _, c := range []struct {
		key          string
		line, column int
	}{
		{"task", 2, 1}, {"limits", 4, 2}, {"limits.wall", 6, 1}, {"limits.absent", 4, 2}, {"needs.caps", 3, 7},
		{"needs.caps[1]", 3, 22}, {"needs.caps[7]", 3, 7}, {"principal[0].keys[1]", 18, 3}, {"principal[1].name", 21, 1},
		{"principal[1].keys", 20, 3}, {`tenant."a.b"`, 24, 9}, {`tenant."a.b".quota`, 25, 1}, {`tenant."a.b"."x.y"`, 24, 9},
		{"nothing.at.all", 1, 1}, {"", 1, 1}, {"]", 1, 1}, {`"`, 1, 1},
	} {
		if line, column := f.At(c.key); line != c.line || column != c.column {
			t.Errorf("At(%q) = %d:%d, want %d:%d", c.key, line, column, c.line, c.column)
		}
	}
	if !f.Has("limits.wall") || f.Has("limits.absent") || !f.Has("principal[1]") {
		t.Error("Has is wrong")
	}
}

// Every fault of a file comes at once, sorted by position.
func TestDecodeFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown keys", "tsk = 'a'\nUntagged = ''\n[limits]\nMemory = '1B'\nmemroy = '1B'\n[limts]\n[limits.deep]\nx = 1", `
t:1:1: tsk: unknown key; task is meant?
t:2:1: Untagged: unknown key
t:4:1: limits.Memory: unknown key; memory is meant?
t:5:1: limits.memroy: unknown key; memory is meant?
t:6:2: limts: unknown key; limits is meant?
t:7:9: limits.deep: unknown key`},
		{"letters of other alphabets", "t\u0430sk = 'a'", "\nt:1:2: U+0430 '\u0430' cannot stand here, whatever it looks like: outside of quotes and comments a file is plain ASCII"},
		{"wide letters", "\uff54ask = 'a'", "\nt:1:1: U+FF54 '\uff54' cannot stand here, whatever it looks like: outside of quotes and comments a file is plain ASCII"},
		{"wrong types", "task = 1\nlimits = [1]\nneeds = {caps = [1, 'log', [], {}, 1979-05-27, 1.5, true]}\nprincipal = 'x'\ntenant = [ ]", `
t:1:1: task: want a string, not an integer
t:2:1: limits: want a table, not an array
t:3:10: needs.caps[2]: want a string, not an array
t:3:18: needs.caps[0]: want a string, not an integer
t:3:32: needs.caps[3]: want a string, not a table
t:3:36: needs.caps[4]: want a string, not a date or time
t:3:48: needs.caps[5]: want a string, not a number with a fraction
t:3:53: needs.caps[6]: want a string, not a boolean
t:4:1: principal: want an array, not a string
t:5:1: tenant: want a table, not an array`},
		{"ranges", "[limits]\ncalls = 9223372036854775808\nsmall = 128\ncount = -1\nrate = inf\nmost = 1.0\non = 'true'", `
t:2:1: limits.calls: 9223372036854775808 is out of range
t:3:1: limits.small: 128 is out of range
t:4:1: limits.count: -1 is out of range
t:5:1: limits.rate: inf is not a finite number
t:6:1: limits.most: want an integer, not a number with a fraction
t:7:1: limits.on: want a boolean, not a string`},
		{"not a number", "[limits]\nrate = nan\ncount = 65536", `
t:2:1: limits.rate: nan is not a finite number
t:3:1: limits.count: 65536 is out of range`},
		{"huge float", "[limits]\nrate = 1e999", `
t:2:1: limits.rate: 1e999 is not a finite number`},
		{"units", "[limits]\nmemory = '64MB'\nwall = '1m30s'", `
t:2:1: limits.memory: "64MB" is not a size such as "64MiB" (units B, KiB, MiB, GiB)
t:3:1: limits.wall: "1m30s" is not a duration such as "5s" (units ms, s, m, h)`},
		{"set twice", "task = 'a'\ntask = 'b'\n[limits]\ncalls = 1\ncalls = 2\n[limits]\nsmall = 300", `
t:2:1: task: is set twice (first in line 1)
t:5:1: limits.calls: is set twice (first in line 4)
t:6:2: limits: the table is opened twice (first in line 3)`},
		{"scalar as table", "task = 'a'\n[task.x]\ny = 1\n[[task]]\n[[limits]]\n[needs]\ncaps.x = 1\n", `
t:2:2: task: is a string already (line 1) and cannot be opened as a table
t:4:3: task: is a string already (line 1) and cannot be an array of tables
t:5:3: limits: want a table, not an array
t:7:1: needs.caps: want an array, not a table`},
		{"inline table is closed", "limits = {calls = 1}\n[limits.x]\n[needs]\nx.y = 1\nx.y.z = 2", `
t:2:2: limits: is a table already (line 1) and cannot be opened as a table
t:4:1: needs.x: unknown key
t:5:3: needs.x.y: is an integer already (line 4) and cannot take further keys`},
		{"inline table is closed to dotted keys", "limits = {calls = 1}\nlimits.small = 1\ntask = 'a'\ntask.x = 1", `
t:2:1: limits: is a table already (line 1) and cannot take further keys
t:4:1: task: is a string already (line 3) and cannot take further keys`},
		{"dotted table opened again", "limits.calls = 1\n[limits]\nsmall = 1", `
t:2:2: table limits already exists as defined by a dotted key`},
		{"syntax ends the reading", "tsk = 1\ntask = \n[limits]\nzzz = 1", `
t:1:1: tsk: unknown key; task is meant?
t:2:8: unexpected character U+000A at start of value`},
		{"escape in a key is shown as text", "\"a\\u001b[31m\" = 1", `
t:1:1: "a\x1b[31m": unknown key`},
		{"columns count characters", "needs.caps = ['äöü', 5]", `
t:1:22: needs.caps[1]: want a string, not an integer`},
		{"byte order mark", "\ufefftask = 'a'", `
t:1:1: the file begins with a byte order mark; save it as plain UTF-8`},
		{"NUL", "task = 'a'\n # \x00", `
t:2:4: a NUL byte`},
		{"not UTF-8", "task = 'a\xff'", `
t:1:10: not UTF-8`},
		{"control character", "task = 'a\x1b[31m'", `
t:1:10: literal strings cannot have control characters`},
		{"too deep", "task = " + strings.Repeat("[", 17) + strings.Repeat("]", 17), `
t:1:1: task: want a string, not an array
t:1:1: task` + strings.Repeat("[0]", 16) + `: nested deeper than 16 levels`},
		{"too deep a key", strings.Repeat("a.", 16) + "a = 1", `
t:1:1: a: unknown key
t:1:33: ` + strings.Repeat("a.", 16) + `a: nested deeper than 16 levels`},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			var v file
			f, err := strict.Decode("t", []byte(c.text), &v)
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := err.Error(), strings.TrimPrefix(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			var one strict.Fault
			if !errors.As(err, &one) || one.Line == 0 || f.Err() == nil {
				t.Errorf("no Fault within %T", err)
			}
		})
	}
}

func TestDecodeBounds(t *testing.T) {
	var v file
	_, err := strict.Decode("t", make([]byte, strict.FileSizeMax+1), &v)
	if err == nil || !strings.Contains(err.Error(), "more than 1048576") {
		t.Errorf("size: %v", err)
	}
	many := "needs.caps = [" + strings.Repeat("'',", strict.ItemsMax) + "]"
	if f, err := strict.Decode("t", []byte(many), &v); err == nil || !strings.Contains(err.Error(), "more than 50000 keys") || f.Complete() {
		t.Errorf("items: %v", err)
	}
	for _, wide := range []string{"%s = 1", "[%s]\nb = 1", "limits = {%s = 1}"} {
		wide = fmt.Sprintf(wide, strings.Repeat("k", strict.KeySizeMax+1))
		if f, err := strict.Decode("t", []byte(wide), &v); err == nil || !strings.Contains(err.Error(), "bytes, more than 512") || f.Complete() {
			t.Errorf("key: %v", err)
		}
	}
	for _, line := range []string{"k%d = 1\n", "[k%d]\n", "[[k%d]]\n", "[limits.k%d]\n", "limits.k%d = 1\n"} {
		var text strings.Builder
		for i := range 40_000 {
			fmt.Fprintf(&text, line, i)
		}
		if f, err := strict.Decode("t", []byte(text.String()), &v); err == nil || !strings.Contains(err.Error(), "more than 4096 keys") || f.Complete() {
			t.Errorf("keys of a table, as %q: complete %v", line, f.Complete())
		}
	}
	faults := strings.Repeat("x = 1\n", 5000)
	_, err = strict.Decode("t", []byte(faults), &v)
	var all strict.Faults
	if !errors.As(err, &all) || len(all) != strict.FaultsMax {
		t.Errorf("faults: %d", len(all))
	}
	// The library alone would follow ten thousand levels.
	if _, err := strict.Decode("t", []byte("a="+strings.Repeat("[", 200_000)), &v); err == nil {
		t.Error("200,000 levels were accepted")
	}
}

func TestSemanticFaults(t *testing.T) {
	var v file
	f, err := strict.Decode("t", []byte("zzz = 1\n[needs]\ncaps = [\"log x\", \"a\\tb\", '''m''']\n"), &v)
	if err == nil {
		t.Fatal("the unknown key was accepted")
	}
	if !f.Faulty("zzz") || f.Faulty("zz") || f.Faulty("needs") {
		t.Error("Faulty is wrong before")
	}
	f.Fault("needs.caps", "is %s", "short\x1b")
	f.Fault("needs.caps", "is %s", "short\x1b") // said twice, kept once
	if !f.Faulty("needs") || !f.Faulty("needs.caps") || f.Faulty("needs.caps[0]") {
		t.Error("Faulty is wrong after")
	}
	f.FaultInside("needs.caps[0]", 4, "inside")
	f.FaultInside("needs.caps[0]", 99, "outside")
	f.FaultInside("needs.caps[1]", 2, "escaped")
	f.FaultInside("needs.caps[2]", 0, "many lines")
	f.Fault("task", "is missing")
	want := `t:1:1: task: is missing
t:1:1: zzz: unknown key
t:3:1: needs.caps: is short\u001b
t:3:9: needs.caps[0]: outside
t:3:14: needs.caps[0]: inside
t:3:18: needs.caps[1]: escaped
t:3:26: needs.caps[2]: many lines`
	if got := f.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnits(t *testing.T) {
	sizes := map[string]int64{"0B": 0, "1B": 1, "10B": 10, "512KiB": 512 << 10, "64MiB": 64 << 20, "8GiB": 8 << 30, "1024KiB": 1 << 20, "9223372036854775807B": 1<<63 - 1}
	for text, want := range sizes {
		var s strict.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || int64(s) != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		var again strict.Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s prints as %s, which reads as %d, %v", text, s, again, err)
		}
	}
	times := map[string]time.Duration{"0s": 0, "250ms": 250 * time.Millisecond, "90s": 90 * time.Second, "2m": 2 * time.Minute, "24h": 24 * time.Hour}
	for text, want := range times {
		var d strict.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %d, %v", text, d, err)
		}
		if printed, err := d.MarshalText(); err != nil || string(printed) != text {
			t.Errorf("%s prints as %s", text, printed)
		}
	}
	bad := []string{"", "B", "5", "-5B", "+5B", " 5B", "5 B", "05B", "5.0MiB", "5mib", "5MB", "1e3B", "0x5B", "9223372036854775808B", "8589934592GiB", "5MiB ", "٥B", "5MiB5"}
	for _, text := range bad {
		var s strict.Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q was read as %d", text, s)
		}
	}
	for _, text := range []string{"", "s", "5", "-5s", "1m30s", "1.5s", "5S", "5us", "5d", "01s", "9223372036855s", "2562048h", "NaN", "inf"} {
		var d strict.Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("duration %q was read as %v", text, time.Duration(d))
		}
	}
	if got := strict.Duration(1500 * time.Microsecond).String(); got != "1.5ms" {
		t.Errorf("below a millisecond: %s", got)
	}
}

// A programmer's mistake is told at once, not when a user's file happens to reach it.
func TestDecodePanicsOnlyForOurOwnMistake(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "internal error:") {
			t.Errorf("got %v", r)
		}
	}()
	strict.Decode("t", nil, file{})
}

func ExampleDecode() {
	var v struct {
		Task  string `toml:"task"`
		Cache struct {
			Size strict.Size `toml:"size"`
		} `toml:"cache"`
	}
	f, _ := strict.Decode("app.toml", []byte("taks = \"a\"\n[cache]\nsize = \"5GiB\"\n"), &v)
	if !f.Has("task") {
		f.Fault("task", "is missing")
	}
	if most := strict.Size(4 << 30); v.Cache.Size > most {
		f.Fault("cache.size", "%v is above the maximum %v", v.Cache.Size, most)
	}
	fmt.Println(f.Err())
	// Output:
	// app.toml:1:1: taks: unknown key; task is meant?
	// app.toml:1:1: task: is missing
	// app.toml:3:1: cache.size: 5GiB is above the maximum 4GiB
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "task = 'a'", "[limits]\nmemory = '1MiB'\nwall = \"5s\"\n", "[[principal]]\nkeys = ['a', \"b\\n\"]\n", "a.b.c = {d = [1, {e = 2}]}",
		"[tenant.\"x.y\"]\nquota = '1B'", "x = 1\nx = 2", "limits.calls = 1\n[limits]\n", "task = '", "[a]\n[a.b]\n[[a.b.c]]\n[a]", "a = 0x_1",
		"limits.rate = -nan", "x = \"\\uD800\"", "[[principal]]\n[principal.keys]\n[[principal]]", "a = {b = 1}\na.c = 2\n[a.d]",
	} {
		f.Add([]byte(s))
	}
	corpus, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(corpus) == 0 {
		f.Fatalf("no seeds in testdata: %v", err)
	}
	for _, name := range corpus {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v file
		file, err := strict.Decode("f", data, &v)
		lines := strings.Count(string(data), "\n") + 1
		var faults strict.Faults
		if err != nil && (!errors.As(err, &faults) || len(faults) == 0) {
			t.Fatalf("not Faults: %T %v", err, err)
		}
		for i, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Column < 1 {
				t.Errorf("fault outside of the file: %v", fault)
			}
			if i > 0 && (faults[i-1].Line > fault.Line) {
				t.Errorf("not sorted: %v", faults)
			}
			if strings.ContainsAny(fault.Error(), "\n\x1b\x00") {
				t.Errorf("control characters in %q", fault.Error())
			}
		}
		if err == nil && !file.Complete() {
			t.Error("no fault, yet not complete")
		}
		file.At(string(data))
		file.Fault("task", "is missing")
		if file.Err() == nil {
			t.Error("a fault was lost")
		}
	})
}
