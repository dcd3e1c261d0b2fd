package client_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
)

// dialRedis connects to a real redis-server, over TLS.
func dialRedis(t testing.TB, s *queuetest.Server) *redisqueue.Client {
	t.Helper()
	l := s.Login(queuetest.UserAdmin)
	c, err := redisqueue.Dial(redisqueue.Config{Addr: l.Addr, User: l.User, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// serve settles what comes, with results signed in batches, until ctx ends.
func serve(ctx context.Context, t testing.TB, c *redisqueue.Client) {
	q, err := redisqueue.OpenQueue(c, redisqueue.QueueConfig{Worker: "w"})
	if err != nil {
		t.Error(err)
		return
	}
	lanes := []queue.Lane{{Queue: "images", Tenant: "acme", Priority: queue.PriorityNormal}}
	var roots envelope.Roots
	reader := envelope.Reader{Keys: ring{submitKey.Public()}, Audience: "prod", Roots: &roots}
	for {
		got, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 128, Wait: time.Second})
		if ctx.Err() != nil {
			return
		}
		if err == nil && len(got) > 0 {
			err = settle(ctx, q, reader, got)
		}
		if err != nil && ctx.Err() == nil {
			t.Error(err)
			return
		}
	}
}

func settle(ctx context.Context, q *redisqueue.Queue, reader envelope.Reader, got []queue.Delivery) error {
	starts := make([]queue.Start, len(got))
	results := make([]envelope.Result, len(got))
	for i, d := range got {
		v, err := reader.Open(d.Message, time.Now())
		if err != nil {
			return err
		}
		k := v.Task()
		starts[i] = queue.Start{Delivery: d, ID: k.ID.String(), Digest: v.Digest().String(), Expires: k.Expires, ResultKey: k.Issuer.String()}
		results[i] = envelope.Result{
			ID: k.ID, Message: v.Digest(), Audience: k.Audience, Tenant: k.Tenant, Queue: k.Queue, Task: k.Task,
			Status: envelope.StatusDone, Attempt: 1, Started: time.Now(), Finished: time.Now(), Output: k.Payload,
		}
	}
	started, err := q.Start(ctx, starts)
	if err != nil {
		return err
	}
	signed, err := envelope.SignResults(results, workerKey)
	if err != nil {
		return err
	}
	var ends []queue.Settlement
	for i, s := range started {
		if s.State != queue.Granted {
			continue
		}
		ends = append(ends, queue.Settlement{
			Lease: s.Lease, Verdict: queue.Done(), Result: signed[i], ResultKey: starts[i].ResultKey, ResultTTL: time.Hour,
		})
	}
	_, err = q.Settle(ctx, ends)
	return err
}

// realClient is a client of a real redis-server.
func realClient(t testing.TB, c *redisqueue.Client, how client.Coalesce) *client.Client {
	t.Helper()
	results := redisqueue.OpenResults(c)
	t.Cleanup(func() { _ = results.Close() })
	made, err := client.Open(client.Config{
		Sender: c, Results: results, Orders: c, Key: submitKey, Workers: ring{workerKey.Public()},
		Audience: "prod", Tenant: "acme", Queue: "images", Coalesce: how,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// counted gives a number of Redis's INFO.
func counted(t testing.TB, s *queuetest.Server, section, before string) (n int) {
	t.Helper()
	text, _ := s.Do("info", section).(string)
	_, rest, ok := strings.Cut(text, before)
	if ok {
		_, _ = fmt.Sscanf(rest, "%d", &n)
	}
	return n
}

// A thousand goroutines each send one task and wait for it, on one Client: one subscription, few writes, few reads.
func TestAThousandWaiters(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { serve(ctx, t, dialRedis(t, s)) })
	defer worker.Wait()
	defer cancel()
	c := realClient(t, dialRedis(t, s), client.Coalesce{})
	var all sync.WaitGroup
	var good atomic.Int64
	for i := range 1000 {
		all.Go(func() {
			r, err := c.Send(ctx, client.Task{Name: "a", Input: i})
			if err != nil {
				t.Error(err)
				return
			}
			result, err := c.Wait(ctx, r)
			if err != nil || string(result.Output) != itoa(i) {
				t.Errorf("%d: %q, %v", i, result.Output, err)
				return
			}
			good.Add(1)
		})
	}
	all.Wait()
	if n := counted(t, s, "commandstats", "cmdstat_subscribe:calls="); good.Load() != 1000 || n != 1 {
		t.Errorf("%d results, %d subscriptions", good.Load(), n)
	}
	// Each waiter asks at least once, and each sender writes; one by one that would be 2,000 trips.
	if n := counted(t, s, "stats", "total_reads_processed:"); n == 0 || n > 1000 {
		t.Errorf("%d trips for 1,000 messages", n)
	}
}

// BenchmarkFire sends to a real redis-server over TLS and waits for nothing: what one message costs, by how many send.
func BenchmarkFire(b *testing.B) {
	for _, row := range []struct {
		name    string
		senders int
		how     client.Coalesce
	}{
		{"1 sender", 1, client.Coalesce{}}, {"1 sender, alone", 1, client.Coalesce{Max: 1}},
		{"8 senders", 8, client.Coalesce{}}, {"8 senders, alone", 8, client.Coalesce{Max: 1}},
		{"64 senders", 64, client.Coalesce{}}, {"64 senders, alone", 64, client.Coalesce{Max: 1}},
	} {
		b.Run(row.name, func(b *testing.B) {
			s := queuetest.Start(b, queuetest.Options{})
			c := realClient(b, dialRedis(b, s), row.how)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var all sync.WaitGroup
			for range row.senders {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := c.Send(context.Background(), client.Task{Name: "a", Payload: []byte("{}")}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(counted(b, s, "stats", "total_reads_processed:"))/float64(b.N), "trips/message")
		})
	}
}

// BenchmarkFireMany is the same with SendMany of 128.
func BenchmarkFireMany(b *testing.B) {
	s := queuetest.Start(b, queuetest.Options{})
	c := realClient(b, dialRedis(b, s), client.Coalesce{})
	tasks := make([]client.Task, 128)
	for i := range tasks {
		tasks[i] = client.Task{Name: "a", Payload: []byte("{}")}
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += len(tasks) {
		if _, err := c.SendMany(context.Background(), tasks); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
