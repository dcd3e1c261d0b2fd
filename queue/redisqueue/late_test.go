package redisqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// TestWaitSaysThatTheBrokerIsAway: whoever waits in vain learns whether there was no result or nobody who could have told.
func TestWaitSaysThatTheBrokerIsAway(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	results := redisqueue.OpenResults(dial(t, configOf(s.Login(queuetest.UserProducer))))
	t.Cleanup(func() { results.Close() })
	wait := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return results.Wait(ctx, "jobs", queuetest.Issuer, []string{"id"}, func(string, []byte) {})
	}
	alone := func(when string) {
		t.Helper()
		var away *queue.UnavailableError
		if err := wait(); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &away) {
			t.Errorf("%s: %v, want the context's error alone", when, err)
		}
	}
	alone("while it can be asked")
	s.Kill()
	err := wait()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is away: %v, want the context's error, too", err)
	}
	wantReason(t, "while it is away", err, queue.ReasonConnection)
	s.Restart()
	deadline := time.Now().Add(10 * time.Second)
	for away := (*queue.UnavailableError)(nil); errors.As(wait(), &away) && time.Now().Before(deadline); away = nil {
	}
	alone("when it is back")
}
