package ask

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// An Entry is the keys that all entries have in common. It is embedded in the struct that strict.Decode fills.
type Entry struct {
	Task     string    `toml:"task"`
	Input    string    `toml:"input"`
	File     string    `toml:"file"`
	Module   string    `toml:"module"`
	Caps     *[]string `toml:"caps"`
	Attempts int       `toml:"attempts"`
	Priority string    `toml:"priority"`
	Limits   struct {
		Memory strict.Size     `toml:"memory"`
		Stack  strict.Size     `toml:"stack"`
		Result strict.Size     `toml:"result"`
		Wall   strict.Duration `toml:"wall"`
		CPU    strict.Duration `toml:"cpu"`
		Calls  int64           `toml:"calls"`
	} `toml:"limits"`
}

// An Ask is what an Entry comes to, in the words of envelope.Task.
type Ask struct {
	Task        string
	Payload     []byte
	ContentType string // "" without a payload
	Module      envelope.Digest
	Narrowed    bool // the entry has caps, if only none
	Caps        []string
	Attempts    int
	Priority    queue.Priority
	Limits      envelope.Limits
}

// Read judges e, which stands at the key at of f, and adds to f what is wrong with it. read reads the file that e may name,
// by the path as it is written.
func (e Entry) Read(f *strict.File, at string, read func(path string) ([]byte, error)) Ask {
	r := reader{f, at}
	l := e.Limits
	a := Ask{
		Task: e.Task, Attempts: e.Attempts, Module: r.module(e.Module), Priority: r.priority(e.Priority),
		Limits: envelope.Limits{
			Memory: int64(l.Memory), Stack: int64(l.Stack), Result: int64(l.Result),
			Wall: time.Duration(l.Wall), CPU: time.Duration(l.CPU), Calls: l.Calls,
		},
	}
	if bad := NameFault(e.Task); bad != "" {
		r.fault("task", "%s", bad)
	}
	r.zeros(e)
	if e.Caps != nil {
		a.Narrowed, a.Caps = true, *e.Caps
	}
	for i, line := range a.Caps {
		if _, err := capability.Parse(line); err != nil {
			r.fault(fmt.Sprintf("caps[%d]", i), "%v", err)
		}
	}
	a.Payload, a.ContentType = r.input(e, read)
	return a
}

// NameFault says what keeps text from being a name, by the grammar of envelope.CheckName; "" when nothing does.
func NameFault(text string) string {
	var bad *envelope.FieldError
	switch err := envelope.CheckName("name", text); {
	case text == "":
		return "is missing"
	case errors.As(err, &bad):
		return fmt.Sprintf("%q %s", text, bad.Text)
	}
	return ""
}

// reader judges the keys of one entry.
type reader struct {
	file *strict.File
	at   string
}

// fault adds one, unless there is one at that key already.
func (r reader) fault(key, format string, args ...any) {
	if key = r.at + "." + key; !r.file.Faulty(key) {
		r.file.Fault(key, format, args...)
	}
}

// zeros refuses what is written out and would be taken for left out, such as attempts = 0 of somebody who wants no run at all.
func (r reader) zeros(e Entry) {
	for _, one := range []struct {
		key  string
		zero bool
	}{
		{"input", e.Input == ""}, {"file", e.File == ""}, {"module", e.Module == ""}, {"priority", e.Priority == ""},
		{"attempts", e.Attempts == 0}, {"limits.memory", e.Limits.Memory == 0}, {"limits.stack", e.Limits.Stack == 0},
		{"limits.result", e.Limits.Result == 0}, {"limits.wall", e.Limits.Wall == 0}, {"limits.cpu", e.Limits.CPU == 0},
		{"limits.calls", e.Limits.Calls == 0},
	} {
		if one.zero && r.file.Has(r.at+"."+one.key) {
			r.fault(one.key, "is nothing; leave it out for the default")
		}
	}
}

func (r reader) priority(text string) queue.Priority {
	if text == "" {
		return queue.PriorityNormal
	}
	for _, known := range queue.Priorities() {
		if known.String() == text {
			return known
		}
	}
	r.fault("priority", "%q is none of high, normal, low", text)
	return queue.PriorityNormal
}

func (r reader) module(text string) envelope.Digest {
	if text == "" {
		return envelope.Digest{}
	}
	digest, err := envelope.ParseDigest(text)
	var bad *envelope.FieldError
	if errors.As(err, &bad) {
		r.fault("module", "%s", bad.Text)
	}
	return digest
}

// input returns the payload that an entry gives itself, or names the file of.
func (r reader) input(e Entry, read func(string) ([]byte, error)) ([]byte, string) {
	switch {
	case e.Input != "" && e.File != "":
		r.fault("file", "is given beside input")
	case e.Input != "":
		if !json.Valid([]byte(e.Input)) {
			r.fault("input", "is not JSON; other data goes into a file")
		}
		return []byte(e.Input), "application/json"
	case e.File != "":
		data, err := read(e.File)
		if err != nil {
			r.fault("file", "%v", err) // and what else is wrong with an entry that has an input is said, too
		}
		if utf8.Valid(data) && json.Valid(data) {
			return data, "application/json"
		}
		return data, "application/octet-stream"
	}
	return nil, ""
}
