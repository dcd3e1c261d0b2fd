package main

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// overstay runs a guest that only its limit on wall time ends, and returns how many milliseconds after that limit the run had returned.
func (e *cells) overstay(p *sandbox.Program, limit time.Duration) (late float64, err error) {
	limits := capability.Limits{Wall: limit, CPU: time.Hour, Log: 1 << 40, LogLines: 1 << 40, Calls: 1 << 40}
	out := p.Run(e.ctx, sandbox.Job{ID: "bench", Tenant: "bench", Held: e.held, Limits: limits, Log: func(string, string) {}})
	late = (time.Since(out.Usage.Begun) - limit).Seconds() * 1e3
	if out.Code != sandbox.CodeWall {
		err = fmt.Errorf("%w: %w", errNoLimit, outcomeError(out))
	}
	return late, err
}

// crowd runs q.Count runaway guests under a limit of q.Limit on wall time, in q.Workers goroutines that start at once: of the kind q.Guest, or of all kinds in turn when it
// is "". Values are the longest time without a heartbeat meanwhile, and then how late each run was. Every guest has run alone before.
func (e *cells) crowd(q line.Request) (line.Answer, error) {
	var programs []*sandbox.Program
	for _, a := range runaways() {
		if q.Guest != "" && q.Guest != a.name {
			continue
		}
		p, err := e.load(a.guest)
		if err == nil {
			_, err = e.overstay(p, q.Limit)
		}
		if err != nil {
			return line.Answer{}, fmt.Errorf("%s: %w", a.name, err)
		}
		programs = append(programs, p)
	}
	goruntime.GC() // what admission left
	late := make([]float64, q.Count)
	errs := make([]error, q.Count)
	var next atomic.Int64
	var done sync.WaitGroup
	beat := startBeat()
	for range q.Workers {
		done.Go(func() {
			for i := next.Add(1) - 1; i < int64(q.Count); i = next.Add(1) - 1 {
				late[i], errs[i] = e.overstay(programs[int(i)%len(programs)], q.Limit)
			}
		})
	}
	done.Wait()
	gap := beat.stop().Seconds() * 1e3
	return line.Answer{Values: slices.Insert(late, 0, gap)}, errors.Join(errs...)
}

// deep lets a guest that does nothing but call itself run into a limit on wall time, q.Count times, each time at another point of its way down to its limit of
// stack, which is q.Size bytes. Values are how many milliseconds late each run was that did not come so far.
func (e *cells) deep(q line.Request) (line.Answer, error) {
	p, err := e.loadFile(q.Path)
	if err != nil {
		return line.Answer{}, err
	}
	run := func(wall time.Duration) sandbox.Outcome {
		return p.Run(e.ctx, sandbox.Job{ID: "bench", Tenant: "bench", Limits: capability.Limits{Wall: wall, Stack: int64(q.Size)}})
	}
	var way time.Duration // the longest of a few
	for range warmRuns {
		out := run(time.Minute)
		if out.Code != sandbox.CodeStack {
			return line.Answer{}, outcomeError(out)
		}
		way = max(way, out.Usage.Wall)
	}
	var a line.Answer
	for i := range q.Count {
		limit := way * time.Duration(i+1) / time.Duration(q.Count)
		if out := run(limit); out.Code == sandbox.CodeWall {
			a.Values = append(a.Values, (time.Since(out.Usage.Begun)-limit).Seconds()*1e3)
		}
	}
	return a, nil
}
