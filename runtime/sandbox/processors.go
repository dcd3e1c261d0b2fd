package sandbox

import (
	"slices"
	"sync"
)

// Processors say which of the runs that have begun compute. There may be a hundred for each processor, since those that wait for the world count, too; were all of them
// runnable, Go's scheduler would let each of them have its tick's worth before it came back to one whose time is over, or to the worker's own heartbeats. So only
// a few compute, and pass their place on at each tick: to one whose deadline is over, which has only to end, or else to the one that waits longest.
//
// Whoever has a place does not wait for another run, and nobody keeps one for long. Any number of goroutines use it at once.
type processors struct {
	mu      sync.Mutex
	free    int
	few     int     // with as few free places as that, guests may compute on every processor
	waiting []*turn // in order of their coming
}

// A turn is one run's part in it. One goroutine uses it.
type turn struct {
	processors *processors
	deadline   instant       // of its guest; 0 while it has none
	called     chan struct{} // takes one when it has got a place; nil until it waits first
}

func newProcessors(places int) *processors {
	return &processors{free: places, few: places - places/computingPerCPU}
}

// take waits for a place. Those that compute pass theirs on soon, so it needs no other end.
func (t *turn) take() {
	p := t.processors
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return
	}
	t.wait()
}

// give gives the place back.
func (t *turn) give() {
	p := t.processors
	p.mu.Lock()
	if !p.call() {
		p.free++
	}
	p.mu.Unlock()
}

// pass gives the place to another run that waits, if there is one, and waits for the next. full says whether guests may compute on every processor.
func (t *turn) pass() (full bool) {
	p := t.processors
	p.mu.Lock()
	if !p.call() {
		full = p.free <= p.few
		p.mu.Unlock()
		return full
	}
	t.wait()
	return true
}

// wait waits for a place, with processors.mu locked, and unlocks it.
func (t *turn) wait() {
	if t.called == nil {
		t.called = make(chan struct{}, 1)
	}
	t.processors.waiting = append(t.processors.waiting, t)
	t.processors.mu.Unlock()
	<-t.called
}

// call lets the run that is next have the caller's place, under processors.mu. It answers false when nobody waits.
func (p *processors) call() bool {
	if len(p.waiting) == 0 {
		return false
	}
	t := now()
	next := max(0, slices.IndexFunc(p.waiting, func(w *turn) bool { return w.deadline != 0 && w.deadline <= t }))
	p.waiting[next].called <- struct{}{}
	p.waiting = slices.Delete(p.waiting, next, next+1)
	return true
}
