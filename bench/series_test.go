package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// A counted probe fails in one of its rounds, and notes what it is asked in a list that all share.
type counted struct {
	name   string
	failAt int
	asked  *[]string
	rounds int
}

func (c *counted) title() string { return c.name }
func (c *counted) discard()      { c.rounds = -1 }
func (c *counted) prepare() error {
	*c.asked = append(*c.asked, c.name+" prepare")
	return nil
}

func (c *counted) measure() error {
	*c.asked = append(*c.asked, c.name)
	c.rounds++
	if c.rounds == c.failAt {
		return errors.New("broken")
	}
	return nil
}

// TestRoundsInterleave: every round asks all in turn, and one that fails is out of the rest with all its numbers: samples of other rounds give no ratio.
func TestRoundsInterleave(t *testing.T) {
	var asked []string
	a, b, c := &counted{"a", 0, &asked, 0}, &counted{"b", 2, &asked, 0}, &counted{"c", 0, &asked, 0}
	if rounds, err := measureRounds(t.Context(), options{rounds: 3, progress: io.Discard}, []probe{a, b, c}); err != nil || rounds != 3 {
		t.Fatalf("%d rounds, error %v", rounds, err)
	}
	want := []string{"a prepare", "b prepare", "c prepare", "a", "b", "c", "a", "b", "c", "a", "c"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if a.rounds != 3 || b.rounds != -1 || c.rounds != 3 {
		t.Errorf("%d, %d and %d rounds", a.rounds, b.rounds, c.rounds)
	}
}

// TestInterrupt: an interrupt ends the run, and is not taken for a probe that fails.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var asked []string
	_, err := measureRounds(ctx, options{rounds: 3, progress: io.Discard}, []probe{&counted{"a", 0, &asked, 0}, &counted{"b", 0, &asked, 0}})
	if !errors.Is(err, context.Canceled) || len(asked) != 1 {
		t.Errorf("error %v after %q", err, asked)
	}
}

// TestBound: rounds end where a further one would be too late; the first is measured in any case.
func TestBound(t *testing.T) {
	var asked []string
	rounds, err := measureRounds(t.Context(), options{rounds: 3, most: 1, progress: io.Discard}, []probe{&counted{"a", 0, &asked, 0}})
	if err != nil || rounds != 1 || !slices.Equal(asked, []string{"a prepare", "a"}) {
		t.Errorf("%d rounds, asked %q, error %v", rounds, asked, err)
	}
}

// TestColdStart: a first run that takes a thousand times as long as the others does not make a round of one run, and each round warms up.
func TestColdStart(t *testing.T) {
	toEngine, in := io.Pipe()
	out, fromEngine := io.Pipe()
	var counts []int
	go func() { // an engine whose first run takes 40 ms, and each other 20 us; until in is closed
		defer fromEngine.Close()
		for requests := json.NewDecoder(toEngine); ; {
			var q line.Request
			if requests.Decode(&q) != nil {
				return
			}
			took := time.Duration(q.Count) * 20 * time.Microsecond
			if len(counts) == 0 {
				took += 40 * time.Millisecond
			}
			counts = append(counts, q.Count)
			if json.NewEncoder(fromEngine).Encode(line.Answer{Took: took}) != nil {
				return
			}
		}
	}()
	s := &series{name: "cell", process: &process{name: "fake", in: in, out: bufio.NewReader(out)}, slot: 25 * time.Millisecond,
		request: line.Request{Op: "run", Workers: 1}}
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	if s.request.Count != 1250 {
		t.Errorf("%d runs fill 25 ms, want 1250", s.request.Count)
	}
	if err := s.measure(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if last := counts[len(counts)-2:]; !slices.Equal(last, []int{250, 1250}) || len(s.took) != 1 || s.took[0] != 20 {
		t.Errorf("asked for %d runs, took %v us", last, s.took)
	}
}
