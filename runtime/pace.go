package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pace knows how fast the runners are, from which follows how much work a worker should have at hand.
type pace struct {
	mean    atomic.Int64   // nanoseconds that a delivery occupies its runner, as a moving average
	runners []atomic.Int64 // since when each is busy, as nanoseconds since paceStart; 0: it is idle
}

// paceStart is before all that a pace is told. It is not 1970: a step of the machine's clock is no long run.
var paceStart = time.Now()

func sincePaceStart(now time.Time) int64 { return int64(now.Sub(paceStart)) }

// begin says that a runner takes up a delivery.
func (p *pace) begin(runner int, now time.Time) { p.runners[runner].Store(sincePaceStart(now)) }

// end says that it is done with it.
func (p *pace) end(runner int, now time.Time) {
	took := max(sincePaceStart(now)-p.runners[runner].Swap(0), 1)
	mean := p.mean.Load()
	// A lost update among runners is one delivery that does not count.
	p.mean.Store(max(mean+(took-mean)/paceShare, 1))
}

// ahead returns how many deliveries the runners will take up within aheadFor, beside those that they have: what each
// did on average, or less when what it has lasts longer. Many for tasks of microseconds, so that no runner waits for a
// round trip; none for tasks of seconds, which another worker may begin sooner.
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

// room counts the deliveries that have not ended yet, so that a worker takes no more than it can run soon.
type room struct {
	pace  *pace
	ready *ready
	held  atomic.Int64
	below atomic.Int64  // who waits for room is woken when held is that or less
	freed chan struct{} // holds one wake-up for those who wait
}

// most is how many deliveries there may be now, and enough how many more are worth a claim: half of what is ahead of
// the runners, so that claims are few when tasks are short.
func (r *room) most() (most, enough int) {
	ahead := r.pace.ahead(time.Now())
	// What limits hold up is no work for the runners that are free, and must not keep others' out.
	return len(r.pace.runners) + ahead + min(r.ready.blocked(), blockedMax), max(1, ahead/2)
}

// free returns how many more deliveries the post may take.
func (r *room) free(p *post) int {
	if p.ended.full() {
		return 0
	}
	most, _ := r.most()
	return max(most-int(r.held.Load()), 0)
}

// wait blocks until there is enough room for a claim and returns how much; 0 when ctx ended first.
func (r *room) wait(ctx context.Context, p *post) int {
	for {
		if ctx.Err() != nil {
			return 0
		}
		most, enough := r.most()
		r.below.Store(int64(most - enough))
		if n := most - int(r.held.Load()); n >= enough && !p.ended.full() {
			r.wake() // another post may wait too
			return n
		}
		select {
		case <-r.freed:
		case <-ctx.Done():
		}
	}
}

func (r *room) take(n int) { r.held.Add(int64(n)) }

func (r *room) give(n int) {
	if r.held.Add(-int64(n)) <= r.below.Load() {
		r.wake()
	}
}

func (r *room) wake() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// ready is what has started and waits for a runner, oldest first. It is bounded by room.
type ready struct {
	mu      sync.Mutex
	some    sync.Cond // of mu: something came, or no more is given out
	waiting []*begun
	idle    []int // places of runners where nothing runs
	halted  bool
	local   local
}

func newReady(limits Limits, runners int) *ready {
	r := &ready{local: local{limits: limits, of: map[class]*tally{}}}
	for i := range runners {
		r.idle = append(r.idle, i)
	}
	r.some.L = &r.mu
	return r
}

// add takes a batch, and calls away for those that it does not take, with byLane as local.surplus says it. mean is how
// long a task takes.
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
	}
	r.mu.Unlock()
	for range min(len(batch)-len(over), ConcurrencyMax) {
		r.some.Signal()
	}
	for _, s := range over {
		away(s.begun, s.byLane)
	}
}

// next waits for a delivery to run and a place to run it; nil when no more is given out.
func (r *ready) next() (b *begun, runner int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; !r.halted; r.some.Wait() {
		if len(r.idle) == 0 { // all are lent
			continue
		}
		for i, b := range r.waiting { // the first, unless limits hold it up
			if r.local.blocked(b) {
				continue
			}
			copy(r.waiting[1:i+1], r.waiting[:i])
			r.waiting[0] = nil
			if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
				r.waiting = nil
			}
			r.local.count(b, 1, -1)
			return b, r.place()
		}
	}
	return nil, 0
}

// place takes a place that is idle. r.mu is held.
func (r *ready) place() (runner int) {
	runner = r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return runner
}

// lend gives a place to whoever has started b, to run it at once. ok is false when there is none, when others wait, when
// limits hold b up and when no more is given out: then b has to be added.
func (r *ready) lend(b *begun) (runner int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted || len(r.idle) == 0 || len(r.waiting) > 0 || r.local.blocked(b) {
		return 0, false
	}
	r.local.count(b, 1, 0)
	return r.place(), true
}

// done says that nothing runs on a place any more that b had, which may let another of its classes run. A runner that
// gives back its own goes on itself; one that was lent is for another to take.
func (r *ready) done(b *begun, runner int, lent bool) {
	r.mu.Lock()
	r.idle = append(r.idle, runner)
	r.local.count(b, -1, 0)
	wake := len(r.waiting) > 0 && (lent || r.local.limits != (Limits{}))
	r.mu.Unlock()
	if wake {
		r.some.Signal()
	}
}

// blocked returns how many wait that limits hold up.
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

// halt ends the giving out: a worker that drains begins nothing.
func (r *ready) halt() {
	r.mu.Lock()
	r.halted = true
	r.mu.Unlock()
	r.some.Broadcast()
}

// rest takes out all that waits.
func (r *ready) rest() []*begun {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting
	r.waiting = nil
	return all
}

// excess takes out the youngest of those that have waited since before, but leaves keep.
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
	taken := append([]*begun(nil), r.waiting[keep:old]...)
	for _, b := range taken {
		r.local.count(b, 0, -1)
	}
	r.waiting = append(r.waiting[:keep], r.waiting[old:]...)
	return taken
}

// share gives back what waits behind long tasks, so that another worker may run it, until ctx ends. Nothing was
// ahead of slow runners when it was claimed but what they turned out to be slow with.
func (w *Worker) share(ctx context.Context) {
	patience := w.cfg.Lease / shareShare
	for sleep(ctx, min(patience, maintainEvery)) {
		now := time.Now()
		for _, b := range w.ready.excess(w.pace.ahead(now), now.Add(-patience)) {
			w.putBack(b)
		}
	}
}
