package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
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
	if err := measureRounds(t.Context(), options{rounds: 3, progress: io.Discard}, []probe{a, b, c}); err != nil {
		t.Fatal(err)
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
	err := measureRounds(ctx, options{rounds: 3, progress: io.Discard}, []probe{&counted{"a", 0, &asked, 0}, &counted{"b", 0, &asked, 0}})
	if !errors.Is(err, context.Canceled) || len(asked) != 1 {
		t.Errorf("error %v after %q", err, asked)
	}
}
