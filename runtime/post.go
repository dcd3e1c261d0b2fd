package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// A post is the worker's place at one queue. Each has goroutines of its own for all that goes to the broker, since
// queues may lie on different servers of a cluster: what happens to one must not hold up another.
type post struct {
	name    string
	ended   endings
	orders  *orders
	events  events
	intakes sync.WaitGroup // batches that are being verified and started; waited for by its claimer
}

// endings are outcomes on their way to the broker. They are bounded by what a post may hold: see room.
type endings struct {
	mu     sync.Mutex
	list   []*ending
	bytes  int  // of results in list and under way
	count  int  // in list and under way
	closed bool // nothing comes any more
	some   chan struct{}
}

// add takes one outcome.
func (e *endings) add(one *ending) {
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

// close says that nothing comes any more.
func (e *endings) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
}

// waiting returns how many wait to be written, and whether nothing comes any more.
func (e *endings) waiting() (n int, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.list), e.closed
}

// take returns the oldest, at most settleMax.
func (e *endings) take() []*ending {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.list), settleMax)
	batch := e.list[:n:n]
	if e.list = e.list[n:]; len(e.list) == 0 {
		e.list = nil
	}
	return batch
}

// gone forgets what has been written or abandoned.
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

// claim reads the post's lanes while there is room, until ctx ends; the next read goes out while what the last one
// brought is verified and started. It returns when all of that is done.
func (w *Worker) claim(ctx context.Context, p *post) {
	defer p.intakes.Wait()
	last := make(chan struct{})
	close(last)
	w.awaitOrders(ctx, p)
	for attempt := 0; ctx.Err() == nil; {
		most := w.room.wait(ctx, p)
		changed := w.goAhead(ctx, p)
		if most == 0 || changed == nil {
			return
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
		unhook := context.AfterFunc(changed, stop)
		batch, err := w.cfg.Broker.Claim(reading, queue.Claim{Lanes: lanes, Max: min(most, claimMax), Wait: wait})
		unhook()
		cut := reading.Err() != nil && ctx.Err() == nil // by an order to pause
		stop()
		switch {
		case err != nil && cut:
		case err == nil && len(batch) == 0:
			attempt = 0
			w.broker.up(w.log, actClaim)
		case err == nil:
			attempt = 0
			w.broker.up(w.log, actClaim)
			w.room.take(len(batch))
			before, done := last, make(chan struct{})
			p.intakes.Go(func() {
				defer close(done)
				w.intake(ctx, p, batch, before)
			})
			last = done
		case ctx.Err() == nil:
			attempt++
			w.broker.down(w.log, actClaim, err)
			sleep(ctx, brokerPause(attempt))
		}
	}
}

// goAhead waits while the queue is paused. It returns a context that ends at the next order to pause or resume, nil
// when ctx ended.
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

// tend moves due messages back into the post's lanes and takes over what dead workers held, until ctx ends.
func (w *Worker) tend(ctx context.Context, p *post) {
	for wait := time.Duration(0); sleep(ctx, wait); {
		wait = min(w.promote(ctx, p), w.recover(ctx, p))
	}
}

// promote moves what is due and returns when to come again.
func (w *Worker) promote(ctx context.Context, p *post) time.Duration {
	n, next, err := w.cfg.Broker.Promote(ctx, p.name, promoteMax)
	switch {
	case err != nil:
		return tendEvery // the claimer meets the same broker and says so
	case n == promoteMax:
		return 0
	case next.IsZero():
		return tendEvery
	}
	return min(tendEvery, max(time.Until(next), tendSoonest))
}

// recover takes over what fits and returns when to come again.
func (w *Worker) recover(ctx context.Context, p *post) time.Duration {
	free := min(w.room.free(p), claimMax)
	if paused, _, _ := p.orders.paused(w.cfg.Clock()); paused || free == 0 {
		return tendEvery
	}
	found, err := w.cfg.Broker.Recover(ctx, w.rules.Load().lanes[p.name], free)
	if err != nil {
		return tendEvery
	}
	if found.Vanished > 0 {
		w.log.Error("entries were deleted while they were leased", "entries", found.Vanished)
		w.metrics.vanished.Add(float64(found.Vanished))
	}
	if len(found.Deliveries) == 0 {
		return tendEvery
	}
	w.metrics.recovered.Add(float64(len(found.Deliveries)))
	w.room.take(len(found.Deliveries))
	w.intake(ctx, p, found.Deliveries, nil)
	return 0
}
