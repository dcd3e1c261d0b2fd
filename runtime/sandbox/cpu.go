package sandbox

import (
	"sync"
	"time"
)

// watchInterval is the shortest time between two looks at a CPU clock.
const watchInterval = time.Millisecond

// A cpuWatch ends a run when its thread has used more CPU time than allowed. It sleeps as long as the thread could not have:
// a thread uses at most one second of CPU in a second.
type cpuWatch struct {
	mu      sync.Mutex
	stopped bool
	timer   *time.Timer
}

// watchCPU calls expire, once, when used reaches limit; used is read on another goroutine, under a lock that stop takes:
// once stop has returned, neither is called any more.
func watchCPU(limit time.Duration, used func() time.Duration, expire func()) (stop func()) {
	w := &cpuWatch{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stopped {
			return
		}
		if left := limit - used(); left > 0 {
			w.timer.Reset(max(left, watchInterval))
			return
		}
		w.stopped = true
		expire()
	})
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = true
		w.timer.Stop()
	}
}
