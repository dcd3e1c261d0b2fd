package policy

import (
	"strconv"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
)

// ceiling is one field of capability.Limits, so that one loop handles all of them.
type ceiling struct {
	name string // as in the file
	get  func(capability.Limits) int64
	set  func(*capability.Limits, int64)
	text func(int64) string
	bounds
}

// ceilings are all fields of capability.Limits; a test counts them. A ceiling has the range that a manifest's limit has:
// below it nothing could run, and above it there is nothing to bound.
var ceilings = [...]ceiling{
	{"memory", func(l capability.Limits) int64 { return l.Memory }, func(l *capability.Limits, n int64) { l.Memory = n }, bytesText, bounds{manifest.MemoryMin, manifest.MemoryMax}},
	{"stack", func(l capability.Limits) int64 { return l.Stack }, func(l *capability.Limits, n int64) { l.Stack = n }, bytesText, bounds{manifest.StackMin, manifest.StackMax}},
	{"result", func(l capability.Limits) int64 { return l.Result }, func(l *capability.Limits, n int64) { l.Result = n }, bytesText, bounds{manifest.ResultMin, manifest.ResultMax}},
	{"log", func(l capability.Limits) int64 { return l.Log }, func(l *capability.Limits, n int64) { l.Log = n }, bytesText, bounds{manifest.LogMin, manifest.LogMax}},
	{"payload", func(l capability.Limits) int64 { return l.Payload }, func(l *capability.Limits, n int64) { l.Payload = n }, bytesText, bounds{manifest.PayloadMin, manifest.PayloadMax}},
	{"wall", func(l capability.Limits) int64 { return int64(l.Wall) }, func(l *capability.Limits, n int64) { l.Wall = time.Duration(n) }, timeText, bounds{int64(manifest.WallMin), int64(manifest.WallMax)}},
	{"cpu", func(l capability.Limits) int64 { return int64(l.CPU) }, func(l *capability.Limits, n int64) { l.CPU = time.Duration(n) }, timeText, bounds{int64(manifest.CPUMin), int64(manifest.CPUMax)}},
	{"calls", func(l capability.Limits) int64 { return l.Calls }, func(l *capability.Limits, n int64) { l.Calls = n }, countText, bounds{manifest.CallsMin, manifest.CallsMax}},
	{"fuel", func(l capability.Limits) int64 { return l.Fuel }, func(l *capability.Limits, n int64) { l.Fuel = n }, countText, bounds{manifest.FuelMin, manifest.FuelMax}},
	{"tables", func(l capability.Limits) int64 { return l.Tables }, func(l *capability.Limits, n int64) { l.Tables = n }, countText, bounds{manifest.TablesMin, manifest.TablesMax}},
	{"log_lines", func(l capability.Limits) int64 { return l.LogLines }, func(l *capability.Limits, n int64) { l.LogLines = n }, countText, bounds{manifest.LogLinesMin, manifest.LogLinesMax}},
}

func bytesText(n int64) string { return strict.Size(n).String() }
func timeText(n int64) string  { return strict.Duration(n).String() }
func countText(n int64) string { return strconv.FormatInt(n, 10) }
