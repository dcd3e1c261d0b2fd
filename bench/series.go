package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// A probe is one thing that is measured in every round.
type probe interface {
	title() string
	prepare() error // once, before the first round
	measure() error // adds what one round finds
	discard()       // forgets all of it
}

// measureRounds takes all probes in turn, so many times. One that fails is left out from then on, with a line that says why: what cannot run here
// must not keep the rest from being measured. It begins no further round that would, by what the last took, end later than o.most from here; it returns
// how many there were.
func measureRounds(ctx context.Context, o options, probes []probe) (rounds int, err error) {
	begun := time.Now()
	probes = slices.DeleteFunc(probes, func(p probe) bool { return !o.wants(p.title()) })
	each := func(step string, do func(probe) error) error {
		rest := make([]probe, 0, len(probes))
		for _, p := range probes {
			err := do(p)
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted: %w", context.Cause(ctx))
			}
			if err != nil {
				o.logf("%s: left out: %v", p.title(), err)
				p.discard()
				continue
			}
			rest = append(rest, p)
		}
		probes = rest
		o.logf("%s", step)
		return nil
	}
	if err := each("calibrated", probe.prepare); err != nil {
		return 0, err
	}
	for i := range o.rounds {
		round := time.Now()
		if err := each(fmt.Sprintf("round %d of %d", i+1, o.rounds), probe.measure); err != nil {
			return i, err
		}
		if took := time.Since(round); o.most > 0 && i+1 < o.rounds && time.Since(begun)+took > o.most {
			o.logf("no further round: this one took %.0f s", took.Seconds())
			return i + 1, nil
		}
	}
	return o.rounds, nil
}

// A series is a probe of one speed: runs of a guest in a way of an engine, by so many goroutines.
type series struct {
	name    string
	engine  string        // name
	process *process      // nil where that could not be had, or not with this guest
	request line.Request  // of op "run"
	slot    time.Duration // how long one round should take
	took    sample        // microseconds a run, one number a round: the time of all divided by their count
}

func (s *series) load() load    { return load{place{s.engine, s.request.Guest}, s.request.Way} }
func (s *series) title() string { return s.name }
func (s *series) discard()      { s.took = nil }

// prepare finds how many runs fill the slot, and warms up on the way. The first run makes a template, reads code that no processor has seen, and so takes a
// thousand times as long as the later ones: one long answer proves nothing, so the same count is asked for again, and the shorter of both counts. Without
// that, a slot of a cell was filled with a single run.
func (s *series) prepare() error {
	q := &s.request
	for q.Count = q.Workers; ; q.Count *= 2 {
		took, err := s.ask(*q)
		if err == nil && took >= s.slot/4 {
			var again time.Duration
			again, err = s.ask(*q)
			took = min(took, again)
		}
		if err != nil {
			return err
		}
		if took >= s.slot/4 || q.Count >= countMax {
			fit := float64(q.Count) * float64(s.slot) / float64(took)
			q.Count = int(min(countMax, max(float64(q.Workers), fit)))
			return nil
		}
	}
}

// measure lets the engine run for a while first, since it has been idle while the others were asked: caches hold what they have left there.
func (s *series) measure() error {
	warm := s.request
	warm.Count = max(warm.Workers, warm.Count/warmRuns)
	if _, err := s.ask(warm); err != nil {
		return err
	}
	took, err := s.ask(s.request)
	if err != nil {
		return err
	}
	s.took = append(s.took, float64(took.Nanoseconds())/1e3/float64(s.request.Count))
	return nil
}

func (s *series) ask(q line.Request) (time.Duration, error) {
	a, err := s.process.ask(q)
	return a.Took, err
}
