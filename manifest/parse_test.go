package manifest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
)

const least = "task = \"a\"\nmodule = \"a.wasm\"\n"

func TestParseDefaults(t *testing.T) {
	m, err := manifest.Parse("task.toml", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Manifest{
		Task: "a", Module: "a.wasm", Start: manifest.StartTemplate, Text: least,
		Limits: capability.Limits{
			Memory: 64 << 20, Stack: 8 << 20, Result: 1 << 20, Log: 256 << 10, Payload: 224 << 10,
			LogLines: 1000, Calls: 1000, Wall: 5 * time.Second, CPU: 2 * time.Second, Fuel: 1_000_000_000_000_000, Tables: 262_144,
		},
		Retry: manifest.Retry{Max: 5, Backoff: manifest.BackoffExponential, Base: time.Second, Cap: 5 * time.Minute},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if len(m.Needs.Lines()) != 0 {
		t.Error("nothing asked for is something")
	}
	// No limit may be left unstated: zero means "no bound by this layer" further on.
	v := reflect.ValueOf(m.Limits)
	for i := 0; i < v.NumField(); i++ {
		if v.Field(i).Int() <= 0 {
			t.Errorf("limit %s has no default", v.Type().Field(i).Name)
		}
	}
}

func TestParseAll(t *testing.T) {
	text, err := os.ReadFile("testdata/task.toml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse("task.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if m.Task != "image.thumbnail" || m.Start != manifest.StartEach || fmt.Sprint(m.Args) != "[--quality 80]" || fmt.Sprint(m.Env) != "[LANG=C.UTF-8 TZ=UTC]" ||
		fmt.Sprint(m.Needs.Lines()) != "[http GET https://img.example.com/* kv rw thumbs/* secret use img-api]" || m.Text != string(text) {
		t.Errorf("got %+v", m)
	}
	// Each key reaches its field.
	m, err = manifest.Parse("task.toml", []byte(least+`
[limits]
memory = "128KiB"
stack = "32KiB"
result = "3B"
log = "4B"
payload = "5B"
log_lines = 6
calls = 7
fuel = 2000000000
tables = 65536
wall = "8s"
cpu = "8000ms"
[retry]
max = 0
backoff = "constant"
base = "10s"
cap = "10s"
`))
	if err != nil {
		t.Fatal(err)
	}
	limits := capability.Limits{Memory: 128 << 10, Stack: 32 << 10, Result: 3, Log: 4, Payload: 5, LogLines: 6, Calls: 7, Wall: 8 * time.Second, CPU: 8 * time.Second, Fuel: 2_000_000_000, Tables: 65_536}
	if m.Limits != limits || m.Retry != (manifest.Retry{Max: 0, Backoff: manifest.BackoffConstant, Base: 10 * time.Second, Cap: 10 * time.Second}) {
		t.Errorf("got %+v, %+v", m.Limits, m.Retry)
	}
}

// Defaults follow what is stated beside them.
func TestParseDependentDefaults(t *testing.T) {
	m, err := manifest.Parse("t", []byte(least+"[limits]\nwall = \"500ms\"\n[retry]\nbase = \"10m\"\n"))
	if err != nil || m.Limits.CPU != 500*time.Millisecond || m.Retry.Cap != 10*time.Minute {
		t.Errorf("got cpu %v, cap %v, %v", m.Limits.CPU, m.Retry.Cap, err)
	}
}

func TestParseFaults(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", `
t:1:1: module: is missing; it names the module's file, such as "thumbnail.wasm"
t:1:1: task: is missing; it names the task, such as "image.thumbnail"`},
		{"everything at once", `task = "Image"
module = "../x.wasm"
start = "once"
memory = "1MiB"
args = ["a\u0000b"]
env = {"A-B" = "x", C = "\u0000", D = 5}
[limits]
memory = "100KiB"
stack = "1KiB"
result = "17MiB"
log = "0B"
payload = "1MiB"
log_lines = 0
calls = -1
wall = "2h"
cpu = "0s"
fuel = 0
tables = 1048577
threads = 5
[retry]
max = 101
backoff = "linear"
base = "5m"
cap = "1m"
[needs]
caps = [
  "http GET https://*.com/",
  "log", "log",
  "kv rw *",
  5,
]
[needs.more]
`, `
t:1:1: task: 'I' cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)
t:2:1: module: want the name of a file beside the manifest that ends with ".wasm"
t:3:1: start: want "template" or "each", not "once"
t:4:1: memory: unknown key
t:5:9: args[0]: a NUL byte
t:6:1: env: "A-B" is no name of a variable ([A-Za-z_][A-Za-z0-9_]*)
t:6:21: env.C: a NUL byte
t:6:35: env.D: want a string, not an integer
t:8:1: limits.memory: 100KiB is not a whole number of pages of 64KiB
t:9:1: limits.stack: 1KiB is below the minimum 16KiB
t:10:1: limits.result: 17MiB is above the maximum 16MiB
t:11:1: limits.log: 0B is below the minimum 1B
t:12:1: limits.payload: 1MiB is above the maximum 224KiB
t:13:1: limits.log_lines: 0 is below the minimum 1
t:14:1: limits.calls: -1 is below the minimum 1
t:15:1: limits.wall: 2h is above the maximum 1h
t:16:1: limits.cpu: 0s is below the minimum 1ms
t:17:1: limits.fuel: 0 is below the minimum 1
t:18:1: limits.tables: 1048577 is above the maximum 1048576
t:19:1: limits.threads: unknown key
t:21:1: retry.max: 101 is above the maximum 100
t:22:1: retry.backoff: want "exponential" or "constant", not "linear"
t:24:1: retry.cap: 1m is less than retry.base, 5m
t:27:21: needs.caps[0]: "*.com" is too wide; the * stands for one label above a name of two or more
t:28:10: needs.caps[2]: is stated twice (first in line 28)
t:29:10: needs.caps[3]: "*" alone would be every key; name a prefix: PREFIX/*
t:30:3: needs.caps[4]: want a string, not an integer
t:32:8: needs.more: unknown key`},
		{"wrong types are said once", "task = 1\nmodule = []\nstart = 1\nargs = 'x'\nenv = 1\n[limits]\nmemory = 5\ncpu = 'x'\n[retry]\nbase = 1\n[needs]\ncaps = 'log'", `
t:1:1: task: want a string, not an integer
t:2:1: module: want a string, not an array
t:3:1: start: want a string, not an integer
t:4:1: args: want an array, not a string
t:5:1: env: want a table, not an integer
t:7:1: limits.memory: want a string, not an integer
t:8:1: limits.cpu: "x" is not a duration such as "5s" (units ms, s, m, h)
t:10:1: retry.base: want a string, not an integer
t:12:1: needs.caps: want an array, not a string`},
		{"absurd limits", least + "[limits]\nmemory = '8589934591GiB'\nwall = '2562047h'\ncalls = 9223372036854775807\nstack = '-1MiB'\ncpu = 'inf'\nresult = nan", `
t:4:1: limits.memory: 8589934591GiB is above the maximum 4GiB
t:5:1: limits.wall: 2562047h is above the maximum 1h
t:6:1: limits.calls: 9223372036854775807 is above the maximum 1000000
t:7:1: limits.stack: "-1MiB" is not a size such as "64MiB" (units B, KiB, MiB, GiB)
t:8:1: limits.cpu: "inf" is not a duration such as "5s" (units ms, s, m, h)
t:9:1: limits.result: want a string, not a number with a fraction`},
		{"more cpu than wall", least + "[limits]\nwall = '1s'\ncpu = '2s'", `
t:5:1: limits.cpu: 2s is more than limits.wall, 1s: it could never be reached`},
		{"empty words", "task = ''\nmodule = '.wasm'\nstart = ''\n[needs]\ncaps = ['']", `
t:1:1: task: a task name has 1 to 64 characters
t:2:1: module: want the name of a file beside the manifest that ends with ".wasm"
t:3:1: start: want "template" or "each", not ""
t:5:10: needs.caps[0]: a word is missing; words are separated by exactly one space`},
		{"module with a folder", "task = 'a'\nmodule = 'out/a.wasm'", `
t:2:1: module: want a file name of letters, digits, dot, _ and - without a folder`},
		{"syntax: what is missing cannot be known", "task = 'a'\nstart = \n", `
t:2:9: unexpected character U+000A at start of value`},
		{"unicode dots in a host", least + "[needs]\ncaps = ['http GET https://a\u3002b/']", `
t:4:28: needs.caps[0]: only ASCII is allowed; write names in their xn-- form and paths with %XX`},
		{"too many lines of needs", least + "[needs]\ncaps = [" + many(65, "'kv ro a%d',") + "]", `
t:4:1: needs.caps: has 65 lines, more than 64`},
		{"too many arguments", least + "args = [" + many(65, "'%d',") + "]", `
t:3:1: args: has 65 arguments, more than 64`},
		{"too many variables", least + "[env]\n" + many(65, "A%d = ''\n"), `
t:3:2: env: has 65 variables, more than 64`},
		{"constants too large", least + "args = ['" + strings.Repeat("a", 16<<10) + "']\n[env]\nA = ''", `
t:4:2: env: args and env have 16385 bytes together, more than 16384`},
		{"too large", least + strings.Repeat("#", manifest.ManifestSizeMax), `
t:1:1: the file has 65565 bytes, more than 65536`},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			m, err := manifest.Parse("t", []byte(c.text))
			var faults strict.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %+v, %v", m, err)
			}
			if want := strings.TrimPrefix(c.want, "\n"); err.Error() != want {
				t.Errorf("got\n%s\nwant\n%s", err, want)
			}
			if !reflect.DeepEqual(m, manifest.Manifest{}) {
				t.Error("a faulty file gives a manifest")
			}
		})
	}
}

// Every range is checked at both of its ends: the ends are good, one beyond is not.
func TestParseRanges(t *testing.T) {
	size := func(n int64) string { return "'" + strict.Size(n).String() + "'" }
	span := func(d time.Duration) string { return "'" + strict.Duration(d).String() + "'" }
	count := func(n int64) string { return fmt.Sprint(n) }
	const ms = time.Millisecond
	tests := []struct{ key, below, least, most, above string }{
		{"limits.memory", size(0), size(manifest.MemoryMin), size(manifest.MemoryMax), size(manifest.MemoryMax + 64<<10)},
		{"limits.stack", size(manifest.StackMin - 1), size(manifest.StackMin), size(manifest.StackMax), size(manifest.StackMax + 1)},
		{"limits.result", size(0), size(manifest.ResultMin), size(manifest.ResultMax), size(manifest.ResultMax + 1)},
		{"limits.log", size(0), size(manifest.LogMin), size(manifest.LogMax), size(manifest.LogMax + 1)},
		{"limits.payload", size(0), size(manifest.PayloadMin), size(manifest.PayloadMax), size(manifest.PayloadMax + 1)},
		{"limits.log_lines", "0", count(manifest.LogLinesMin), count(manifest.LogLinesMax), count(manifest.LogLinesMax + 1)},
		{"limits.calls", "0", count(manifest.CallsMin), count(manifest.CallsMax), count(manifest.CallsMax + 1)},
		{"limits.wall", span(0), span(manifest.WallMin), span(manifest.WallMax), span(manifest.WallMax + ms)},
		{"limits.cpu", span(0), span(manifest.CPUMin), span(manifest.CPUMax), span(manifest.CPUMax + ms)},
		{"retry.max", "-1", count(manifest.RetryMaxMin), count(manifest.RetryMaxMax), count(manifest.RetryMaxMax + 1)},
		{"retry.base", span(manifest.RetryBaseMin - ms), span(manifest.RetryBaseMin), span(manifest.RetryBaseMax), span(manifest.RetryBaseMax + ms)},
		{"retry.cap", span(manifest.RetryCapMin - ms), span(manifest.RetryCapMin), span(manifest.RetryCapMax), span(manifest.RetryCapMax + ms)},
	}
	for _, c := range tests {
		text := least
		switch c.key {
		case "limits.cpu":
			text += "limits.wall = '1h'\n" // so that the range is what is met first
		case "retry.cap":
			text += "retry.base = '10ms'\n"
		}
		for _, good := range []string{c.least, c.most} {
			if _, err := manifest.Parse("t", []byte(text+c.key+" = "+good)); err != nil {
				t.Errorf("%s = %s: %v", c.key, good, err)
			}
		}
		for word, bad := range map[string]string{"below": c.below, "above": c.above} {
			_, err := manifest.Parse("t", []byte(text+c.key+" = "+bad))
			if err == nil || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), word) {
				t.Errorf("%s = %s: %v", c.key, bad, err)
			}
		}
	}
}

// The manifests of the examples are good: they are what people copy.
func TestExamplesParse(t *testing.T) {
	files, err := filepath.Glob("../examples/*/task.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.Parse(name, text); err != nil {
			t.Error(err)
		}
	}
}

func ExampleParse() {
	m, err := manifest.Parse("task.toml", []byte(`
task   = "image.thumbnail"
module = "thumbnail.wasm"
[limits]
memory = "32MiB"
[needs]
caps = ["http GET https://img.example.com/*"]
`))
	fmt.Println(m.Task, m.Limits.Memory>>20, m.Limits.Wall, m.Needs.Lines(), err)
	_, err = manifest.Parse("task.toml", []byte("task = \"a\"\n[needs]\ncaps = [\"http GET *\"]\n"))
	fmt.Println(err)
	// Output:
	// image.thumbnail 32 5s [http GET https://img.example.com/*] <nil>
	// task.toml:1:1: module: is missing; it names the module's file, such as "thumbnail.wasm"
	// task.toml:3:19: needs.caps[0]: the URL must begin with https:// (or http://, where that is meant)
}

func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile("testdata/task.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(least))
	f.Add([]byte(least + "[limits]\nmemory = '100KiB'\ncpu = '2h'\n[needs]\ncaps = ['log', 'log', 'kv rw *']\n"))
	f.Add([]byte(least + "[env]\n\"\" = ''\n'a.b' = ''\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse("f", data)
		if err != nil {
			var faults strict.Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		// What was accepted is whole: a name, limits within their ranges, no more cpu than wall.
		l := m.Limits
		if capability.CheckName("task", m.Task) != nil || l.Memory < manifest.MemoryMin || l.Memory > manifest.MemoryMax || l.CPU > l.Wall ||
			l.Calls < 1 || l.Result < 1 || l.Stack < 1 || l.Payload < 1 || l.Log < 1 || l.LogLines < 1 || l.Fuel < 1 || l.Tables < 1 || l.Wall < 1 || l.CPU < 1 || m.Retry.Max < 0 || m.Retry.Cap < m.Retry.Base {
			t.Errorf("accepted %+v", m)
		}
		again, err := manifest.Parse("f", []byte(m.Text))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("the text kept reads as %+v, %v", again, err)
		}
	})
}
