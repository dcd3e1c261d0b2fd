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

// TestWaitSaysWhy waits in vain for a result: because there is none, which needs no reason, and because Redis cannot say whether there is.
func TestWaitSaysWhy(t *testing.T) {
	rows := []struct {
		name   string
		within time.Duration
		before func(s *queuetest.Server) // the wait
		during func(s *queuetest.Server) // it, once it hears
		want   queue.Reason
	}{
		{name: "no result", within: time.Second},
		{name: "away", within: time.Second, before: (*queuetest.Server).Kill, want: queue.ReasonConnection},
		{name: "frozen", within: 500 * time.Millisecond, before: (*queuetest.Server).Freeze, want: queue.ReasonTimeout},
		{name: "goes away", within: 2 * time.Second, during: (*queuetest.Server).Kill, want: queue.ReasonConnection},
		{name: "freezes", within: 4 * time.Second, during: (*queuetest.Server).Freeze, want: queue.ReasonTimeout}, // for longer than it may be quiet
		{name: "was away", within: 2 * time.Second, during: func(s *queuetest.Server) { s.Kill(); s.Restart() }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := queuetest.Start(t, queuetest.Options{})
			c := dial(t, configOf(s.Login(queuetest.UserProducer)))
			r := redisqueue.OpenResults(c)
			t.Cleanup(func() { r.Close() })
			if row.before != nil {
				row.before(s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), row.within)
			defer cancel()
			ended := make(chan error)
			go func() {
				ended <- r.Wait(ctx, "jobs", queuetest.Issuer, []string{"none"}, func(string, []byte) { t.Error("something came") })
			}()
			if row.during != nil {
				queuetest.Eventually(t, "it listens", func() bool {
					channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
					return len(channels) > 0
				})
				row.during(s)
			}
			err := <-ended
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want that time is over", err)
			}
			var away *queue.UnavailableError
			got := queue.Reason("")
			if errors.As(err, &away) {
				got = away.Reason
			}
			if got != row.want {
				t.Errorf("the reason is %q (%v), want %q", got, err, row.want)
			}
		})
	}
}
