package runtime

import (
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/runtime/policy"
)

// flight holds the deliveries that the worker has leases for, by lease token.
type flight struct {
	mu   sync.Mutex
	held map[string]*begun
}

func (f *flight) add(batch []*begun) {
	f.mu.Lock()
	for _, b := range batch {
		f.held[b.lease.Token] = b
	}
	f.mu.Unlock()
}

func (f *flight) remove(batch []*ending) {
	f.mu.Lock()
	for _, e := range batch {
		if e.begun != nil {
			delete(f.held, e.begun.lease.Token)
		}
	}
	f.mu.Unlock()
}

func (f *flight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held)
}

// leases returns the leases to renew in one queue.
func (f *flight) leases(name string) []queue.Lease {
	f.mu.Lock()
	defer f.mu.Unlock()
	var leases []queue.Lease
	for _, b := range f.held {
		if b.lease.Lane.Queue == name {
			leases = append(leases, b.lease)
		}
	}
	return leases
}

// cancel ends all deliveries that a cancels, running or waiting for a runner, and returns how many; heard is when a was read.
// spared counts those that a names but may not cancel.
func (f *flight) cancel(a policy.AuthorisedOrder, heard time.Time) (n, spared int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	target := a.Order().Target
	for _, b := range f.held {
		if b.id != target && (b.task.Plan.IsZero() || b.task.Plan.String() != target) {
			continue
		}
		if !a.Cancels(b.allowed) {
			spared++
			continue
		}
		if b.cancelled.IsZero() {
			b.cancelled = heard
		}
		b.end(errCancelled)
		n++
	}
	return n, spared
}

// sinceCancel returns how long ago the order that ended b's run was read; 0 if that was before b was added.
func (f *flight) sinceCancel(b *begun) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.cancelled.IsZero() {
		return 0
	}
	return time.Since(b.cancelled)
}

// renew records that the leases of batch, except lost, were renewed by a call made at asked. overdue goes by it.
func (f *flight) renew(batch, lost []queue.Lease, asked time.Time) {
	gone := make(map[string]bool, len(lost))
	for _, lease := range lost {
		gone[lease.Token] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, lease := range batch {
		if b := f.held[lease.Token]; b != nil && !gone[lease.Token] {
			b.renewed = asked
		}
	}
}

// overdue reports whether b's lease has run out as far as this worker can know, because it was stopped, starved or cut off.
// Another worker may have run the task by now, and a run that begins in spite of that could settle nothing.
func (f *flight) overdue(b *begun, lease time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(b.renewed) >= lease
}

// lose ends the run whose lease was lost, and reports whether there was one: its outcome would be fenced off. A delivery that has an
// outcome already is left alone. Its lease may be gone because it has just been settled; if not, the settlement will say so.
func (f *flight) lose(lease queue.Lease) bool {
	f.mu.Lock()
	b := f.held[lease.Token]
	f.mu.Unlock()
	if b == nil || b.over.Load() {
		return false
	}
	b.end(errLeaseLost)
	return true
}
