package schedule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/sdk/ask"
)

// file is schedule.toml. Source: docs/reference/schedule.md.
type file struct {
	Zone      string  `toml:"zone"`
	Schedules []entry `toml:"schedule"`
}

type entry struct {
	ask.Entry
	Name    string          `toml:"name"`
	Cron    string          `toml:"cron"`
	Zone    string          `toml:"zone"`
	Every   strict.Duration `toml:"every"`
	Queue   string          `toml:"queue"`
	TickKey string          `toml:"tick_key"`
	Within  strict.Duration `toml:"within"`
	Jitter  strict.Duration `toml:"jitter"`
	Missed  string          `toml:"missed"`
	Paused  bool            `toml:"paused"`
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
	asked := e.Read(p.file, at, p.read)
	out := Entry{
		Name: e.Name, Task: asked.Task, Cron: e.Cron, Zone: e.Zone, Every: time.Duration(e.Every), Queue: e.Queue, TickKey: e.TickKey,
		Within: time.Duration(e.Within), Jitter: time.Duration(e.Jitter), Missed: Missed(e.Missed), Paused: e.Paused,
		Payload: asked.Payload, ContentType: asked.ContentType, Module: asked.Module, Narrowed: asked.Narrowed, Caps: asked.Caps,
		Attempts: asked.Attempts, Limits: asked.Limits, Priority: asked.Priority,
	}
	if out.Zone == "" && out.Cron != "" {
		out.Zone = p.zone
	}
	p.name(at+".name", e.Name)
	if e.Queue != "" {
		p.name(at+".queue", e.Queue)
	}
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

func (p parser) name(at, text string) {
	if bad := ask.NameFault(text); bad != "" {
		p.fault(at, "%s", bad)
	}
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
