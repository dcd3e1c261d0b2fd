package runtime

import (
	"math/rand/v2"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Limits bound how many tasks one worker runs at a time, of each kind: of a queue, of a tenant, of a task of one
// tenant. 0 is no bound but Config.Concurrency. Bounds over all workers are the policy's.
type Limits struct {
	Queue, Tenant, Task int
}

// class names what is counted together: a queue, a tenant, or a task of a tenant, by which fields are set.
type class struct{ queue, tenant, task string }

// classes returns the classes of b with the bound of each; a bound of 0 is none.
func (l Limits) classes(b *begun) [3]bounded {
	t := &b.task
	return [3]bounded{{class{queue: b.post.name}, l.Queue}, {class{tenant: t.Tenant}, l.Tenant}, {class{tenant: t.Tenant, task: t.Task}, l.Task}}
}

type bounded struct {
	class
	most int
}

// tally counts how many of a class run, and how many wait for a runner.
type tally struct{ running, waiting int }

// local counts the classes that are bounded; ready's lock guards it. Without Limits it counts nothing.
type local struct {
	limits Limits
	of     map[class]*tally // at most three for each delivery that is held
}

// count changes the tallies of b.
func (l *local) count(b *begun, running, waiting int) {
	if l.limits == (Limits{}) {
		return
	}
	for _, c := range l.limits.classes(b) {
		if c.most == 0 {
			continue
		}
		t := l.of[c.class]
		if t == nil {
			t = &tally{}
			l.of[c.class] = t
		}
		t.running += running
		if t.waiting += waiting; *t == (tally{}) {
			delete(l.of, c.class)
		}
	}
}

// blocked reports whether b may not run now because one of its classes is at its bound.
func (l *local) blocked(b *begun) bool {
	if l.limits == (Limits{}) {
		return false
	}
	for _, c := range l.limits.classes(b) {
		if t := l.of[c.class]; c.most > 0 && t != nil && t.running >= c.most {
			return true
		}
	}
	return false
}

// surplus reports whether so many of one of b's classes wait that b should be given away. byLane says that claims can leave b's lane
// out until there are fewer: for a queue or a tenant, not for a task.
func (l *local) surplus(b *begun, mean time.Duration) (yes, byLane bool) {
	if l.limits == (Limits{}) {
		return false, false
	}
	for i, c := range l.limits.classes(b) {
		if t := l.of[c.class]; c.most > 0 && t != nil && t.waiting >= keepWaiting(c.most, mean) {
			return true, i < 2
		}
	}
	return false, false
}

// keepWaiting returns how many of a class with the bound most may wait on this worker: as many again or, for brief tasks, what is done
// within aheadFor.
func keepWaiting(most int, mean time.Duration) int {
	return min(max(most, int(time.Duration(most)*aheadFor/max(mean, 1))), aheadMax)
}

// full reports whether enough of a class waits, so that claims leave it out.
func (l *local) full(c class, most int, mean time.Duration) bool {
	t := l.of[c]
	return most > 0 && t != nil && t.running >= most && t.waiting > 0 && 2*t.waiting >= keepWaiting(most, mean)
}

// claimable returns the lanes from which more may be claimed, and whether those are all of them.
func (w *Worker) claimable(lanes []queue.Lane) (some []queue.Lane, all bool) {
	limits := w.cfg.Limits
	if limits.Queue == 0 && limits.Tenant == 0 || len(lanes) == 0 {
		return lanes, true
	}
	mean := time.Duration(w.pace.mean.Load())
	w.ready.mu.Lock()
	defer w.ready.mu.Unlock()
	l := &w.ready.local
	if l.full(class{queue: lanes[0].Queue}, limits.Queue, mean) {
		return nil, false
	}
	for _, lane := range lanes {
		if !l.full(class{tenant: lane.Tenant}, limits.Tenant, mean) {
			some = append(some, lane)
		}
	}
	return some, len(some) == len(lanes)
}

// giveAway gives up a delivery of whose class more than enough wait here: it is released if claims leave its lane out, else parked for
// a moment.
func (w *Worker) giveAway(b *begun, byLane bool) {
	if byLane {
		w.putBack(b)
		return
	}
	w.finish(b, queue.Park(w.cfg.Clock().Add(surplusWait/2+rand.N(surplusWait/2))), nil, report{code: "parked"})
}
