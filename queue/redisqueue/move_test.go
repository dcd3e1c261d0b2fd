package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// The slot of a queue is moved to another node and back, key by key, while workers serve it: what is settled is settled once, nothing is lost, nothing is
// left of what has ended, and whoever asks meanwhile is told that the cluster is the reason.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	c := queuetest.StartCluster(t, queuetest.Options{})
	c.Patience(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	worker, producer := dial(t, configOf(c.Login(queuetest.UserWorker))), dial(t, configOf(c.Login(queuetest.UserProducer)))
	results := redisqueue.OpenResults(producer)
	t.Cleanup(func() { _ = results.Close() })
	m := &mover{reasons: map[queue.Reason]int{}}
	working, stop := context.WithCancel(ctx)
	var crew sync.WaitGroup
	defer func() { stop(); crew.Wait() }()
	for i := range 2 {
		q := openQueue(t, worker, fmt.Sprint("w", i), 2*time.Second)
		crew.Go(func() { m.work(working, t, q) })
		crew.Go(func() { m.maintain(working, t, q) })
	}
	// Messages keep coming, the keys of their results with them.
	const n = 300
	ids, _ := messages(0, n)
	var sent atomic.Int64
	crew.Go(func() {
		for i := 0; i < n && ctx.Err() == nil; i += 5 {
			_, batch := messages(i, i+5)
			for err := producer.Send(ctx, batch); err != nil; err = producer.Send(ctx, batch) {
				if !m.again(ctx, t, err) {
					return
				}
			}
			sent.Store(int64(i + 5))
			sleepOr(ctx, 5*time.Millisecond)
		}
	})
	home := c.Of(t, "jobs")
	away := c.Nodes[0]
	if away == home {
		away = c.Nodes[1]
	}
	for _, to := range []*queuetest.Server{away, home} {
		queuetest.Eventually(t, "some of them are sent", func() bool { return sent.Load() >= n/6 })
		c.Move(t, "jobs", to, func(int) { sleepOr(ctx, time.Millisecond) })
	}
	ended := map[string]string{}
	err := results.Wait(ctx, "jobs", queuetest.Issuer, ids, func(id string, r []byte) { ended[id] = string(r) })
	if err != nil || len(ended) != n {
		t.Errorf("%d of %d have a result: %v", len(ended), n, err)
	}
	times := func(id string) int64 {
		if n, known := m.settled.Load(id); known {
			return n.(*atomic.Int64).Load()
		}
		return 0
	}
	queuetest.Eventually(t, "workers know of every end", func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return times(id) == 0 })
	})
	queuetest.Eventually(t, "nothing waits or runs", func() bool {
		d, err := worker.Depth(ctx, []queue.Lane{acme})
		return err == nil && d.Lanes[0].Waiting+d.Lanes[0].Running+d.Due["jobs"] == 0
	})
	stop()
	crew.Wait()
	for _, id := range ids {
		if got, want := ended[id], "result of "+id; got != want || times(id) != 1 {
			t.Errorf("%s ended as %q, settled %d times", id, got, times(id))
		}
	}
	for reason := range m.reasons {
		if reason != queue.ReasonCluster {
			t.Errorf("unavailable as %v, want %s only", m.reasons, queue.ReasonCluster)
			break
		}
	}
	if m.reasons[queue.ReasonCluster] == 0 {
		t.Error("nobody was told why nothing went on")
	}
}

// mover is a crew of workers for messages of all kinds.
type mover struct {
	settled sync.Map // by id: *atomic.Int64, how often an end was applied

	mu      sync.Mutex
	reasons map[queue.Reason]int
}

// again says whether to try again after err, and counts why.
func (m *mover) again(ctx context.Context, t *testing.T, err error) bool {
	var u *queue.UnavailableError
	if errors.As(err, &u) && ctx.Err() == nil {
		m.mu.Lock()
		if m.reasons[u.Reason]++; m.reasons[u.Reason] == 1 {
			t.Log(err)
		}
		m.mu.Unlock()
	}
	return again(ctx, t, err)
}

func (m *mover) work(ctx context.Context, t *testing.T, q *redisqueue.Queue) {
	for ctx.Err() == nil {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 16, Wait: time.Second})
		if err != nil && !m.again(ctx, t, err) {
			return
		}
		m.handle(ctx, t, q, ds)
	}
}

func (m *mover) maintain(ctx context.Context, t *testing.T, q *redisqueue.Queue) {
	for sleepOr(ctx, 20*time.Millisecond) {
		if _, _, err := q.Promote(ctx, "jobs", 100); err != nil && !m.again(ctx, t, err) {
			return
		}
		r, err := q.Recover(ctx, []queue.Lane{acme}, 100)
		if err != nil && !m.again(ctx, t, err) {
			return
		}
		m.handle(ctx, t, q, r.Deliveries)
	}
}

// handle lets a third of the messages fail once, a third pass a gate, and a fifth end as dead letters.
func (m *mover) handle(ctx context.Context, t *testing.T, q *redisqueue.Queue, ds []queue.Delivery) {
	if len(ds) == 0 {
		return
	}
	number := func(id string) (n int) { _, _ = fmt.Sscanf(id, "m%d", &n); return n }
	starts := make([]queue.Start, len(ds))
	for i, d := range ds {
		starts[i] = queue.Start{Delivery: d, ID: string(d.Message), Digest: "sum:" + string(d.Message), Expires: time.Now().Add(time.Hour)}
		if number(starts[i].ID)%3 == 1 {
			starts[i].Gates = []queue.Gate{{Name: "narrow", InFlight: 4}}
		}
	}
	var started []queue.Started
	var err error
	for started, err = q.Start(ctx, starts); err != nil; started, err = q.Start(ctx, starts) {
		if !m.again(ctx, t, err) {
			return
		}
	}
	var batch []queue.Settlement
	for _, s := range started {
		end := queue.Settlement{Lease: s.Lease, Verdict: queue.Done(), Result: []byte("result of " + s.Lease.ID), ResultKey: queuetest.Issuer, ResultTTL: time.Hour}
		switch n := number(s.Lease.ID); {
		case s.State == queue.Duplicate || s.State == queue.Replayed:
			end = queue.Settlement{Lease: s.Lease, Verdict: queue.Drop()}
		case s.State != queue.Granted:
			continue
		case n%3 == 0 && s.Attempt == 1:
			end = queue.Settlement{Lease: s.Lease, Verdict: queue.Retry(time.Now().Add(30 * time.Millisecond))}
		case n%5 == 0:
			end.Verdict = queue.Dead("task.failed", "as asked")
		}
		batch = append(batch, end)
	}
	if len(batch) == 0 {
		return
	}
	var settled []queue.Settled
	for settled, err = q.Settle(ctx, batch); err != nil; settled, err = q.Settle(ctx, batch) {
		if !m.again(ctx, t, err) {
			return
		}
	}
	for i, s := range batch {
		if len(s.Result) > 0 && settled[i] == queue.Applied {
			n, _ := m.settled.LoadOrStore(s.Lease.ID, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}
	}
}

// sleepOr waits, and says whether ctx lasts.
func sleepOr(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
