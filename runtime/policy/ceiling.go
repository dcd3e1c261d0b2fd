package policy

import (
	"strconv"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/manifest/strict"
)

// ceiling is one field of capability.Limits, so that one loop handles all of them.
type ceiling struct {
	name string // as in the file
	get  func(capability.Limits) int64
	set  func(*capability.Limits, int64)
	text func(int64) string
}

// ceilings are all fields of capability.Limits; a test counts them.
var ceilings = [...]ceiling{
	{"memory", func(l capability.Limits) int64 { return l.Memory }, func(l *capability.Limits, n int64) { l.Memory = n }, bytesText},
	{"stack", func(l capability.Limits) int64 { return l.Stack }, func(l *capability.Limits, n int64) { l.Stack = n }, bytesText},
	{"result", func(l capability.Limits) int64 { return l.Result }, func(l *capability.Limits, n int64) { l.Result = n }, bytesText},
	{"log", func(l capability.Limits) int64 { return l.Log }, func(l *capability.Limits, n int64) { l.Log = n }, bytesText},
	{"payload", func(l capability.Limits) int64 { return l.Payload }, func(l *capability.Limits, n int64) { l.Payload = n }, bytesText},
	{"wall", func(l capability.Limits) int64 { return int64(l.Wall) }, func(l *capability.Limits, n int64) { l.Wall = time.Duration(n) }, timeText},
	{"cpu", func(l capability.Limits) int64 { return int64(l.CPU) }, func(l *capability.Limits, n int64) { l.CPU = time.Duration(n) }, timeText},
	{"calls", func(l capability.Limits) int64 { return l.Calls }, func(l *capability.Limits, n int64) { l.Calls = n }, countText},
	{"log_lines", func(l capability.Limits) int64 { return l.LogLines }, func(l *capability.Limits, n int64) { l.LogLines = n }, countText},
}

func bytesText(n int64) string { return strict.Size(n).String() }
func timeText(n int64) string  { return strict.Duration(n).String() }
func countText(n int64) string { return strconv.FormatInt(n, 10) }
