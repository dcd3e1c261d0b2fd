package redisqueue_test

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
)

// BenchmarkDrain measures Claim + Start + Settle, one worker, on a real redis-server over TLS, from a full lane: what the
// broker costs each task. In turn with it, it takes as many by the bare floor (XREADGROUP, then XACK and SET in a pipeline),
// so that both see the same machine: "share" is the broker's speed in parts of the floor's, and us are processor time.
func BenchmarkDrain(b *testing.B) {
	rows := []struct {
		batch, lanes, waiting int
		result                bool
		file                  bool // append-only, written each second
	}{
		{1, 1, 1000, true, false},
		{16, 1, 1000, true, false},
		{128, 1, 1000, true, false},
		{16, 1, 1000, true, true},
		{128, 1, 1000, true, true},
		{128, 1, 1000, false, true},
		{128, 1000, 1000, true, true},
		{128, 10000, 1000, true, true},
		{128, 1, 1000000, true, true},
	}
	for _, r := range rows {
		b.Run(fmt.Sprintf("batch=%d/lanes=%d/waiting=%d/result=%t/file=%t", r.batch, r.lanes, r.waiting, r.result, r.file), func(b *testing.B) {
			var opts queuetest.Options
			if !r.file {
				opts.Conf = []string{"appendonly no"}
			}
			s := queuetest.Start(b, opts)
			br := newBroker(b, s.Login, func(time.Duration) {})
			q := openQueue(b, br.worker, "w", time.Minute)
			lanes := []queue.Lane{acme}
			for i := range r.lanes - 1 {
				lanes = append(lanes, queue.Lane{Queue: "jobs", Tenant: fmt.Sprint("idle", i)})
			}
			drain(b, q, 1, lanes, false) // makes the groups
			floor := queue.Lane{Queue: "jobs", Tenant: "floor"}
			br.admin.XGroupCreateMkStream(b.Context(), laneKey(floor), "workers", "0")
			fill(b, br, b.N+r.waiting, acme)
			fill(b, br, b.N, floor)
			var ours, theirs usage
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; {
				chunk := min(b.N-done, max(b.N/8, r.batch))
				ours.add(b, s, func() {
					for n := 0; n < chunk; {
						n += drain(b, q, min(r.batch, chunk-n), lanes, r.result)
					}
				})
				theirs.add(b, s, func() {
					for n := 0; n < chunk; {
						n += drainFloor(b, br, min(r.batch, chunk-n), floor, r.result)
					}
				})
				done += chunk
			}
			n := float64(b.N)
			b.ReportMetric(n/ours.wall.Seconds(), "tasks/s")
			b.ReportMetric(n/theirs.wall.Seconds(), "floor/s")
			b.ReportMetric(theirs.wall.Seconds()/ours.wall.Seconds(), "share")
			b.ReportMetric(ours.ours.Seconds()*1e6/n, "us-go/task")
			b.ReportMetric(ours.redis*1e6/n, "us-redis/task")
			b.ReportMetric(theirs.ours.Seconds()*1e6/n, "us-go/floor")
			b.ReportMetric(theirs.redis*1e6/n, "us-redis/floor")
		})
	}
}

// usage is what something took: of the clock, of our processors, and of Redis's, which a busy machine does not stretch.
type usage struct {
	wall, ours time.Duration
	redis      float64 // seconds
}

func (u *usage) add(b *testing.B, s *queuetest.Server, f func()) {
	b.Helper()
	redis, ours, wall := redisTime(b, s), ownTime(b), time.Now()
	f()
	u.wall += time.Since(wall)
	u.ours += ownTime(b) - ours
	u.redis += redisTime(b, s) - redis
}

// ownTime returns how long this process has been on processors.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// redisTime returns how many seconds the server has been on processors.
func redisTime(b *testing.B, s *queuetest.Server) (total float64) {
	b.Helper()
	info, _ := s.Do("INFO", "cpu").(string)
	for _, field := range []string{"used_cpu_user:", "used_cpu_sys:"} {
		_, rest, found := strings.Cut(info, field)
		text, _, _ := strings.Cut(rest, "\r\n")
		seconds, err := strconv.ParseFloat(text, 64)
		if !found || err != nil {
			b.Fatalf("INFO cpu: %q, %v", info, err)
		}
		total += seconds
	}
	return total
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

func fill(b *testing.B, br *broker, n int, lane queue.Lane) {
	b.Helper()
	padding := make([]byte, 1024-16)
	for sent := 0; sent < n; sent += 500 {
		var batch []queue.Outgoing
		for i := sent; i < min(n, sent+500); i++ {
			batch = append(batch, queue.Outgoing{Lane: lane, Message: fmt.Appendf(nil, "%016d%s", i, padding)})
		}
		if err := br.worker.Send(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// drainFloor takes one batch as nobody should: whoever crashes loses it, and anybody may settle anything.
func drainFloor(b *testing.B, br *broker, size int, lane queue.Lane, withResult bool) int {
	b.Helper()
	got, err := br.admin.XReadGroup(b.Context(), &redis.XReadGroupArgs{
		Group: "workers", Consumer: "floor", Streams: []string{laneKey(lane), ">"}, Count: int64(size), Block: -1,
	}).Result()
	if err != nil {
		b.Fatal(err)
	}
	pipe := br.admin.Pipeline()
	ids := make([]string, len(got[0].Messages))
	for i, m := range got[0].Messages {
		ids[i] = m.ID
		if withResult {
			pipe.Set(b.Context(), "cs:{jobs}:floor:"+m.ID, make([]byte, 256), time.Hour)
		}
	}
	pipe.XAck(b.Context(), laneKey(lane), "workers", ids...)
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	return len(ids)
}

func drain(b *testing.B, q queuetest.Worker, size int, lanes []queue.Lane, withResult bool) int {
	b.Helper()
	ctx := b.Context()
	ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: size})
	if err != nil {
		b.Fatal(err)
	}
	starts := make([]queue.Start, len(ds))
	expires := time.Now().Add(time.Hour)
	for i, d := range ds {
		starts[i] = queue.Start{Delivery: d, ID: string(d.Message[:16]), Digest: "sha256:" + string(d.Message[:16]), Expires: expires}
	}
	if len(ds) == 0 {
		return 0
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
		batch[i] = queue.Settlement{Lease: s.Lease, Verdict: queue.Done()}
		if withResult {
			batch[i].Result, batch[i].ResultKey, batch[i].ResultTTL = result, queuetest.Issuer, time.Hour
		}
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
