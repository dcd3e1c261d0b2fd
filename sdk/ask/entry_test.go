package ask_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/ask"
)

// file is as the files of plans and schedules are: entries with keys of their own beside the common ones.
type file struct {
	Entries []struct {
		Name string `toml:"name"`
		ask.Entry
	} `toml:"entry"`
}

// files has what entries name.
var files = map[string]string{"in.json": `{"a":1}`, "in.bin": "\xff", "text": "hello"}

func readAll(t *testing.T, text string) ([]ask.Ask, error) {
	t.Helper()
	var v file
	f, _ := strict.Decode("f.toml", []byte(text), &v)
	var asks []ask.Ask
	for i, e := range v.Entries {
		asks = append(asks, e.Read(f, fmt.Sprintf("entry[%d]", i), func(path string) ([]byte, error) {
			data, ok := files[path]
			if !ok {
				return nil, errors.New("no such file")
			}
			return []byte(data), nil
		}))
	}
	return asks, f.Err()
}

func TestRead(t *testing.T) {
	digest := envelope.DigestOf([]byte("module"))
	asks, err := readAll(t, `
[[entry]]
name = "all"
task = "report.daily"
input = '{"kind":"daily"}'
module = "`+digest.String()+`"
caps = ["log"]
attempts = 3
priority = "high"
limits = { memory = "1MiB", stack = "64KiB", result = "2KiB", wall = "5s", cpu = "1s", calls = 7 }
[[entry]]
task = "a"
caps = []
[[entry]]
task = "a"
file = "in.json"
[[entry]]
task = "a"
file = "in.bin"
priority = "low"
[[entry]]
task = "a"
file = "text"
`)
	if err != nil || len(asks) != 5 {
		t.Fatalf("%d asks, %v", len(asks), err)
	}
	want := envelope.Limits{Memory: 1 << 20, Stack: 64 << 10, Result: 2 << 10, Wall: 5 * time.Second, CPU: time.Second, Calls: 7}
	if a := asks[0]; a.Task != "report.daily" || string(a.Payload) != `{"kind":"daily"}` || a.ContentType != "application/json" || a.Module != digest ||
		!a.Narrowed || len(a.Caps) != 1 || a.Caps[0] != "log" || a.Attempts != 3 || a.Priority != queue.PriorityHigh || a.Limits != want {
		t.Errorf("all: %+v", a)
	}
	if a := asks[1]; !a.Narrowed || len(a.Caps) != 0 || a.Payload != nil || a.ContentType != "" || a.Priority != queue.PriorityNormal || a.Limits != (envelope.Limits{}) {
		t.Errorf("no capabilities: %+v", a)
	}
	if a := asks[2]; a.Narrowed || string(a.Payload) != `{"a":1}` || a.ContentType != "application/json" {
		t.Errorf("a file of JSON: %+v", a)
	}
	for _, a := range asks[3:] {
		if a.ContentType != "application/octet-stream" || len(a.Payload) == 0 {
			t.Errorf("a file of other bytes: %+v", a)
		}
	}
}

// Each faulty key has one fault, at its place.
func TestReadFaults(t *testing.T) {
	_, err := readAll(t, `[[entry]]
name = "n"
input = "{"
module = "sha256:1"
priority = "soon"
caps = ["log", "fly", 7]
[[entry]]
task = "A"
input = "1"
file = "text"
attempts = "many"
[[entry]]
task = "a"
file = "gone"
[entry.limits]
wall = "soon"
speed = 1
[[entry]]
task = "b"
input = ""
priority = ""
attempts = 0
[entry.limits]
wall = "0s"
calls = 0
`)
	want := `f.toml:1:3: entry[0].task: is missing
f.toml:3:1: entry[0].input: is not JSON; other data goes into a file
f.toml:4:1: entry[0].module: has 1 characters, want 64 hexadecimal digits
f.toml:5:1: entry[0].priority: "soon" is none of high, normal, low
f.toml:6:16: entry[0].caps[1]: capability: "fly": column 1: unknown power "fly"; there are log, progress, clock, http, kv, blob, secret, enqueue
f.toml:6:23: entry[0].caps[2]: want a string, not an integer
f.toml:8:1: entry[1].task: "A" does not begin with a-z or 0-9
f.toml:10:1: entry[1].file: is given beside input
f.toml:11:1: entry[1].attempts: want an integer, not a string
f.toml:14:1: entry[2].file: no such file
f.toml:16:1: entry[2].limits.wall: "soon" is not a duration such as "5s" (units ms, s, m, h)
f.toml:17:1: entry[2].limits.speed: unknown key
f.toml:20:1: entry[3].input: is nothing; leave it out for the default
f.toml:21:1: entry[3].priority: is nothing; leave it out for the default
f.toml:22:1: entry[3].attempts: is nothing; leave it out for the default
f.toml:24:1: entry[3].limits.wall: is nothing; leave it out for the default
f.toml:25:1: entry[3].limits.calls: is nothing; leave it out for the default`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
