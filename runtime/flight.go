package runtime

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/caisson-run/caisson/queue"
)

// flight is what the worker holds leases for, by lease token.
type flight struct {
	mu   sync.Mutex
	held map[string]*begun
}

func (f *flight) add(b *begun) {
	f.mu.Lock()
	f.held[b.lease.Token] = b
	f.mu.Unlock()
}

func (f *flight) remove(lease queue.Lease) {
	f.mu.Lock()
	delete(f.held, lease.Token)
	f.mu.Unlock()
}

func (f *flight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

// leases returns a copy of what is to be renewed.
func (f *flight) leases() []queue.Lease {
	f.mu.Lock()
	defer f.mu.Unlock()
	leases := make([]queue.Lease, 0, len(f.held))
	for _, b := range f.held {
		leases = append(leases, b.lease)
	}
	return leases
}

// lose ends the run that a lost lease belonged to. Its outcome would be fenced off, so its work is in vain.
func (f *flight) lose(lease queue.Lease) {
	f.mu.Lock()
	b := f.held[lease.Token]
	f.mu.Unlock()
	if b != nil {
		b.end(errLeaseLost)
	}
}

// room counts the deliveries held, so that a worker takes no more than it can run soon.
type room struct {
	most  int
	held  atomic.Int64
	freed chan struct{} // holds one wake-up for the claimer, the only one that waits
}

func (r *room) free() int { return max(r.most-int(r.held.Load()), 0) }

// wait blocks until there is room and returns how much; 0 when ctx ended first.
func (r *room) wait(ctx context.Context) int {
	for {
		if ctx.Err() != nil {
			return 0
		}
		if n := r.free(); n > 0 {
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
	r.held.Add(-int64(n))
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
