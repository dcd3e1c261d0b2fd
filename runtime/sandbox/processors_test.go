package sandbox

import (
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
		if full, want := guests[0].pass(), i+1 >= cpus; full != want {
			t.Errorf("with %d guests on %d processors: %v", i+1, cpus, full)
		}
	}
}

// TestPlacesArePassedOn: with one place, runs compute in the order of their coming, but for one whose deadline is over, which comes first.
func TestPlacesArePassedOn(t *testing.T) {
	p := newProcessors(1)
	holder := turn{processors: p}
	holder.take()
	order := make(chan string, 4)
	for i, w := range []struct {
		name     string
		deadline instant
	}{{"first", 0}, {"second", now() + 1<<40}, {"late", 1}, {"last", 0}} {
		go func() { // ends with the place
			own := turn{processors: p, deadline: w.deadline}
			own.take()
			order <- w.name
			own.give()
		}()
		for p.waiters() <= i {
			goruntime.Gosched()
		}
	}
	holder.pass() // comes back after all of them
	var got []string
	for len(order) > 0 {
		got = append(got, <-order)
	}
	if want := []string{"late", "first", "second", "last"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	holder.give()
	if p.free != 1 || p.waiters() != 0 {
		t.Errorf("%d places are free, %d wait", p.free, p.waiters())
	}
	holder.take()
	holder.pass() // nobody waits
	holder.give()
	if p.free != 1 {
		t.Errorf("%d places are free", p.free)
	}
}
