package runtime

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestAhead asks how much work a worker wants at hand, by how long its tasks take.
func TestAhead(t *testing.T) {
	now := time.Now()
	rows := []struct {
		name    string
		mean    time.Duration
		busyFor []time.Duration // of each runner; 0: idle
		want    int
	}{
		{"nothing known", aheadFor, make([]time.Duration, 4), 4},
		{"microseconds", 20 * time.Microsecond, make([]time.Duration, 4), aheadMax},
		{"half a millisecond", 500 * time.Microsecond, make([]time.Duration, 4), 160},
		{"seconds", 3 * time.Second, make([]time.Duration, 4), 0},
		{"brief ones, but all are stuck", 20 * time.Microsecond, []time.Duration{time.Second, time.Second, time.Minute, time.Second}, 0},
		{"brief ones, one is stuck", time.Millisecond, []time.Duration{time.Second, 0}, 20},
	}
	for _, row := range rows {
		p := pace{runners: make([]atomic.Int64, len(row.busyFor))}
		p.mean.Store(int64(row.mean))
		for i, d := range row.busyFor {
			if d > 0 {
				p.begin(i, now.Add(-d))
			}
		}
		if got := p.ahead(now); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

// TestPaceFollows lets runs become brief, and long again: the average follows within some tens of runs.
func TestPaceFollows(t *testing.T) {
	p := pace{runners: make([]atomic.Int64, 1)}
	p.mean.Store(int64(aheadFor))
	now := time.Now()
	for _, took := range []time.Duration{50 * time.Microsecond, 2 * time.Second} {
		for range 80 {
			p.begin(0, now)
			p.end(0, now.Add(took))
		}
		if mean := time.Duration(p.mean.Load()); mean < took*8/10 || mean > took*12/10 {
			t.Errorf("after 80 runs of %v the average is %v", took, mean)
		}
	}
}
