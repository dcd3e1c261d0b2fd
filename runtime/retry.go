package runtime

import (
	"math/rand/v2"
	"time"

	"github.com/caisson-run/caisson/manifest"
)

// backoff returns how long to wait before the run after the given number of failed ones (1 and up).
//
// Exponential with full jitter: uniform between zero and min(cap, base * 2^(failed-1)). Full jitter spreads a
// burst of failures over the whole interval, so that a service that comes back is not hit by all of them at once.
// Source: M. Brooker, "Exponential Backoff and Jitter", 2015.
func backoff(r manifest.Retry, failed int) time.Duration {
	ceiling := r.Base
	if r.Backoff == manifest.BackoffExponential {
		for i := 1; i < failed && ceiling < r.Cap; i++ {
			ceiling *= 2
		}
	}
	ceiling = min(ceiling, r.Cap)
	if ceiling <= 0 {
		return 0
	}
	return rand.N(ceiling)
}

// brokerPause is the same for attempts to reach the broker: attempt counts from 1.
func brokerPause(attempt int) time.Duration {
	ceiling := brokerBackoffMin
	for i := 1; i < attempt && ceiling < brokerBackoffMax; i++ {
		ceiling *= 2
	}
	// Not below the shortest pause: zero would be a busy loop against a server that is down.
	return brokerBackoffMin + rand.N(min(ceiling, brokerBackoffMax))
}
