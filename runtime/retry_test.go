package runtime

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
)

func TestBackoff(t *testing.T) {
	const base, most = 100 * time.Millisecond, time.Second
	exponential := manifest.Retry{Backoff: manifest.BackoffExponential, Base: base, Cap: most}
	constant := manifest.Retry{Backoff: manifest.BackoffConstant, Base: base, Cap: most}
	rows := []struct {
		name    string
		retry   manifest.Retry
		failed  int
		ceiling time.Duration
	}{
		{"first", exponential, 1, base},
		{"second", exponential, 2, 2 * base},
		{"fourth", exponential, 4, 8 * base},
		{"capped", exponential, 5, most},
		{"far beyond the cap", exponential, 1 << 30, most},
		{"constant, first", constant, 1, base},
		{"constant, hundredth", constant, 100, base},
		{"a base above the cap", manifest.Retry{Backoff: manifest.BackoffConstant, Base: most, Cap: base}, 1, base},
		{"a cap near the longest duration", manifest.Retry{Backoff: manifest.BackoffExponential, Base: time.Hour, Cap: 1<<63 - 1}, 12, 2048 * time.Hour},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			const draws = 4000
			least, largest, sum := row.ceiling, time.Duration(0), time.Duration(0)
			for range draws {
				d := backoff(row.retry, row.failed)
				least, largest, sum = min(least, d), max(largest, d), sum+d/draws
			}
			// Full jitter: the whole interval, evenly. Each bound fails by chance less than once in 10^17 runs.
			if least < 0 || largest >= row.ceiling || least > row.ceiling/100 || largest < row.ceiling*99/100 {
				t.Errorf("from %v to %v, want from 0 to %v", least, largest, row.ceiling)
			}
			if middle := row.ceiling / 2; sum < middle*9/10 || sum > middle*11/10 {
				t.Errorf("the mean is %v, want about %v", sum, middle)
			}
		})
	}
	if d := backoff(manifest.Retry{}, 3); d != 0 {
		t.Errorf("of nothing: %v", d)
	}
}

func TestBrokerPause(t *testing.T) {
	for attempt, ceiling := range map[int]time.Duration{1: 50 * time.Millisecond, 3: 200 * time.Millisecond, 8: brokerBackoffMax, 1 << 30: brokerBackoffMax} {
		for range 1000 {
			if d := brokerPause(attempt); d < brokerBackoffMin || d >= brokerBackoffMin+ceiling {
				t.Fatalf("attempt %d: %v", attempt, d)
			}
		}
	}
}
