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
	says := func(when string, want queue.Reason) {
		t.Helper()
		longEnough(t, when, 500*time.Millisecond, want, func(ctx context.Context) error {
			return results.Wait(ctx, "jobs", queuetest.Issuer, []string{"id"}, func(string, []byte) {})
		})
	}
	says("while it can be asked", "")
	s.Kill()
	says("while it is away", queue.ReasonConnection)
	s.Restart()
	says("when it is back", "")
}

// longEnough waits in vain, and again for longer while it is not told of want: a machine that stands still leaves nothing of a brief wait for a connection.
// A reason of "" is none.
func longEnough(t *testing.T, what string, within time.Duration, want queue.Reason, wait func(ctx context.Context) error) {
	t.Helper()
	for ; ; within *= 3 {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err := wait(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: %v, want the context's error", what, err)
		}
		var away *queue.UnavailableError
		got := queue.Reason("")
		if errors.As(err, &away) {
			got = away.Reason
		}
		if got == want {
			return
		}
		if within > 10*time.Second {
			t.Fatalf("%s: the reason is %q (%v), want %q", what, got, err, want)
		}
	}
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
			longEnough(t, row.name, row.within, row.want, func(ctx context.Context) error {
				s := queuetest.Start(t, queuetest.Options{})
				r := redisqueue.OpenResults(dial(t, configOf(s.Login(queuetest.UserProducer))))
				t.Cleanup(func() { r.Close() })
				if row.before != nil {
					row.before(s)
				}
				ended := make(chan error, 1)
				go func() {
					ended <- r.Wait(ctx, "jobs", queuetest.Issuer, []string{"none"}, func(string, []byte) { t.Error("something came") })
				}()
				if row.during != nil {
					queuetest.Eventually(t, "it listens", func() bool {
						channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
						return len(channels) > 0 || ctx.Err() != nil
					})
					row.during(s)
				}
				return <-ended
			})
		})
	}
}
