package redisqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// streamSlack is how much longer than its bound a stream may be: Redis drops whole nodes of it, of 100 entries unless it is told otherwise.
const streamSlack = 100

// TestDeadLettersCount lets more messages die than are to be kept: about as many stay, and they are the newest.
func TestDeadLettersCount(t *testing.T) {
	const kept, died = 50, 4 * streamSlack
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	q, err := redisqueue.OpenQueue(b.worker, redisqueue.QueueConfig{Worker: "w", DeadMax: kept})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for n := 0; n < died; {
		if n%100 == 0 {
			batch := make([]queue.Outgoing, 100)
			for i := range batch {
				batch[i] = queue.Outgoing{Lane: acme, Message: fmt.Append(nil, n+i)}
			}
			if err := b.producer.Send(ctx, batch); err != nil {
				t.Fatal(err)
			}
		}
		ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 100})
		if err != nil {
			t.Fatal(err)
		}
		ends := make([]queue.Settlement, len(ds))
		for i, d := range ds {
			ends[i] = queue.Settlement{Lease: d.Unstarted(), Verdict: queue.Dead("c", "r")}
		}
		if _, err := q.Settle(ctx, ends); err != nil {
			t.Fatal(err)
		}
		n += len(ds)
	}
	got, err := b.admin.XRevRangeN(ctx, "cs:{jobs}:dead", "+", "-", died).Result()
	if err != nil || len(got) < kept || len(got) > kept+streamSlack || got[0].Values["e"] != fmt.Sprint(died-1) {
		t.Errorf("%d letters, %v; want about %d, the newest of %d", len(got), err, kept, died)
	}
}

// TestEventsCount emits more events than are kept: about as many stay.
func TestEventsCount(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	for i := range queue.EventsMax + 3*streamSlack {
		if err := b.worker.Emit(t.Context(), "jobs", []queue.Event{{Kind: queue.EventDone, ID: fmt.Sprint(i), At: time.UnixMilli(5)}}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := b.admin.XLen(t.Context(), "cs:{jobs}:events").Result(); err != nil || n < queue.EventsMax || n > queue.EventsMax+streamSlack {
		t.Errorf("%d entries, %v; want about %d", n, err, queue.EventsMax)
	}
}
