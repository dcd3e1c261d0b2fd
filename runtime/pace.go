package runtime

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// pace measures how fast the runners are, which decides how much work the worker prefetches.
type pace struct {
	mean    atomic.Int64   // nanoseconds that a delivery occupies its runner, as a moving average
	runners []atomic.Int64 // when each became busy, in nanoseconds since paceStart; 0: it is idle
}

// paceStart is the origin of a pace's times. They are monotonic, so that a step of the machine's clock is no long run.
var paceStart = time.Now()

func sincePaceStart(now time.Time) int64 { return int64(now.Sub(paceStart)) }

// begin records that a runner begins a delivery.
func (p *pace) begin(runner int, now time.Time) { p.runners[runner].Store(sincePaceStart(now)) }

// end records that the runner has finished it.
func (p *pace) end(runner int, now time.Time) {
	took := max(sincePaceStart(now)-p.runners[runner].Swap(0), 1)
	mean := p.mean.Load()
	// A lost update, when runners race, is one delivery that does not count.
	p.mean.Store(max(mean+(took-mean)/paceWeight, 1))
}

// ahead returns how many deliveries the runners will begin within aheadFor, beside those that they have, by the average run or, for
// a runner whose current task is longer, by that. It is many for tasks of microseconds, so that no runner waits for a round trip,
// and none for tasks of seconds, which another worker may begin sooner.
func (p *pace) ahead(now time.Time) int {
	mean, sum := float64(p.mean.Load()), 0.0
	for i := range p.runners {
		each := mean
		if since := p.runners[i].Load(); since != 0 {
			each = max(each, float64(sincePaceStart(now)-since))
		}
		sum += float64(aheadFor) / each
	}
	return min(int(sum+0.5), aheadMax)
}

// capacity counts the deliveries that have no outcome yet, so that the worker takes no more than it can run soon.
type capacity struct {
	pace  *pace
	ready *ready
	held  atomic.Int64
	below atomic.Int64  // waiters are woken when held is this or less
	freed chan struct{} // of capacity one: a wake-up for a waiter
}

// most returns how many deliveries the worker may hold now, and how many free places are enough for a claim: half of what is ahead
// of the runners, so that claims are few when tasks are short.
func (c *capacity) most() (most, enough int) {
	ahead := c.pace.ahead(time.Now())
	// Deliveries that wait for Config.Limits are no work for free runners, and must not keep other deliveries out.
	return len(c.pace.runners) + ahead + min(c.ready.blocked(), blockedMax), max(1, ahead/2)
}

// free returns how many more deliveries the post may take.
func (c *capacity) free(p *post) int {
	if p.ended.full() {
		return 0
	}
	most, _ := c.most()
	return max(most-int(c.held.Load()), 0)
}

// wait blocks until there is enough room for a claim and returns how much; 0 when ctx ended first.
func (c *capacity) wait(ctx context.Context, p *post) int {
	for {
		if ctx.Err() != nil {
			return 0
		}
		most, enough := c.most()
		c.below.Store(int64(most - enough))
		if n := most - int(c.held.Load()); n >= enough && !p.ended.full() {
			c.wake() // another post may wait too
			return n
		}
		select {
		case <-c.freed:
		case <-ctx.Done():
		}
	}
}

func (c *capacity) take(n int) { c.held.Add(int64(n)) }

func (c *capacity) give(n int) {
	if c.held.Add(-int64(n)) <= c.below.Load() {
		c.wake()
	}
}

func (c *capacity) wake() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

// ready is the queue of started deliveries that wait for a runner, oldest first. It is bounded by capacity.
type ready struct {
	mu      sync.Mutex
	some    sync.Cond // of mu: waiting has grown, a place is idle, or halted is set
	waiting []*begun
	idle    []int     // the numbers of idle runners
	runners int       // of all
	sole    time.Time // until when nothing may begin beside a suspect that runs
	halted  bool
	local   local
}

func newReady(limits Limits, runners int) *ready {
	r := &ready{runners: runners, local: local{limits: limits, of: map[class]*tally{}}}
	for i := range runners {
		r.idle = append(r.idle, i)
	}
	r.some.L = &r.mu
	return r
}

// add appends a batch, and calls away for the deliveries that it does not take because local.surplus says so. mean is how long a
// task takes.
func (r *ready) add(batch []*begun, mean time.Duration, away func(b *begun, byLane bool)) {
	type surplus struct {
		*begun
		byLane bool
	}
	var over []surplus
	r.mu.Lock()
	for _, b := range batch {
		if yes, byLane := r.local.surplus(b, mean); yes {
			over = append(over, surplus{b, byLane})
			continue
		}
		r.waiting = append(r.waiting, b)
		r.local.count(b, 0, 1)
		if b.suspect() {
			time.AfterFunc(suspectWait, r.some.Broadcast) // then it is crowded no longer
		}
	}
	r.mu.Unlock()
	for range min(len(batch)-len(over), ConcurrencyMax) {
		r.some.Signal()
	}
	for _, s := range over {
		away(s.begun, s.byLane)
	}
}

// next waits for a delivery and an idle runner; nil after halt.
func (r *ready) next() (b *begun, runner int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; !r.halted; r.some.Wait() {
		if len(r.idle) == 0 || time.Now().Before(r.sole) { // all are lent, or a suspect runs alone
			continue
		}
		for i, b := range r.waiting { // the first, unless limits hold it up
			if r.local.blocked(b) {
				continue
			}
			if r.crowded(b) {
				break
			}
			copy(r.waiting[1:i+1], r.waiting[:i])
			r.waiting[0] = nil
			if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
				r.waiting = nil
			}
			r.local.count(b, 1, -1)
			return b, r.place(b)
		}
	}
	return nil, 0
}

// crowded reports whether b is a suspect that has to wait until nothing else runs. r.mu is held.
func (r *ready) crowded(b *begun) bool {
	return b.suspect() && len(r.idle) < r.runners && time.Since(b.since) < suspectWait
}

// place takes an idle runner for b. r.mu is held.
func (r *ready) place(b *begun) (runner int) {
	if b.suspect() && len(r.idle) == r.runners {
		r.sole = time.Now().Add(suspectAlone)
		time.AfterFunc(suspectAlone, r.some.Broadcast)
	}
	runner = r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return runner
}

// lend takes an idle runner for b at once, for the goroutine that started b. ok is false, and b has to be added, when no runner is
// idle, others wait, limits block b, or after halt.
func (r *ready) lend(b *begun) (runner int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted || len(r.idle) == 0 || time.Now().Before(r.sole) || len(r.waiting) > 0 || r.local.blocked(b) || r.crowded(b) {
		return 0, false
	}
	r.local.count(b, 1, 0)
	return r.place(b), true
}

// done gives back the runner that ran b, which may unblock another delivery of b's classes. A runner's own goroutine calls next
// itself; for one that was lent, another goroutine has to be woken.
func (r *ready) done(b *begun, runner int, lent bool) {
	r.mu.Lock()
	r.idle = append(r.idle, runner)
	r.local.count(b, -1, 0)
	wake := len(r.waiting) > 0 && (lent || r.local.limits != (Limits{}))
	if b.suspect() {
		r.sole = time.Time{}
	}
	r.mu.Unlock()
	switch {
	case b.suspect():
		r.some.Broadcast()
	case wake:
		r.some.Signal()
	}
}

// blocked returns how many of the waiting deliveries are blocked by limits.
func (r *ready) blocked() (n int) {
	if r.local.limits == (Limits{}) {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.waiting {
		if r.local.blocked(b) {
			n++
		}
	}
	return n
}

// halt makes next and lend give out nothing more: a worker that drains begins nothing.
func (r *ready) halt() {
	r.mu.Lock()
	r.halted = true
	r.mu.Unlock()
	r.some.Broadcast()
}

// rest removes and returns all waiting deliveries.
func (r *ready) rest() []*begun {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting
	r.waiting = nil
	return all
}

// excess removes and returns the deliveries that have waited since a time before the given one, except for the keep oldest and for
// suspects, which would have to wait anew elsewhere.
func (r *ready) excess(keep int, before time.Time) []*begun {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := 0
	for old < len(r.waiting) && r.waiting[old].since.Before(before) {
		old++
	}
	if old <= keep {
		return nil
	}
	var taken []*begun
	left := slices.Clone(r.waiting[:keep])
	for _, b := range r.waiting[keep:old] {
		if b.suspect() {
			left = append(left, b)
			continue
		}
		r.local.count(b, 0, -1)
		taken = append(taken, b)
	}
	r.waiting = append(left, r.waiting[old:]...)
	return taken
}

// share releases deliveries that wait behind tasks which last longer than was foreseen when they were claimed, so that another worker
// may run them, until ctx ends.
func (w *Worker) share(ctx context.Context) {
	patience := w.cfg.Lease / releasePart
	for sleep(ctx, min(patience, maintainEvery)) {
		now := time.Now()
		for _, b := range w.ready.excess(w.pace.ahead(now), now.Add(-patience)) {
			w.putBack(b)
		}
	}
}
