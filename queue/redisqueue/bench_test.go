package redisqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
)

// BenchmarkDrain measures Claim + Start + Settle with a result, one worker, on a
// real redis-server over TLS, from a full lane: what the broker costs each task.
func BenchmarkDrain(b *testing.B) {
	for _, size := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := queuetest.Start(b, queuetest.Options{})
			br := newBroker(b, s.Login, func(time.Duration) {})
			q := openQueue(b, br.worker, "w", time.Minute)
			fill(b, br, b.N)
			b.ResetTimer()
			for done := 0; done < b.N; {
				done += drain(b, q, size, []queue.Lane{acme})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkDrainBeside is BenchmarkDrain at 128 with one busy lane among idle ones.
func BenchmarkDrainBeside(b *testing.B) {
	for _, idle := range []int{11, 999} {
		b.Run(fmt.Sprintf("idle=%d", idle), func(b *testing.B) {
			s := queuetest.Start(b, queuetest.Options{})
			br := newBroker(b, s.Login, func(time.Duration) {})
			q := openQueue(b, br.worker, "w", time.Minute)
			lanes := []queue.Lane{acme}
			for i := range idle {
				lanes = append(lanes, queue.Lane{Queue: "jobs", Tenant: fmt.Sprint("idle", i)})
			}
			fill(b, br, b.N)
			b.ResetTimer()
			for done := 0; done < b.N; {
				done += drain(b, q, 128, lanes)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkSend measures one sender, 1 KiB messages.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s := queuetest.Start(b, queuetest.Options{})
			br := newBroker(b, s.Login, func(time.Duration) {})
			batch := make([]queue.Outgoing, size)
			for i := range batch {
				batch[i] = queue.Outgoing{Lane: acme, Message: make([]byte, 1024)}
			}
			b.ResetTimer()
			for done := 0; done < b.N; done += size {
				if err := br.producer.Send(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkIdle measures one message at a time to a worker that waits: from Send
// to Claim's return.
func BenchmarkIdle(b *testing.B) {
	s := queuetest.Start(b, queuetest.Options{})
	br := newBroker(b, s.Login, func(time.Duration) {})
	q := openQueue(b, br.worker, "w", time.Minute)
	got := make(chan error)
	go func() {
		for range b.N {
			_, err := q.Claim(b.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 16, Wait: time.Minute})
			got <- err
		}
	}()
	one := []queue.Outgoing{{Lane: acme, Message: make([]byte, 1024)}}
	b.ResetTimer()
	for range b.N {
		if err := br.producer.Send(b.Context(), one); err != nil {
			b.Fatal(err)
		}
		if err := <-got; err != nil {
			b.Fatal(err)
		}
	}
}

func fill(b *testing.B, br *broker, n int) {
	b.Helper()
	padding := make([]byte, 1024-16)
	for sent := 0; sent < n; sent += 500 {
		var batch []queue.Outgoing
		for i := sent; i < min(n, sent+500); i++ {
			batch = append(batch, queue.Outgoing{Lane: acme, Message: fmt.Appendf(nil, "%016d%s", i, padding)})
		}
		if err := br.producer.Send(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

func drain(b *testing.B, q queuetest.Worker, size int, lanes []queue.Lane) int {
	b.Helper()
	ctx := b.Context()
	ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: size, Wait: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	starts := make([]queue.Start, len(ds))
	expires := time.Now().Add(time.Hour)
	for i, d := range ds {
		starts[i] = queue.Start{Delivery: d, ID: string(d.Message[:16]), Digest: "sha256:" + string(d.Message[:16]), Expires: expires}
	}
	started, err := q.Start(ctx, starts)
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]queue.Settlement, len(started))
	result := make([]byte, 256)
	for i, s := range started {
		if s.State != queue.Granted {
			b.Fatal(s.State)
		}
		batch[i] = queue.Settlement{Lease: s.Lease, Verdict: queue.Done(), Result: result, ResultKey: queuetest.Issuer, ResultTTL: time.Hour}
	}
	settled, err := q.Settle(ctx, batch)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range settled {
		if s != queue.Applied {
			b.Fatal(s)
		}
	}
	return len(ds)
}
