package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// Hundreds of readers at a time share trips; a key that somebody spoiled is a fault of its own reader and of nobody else's.
func TestReadersAtOnceShareTrips(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	const readers = 300
	key := func(i int) string { return fmt.Sprintf("cs:{jobs}:res:%s:m%d", queuetest.Issuer, i) }
	for i := range readers {
		if i == 150 {
			s.Do("lpush", key(i), "spoiled")
			continue
		}
		s.Do("set", key(i), fmt.Sprint("result ", i))
	}
	before := reads(t, s)
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			got, err := b.results.Result(t.Context(), "jobs", queuetest.Issuer, fmt.Sprint("m", i))
			var away *queue.UnavailableError
			switch {
			case i == 150:
				if !errors.As(err, &away) || away.Reason != queue.ReasonData {
					t.Errorf("the spoiled one: %q, %v", got, err)
				}
			case err != nil || string(got) != fmt.Sprint("result ", i):
				t.Errorf("%d: %q, %v", i, got, err)
			}
		})
	}
	all.Wait()
	if n := reads(t, s) - before; n > readers*2/3 {
		t.Errorf("%d readers made Redis read %d times", readers, n)
	}
	if _, err := b.results.Result(t.Context(), "jobs", queuetest.Issuer, "nobody"); !errors.Is(err, queue.ErrNoResult) {
		t.Errorf("no result: %v", err)
	}
}

// reads counts how often Redis read from its sockets.
func reads(t *testing.T, s *queuetest.Server) (n int) {
	t.Helper()
	text, _ := s.Do("info", "stats").(string)
	for i := range text {
		if got, _ := fmt.Sscanf(text[i:], "total_reads_processed:%d", &n); got == 1 {
			return n
		}
	}
	t.Fatal("Redis does not count its reads")
	return 0
}

// A reader whose context ends leaves; Close ends the trips that go on for nobody.
func TestReadersLeave(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	s.Do("set", fmt.Sprintf("cs:{jobs}:res:%s:m", queuetest.Issuer), "r")
	if _, err := b.results.Result(t.Context(), "jobs", queuetest.Issuer, "m"); err != nil {
		t.Fatal(err)
	}
	results := redisqueue.OpenResults(b.producer)
	s.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 10)
	for range cap(ended) {
		go func() {
			_, err := results.Result(ctx, "jobs", queuetest.Issuer, "m")
			ended <- err
		}()
	}
	cancel()
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	s.Thaw()
	if err := results.Close(); err != nil {
		t.Error(err)
	}
}
