package policy

import (
	"strconv"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
)

// ceiling is one field of capability.Limits, so that one loop handles all of them.
type ceiling struct {
	name   string // as in the file
	of     func(*capability.Limits) *int64
	stated func(*limitsSrc) (n int64, is bool) // by a grant
	text   func(int64) string
	bounds
}

// get returns the field of l.
func (c *ceiling) get(l capability.Limits) int64 { return *c.of(&l) }

// ceilings are all fields of capability.Limits; a test counts them. A ceiling has the range that a manifest's limit has:
// below it nothing could run, and above it there is nothing to bound.
var ceilings = [...]ceiling{
	{"memory", func(l *capability.Limits) *int64 { return &l.Memory }, func(s *limitsSrc) (int64, bool) { return value(s.Memory) }, bytesText, bounds{manifest.MemoryMin, manifest.MemoryMax}},
	{"stack", func(l *capability.Limits) *int64 { return &l.Stack }, func(s *limitsSrc) (int64, bool) { return value(s.Stack) }, bytesText, bounds{manifest.StackMin, manifest.StackMax}},
	{"result", func(l *capability.Limits) *int64 { return &l.Result }, func(s *limitsSrc) (int64, bool) { return value(s.Result) }, bytesText, bounds{manifest.ResultMin, manifest.ResultMax}},
	{"log", func(l *capability.Limits) *int64 { return &l.Log }, func(s *limitsSrc) (int64, bool) { return value(s.Log) }, bytesText, bounds{manifest.LogMin, manifest.LogMax}},
	{"payload", func(l *capability.Limits) *int64 { return &l.Payload }, func(s *limitsSrc) (int64, bool) { return value(s.Payload) }, bytesText, bounds{manifest.PayloadMin, manifest.PayloadMax}},
	{"wall", func(l *capability.Limits) *int64 { return (*int64)(&l.Wall) }, func(s *limitsSrc) (int64, bool) { return value(s.Wall) }, timeText, bounds{int64(manifest.WallMin), int64(manifest.WallMax)}},
	{"cpu", func(l *capability.Limits) *int64 { return (*int64)(&l.CPU) }, func(s *limitsSrc) (int64, bool) { return value(s.CPU) }, timeText, bounds{int64(manifest.CPUMin), int64(manifest.CPUMax)}},
	{"calls", func(l *capability.Limits) *int64 { return &l.Calls }, func(s *limitsSrc) (int64, bool) { return value(s.Calls) }, countText, bounds{manifest.CallsMin, manifest.CallsMax}},
	{"fuel", func(l *capability.Limits) *int64 { return &l.Fuel }, func(s *limitsSrc) (int64, bool) { return value(s.Fuel) }, countText, bounds{manifest.FuelMin, manifest.FuelMax}},
	{"tables", func(l *capability.Limits) *int64 { return &l.Tables }, func(s *limitsSrc) (int64, bool) { return value(s.Tables) }, countText, bounds{manifest.TablesMin, manifest.TablesMax}},
	{"log_lines", func(l *capability.Limits) *int64 { return &l.LogLines }, func(s *limitsSrc) (int64, bool) { return value(s.LogLines) }, countText, bounds{manifest.LogLinesMin, manifest.LogLinesMax}},
}

// value returns what a key of the file states, and whether it is there.
func value[N ~int64](n *N) (int64, bool) {
	if n == nil {
		return 0, false
	}
	return int64(*n), true
}

func bytesText(n int64) string { return strict.Size(n).String() }
func timeText(n int64) string  { return strict.Duration(n).String() }
func countText(n int64) string { return strconv.FormatInt(n, 10) }
