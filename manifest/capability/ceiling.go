package capability

import (
	"cmp"
	"time"
)

// Limits are the numeric bounds of one task. A zero field is not stated by this layer. Sizes are
// bytes; Tables counts elements of all tables of one instance, Fuel the units that metering charges.
type Limits struct {
	Memory, Stack, Result, Log, Payload int64
	Wall, CPU                           time.Duration
	Calls, LogLines, Fuel, Tables       int64
}

// Tightest gives for each field the smaller of those stated.
func (l Limits) Tightest(m Limits) Limits {
	return Limits{
		Memory: tighter(l.Memory, m.Memory), Stack: tighter(l.Stack, m.Stack), Result: tighter(l.Result, m.Result),
		Log: tighter(l.Log, m.Log), Payload: tighter(l.Payload, m.Payload),
		Wall: tighter(l.Wall, m.Wall), CPU: tighter(l.CPU, m.CPU),
		Calls: tighter(l.Calls, m.Calls), LogLines: tighter(l.LogLines, m.LogLines),
		Fuel: tighter(l.Fuel, m.Fuel), Tables: tighter(l.Tables, m.Tables),
	}
}

// tighter gives the smaller of two bounds, where zero is none.
func tighter[T cmp.Ordered](a, b T) T {
	var none T
	if a == none {
		return b
	}
	if b == none {
		return a
	}
	return min(a, b)
}
