package sandbox

import (
	"context"
	goruntime "runtime"
	"slices"
	"testing"
)

// waiters is how many runs wait for p.
func (p *processors) waiters() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// TestFull: guests may compute on every processor once there are as many of them as processors.
func TestFull(t *testing.T) {
	const cpus = 3
	p := newProcessors(computingPerCPU * cpus)
	guests := make([]turn, computingPerCPU*cpus)
	for i := range guests {
		guests[i].processors = p
		guests[i].take()
		if _, full := guests[0].pass(); full != (i+1 >= cpus) {
			t.Errorf("with %d guests on %d processors: %v", i+1, cpus, full)
		}
	}
}

// TestPlacesArePassedOn: with one place, runs compute in the order of their coming.
func TestPlacesArePassedOn(t *testing.T) {
	p := newProcessors(1)
	holder := turn{processors: p}
	holder.take()
	names := []string{"first", "second", "last"}
	order := make(chan string, len(names))
	for i, name := range names {
		go func() { // ends with the place
			own := turn{processors: p, deadline: instant(i) * (now() + 1<<40)} // the first has none
			own.take()
			order <- name
			own.give()
		}()
		for p.waiters() <= i {
			goruntime.Gosched()
		}
	}
	if passed, _ := holder.pass(); !passed || !holder.placed { // comes back after all of them
		t.Error("the place was not passed on, or did not come back")
	}
	var got []string
	for len(order) > 0 {
		got = append(got, <-order)
	}
	if !slices.Equal(got, names) {
		t.Errorf("%q, want %q", got, names)
	}
	if passed, _ := holder.pass(); passed {
		t.Error("the place was passed on, and nobody waits")
	}
	holder.give()
	if p.free != 1 || p.waiters() != 0 {
		t.Errorf("%d places are free, %d wait", p.free, p.waiters())
	}
}

// TestCancelledComeFirst: a run that was cancelled gets the next place, whoever came before it, since all that it does is end.
func TestCancelledComeFirst(t *testing.T) {
	p := newProcessors(1)
	holder := turn{processors: p}
	holder.take()
	over, cancel := context.WithCancel(t.Context())
	order := make(chan string, 3)
	for i, parent := range []context.Context{nil, t.Context(), over} {
		go func() { // ends with the place
			own := turn{processors: p, parent: parent}
			own.take()
			order <- []string{"no guest", "guest", "cancelled"}[i]
			own.give()
		}()
		for p.waiters() <= i {
			goruntime.Gosched()
		}
	}
	cancel()
	holder.give()
	if got := []string{<-order, <-order, <-order}; !slices.Equal(got, []string{"cancelled", "no guest", "guest"}) {
		t.Errorf("%q", got)
	}
}

// TestDeadlinesNeedNoPlace: who waits for a place when its time is over goes on without one, and gives none back.
func TestDeadlinesNeedNoPlace(t *testing.T) {
	p := newProcessors(1)
	holder, over, soon := turn{processors: p}, turn{processors: p, deadline: 1}, turn{processors: p, deadline: now() + 1e6}
	holder.take()
	over.take()
	soon.take()
	if over.placed || soon.placed || now() < soon.deadline {
		t.Errorf("%+v, %+v", over, soon)
	}
	over.give()
	soon.give()
	if passed, _ := soon.pass(); passed || p.free != 0 || p.waiters() != 0 {
		t.Errorf("%d places are free, %d wait", p.free, p.waiters())
	}
	holder.give()
	soon.take()
	if !soon.placed {
		t.Error("there is a place, and it has not got it")
	}
}
