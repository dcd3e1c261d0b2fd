package redisqueue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// rig is one queue and an attacker, b.admin, who may write whatever he likes.
type rig struct {
	*testing.T
	b *broker
	q *redisqueue.Queue
}

func newRig(t *testing.T) *rig {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	return &rig{t, b, openQueue(t, b.worker, "w", time.Minute)}
}

func (r *rig) do(args ...any) {
	r.Helper()
	if err := r.b.admin.Do(r.Context(), args...).Err(); err != nil {
		r.Fatalf("%v: %v", args[:2], err)
	}
}

// start sends a message, claims and starts it, which must be granted.
func (r *rig) start(id string, change func(s *queue.Start)) queue.Started {
	r.Helper()
	if err := r.b.producer.Send(r.Context(), []queue.Outgoing{{Lane: acme, Message: []byte(id)}}); err != nil {
		r.Fatal(err)
	}
	ds, err := r.q.Claim(r.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: 10 * time.Second})
	if err != nil || len(ds) != 1 || string(ds[0].Message) != id {
		r.Fatalf("claimed %+v, %v", ds, err)
	}
	s := queue.Start{Delivery: ds[0], ID: id, Digest: "d", Expires: time.Now().Add(time.Hour)}
	change(&s)
	got, err := r.q.Start(r.Context(), []queue.Start{s})
	if err != nil || got[0].State != queue.Granted {
		r.Fatalf("started %+v, %v", got, err)
	}
	return got[0]
}

func plainly(*queue.Start) {}

func (r *rig) settle(l queue.Lease, v queue.Verdict) {
	r.Helper()
	if got, err := r.q.Settle(r.Context(), []queue.Settlement{{Lease: l, Verdict: v}}); err != nil || got[0] != queue.Applied {
		r.Errorf("settled %v, %v", got, err)
	}
}

// parked parks a message that is due at once.
func (r *rig) parked(id string) {
	r.Helper()
	r.settle(r.start(id, plainly).Lease, queue.Retry(time.Now()))
}

// comes says that exactly these messages are in the lane.
func (r *rig) comes(ids ...string) {
	r.Helper()
	ds, err := r.q.Claim(r.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 100})
	var got []string
	for _, d := range ds {
		got = append(got, string(d.Message))
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, ids) {
		r.Errorf("claimed %q, %v; want %q", got, err, ids)
	}
}

func (r *rig) promote() {
	r.Helper()
	if _, _, err := r.q.Promote(r.Context(), "jobs", 100); err != nil {
		r.Errorf("promote: %v", err)
	}
}

// What somebody put among parked messages holds up none of them.
func TestForgedParked(t *testing.T) {
	r := newRig(t)
	r.parked("m1")
	for _, member := range []string{"nobody", "", ":", "acme:", "acme:a b", "acme:id\xff", "acme:m1:x"} {
		r.do("ZADD", "cs:{jobs}:due", "-inf", member)
		r.do("HSET", "cs:{jobs}:parked", member, "acme:1@1|forged")
	}
	r.do("ZADD", "cs:{jobs}:due", "-inf", "acme:none", "-inf", "acme:other")
	r.do("HSET", "cs:{jobs}:parked", "acme:other", "no record")
	r.promote()
	r.comes("m1")
	if n := r.b.admin.ZCard(r.Context(), "cs:{jobs}:due").Val() + r.b.admin.HLen(r.Context(), "cs:{jobs}:parked").Val(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// Keys of another type where parked messages are cost what lay there; what is parked afterwards comes back.
func TestOverwrittenParked(t *testing.T) {
	for _, key := range []string{"cs:{jobs}:due", "cs:{jobs}:parked"} {
		r := newRig(t)
		r.parked("m1")
		held := r.start("m2", plainly).Lease
		r.do("SET", key, "somebody else's")
		r.settle(held, queue.Retry(time.Now()))
		r.do("SET", key, "somebody else's")
		r.promote()
		r.parked("m3")
		r.promote()
		r.comes("m3")
	}
}

// Whoever stands in the line of a gate without a name of a message costs nobody an outcome.
func TestForgedLine(t *testing.T) {
	r := newRig(t)
	first := r.start("m1", func(s *queue.Start) { s.Gates = []queue.Gate{{Name: "g", InFlight: 1}} })
	r.do("ZADD", "cs:{jobs}:line:g", 0, "nobody")
	r.do("HSET", "cs:{jobs}:parked", "nobody", "acme:1@1|forged")
	r.settle(first.Lease, queue.Retry(time.Now()))
	r.promote()
	r.comes("m1")
}

// Numbers of a state that no worker wrote are no state: attempts and crashes stay what they can be.
func TestForgedCounts(t *testing.T) {
	r := newRig(t)
	for _, count := range []string{"9999999999", strings.Repeat("9", 400), "18446744073709551615"} {
		for i, id := range []string{"fails-" + count[:10], "crashes-" + count[:10]} {
			counts := []string{count, "0"}
			if i == 1 {
				counts = []string{"0", count}
			}
			id += "-" + string(rune('a'+len(count)%26))
			r.do("HSET", "cs:{jobs}:st:acme", id, "t||0-1|acme:1|"+strings.Join(counts, "|")+"|w|d|w")
			if s := r.start(id, plainly); s.Attempt != 1 || s.Crashes != 0 {
				t.Errorf("%s: attempt %d, %d crashes", id, s.Attempt, s.Crashes)
			}
		}
	}
}

// One large key in the place of an order to cancel a plan is not given out with each of its steps.
func TestForgedCancel(t *testing.T) {
	r := newRig(t)
	large := strings.Repeat("x", 1<<20)
	r.do("SET", "cs:{jobs}:cancel:acme:", "")
	r.do("SET", "cs:{jobs}:cancel:acme:plan", large)
	r.do("SET", "cs:{jobs}:cancel:acme:m1", large)
	s := r.start("m1", func(s *queue.Start) { s.Plan = "plan" })
	if len(s.Cancels) != 0 {
		t.Errorf("%d orders of %d bytes", len(s.Cancels), len(s.Cancels[0]))
	}
	r.do("SET", "cs:{jobs}:cancel:acme:plan", "order")
	if s := r.start("m2", func(s *queue.Start) { s.Plan = "plan" }); len(s.Cancels) != 1 || string(s.Cancels[0]) != "order" {
		t.Errorf("orders %q", s.Cancels)
	}
}

// TestSpoiltCancels has somebody (any sender may) close the list of cancellations for good, or put something else in its place. An order to
// cancel is kept under its message's id all the same, and told.
func TestSpoiltCancels(t *testing.T) {
	for name, spoil := range map[string][]any{
		"closed":       {"XADD", "cs:{jobs}:cancels", "18446744073709551615-18446744073709551615", "f", "x"},
		"another type": {"SET", "cs:{jobs}:cancels", "x"},
	} {
		r := newRig(t)
		r.do(spoil...)
		ctx, cancel := context.WithCancel(t.Context())
		heard, works, done := make(chan string, 10), make(chan bool, 1), make(chan error, 1)
		go func() {
			done <- r.b.worker.Listen(ctx, []string{"jobs"}, func(_ string, order []byte) {
				if order == nil {
					works <- true
				} else {
					heard <- string(order)
				}
			}, quiet)
		}()
		<-works
		if err := r.b.operator.Cancel(ctx, acme, "m1", []byte("order"), time.Minute); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := <-heard; got != "order" {
			t.Errorf("%s: heard %q", name, got)
		}
		if s := r.start("m1", plainly); len(s.Cancels) != 1 {
			t.Errorf("%s: kept %q", name, s.Cancels)
		}
		cancel()
		<-done
	}
}

// An order that cannot be kept names the key that somebody spoilt.
func TestSpoiltOrders(t *testing.T) {
	r := newRig(t)
	r.do("SET", "cs:{jobs}:orders", "x")
	err := r.b.operator.Once(t.Context(), "jobs", []byte("order"))
	wantReason(t, "order", err, queue.ReasonData)
	if err == nil || !strings.Contains(err.Error(), "cs:{jobs}:orders: WRONGTYPE") {
		t.Errorf("the key is not named: %v", err)
	}
}

// TestPurgeOfOthers purges lanes of which one is no stream, and what is parked where something else stands in its place: the rest is forgotten.
func TestPurgeOfOthers(t *testing.T) {
	r := newRig(t)
	low := queue.Lane{Queue: "jobs", Tenant: "acme", Priority: queue.PriorityLow}
	spoilt := queue.Lane{Queue: "jobs", Tenant: "acme", Priority: queue.PriorityHigh}
	r.parked("m1")
	r.do("SET", laneKey(spoilt), "x")
	for _, parked := range []string{"", "cs:{jobs}:parked", "cs:{jobs}:due"} {
		want := 2
		if parked != "" {
			r.do("SET", parked, "x")
			want = 1
		}
		if err := r.b.admin.XAdd(t.Context(), &redis.XAddArgs{Stream: laneKey(low), Values: []any{"e", "m2"}}).Err(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.b.worker.Purge(t.Context(), []queue.Lane{spoilt, acme, low}, time.Time{}, 10); err != nil || n != want {
			t.Errorf("with %q spoilt: purged %d, %v; want %d", parked, n, err, want)
		}
	}
}

// Whoever counts a queue of which a key is spoilt is told which one it is.
func TestDepthNamesSpoilt(t *testing.T) {
	for _, key := range []string{laneKey(acme), "cs:{jobs}:due", "cs:{jobs}:dead"} {
		r := newRig(t)
		r.do("SET", key, "x")
		_, err := r.b.operator.Depth(t.Context(), []queue.Lane{acme})
		wantReason(t, "depth", err, queue.ReasonData)
		if err == nil || strings.Count(err.Error(), key+": WRONGTYPE") != 1 {
			t.Errorf("%s is not named once: %v", key, err)
		}
	}
}

// Something else in the place of a result is said to who waits for it, and holds up nobody else.
func TestForgedResults(t *testing.T) {
	r := newRig(t)
	key := func(id string) string { return "cs:{jobs}:res:" + queuetest.Issuer + ":" + id }
	r.do("LPUSH", key("list"), "x")
	r.do("SET", key("m1"), "result of m1")
	r.do("SET", key("m2"), "result of m2")
	got := map[string]string{}
	err := r.b.results.Wait(t.Context(), "jobs", queuetest.Issuer, []string{"m1", "list", "m2"}, func(id string, result []byte) {
		got[id] = string(result)
		if result == nil {
			got[id] = "none"
		}
	})
	if err != nil || got["m1"] != "result of m1" || got["m2"] != "result of m2" || got["list"] != "none" {
		t.Errorf("came %q, %v", got, err)
	}
	_, err = r.b.results.Result(t.Context(), "jobs", queuetest.Issuer, "list")
	wantReason(t, "the list", err, queue.ReasonData)
	if err == nil || !strings.Contains(err.Error(), key("list")) {
		t.Errorf("the key is not named: %v", err)
	}
}

// Something else where a queue's events should be is said to who follows them.
func TestForgedEvents(t *testing.T) {
	r := newRig(t)
	r.do("SET", "cs:{jobs}:events", "x")
	for _, after := range []string{"", "0"} {
		wantReason(t, "follow", r.b.watcher.Follow(t.Context(), "jobs", after, nil), queue.ReasonData)
	}
}

// What a lane's group has passed and nobody holds is given out again: what one of them waits for, and what is added later, too.
func TestStrays(t *testing.T) {
	lane := laneKey(acme)
	rows := []struct {
		name   string
		happen func(r *rig, held string)
		want   []string
	}{
		{"nothing", func(*rig, string) {}, []string{"m3"}},
		{"the worker's name was removed", func(r *rig, _ string) { r.do("XGROUP", "DELCONSUMER", lane, "workers", r.q.Worker()) }, []string{"m1", "m2", "m3"}},
		{"one was acknowledged", func(r *rig, held string) { r.do("XACK", lane, "workers", held) }, []string{"m1", "m3"}},
		{"the group was set ahead", func(r *rig, _ string) { r.do("XGROUP", "SETID", lane, "workers", "9999999999999-0") }, []string{"m3"}},
		{"to the last id", func(r *rig, _ string) {
			r.do("XGROUP", "SETID", lane, "workers", "18446744073709551615-18446744073709551615")
		}, []string{"m3"}},
		{"all of it", func(r *rig, held string) {
			r.do("XACK", lane, "workers", held)
			r.do("XGROUP", "SETID", lane, "workers", "9999999999999-0")
		}, []string{"m1", "m3"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			first := r.start("m1", plainly).Lease
			r.start("m2", plainly)
			row.happen(r, first.Entry)
			if err := r.b.producer.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m3")}}); err != nil {
				t.Fatal(err)
			}
			other := openQueue(t, r.b.worker, "other", time.Minute)
			if _, err := other.Retire(t.Context(), []queue.Lane{acme}, time.Hour); err != nil {
				t.Fatal(err)
			}
			r.q = other
			r.comes(row.want...)
		})
	}
}

// Strays of a lane that takes nothing any more, or that have more fields than a script can name, end nothing.
func TestStraysThatStay(t *testing.T) {
	r := newRig(t)
	first := r.start("m1", plainly).Lease
	r.start("m2", plainly)
	many := []any{"XADD", laneKey(acme), "*"}
	for range 20000 {
		many = append(many, "f", "v")
	}
	r.do(many...)
	if ds, err := r.q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1}); err != nil || len(ds) != 1 || ds[0].Fault == "" {
		t.Fatal(ds, err)
	} else {
		r.do("XACK", laneKey(acme), "workers", ds[0].Entry)
	}
	r.start("m3", plainly)
	r.do("XACK", laneKey(acme), "workers", first.Entry)
	if _, err := r.q.Retire(t.Context(), []queue.Lane{acme}, time.Hour); err != nil {
		t.Error(err)
	}
	ds, err := r.q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 10})
	if err != nil || len(ds) != 2 || string(ds[0].Message) != "m1" || ds[1].Fault == "" {
		t.Fatalf("%d, %v", len(ds), err)
	}
	r.do("XACK", laneKey(acme), "workers", ds[0].Entry)
	r.do("XADD", laneKey(acme), "18446744073709551615-18446744073709551615", "e", "last")
	if ds, err = r.q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 10}); err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	var u *queue.UnavailableError
	again := openQueue(t, r.b.worker, "again", time.Minute)
	if _, err := again.Retire(t.Context(), []queue.Lane{acme}, time.Hour); err != nil && !errors.As(err, &u) {
		t.Error(err)
	}
	if n, err := r.b.admin.XLen(t.Context(), laneKey(acme)).Result(); err != nil || n != 5 {
		t.Errorf("%d entries, %v; want m2, m3, m1, the one with many fields and the last", n, err)
	}
}

// TestDueDeleted deletes the list of what is due when: what is parked would never come again, nor would a copy that its sender sends. The copy runs.
func TestDueDeleted(t *testing.T) {
	r := newRig(t)
	r.parked("m1")
	r.do("DEL", "cs:{jobs}:due")
	r.promote()
	r.comes()
	if got := r.start("m1", plainly); got.Attempt != 2 {
		t.Errorf("it counts as attempt %d", got.Attempt)
	}
}
