package runtime

import (
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/runtime/policy"
)

// flight is what the worker holds leases for, by lease token.
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

// leases returns a copy of what is to be renewed in one queue.
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

// cancel ends every run that a, which was read at the time heard, cancels, and what is to run, and returns how many. It spares
// what a names and may not cancel.
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

// sinceCancel returns how long ago the order was read that ended b's run, 0 if it came before b could be found here.
func (f *flight) sinceCancel(b *begun) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.cancelled.IsZero() {
		return 0
	}
	return time.Since(b.cancelled)
}

// renew notes that the leases of a batch were asked for at a time and given, all but those that are lost: what waits for its
// runner is not to begin because of one of these.
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

// overdue reports whether b's lease has run out as far as this worker can know: it was stopped, starved or cut off for so
// long. Another worker may have run the task by now, and ended it. What begins to run in spite of it could settle nothing.
func (f *flight) overdue(b *begun, lease time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(b.renewed) >= lease
}

// lose ends the run that a lost lease belonged to, and reports whether there was one. Its outcome would be fenced off, so
// its work is in vain. What has an outcome already is left alone: its lease may be gone because it is settled just now, and
// if it is not, that is said then.
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
