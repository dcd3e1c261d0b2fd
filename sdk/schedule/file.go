package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// file is schedule.toml. Source: docs/reference/schedule.md.
type file struct {
	Zone      string  `toml:"zone"`
	Schedules []entry `toml:"schedule"`
}

type entry struct {
	Name     string          `toml:"name"`
	Task     string          `toml:"task"`
	Cron     string          `toml:"cron"`
	Zone     string          `toml:"zone"`
	Every    strict.Duration `toml:"every"`
	Queue    string          `toml:"queue"`
	Input    string          `toml:"input"`
	File     string          `toml:"file"`
	TickKey  string          `toml:"tick_key"`
	Within   strict.Duration `toml:"within"`
	Jitter   strict.Duration `toml:"jitter"`
	Missed   string          `toml:"missed"`
	Paused   bool            `toml:"paused"`
	Module   string          `toml:"module"`
	Caps     *[]string       `toml:"caps"`
	Attempts int             `toml:"attempts"`
	Priority string          `toml:"priority"`
	Limits   struct {
		Memory strict.Size     `toml:"memory"`
		Stack  strict.Size     `toml:"stack"`
		Result strict.Size     `toml:"result"`
		Wall   strict.Duration `toml:"wall"`
		CPU    strict.Duration `toml:"cpu"`
		Calls  int64           `toml:"calls"`
	} `toml:"limits"`
}

// Parse reads a schedule.toml; name is what faults call it. read reads the files that entries name, by the path as it is written.
// data is not kept.
// Errors, all final: strict.Faults with every fault of the file.
func Parse(name string, data []byte, read func(path string) ([]byte, error)) ([]*Schedule, error) {
	var v file
	f, _ := strict.Decode(name, data, &v)
	if !f.Complete() {
		return nil, f.Err()
	}
	p := parser{f, v.Zone, read}
	if _, err := openZone(v.Zone); err != nil && !f.Faulty("zone") {
		f.Fault("zone", "%s", textOf(err))
		p.zone = ""
	}
	if n := len(v.Schedules); n > SchedulesMax {
		f.Fault("schedule", "there are %d, at most %d", n, SchedulesMax)
		return nil, f.Err()
	}
	if len(v.Schedules) == 0 && f.Err() == nil {
		f.Fault("", "has no [[schedule]]")
	}
	var all []*Schedule
	first := map[string]int{}
	for i, e := range v.Schedules {
		at := fmt.Sprintf("schedule[%d]", i)
		if line, twice := first[e.Name]; twice {
			f.Fault(at+".name", "%q is the name of another, in line %d", e.Name, line)
		} else if e.Name != "" {
			first[e.Name], _ = f.At(at + ".name")
		}
		if s := p.schedule(at, e); s != nil {
			all = append(all, s)
		}
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// parser judges entries.
type parser struct {
	file *strict.File
	zone string // of entries that name none
	read func(string) ([]byte, error)
}

// fault adds one, unless there is one at that key already.
func (p parser) fault(key, format string, args ...any) {
	if !p.file.Faulty(key) {
		p.file.Fault(key, format, args...)
	}
}

// schedule makes one of an entry, or faults it and returns nil.
func (p parser) schedule(at string, e entry) *Schedule {
	l := e.Limits
	out := Entry{
		Name: e.Name, Task: e.Task, Cron: e.Cron, Zone: e.Zone, Every: time.Duration(e.Every), Queue: e.Queue, TickKey: e.TickKey,
		Within: time.Duration(e.Within), Jitter: time.Duration(e.Jitter), Missed: Missed(e.Missed), Paused: e.Paused,
		Attempts: e.Attempts,
		Limits: envelope.Limits{
			Memory: int64(l.Memory), Stack: int64(l.Stack), Result: int64(l.Result),
			Wall: time.Duration(l.Wall), CPU: time.Duration(l.CPU), Calls: l.Calls,
		},
	}
	if out.Zone == "" && out.Cron != "" {
		out.Zone = p.zone
	}
	if e.Caps != nil {
		out.Narrowed, out.Caps = true, *e.Caps
	}
	for key, text := range map[string]string{"name": e.Name, "task": e.Task} {
		p.name(at+"."+key, key, text)
	}
	if e.Queue != "" {
		p.name(at+".queue", "queue", e.Queue)
	}
	out.Priority = p.priority(at, e.Priority)
	out.Module = p.module(at, e.Module)
	out.Payload, out.ContentType = p.input(at, e)
	if p.file.Faulty(at) {
		// What else is wrong is still worth saying, as far as it is another field's.
		out.Name, out.Task, out.Queue = "any", "any", ""
	}
	s, err := New(out)
	for _, err := range each(err) {
		var bad *FieldError
		if errors.As(err, &bad) && bad.Field != "" {
			p.fault(at+"."+bad.Field, "%s", bad.Text)
		} else {
			p.fault(at, "%s", textOf(err))
		}
	}
	if p.file.Faulty(at) {
		return nil
	}
	return s
}

func (p parser) name(at, what, text string) {
	var bad *envelope.FieldError
	switch err := envelope.CheckName(what, text); {
	case text == "":
		p.fault(at, "is missing")
	case errors.As(err, &bad):
		p.fault(at, "%q %s", text, bad.Text)
	}
}

func (p parser) priority(at, text string) queue.Priority {
	if text == "" {
		return queue.PriorityNormal
	}
	for _, known := range queue.Priorities() {
		if known.String() == text {
			return known
		}
	}
	p.fault(at+".priority", "%q is none of high, normal, low", text)
	return queue.PriorityNormal
}

func (p parser) module(at, text string) envelope.Digest {
	if text == "" {
		return envelope.Digest{}
	}
	digest, err := envelope.ParseDigest(text)
	var bad *envelope.FieldError
	if errors.As(err, &bad) {
		p.fault(at+".module", "%s", bad.Text)
	}
	return digest
}

// input returns the payload that an entry gives itself, or names the file of.
func (p parser) input(at string, e entry) ([]byte, string) {
	switch {
	case e.Input != "" && e.File != "":
		p.fault(at+".file", "is given beside input")
	case e.Input != "":
		if !json.Valid([]byte(e.Input)) {
			p.fault(at+".input", "is not JSON; other data goes into a file")
		}
		return []byte(e.Input), "application/json"
	case e.File != "":
		data, err := p.read(e.File)
		if err != nil {
			p.fault(at+".file", "%v", err)
			return nil, ""
		}
		if utf8.Valid(data) && json.Valid(data) {
			return data, "application/json"
		}
		return data, "application/octet-stream"
	}
	return nil, ""
}

// textOf returns what is wrong without the stage before it.
func textOf(err error) string {
	var bad *FieldError
	if errors.As(err, &bad) {
		return bad.Text
	}
	return err.Error()
}

// each returns what errors.Join has joined.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
