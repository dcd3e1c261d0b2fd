package host

import (
	"context"
	"strconv"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// clockAct is clock_fine: [] -> [realtime, monotonic], both in nanoseconds at the full resolution of the worker's clock.
// A run that holds "clock fine" has the same resolution in WASI's clock_time_get; this is for guests without WASI.
func clockAct(now func() time.Time) Act[struct{}, time.Time] {
	began := now() // monotonic counts from here: it is one number for the whole worker, without meaning outside of it
	return Act[struct{}, time.Time]{
		Name:    abi.ClockFine,
		Kind:    abi.KindClock,
		Instant: true,
		Read: func(fields [][]byte) (struct{}, error) {
			if len(fields) != 0 {
				return struct{}{}, errFrame
			}
			return struct{}{}, nil
		},
		Want: func(struct{}) capability.Capability { return capability.ClockFine() },
		Do:   func(context.Context, Ask, struct{}) (time.Time, error) { return now(), nil },
		Write: func(t time.Time) [][]byte {
			return [][]byte{
				strconv.AppendInt(nil, t.UnixNano(), 10),
				strconv.AppendInt(nil, int64(t.Sub(began)), 10),
			}
		},
	}
}

// clocks of WASI preview 1.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-clockid-variant
const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockThreadCPU = 3
)

// clocks is what a run knows of its clocks once it has looked at one; most runs never do.
type clocks struct {
	began       time.Time // when it first looked: its monotonic clock counts from there
	asked, fine bool      // "clock fine" is held, once that was asked
}

// look returns the time, and whether the run may see all of it.
func (r *Run) look() (now time.Time, fine bool) {
	c := &r.clocks
	now = r.host.now()
	if c.began.IsZero() {
		c.began = now
	}
	if !c.asked {
		c.asked, c.fine = true, r.held.Check(capability.ClockFine()) == nil
	}
	return now, c.fine
}

// clock reads a WASI clock in nanoseconds. The CPU time clocks do not exist: they would be a fine clock by another name.
func (r *Run) clock(id uint32) (uint64, errno) {
	now, fine := r.look()
	var ns int64
	switch {
	case id == clockRealtime:
		ns = now.UnixNano()
	case id == clockMonotonic:
		ns = int64(max(now.Sub(r.clocks.began), 0) + monotonicStart)
	case id <= clockThreadCPU:
		return 0, errnoNotsup
	default:
		return 0, errnoInval
	}
	if !fine {
		ns -= ns % int64(clockCoarse)
	}
	return uint64(ns), errnoSuccess
}

// clockResolution is what clock_res_get says about a clock, in nanoseconds.
func (r *Run) clockResolution(id uint32) (uint64, errno) {
	if _, e := r.clock(id); e != errnoSuccess {
		return 0, e
	}
	if r.clocks.fine {
		return 1, errnoSuccess
	}
	return uint64(clockCoarse), errnoSuccess
}
