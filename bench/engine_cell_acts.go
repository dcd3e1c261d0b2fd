package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// acts are what only the product is asked.
func (e *cells) acts() map[string]line.Act {
	return map[string]line.Act{
		"kill":       e.kill,
		"beat start": func(line.Request) (line.Answer, error) { e.beat = startBeat(); return line.Answer{}, nil },
		"beat stop": func(line.Request) (line.Answer, error) {
			return line.Answer{Values: []float64{e.beat.stop().Seconds() * 1e3}}, nil
		},
		"warm": e.warm,
		"deep": e.deep,
	}
}

// kill runs a guest that runs away, q.Count times among q.Workers goroutines, under a limit of q.Limit on wall time or, by q.Way, on CPU time.
// Values are how many milliseconds after its limit each run had returned.
func (e *cells) kill(q line.Request) (line.Answer, error) {
	p, err := e.loadFile(q.Path)
	if err != nil {
		return line.Answer{}, err
	}
	limits, code := capability.Limits{Wall: q.Limit, CPU: time.Hour, Log: 1 << 40, LogLines: 1 << 40}, sandbox.CodeWall
	if q.Way == "cpu" {
		limits, code = capability.Limits{Wall: time.Hour, CPU: q.Limit}, sandbox.CodeCPU
	}
	late := make([]float64, q.Count)
	errs := make([]error, q.Count)
	var next atomic.Int64
	var done sync.WaitGroup
	for range q.Workers {
		done.Go(func() {
			for i := next.Add(1) - 1; i < int64(q.Count); i = next.Add(1) - 1 {
				begun := time.Now()
				out := p.Run(e.ctx, sandbox.Job{ID: "bench", Tenant: "bench", Held: e.held, Limits: limits})
				took := time.Since(begun)
				if q.Way == "cpu" {
					took = out.Usage.CPU
				}
				late[i] = (took - q.Limit).Seconds() * 1e3
				if out.Code != code {
					errs[i] = fmt.Errorf("%w: %w", errNoLimit, outcomeError(out))
				}
			}
		})
	}
	done.Wait()
	return line.Answer{Values: late}, errors.Join(errs...)
}

// A beat is a goroutine that wants to wake every millisecond, as the heartbeats of a worker do at their own pace, and remembers the longest time
// that it did not.
type beat struct {
	quit    chan struct{}
	longest chan time.Duration
}

func startBeat() *beat {
	b := &beat{make(chan struct{}), make(chan time.Duration)}
	go func() { // until stop
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		last, longest := time.Now(), time.Duration(0)
		for {
			select {
			case <-ticker.C:
				now := time.Now()
				longest, last = max(longest, now.Sub(last)), now
			case <-b.quit:
				b.longest <- max(longest, time.Since(last))
				return
			}
		}
	}()
	return b
}

func (b *beat) stop() time.Duration {
	close(b.quit)
	return <-b.longest
}
