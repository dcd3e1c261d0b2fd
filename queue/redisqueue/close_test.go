package redisqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// calls are the methods that are at work until something comes, and one of each other kind, over c, r and q.
func calls(c *redisqueue.Client, r *redisqueue.Results, q *redisqueue.Queue) map[string]func() error {
	ctx := context.Background()
	lane := queue.Lane{Queue: "jobs", Tenant: "acme", Priority: queue.PriorityNormal}
	return map[string]func() error{
		"Follow": func() error { return c.Follow(ctx, "jobs", "0", func(string, queue.Event) {}) },
		"Listen": func() error {
			return c.Listen(ctx, []string{"jobs"}, func(string, []byte) {}, func(string, error) {})
		},
		"Wait": func() error { return r.Wait(ctx, "jobs", "key", []string{"id"}, func(string, []byte) {}) },
		"Result": func() error {
			for { // ErrNoResult while it is open
				if _, err := r.Result(ctx, "jobs", "key", "id"); !errors.Is(err, queue.ErrNoResult) {
					return err
				}
			}
		},
		"Claim": func() error {
			_, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{lane}, Max: 1, Wait: time.Hour})
			return err
		},
		"Progress": func() error {
			for {
				if _, _, err := c.Progress(ctx, lane, "id"); err != nil {
					return err
				}
			}
		},
	}
}

// Close ends what goes on, each with the one error that says so, and so it is with all that is asked for later.
func TestCloseEndsWhatGoesOn(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	conf := configOf(s.Login(queuetest.UserAdmin))
	admin := adminOf(t, s.Login(queuetest.UserAdmin))
	for _, which := range []struct {
		name  string
		close func(*redisqueue.Client, *redisqueue.Results, *redisqueue.Queue) error
		ends  []string
		waits int // connections that are blocked or subscribed
	}{
		{"client", func(c *redisqueue.Client, _ *redisqueue.Results, _ *redisqueue.Queue) error { return c.Close() },
			[]string{"Follow", "Listen", "Wait", "Result", "Claim", "Progress"}, 4},
		{"results", func(_ *redisqueue.Client, r *redisqueue.Results, _ *redisqueue.Queue) error { return r.Close() },
			[]string{"Wait", "Result"}, 1},
		{"queue", func(_ *redisqueue.Client, _ *redisqueue.Results, q *redisqueue.Queue) error { return q.Close() },
			[]string{"Claim"}, 1},
	} {
		t.Run(which.name, func(t *testing.T) {
			c := dial(t, conf)
			r, q := redisqueue.OpenResults(c), openQueue(t, c, "w1", 0)
			ended := make(map[string]chan error)
			for _, name := range which.ends {
				end := make(chan error, 1)
				ended[name] = end
				go func() { end <- calls(c, r, q)[name]() }()
			}
			for start, at := time.Now(), 0; at != which.waits; {
				list := admin.ClientList(t.Context()).Val()
				if at = strings.Count(list, "flags=b ") + strings.Count(list, "flags=P "); time.Since(start) > 20*time.Second {
					t.Fatalf("%d connections wait, want %d", at, which.waits)
				}
			}
			if err := errors.Join(which.close(c, r, q), which.close(c, r, q)); err != nil {
				t.Errorf("Close: %v", err)
			}
			for name, end := range ended {
				select {
				case err := <-end:
					if !errors.Is(err, queue.ErrClosed) {
						t.Errorf("%s that went on: %v", name, err)
					}
				case <-time.After(20 * time.Second):
					t.Errorf("%s goes on", name)
				}
				if err := calls(c, r, q)[name](); !errors.Is(err, queue.ErrClosed) {
					t.Errorf("%s after Close: %v", name, err)
				}
			}
		})
	}
}

// What begins at the moment of Close is ended or never begins. The race detector tells when Close could not count it.
func TestCloseBesideWhatBegins(t *testing.T) {
	conf := configOf(queuetest.Start(t, queuetest.Options{}).Login(queuetest.UserAdmin))
	conf.Addr = "127.0.0.1:1" // nobody is there
	for range 30 {
		c := dial(t, conf)
		r, q := redisqueue.OpenResults(c), openQueue(t, c, "w1", 0)
		var all sync.WaitGroup
		start := make(chan struct{})
		for _, name := range []string{"Follow", "Follow", "Listen", "Wait", "Wait"} {
			all.Go(func() {
				<-start
				if err := calls(c, r, q)[name](); !errors.Is(err, queue.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		for _, stop := range []func() error{q.Close, r.Close, c.Close} {
			all.Go(func() {
				<-start
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
	}
}
