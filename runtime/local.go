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

// class is what is counted together. Kinds are told apart by which fields are set.
type class struct{ queue, tenant, task string }

// classes returns what b counts for, with the bound of each; a bound of 0 is none.
func (l Limits) classes(b *begun) [3]bounded {
	t := &b.task
	return [3]bounded{{class{queue: b.post.name}, l.Queue}, {class{tenant: t.Tenant}, l.Tenant}, {class{tenant: t.Tenant, task: t.Task}, l.Task}}
}

type bounded struct {
	class
	most int
}

// tally is how many of a class run, and how many wait for a runner.
type tally struct{ running, waiting int }

// local counts the classes that are bounded; ready's lock guards it. Without Limits it counts nothing.
type local struct {
	limits Limits
	of     map[class]*tally // no more than there are deliveries
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

// blocked reports whether b may not run now, since as many as may run of one of its classes.
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

// surplus reports whether so many wait of one of b's classes that b is better given back, and whether its lane can be
// left out of claims until there are fewer, which for a task it cannot.
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

// keepWaiting is how many of a class may wait on a worker that runs most of it: once as many or, of brief tasks, what is
// done within aheadFor.
func keepWaiting(most int, mean time.Duration) int {
	return min(max(most, int(time.Duration(most)*aheadFor/max(mean, 1))), aheadMax)
}

// full reports whether enough of a class waits, so that no more of it is to be claimed.
func (l *local) full(c class, most int, mean time.Duration) bool {
	t := l.of[c]
	return most > 0 && t != nil && t.running >= most && t.waiting > 0 && 2*t.waiting >= keepWaiting(most, mean)
}

// claimable returns those of lanes of which more may be claimed, and whether that is all of them.
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

// giveAway lets go of a delivery of which more than enough wait here: to its lane, from which this worker claims no
// more for now, or parked for a moment.
func (w *Worker) giveAway(b *begun, byLane bool) {
	if byLane {
		w.putBack(b)
		return
	}
	w.finish(b, queue.Park(w.cfg.Clock().Add(surplusWait/2+rand.N(surplusWait/2))), nil, report{code: "parked"})
}
