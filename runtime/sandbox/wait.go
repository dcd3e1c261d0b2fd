package sandbox

import (
	"context"
	"time"
)

// An entrance is a run that has not begun. What it waits for before it begins, for memory and for a template, takes at most its wall time; its place among
// the guests that run at once it waits for as long as it takes.
type entrance struct {
	sandbox *Sandbox
	ctx     context.Context
	wall    time.Duration // how long it may wait
	until   instant       // when it has; set when it waits first
	claimed int64         // of the budget
}

// enter claims what the run may come to take and then waits for a place, in this order: whoever has a place runs, and does not wait. Its outcome is set when there is
// none; else the caller calls leave.
func (e *entrance) enter(size int64) *Outcome {
	s := e.sandbox
	size = s.budget.part(size)
	if c := s.budget.claim(size); c != nil {
		if out := e.wait(c.met, busy); out != nil {
			s.budget.drop(c)
			return out
		}
	}
	e.claimed = size
	select {
	case s.running <- struct{}{}:
		return nil
	default:
	}
	var out Outcome
	select {
	case s.running <- struct{}{}:
		return nil
	case <-e.ctx.Done():
		out = cancelled()
	case <-s.closing.Done():
		out = closing()
	}
	s.budget.give(size)
	return &out
}

// leave gives back what enter took.
func (e *entrance) leave() {
	<-e.sandbox.running
	e.sandbox.budget.give(e.claimed)
}

// wait waits until done is closed. The outcome is set when something else came first, when it is late's because the time was over.
func (e *entrance) wait(done <-chan struct{}, late func() Outcome) *Outcome {
	t := now()
	if e.until == 0 {
		e.until = t + e.wall
	}
	timer := time.NewTimer(e.until - t)
	defer timer.Stop()
	var out Outcome
	select {
	case <-done:
		return nil
	case <-e.ctx.Done():
		out = cancelled()
	case <-e.sandbox.closing.Done():
		out = closing()
	case <-timer.C:
		out = late()
	}
	return &out
}
