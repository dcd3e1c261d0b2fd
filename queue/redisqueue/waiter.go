package redisqueue

import "sync"

// waiter is one Wait: what it waits for, and what of that should be read.
type waiter struct {
	ready  chan struct{} // holds one word: there is something to read
	failed chan error    // holds one: why nothing more will be told

	mu          sync.Mutex
	outstanding map[string]bool // id -> already in due
	due         []string
}

func newWaiter(ids []string) *waiter {
	w := &waiter{ready: make(chan struct{}, 1), failed: make(chan error, 1), outstanding: make(map[string]bool, len(ids))}
	for _, id := range ids {
		w.outstanding[id] = false
	}
	return w
}

// fail ends the Wait.
func (w *waiter) fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// tell says that the results of ids are there, if anybody cares.
func (w *waiter) tell(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if due, waits := w.outstanding[id]; waits && !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
			w.wake()
		}
	}
}

// tellAll says that any result may be there.
func (w *waiter) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, due := range w.outstanding {
		if !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
	w.wake()
}

func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns up to n ids to read.
func (w *waiter) take(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, len(w.due))
	batch := w.due[:n:n]
	w.due = w.due[n:]
	for _, id := range batch {
		w.outstanding[id] = false // from now on it may be told again
	}
	return batch
}

// putBack returns ids that could not be read.
func (w *waiter) putBack(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if due, waits := w.outstanding[id]; waits && !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
}

// end says that id has come, and whether that is news.
func (w *waiter) end(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, waits := w.outstanding[id]
	delete(w.outstanding, id)
	return waits
}

func (w *waiter) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outstanding)
}
