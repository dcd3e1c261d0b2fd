package manifest

import (
	"errors"
	"sort"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
)

// Start says from what state each run of a reactor begins.
type Start string

const (
	// StartTemplate runs _initialize once and starts every run from the memory it left.
	StartTemplate Start = "template"
	// StartEach runs _initialize anew for every run.
	StartEach Start = "each"
)

// Backoff says how the pause before a further run grows.
type Backoff string

const (
	// BackoffExponential doubles the ceiling of the pause from Base up to Cap.
	BackoffExponential Backoff = "exponential"
	// BackoffConstant keeps the ceiling at Base.
	BackoffConstant Backoff = "constant"
)

// Retry says how often and when a failed task runs again. Pauses have full jitter: each is drawn
// between zero and its ceiling.
type Retry struct {
	Max       int // runs after the first; 0 is none
	Backoff   Backoff
	Base, Cap time.Duration
}

// A Manifest is what an author declares beside a module, defaults filled in.
type Manifest struct {
	Task   string
	Module string // name of the module's file, beside the manifest
	Start  Start
	Limits capability.Limits // every field is stated
	Retry  Retry
	Needs  capability.Set
	Args   []string // after the program's name, which the host gives
	Env    []string // "NAME=value", sorted
	Text   string   // the file as written
}

// file is the shape of task.toml.
type file struct {
	Task   string            `toml:"task"`
	Module string            `toml:"module"`
	Start  string            `toml:"start"`
	Args   []string          `toml:"args"`
	Env    map[string]string `toml:"env"`
	Limits struct {
		Memory   strict.Size     `toml:"memory"`
		Stack    strict.Size     `toml:"stack"`
		Result   strict.Size     `toml:"result"`
		Log      strict.Size     `toml:"log"`
		Payload  strict.Size     `toml:"payload"`
		LogLines int64           `toml:"log_lines"`
		Calls    int64           `toml:"calls"`
		Fuel     int64           `toml:"fuel"`
		Tables   int64           `toml:"tables"`
		Wall     strict.Duration `toml:"wall"`
		CPU      strict.Duration `toml:"cpu"`
	} `toml:"limits"`
	Retry struct {
		Max     int64           `toml:"max"`
		Backoff string          `toml:"backoff"`
		Base    strict.Duration `toml:"base"`
		Cap     strict.Duration `toml:"cap"`
	} `toml:"retry"`
	Needs struct {
		Caps []string `toml:"caps"`
	} `toml:"needs"`
}

// Parse reads a manifest; name is what faults call the file. data is not kept.
// Errors, all final: strict.Faults with every fault of the file.
func Parse(name string, data []byte) (Manifest, error) {
	if len(data) > ManifestSizeMax {
		// Decode would read it; a manifest has a lower bound than other files.
		f, _ := strict.Decode(name, nil, &file{})
		f.Fault("", "the file has %d bytes, more than %d", len(data), ManifestSizeMax)
		return Manifest{}, f.Err()
	}
	var src file
	f, err := strict.Decode(name, data, &src)
	if !f.Complete() {
		return Manifest{}, err // what is missing or unset cannot be known
	}
	r := reader{f}
	m := Manifest{Task: src.Task, Module: src.Module, Text: string(data)}
	r.identity(src)
	m.Start = oneOf(r, "start", src.Start, StartTemplate, StartEach)
	m.Args, m.Env = r.constants(src)
	m.Limits = r.limits(src)
	m.Retry = r.retry(src)
	m.Needs = r.needs(src)
	if err := f.Err(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// A reader adds to the file what is wrong with its meaning.
type reader struct{ *strict.File }

func (r reader) identity(src file) {
	if !r.Has("task") {
		r.Fault("task", `is missing; it names the task, such as "image.thumbnail"`)
	} else if r.stated("task") {
		if err := CheckTask(src.Task); err != nil {
			r.Fault("task", "%s", err)
		}
	}
	if !r.Has("module") {
		r.Fault("module", `is missing; it names the module's file, such as "thumbnail.wasm"`)
	} else if r.stated("module") {
		if err := checkModuleName(src.Module); err != nil {
			r.Fault("module", "%s", err)
		}
	}
}

// CheckTask holds a task's name to the grammar of names. A name that passes is also safe as one
// part of a path: it has no slash, is not empty and does not begin with a dot.
func CheckTask(name string) error { return capability.CheckName("task", name) }

// checkModuleName accepts a plain file name: a path could leave the manifest's folder.
func checkModuleName(s string) error {
	if len(s) > moduleNameSizeMax || !strings.HasSuffix(s, ".wasm") || strings.HasPrefix(s, ".") {
		return errors.New(`want the name of a file beside the manifest that ends with ".wasm"`)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return errors.New("want a file name of letters, digits, dot, _ and - without a folder")
		}
	}
	return nil
}

// constants reads args and [env].
func (r reader) constants(src file) (args, env []string) {
	total := 0
	if len(src.Args) > argsMax {
		r.Fault("args", "has %d arguments, more than %d", len(src.Args), argsMax)
	}
	for i, a := range src.Args {
		total += len(a)
		if strings.IndexByte(a, 0) >= 0 {
			r.Fault(element("args", i), "a NUL byte")
		}
	}
	if len(src.Env) > envMax {
		r.Fault("env", "has %d variables, more than %d", len(src.Env), envMax)
	}
	for name, value := range src.Env {
		total += len(name) + len(value)
		key := "env." + name
		if !variable(name) {
			// The name may need quotes to be a key; the fault stands at the table.
			r.Fault("env", "%q is no name of a variable ([A-Za-z_][A-Za-z0-9_]*)", name)
		} else if strings.IndexByte(value, 0) >= 0 {
			r.Fault(key, "a NUL byte")
		}
		env = append(env, name+"="+value)
	}
	if total > constantsSizeMax {
		r.Fault("env", "args and env have %d bytes together, more than %d", total, constantsSizeMax)
	}
	sort.Strings(env)
	return append([]string(nil), src.Args...), env
}

func variable(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != ""
}

// limits fills defaults and holds every limit to its range.
func (r reader) limits(src file) capability.Limits {
	s := src.Limits
	size := func(key string, v strict.Size, standard, least, most int64) int64 {
		return int64(bounded(r, "limits."+key, v, strict.Size(standard), strict.Size(least), strict.Size(most)))
	}
	l := capability.Limits{
		Memory:   size("memory", s.Memory, MemoryDefault, MemoryMin, MemoryMax),
		Stack:    size("stack", s.Stack, StackDefault, StackMin, StackMax),
		Result:   size("result", s.Result, ResultDefault, ResultMin, ResultMax),
		Log:      size("log", s.Log, LogDefault, LogMin, LogMax),
		Payload:  size("payload", s.Payload, PayloadDefault, PayloadMin, PayloadMax),
		LogLines: bounded(r, "limits.log_lines", s.LogLines, LogLinesDefault, LogLinesMin, LogLinesMax),
		Calls:    bounded(r, "limits.calls", s.Calls, CallsDefault, CallsMin, CallsMax),
		Fuel:     bounded(r, "limits.fuel", s.Fuel, FuelDefault, FuelMin, FuelMax),
		Tables:   bounded(r, "limits.tables", s.Tables, TablesDefault, TablesMin, TablesMax),
		Wall:     r.duration("limits.wall", s.Wall, WallDefault, WallMin, WallMax),
	}
	if l.Memory%memoryUnit != 0 {
		r.Fault("limits.memory", "%v is not a whole number of pages of %v", s.Memory, strict.Size(memoryUnit))
	}
	l.CPU = r.duration("limits.cpu", s.CPU, min(CPUDefault, l.Wall), CPUMin, CPUMax)
	if l.CPU > l.Wall {
		r.Fault("limits.cpu", "%v is more than limits.wall, %v: it could never be reached", s.CPU, strict.Duration(l.Wall))
	}
	return l
}

func (r reader) retry(src file) Retry {
	s := src.Retry
	retry := Retry{
		Max:     int(bounded(r, "retry.max", s.Max, RetryMaxDefault, RetryMaxMin, RetryMaxMax)),
		Backoff: oneOf(r, "retry.backoff", s.Backoff, BackoffExponential, BackoffConstant),
		Base:    r.duration("retry.base", s.Base, RetryBaseDefault, RetryBaseMin, RetryBaseMax),
	}
	retry.Cap = r.duration("retry.cap", s.Cap, max(RetryCapDefault, retry.Base), RetryCapMin, RetryCapMax)
	if retry.Cap < retry.Base {
		r.Fault("retry.cap", "%v is less than retry.base, %v", s.Cap, strict.Duration(retry.Base))
	}
	return retry
}

func (r reader) duration(key string, v strict.Duration, standard, least, most time.Duration) time.Duration {
	return time.Duration(bounded(r, key, v, strict.Duration(standard), strict.Duration(least), strict.Duration(most)))
}

// needs reads each capability line; faults stand at the character that is wrong.
func (r reader) needs(src file) capability.Set {
	lines := src.Needs.Caps
	if len(lines) > CapsMax {
		r.Fault("needs.caps", "has %d lines, more than %d", len(lines), CapsMax)
		return capability.Set{}
	}
	first := map[string]int{}
	sound := true
	for i, line := range lines {
		key := element("needs.caps", i)
		if r.Faulty(key) {
			sound = false
			continue
		}
		_, err := capability.Parse(line)
		var fault *capability.SyntaxError
		if errors.As(err, &fault) {
			r.FaultInside(key, fault.Column-1, "%s", fault.Text)
			sound = false
			continue
		}
		if _, again := first[line]; again {
			at, _ := r.At(element("needs.caps", first[line]))
			r.Fault(key, "is stated twice (first in line %d)", at)
			continue
		}
		first[line] = i
	}
	if !sound {
		return capability.Set{}
	}
	set, err := capability.ParseSet(lines)
	if err != nil {
		r.Fault("needs.caps", "%s", err)
	}
	return set
}
