package redisqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// Dead letters go when they are too old, whether another one comes or none does.
func TestDeadLettersAge(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	q, err := redisqueue.OpenQueue(b.worker, redisqueue.QueueConfig{Worker: "w", DeadKeep: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	old := func() {
		b.admin.Del(ctx, "cs:{jobs}:dead")
		for _, age := range []time.Duration{2 * time.Hour, 61 * time.Minute, 59 * time.Minute} {
			id := fmt.Sprint(time.Now().Add(-age).UnixMilli(), "-0")
			if err := b.admin.XAdd(ctx, &redis.XAddArgs{Stream: "cs:{jobs}:dead", ID: id, Values: []any{"code", "c"}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(what string, n int64) {
		if got, err := b.admin.XLen(ctx, "cs:{jobs}:dead").Result(); err != nil || got != n {
			t.Errorf("%s: %d letters, %v; want %d", what, got, err, n)
		}
	}
	old()
	if _, _, err := q.Promote(ctx, "jobs", 1); err != nil {
		t.Fatal(err)
	}
	want("after promote", 1)
	old()
	if err := b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}}); err != nil {
		t.Fatal(err)
	}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	if _, err := q.Settle(ctx, []queue.Settlement{{Lease: ds[0].Unstarted(), Verdict: queue.Dead("c", "r")}}); err != nil {
		t.Fatal(err)
	}
	want("after another", 2)
}

// A time that somebody else has put into the due set, however far away, is never taken for one that has passed.
func TestDueFarAway(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	for _, at := range []float64{1.47e13, 1e15, 9e18, 1e300} { // in ms; the first wraps where it is multiplied
		b.admin.ZAdd(t.Context(), "cs:{jobs}:due", redis.Z{Member: "acme:m", Score: at})
		n, next, err := q.Promote(t.Context(), "jobs", 1)
		if n != 0 || err != nil || !next.IsZero() && time.Until(next) < queue.DelayMax-time.Minute {
			t.Errorf("due at %g: %d moved, the next at %s, %v", at, n, next, err)
		}
	}
}

// A result that somebody has made larger than any can be is no input, and no more of it is read.
func TestOversizedInputs(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	for id, size := range map[string]int{"whole": queue.ResultBytesMax, "larger": queue.ResultBytesMax + 1} {
		b.admin.Set(ctx, "cs:{jobs}:res:"+queuetest.Issuer+":"+id, make([]byte, size), 0)
	}
	if err := b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}}); err != nil {
		t.Fatal(err)
	}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	got, err := q.Start(ctx, []queue.Start{{
		Delivery: ds[0], ID: "m", Digest: "d", Expires: time.Now().Add(time.Hour), After: []string{"larger", "whole", "larger"}, ResultKey: queuetest.Issuer,
	}})
	if err != nil || got[0].State != queue.Granted || len(got[0].Inputs) != 3 {
		t.Fatal(got, err)
	}
	for i, want := range []int{0, queue.ResultBytesMax, 0} {
		if n := len(got[0].Inputs[i]); n != want {
			t.Errorf("input %d has %d bytes, want %d", i, n, want)
		}
	}
}

// full is a start that asks for everything there is.
func full(d queue.Delivery) queue.Start {
	return queue.Start{
		Delivery: d, ID: string(d.Message), Digest: "d", Expires: time.Now().Add(time.Hour), Plan: "plan",
		After: []string{"input"}, ResultKey: queuetest.Issuer, Unique: queue.Unique{Key: "k", Window: time.Minute},
		Gates: []queue.Gate{{Name: "g", InFlight: 1, Every: time.Millisecond, Burst: 1}},
	}
}

// What somebody wrote over the keys of gates, unique keys and plans is as if it were gone.
func TestOverwrittenCounters(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	spoil := func() {
		for _, key := range []string{"gate:g", "line:g", "wait:" + queuetest.Issuer + ":input", "need:acme:m00000", "need:acme:m00001"} {
			b.admin.Set(ctx, "cs:{jobs}:"+key, "not what it should be", 0)
		}
		for _, key := range []string{"rate:g", "unique:acme:k", "cancel:acme:m00000", "cancel:acme:plan"} {
			b.admin.Del(ctx, "cs:{jobs}:"+key)
			b.admin.LPush(ctx, "cs:{jobs}:"+key, "not a string")
		}
	}
	_, two := messages(0, 2)
	if err := b.producer.Send(ctx, two); err != nil {
		t.Fatal(err)
	}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 2})
	if err != nil || len(ds) != 2 {
		t.Fatal(ds, err)
	}
	start := func(d queue.Delivery, want queue.State) queue.Lease {
		t.Helper()
		spoil()
		got, err := q.Start(ctx, []queue.Start{full(d)})
		if err != nil || got[0].State != want {
			t.Fatalf("%+v, %v; want %s", got, err, want)
		}
		return got[0].Lease
	}
	start(ds[0], queue.Waits)
	b.admin.Set(ctx, "cs:{jobs}:res:"+queuetest.Issuer+":input", "r", 0)
	lease := start(ds[1], queue.Granted)
	spoil()
	if lost, err := q.Renew(ctx, []queue.Lease{lease}); err != nil || len(lost) != 0 {
		t.Errorf("renew: %v, %v", lost, err)
	}
	spoil()
	got, err := q.Settle(ctx, []queue.Settlement{{
		Lease: lease, Verdict: queue.Done(), Result: []byte("r"), ResultKey: queuetest.Issuer, ResultTTL: time.Minute, Wake: true,
	}})
	if err != nil || got[0] != queue.Applied {
		t.Errorf("settle: %v, %v", got, err)
	}
}

// claimOne sends a message and claims it.
func claimOne(t *testing.T, b *broker, q *redisqueue.Queue) queue.Delivery {
	t.Helper()
	_, one := messages(0, 1)
	if err := b.producer.Send(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	ds, err := q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	return ds[0]
}

// At maxmemory a message that would have to wait stays where it is.
func TestMemoryFullAtGate(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	d := claimOne(t, b, q)
	s.Do("CONFIG", "SET", "maxmemory", "100kb")
	_, err := q.Start(ctx, []queue.Start{full(d)})
	wantReason(t, "start", err, queue.ReasonMemory)
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err != nil || d.Lanes[0].Running != 1 || d.Due["jobs"] != 0 {
		t.Errorf("depth %+v, %v", d, err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	got, err := q.Start(ctx, []queue.Start{full(d)})
	if err != nil || got[0].State != queue.Waits {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err != nil || d.Lanes[0].Running != 0 || d.Due["jobs"] != 1 {
		t.Errorf("depth %+v, %v", d, err)
	}
}

// A step that waits for a result stands in two sets, and in none when it is purged.
func TestPurgedStepWaitsForNothing(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	d := claimOne(t, b, q)
	if got, err := q.Start(ctx, []queue.Start{full(d)}); err != nil || got[0].State != queue.Waits {
		t.Fatalf("%+v, %v", got, err)
	}
	kept := func() int {
		need, err := b.admin.Keys(ctx, "cs:{jobs}:need:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		wait, err := b.admin.Keys(ctx, "cs:{jobs}:wait:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(need) + len(wait)
	}
	if n := kept(); n != 2 {
		t.Fatalf("it stands in %d sets", n)
	}
	if n, err := b.worker.Purge(ctx, []queue.Lane{acme}, time.Now().Add(time.Hour), 10); err != nil || n != 1 {
		t.Fatalf("purged %d, %v", n, err)
	}
	if n := kept(); n != 0 {
		t.Errorf("when purged it stands in %d sets", n)
	}
}
