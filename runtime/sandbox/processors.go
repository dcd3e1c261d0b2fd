package sandbox

import (
	"context"
	goruntime "runtime"
	"slices"
	"sync"
	"time"
)

// Processors say which of the runs that have begun compute. There may be a hundred for each processor, since those that wait for the world count, too; were all of them
// runnable, Go's scheduler would let each of them have its tick's worth before it came back to one whose time is over, or to the worker's own heartbeats. So only
// a few compute, and pass their place on at each tick, to the one that waits longest, but first to one that was cancelled. One that waits when its time is over needs no
// place, for all that it does is end: a timer wakes it, which Go's scheduler looks at before anything else.
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
	parent     context.Context // of its guest, which ends with it; nil while it has none
	deadline   instant         // likewise, 0
	placed     bool            // it has a place: not where it stopped waiting for one at its deadline
	called     chan struct{}   // takes one when it has got a place; nil until it waits first
	over       *time.Timer     // wakes it at its deadline; nil until it waits first with one
}

func newProcessors(places int) *processors {
	return &processors{free: places, few: places - places/computingPerCPU}
}

// take waits for a place, until the deadline.
func (t *turn) take() {
	p := t.processors
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		t.placed = true
		p.mu.Unlock()
		return
	}
	t.wait()
}

// give gives the place back, if there is one.
func (t *turn) give() {
	if !t.placed {
		return
	}
	t.placed = false
	p := t.processors
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	go p.call() // ends when what is runnable now has run
}

// pass gives the place to another run, if one waits, and waits for the next, until the deadline. passed says whether it did, full else whether guests may compute on every
// processor.
func (t *turn) pass() (passed, full bool) {
	p := t.processors
	p.mu.Lock()
	if len(p.waiting) == 0 || !t.placed {
		full = p.free <= p.few
		p.mu.Unlock()
		return false, full
	}
	t.placed = false
	go p.call() // ends when what is runnable now has run
	t.wait()
	return true, false
}

// call gives a place to a run that is to end, or to the one that waits longest, after all that is runnable has run: what is not a guest, too, the garbage collector among it. No guest is in that
// queue meanwhile, where no timer would reach it; and while the queue is long, because thousands of goroutines have just started, few guests begin.
func (p *processors) call() {
	goruntime.Gosched()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.free++
		return
	}
	next := max(0, slices.IndexFunc(p.waiting, (*turn).ended))
	p.waiting[next].called <- struct{}{}
	p.waiting = slices.Delete(p.waiting, next, next+1)
}

// ended reports whether its guest was cancelled.
func (t *turn) ended() bool { return t.parent != nil && t.parent.Err() != nil }

// wait waits for a place, until the deadline, with processors.mu locked, and unlocks it.
func (t *turn) wait() {
	if t.called == nil {
		t.called = make(chan struct{}, 1)
	}
	p := t.processors
	p.waiting = append(p.waiting, t)
	p.mu.Unlock()
	if t.deadline == 0 {
		<-t.called
		t.placed = true
		return
	}
	if left := t.deadline - now(); t.over == nil {
		t.over = time.NewTimer(left)
	} else {
		t.over.Reset(left)
	}
	select {
	case <-t.called:
		t.over.Stop()
		t.placed = true
	case <-t.over.C:
		t.leave()
	}
}

// leave ends the waiting for a place, unless it has just got one.
func (t *turn) leave() {
	p := t.processors
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.waiting, t); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
		return
	}
	<-t.called
	t.placed = true
}
