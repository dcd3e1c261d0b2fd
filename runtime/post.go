package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// A post is the worker's state for one queue. Each has goroutines of its own for all calls to the broker, since queues may lie on
// different servers of a cluster: one that is slow or away must not hold up another.
type post struct {
	name         string
	broker       brokerHealth
	hearing      hearing
	recoverAfter time.Time    // before it nothing is taken over, see recoverGrace; the maintainer's
	refused      atomic.Int64 // when the broker last would not take an outcome, as nanoseconds since 1970
	ended        endings
	orders       *orders
	events       events
	intakes      sync.WaitGroup // claims and what they brought, until that is started; waited for by its claimer
}

// endings is the queue of outcomes that wait for the settler. It is bounded by what a post may hold: see capacity.
type endings struct {
	mu     sync.Mutex
	list   []*ending
	bytes  int  // of results in list and under way
	count  int  // in list and under way
	writes int  // under way
	closed bool // nothing comes any more
	some   chan struct{}
}

// add takes one outcome.
func (e *endings) add(one *ending) {
	if one.begun != nil {
		one.begun.over.Store(true)
	}
	e.mu.Lock()
	e.list = append(e.list, one)
	e.count++
	e.bytes += one.size()
	e.mu.Unlock()
	e.signal()
}

func (e *endings) signal() {
	select {
	case e.some <- struct{}{}:
	default:
	}
}

// close says that nothing more is added.
func (e *endings) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
}

// begin reports whether the runner of one may write it itself: not when others wait or are being written, for then one joins them.
func (e *endings) begin(one *ending) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.writes > 0 || len(e.list) > 0 {
		return false
	}
	one.begun.over.Store(true)
	e.writes++
	e.count++
	e.bytes += one.size()
	return true
}

// again queues an outcome that begin had taken and that could not be written.
func (e *endings) again(one *ending) {
	e.mu.Lock()
	e.writes--
	e.list = append(e.list, one)
	e.mu.Unlock()
	e.signal()
}

// take returns the oldest outcomes, at most settleMax, to be written now; nil if none should be. With no write under way even one
// outcome goes out at once. With one under way, a second write needs settleEnough outcomes. over says that nothing is left and
// nothing more is added.
func (e *endings) take() (batch []*ending, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.list), settleMax)
	if n == 0 || e.writes > 0 && (e.writes >= settleWrites || n < settleEnough) {
		return nil, len(e.list) == 0 && e.closed && e.writes == 0
	}
	batch = e.list[:n:n]
	if e.list = e.list[n:]; len(e.list) == 0 {
		e.list = nil
	}
	e.writes++
	return batch, false
}

// written ends a write, and wakes the settler if something waited for that.
func (e *endings) written() {
	e.mu.Lock()
	e.writes--
	waited := len(e.list) > 0 || e.closed
	e.mu.Unlock()
	if waited {
		e.signal()
	}
}

// gone uncounts outcomes that have been written or abandoned.
func (e *endings) gone(batch []*ending) {
	size := 0
	for _, one := range batch {
		size += one.size()
	}
	e.mu.Lock()
	e.count -= len(batch)
	e.bytes -= size
	e.mu.Unlock()
}

// full reports whether so much waits for the broker that nothing more may be taken from it.
func (e *endings) full() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count >= endedMax || e.bytes >= endedBytesMax
}

// claimSome waits for capacity and for deliveries, which it counts there. It returns none when ctx has ended.
func (w *Worker) claimSome(ctx context.Context, p *post) []queue.Delivery {
	for attempt := 0; ctx.Err() == nil; {
		changed := w.goAhead(ctx, p)
		if changed == nil {
			return nil
		}
		if p.broker.stuck() {
			attempt++
			p.broker.pause(ctx, attempt)
			continue
		}
		most := w.capacity.wait(ctx, p) // after goAhead: during a pause other posts may have taken the capacity
		if most == 0 {
			return nil
		}
		lanes, all := w.claimable(w.rules.Load().lanes[p.name])
		wait := claimWait
		if !all {
			wait = limitedWait
		}
		if len(lanes) == 0 {
			sleep(ctx, limitedWait)
			continue
		}
		reading, stop := context.WithCancel(ctx)
		unhook := context.AfterFunc(changed, stop) // an order to pause ends the claim at once
		batch, err := w.cfg.Broker.Claim(reading, queue.Claim{Lanes: lanes, Max: min(most, claimMax), Wait: wait})
		unhook()
		cut := reading.Err() != nil && ctx.Err() == nil // by an order to pause
		stop()
		switch {
		case err != nil && cut:
		case err == nil:
			attempt = 0
			p.broker.up(w.log, actClaim)
			if len(batch) > 0 {
				w.capacity.take(len(batch))
				return batch
			}
		case ctx.Err() == nil:
			attempt++
			p.broker.down(w.log, actClaim, err)
			p.broker.pause(ctx, attempt)
		}
	}
	return nil
}

// goAhead waits while the queue is paused. It returns a context that ends at the next order to pause or resume, nil when ctx has
// ended.
func (w *Worker) goAhead(ctx context.Context, p *post) (changed context.Context) {
	for ctx.Err() == nil {
		paused, until, changed := p.orders.paused(w.cfg.Clock())
		if !paused {
			return changed
		}
		over := time.NewTimer(until.Sub(w.cfg.Clock()))
		select {
		case <-ctx.Done():
		case <-changed.Done():
		case <-over.C:
		}
		over.Stop()
	}
	return nil
}

// maintain promotes the post's due messages and recovers the deliveries of dead workers, until ctx ends.
func (w *Worker) maintain(ctx context.Context, p *post) {
	for wait := time.Duration(0); sleep(ctx, wait); {
		wait = min(w.promote(ctx, p), w.recover(ctx, p))
	}
}

// promote moves due messages into their lanes and returns how long to wait before the next call.
func (w *Worker) promote(ctx context.Context, p *post) time.Duration {
	n, next, err := w.cfg.Broker.Promote(ctx, p.name, promoteMax)
	if err != nil {
		if ctx.Err() == nil {
			p.broker.down(w.log, actPromote, err)
		}
		if r := reasonOf(err); everywhere[r] || r == queue.ReasonTimeout {
			p.recoverAfter = time.Now().Add(recoverGrace)
		}
		return maintainEvery
	}
	p.broker.up(w.log, actPromote)
	switch {
	case n == promoteMax:
		return 0
	case next.IsZero():
		return maintainEvery
	}
	return min(maintainEvery, max(time.Until(next), maintainSoonest))
}

// recover takes over as many deliveries of dead workers as there is room for, and returns how long to wait before the next call.
func (w *Worker) recover(ctx context.Context, p *post) time.Duration {
	free := min(w.capacity.free(p), claimMax)
	if paused, _, _ := p.orders.paused(w.cfg.Clock()); paused || free == 0 || p.broker.stuck() || time.Now().Before(p.recoverAfter) {
		return maintainEvery
	}
	found, err := w.cfg.Broker.Recover(ctx, w.rules.Load().lanes[p.name], free)
	if err != nil {
		if ctx.Err() == nil {
			p.broker.down(w.log, actRecover, err)
		}
		return maintainEvery
	}
	p.broker.up(w.log, actRecover)
	if found.Vanished > 0 {
		w.log.Error("entries were deleted while they were leased", "entries", found.Vanished)
		w.metrics.vanished.Add(float64(found.Vanished))
	}
	if len(found.Deliveries) == 0 {
		return maintainEvery
	}
	w.metrics.recovered.Add(float64(len(found.Deliveries)))
	w.capacity.take(len(found.Deliveries))
	w.handOver(w.takeIn(ctx, p, found.Deliveries))
	return 0
}
