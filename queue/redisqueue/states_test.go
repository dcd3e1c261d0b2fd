package redisqueue_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
)

// finish sends n messages that live for life, and lets q start and end all of them as done.
func finish(t *testing.T, b *broker, q queuetest.Worker, name string, n int, life time.Duration) {
	t.Helper()
	ctx := t.Context()
	batch := make([]queue.Outgoing, n)
	for i := range batch {
		batch[i] = queue.Outgoing{Lane: acme, Message: fmt.Appendf(nil, "%s%d", name, i)}
	}
	if err := b.producer.Send(ctx, batch); err != nil {
		t.Fatal(err)
	}
	for left := n; left > 0; {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: queue.BatchMax})
		if err != nil || len(ds) == 0 {
			t.Fatal(ds, err)
		}
		starts := make([]queue.Start, len(ds))
		for i, d := range ds {
			starts[i] = queue.Start{Delivery: d, ID: string(d.Message), Digest: "sha256:" + strings.Repeat("0a", 32), Expires: time.Now().Add(life)}
		}
		started, err := q.Start(ctx, starts)
		if err != nil {
			t.Fatal(err)
		}
		ends := make([]queue.Settlement, len(ds))
		for i, s := range started {
			if s.State != queue.Granted {
				t.Fatalf("%s is %s", s.Lease.ID, s.State)
			}
			ends[i] = queue.Settlement{Lease: s.Lease, Verdict: queue.Done(), Result: []byte("result"), ResultKey: queuetest.Issuer, ResultTTL: time.Hour}
		}
		settled, err := q.Settle(ctx, ends)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range settled {
			if s != queue.Applied {
				t.Fatalf("%s: %s", ends[i].Lease.ID, s)
			}
		}
		left -= len(ds)
	}
}

// States end an hour after their messages, a minute or two later at most, and so does all that keeps account of them.
func TestStatesEnd(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	const states, n = "cs:{jobs}:st:acme", 3000 // more than one sweep removes
	before := time.Now()
	finish(t, b, q, "id", n, 5*time.Minute)
	listed := b.admin.ZRange(ctx, "cs:{jobs}:ends", 0, -1).Val()
	if len(listed) == 0 {
		t.Fatal("no end is listed")
	}
	for _, minute := range listed {
		m, err := strconv.ParseInt(minute, 10, 64)
		if late := time.Unix(m*60, 0).Sub(before.Add(5*time.Minute + queue.StateGrace)); err != nil || late < 0 || late > 3*time.Minute {
			t.Errorf("states are to end %s after their time", late)
		}
		if ttl := b.admin.PTTL(ctx, "cs:{jobs}:ends:"+minute).Val(); ttl < 24*time.Hour {
			t.Errorf("a list of ends lives for %s", ttl)
		}
	}
	if ttl := b.admin.PTTL(ctx, states).Val(); ttl < 2*time.Hour || ttl > 4*time.Hour {
		t.Errorf("the states live for %s", ttl)
	}
	promote := func() {
		t.Helper()
		if _, _, err := q.Promote(ctx, "jobs", 10); err != nil {
			t.Fatal(err)
		}
	}
	if promote(); b.admin.HLen(ctx, states).Val() != n {
		t.Fatal("states were swept before their time")
	}
	b.admin.HSet(ctx, states, "other", "1||1-1|acme:1|0|0|w||rd")
	for i, minute := range listed {
		past := fmt.Sprint(1000 + i)
		b.admin.Rename(ctx, "cs:{jobs}:ends:"+minute, "cs:{jobs}:ends:"+past)
		b.admin.ZRem(ctx, "cs:{jobs}:ends", minute)
		b.admin.ZAdd(ctx, "cs:{jobs}:ends", redis.Z{Member: past, Score: float64(1000 + i)})
	}
	promote()
	if left := b.admin.HKeys(ctx, states).Val(); len(left) != 1 || left[0] != "other" {
		t.Errorf("%d states are left, want the one that is not listed", len(left))
	}
	if keys := b.admin.Keys(ctx, "cs:{jobs}:ends*").Val(); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
}

// A batch of plain messages costs Redis a few commands, and one for each result.
func TestPlainBatchAsksLittle(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	finish(t, b, q, "first", 1, time.Hour) // makes the group
	b.admin.ConfigResetStat(t.Context())
	finish(t, b, q, "id", 32, time.Hour)
	got := map[string]string{}
	for line := range strings.Lines(b.admin.Info(t.Context(), "commandstats").Val()) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		calls, _, _ := strings.Cut(rest, ",")
		got[name] = calls
	}
	want := map[string]string{"evalsha": "2", "hmget": "2", "hset": "2", "set": "32", "xack": "1", "xdel": "1", "exists": "1", "xpending": "", "mget": ""}
	for name, calls := range want {
		if got[name] != calls {
			t.Errorf("%s: %q calls, want %q", name, got[name], calls)
		}
	}
}
