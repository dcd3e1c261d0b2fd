package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisacl"
)

// TestFewerRights takes one right after another from the worker's user, as an ACL file of an older version would, and leads
// messages through every state. Where the right was needed, that is said by name and nothing is decided for want of it: once
// it is given back, the same step goes on as if nothing had been.
func TestFewerRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rules, err := redisacl.Rules(redisacl.Worker, redisacl.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	var unmissed []string
	for _, right := range strings.Fields(rules) {
		if !strings.HasPrefix(right, "+") {
			continue
		}
		r.do("FLUSHALL")
		f := &fewer{rig: r, right: right[1:], q: openQueue(t, r.b.worker, fmt.Sprintf("w%d", len(right)), time.Minute)}
		f.run()
		if f.refused == 0 {
			unmissed = append(unmissed, f.right)
		}
	}
	// The first four are for clusters, for connections that are quiet and for servers that do not know a script yet.
	want := "ping asking cluster|slots eval xlen xgroup|delconsumer lpop"
	if got := strings.Join(unmissed, " "); got != want {
		t.Errorf("nothing missed %q, want %q", got, want)
	}
}

// fewer is a life without one right.
type fewer struct {
	*rig
	q       queuetest.Worker
	right   string
	refused int
}

// step does one thing without the right, and again with it when it was missed.
func (f *fewer) step(what string, do func() error) {
	f.Helper()
	f.do("ACL", "SETUSER", queuetest.UserWorker, "-"+f.right)
	err := do()
	f.do("ACL", "SETUSER", queuetest.UserWorker, "+"+f.right)
	if err == nil {
		return
	}
	f.refused++
	var u *queue.UnavailableError
	if !errors.As(err, &u) || u.Reason != queue.ReasonPermission {
		f.Fatalf("%s without %s: %v, want reason %q", what, f.right, err, queue.ReasonPermission)
	}
	if err := do(); err != nil {
		f.Fatalf("%s, after it was refused for want of %s: %v", what, f.right, err)
	}
}

func (f *fewer) send(ids ...string) {
	f.Helper()
	var out []queue.Outgoing
	for _, id := range ids {
		out = append(out, queue.Outgoing{Lane: acme, Message: []byte(id)})
	}
	if err := f.b.producer.Send(f.Context(), out); err != nil {
		f.Fatal(err)
	}
}

func (f *fewer) claim(id string) queue.Delivery {
	f.Helper()
	var got queue.Delivery
	f.step("claim "+id, func() error {
		ds, err := f.q.Claim(f.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: 10 * time.Second})
		if err == nil && (len(ds) != 1 || string(ds[0].Message) != id) {
			err = fmt.Errorf("claimed %+v, want %s", ds, id)
		}
		if err == nil {
			got = ds[0]
		}
		return err
	})
	return got
}

// start claims a message and starts it. Once something has been refused, part of a step may have been done: copies come
// then, and who stands aside looks again. What has ended never comes to run, though.
func (f *fewer) start(id string, want queue.State, change func(s *queue.Start)) queue.Started {
	f.Helper()
	s := queue.Start{Delivery: f.claim(id), ID: id, Digest: "d-" + id, Expires: time.Now().Add(time.Hour), ResultKey: queuetest.Issuer}
	change(&s)
	var got queue.Started
	f.step("start "+id, func() error {
		out, err := f.q.Start(f.Context(), []queue.Start{s})
		if err != nil {
			return err
		}
		got = out[0]
		again := f.refused > 0 && (got.State == queue.Duplicate || got.State == queue.Throttled && want == queue.Granted)
		if got.State != want && !again {
			return fmt.Errorf("%s, want %s", got.State, want)
		}
		return nil
	})
	if got.State == want {
		return got
	}
	if got.State == queue.Throttled {
		f.comeAgain(id)
	} else if _, err := f.q.Settle(f.Context(), []queue.Settlement{{Lease: got.Lease, Verdict: queue.Drop()}}); err != nil {
		f.Fatal(err)
	}
	if want == queue.Granted {
		return f.start(id, want, change)
	}
	return got
}

func (f *fewer) settle(l queue.Lease, v queue.Verdict) {
	f.Helper()
	s := queue.Settlement{Lease: l, Verdict: v}
	if o := v.Outcome(); o == queue.OutcomeDone || o == queue.OutcomeDead {
		s.Result, s.ResultKey, s.ResultTTL, s.Wake = []byte("result"), queuetest.Issuer, time.Hour, true
	}
	f.step("settle "+l.ID, func() error {
		got, err := f.q.Settle(f.Context(), []queue.Settlement{s})
		if err == nil && got[0] != queue.Applied {
			err = fmt.Errorf("%v", got[0])
		}
		return err
	})
}

// settleFor settles what another message waits for.
func (f *fewer) settleFor(waits string, l queue.Lease) {
	f.Helper()
	f.settle(l, queue.Done())
	if f.refused > 0 {
		// What came last, after all else was done, may have been refused: to stand in the other's list, or to tell the other.
		f.comeAgain(waits)
	}
}

// comeAgain has a message that is parked look by itself now, as it would before long.
func (f *fewer) comeAgain(id string) {
	f.Helper()
	f.do("ZADD", "cs:{jobs}:due", "XX", 0, "acme:"+id)
	f.promote()
}

func (f *fewer) run() {
	f.Helper()
	gated := func(s *queue.Start) {
		s.Gates = []queue.Gate{{Name: "g", InFlight: 1, Every: time.Microsecond, Burst: 100}}
	}
	f.send("a")
	a := f.start("a", queue.Granted, func(s *queue.Start) {
		gated(s)
		s.Unique = queue.Unique{Key: "k", Window: time.Hour}
	})
	f.send("b")
	f.start("b", queue.Throttled, gated) // waits for a's place
	f.send("b")
	f.start("b", queue.Duplicate, gated)
	f.renew(a.Lease)
	f.send("a")
	f.start("a", queue.Duplicate, plainly)
	f.send("c")
	f.settle(f.start("c", queue.Taken, func(s *queue.Start) { s.Unique = queue.Unique{Key: "k", Window: time.Hour} }).Lease,
		queue.Dead("task.duplicate", "a"))
	f.settleFor("b", a.Lease)
	f.send("a")
	b := f.start("b", queue.Granted, gated)
	f.start("a", queue.Replayed, plainly) // never again
	f.settle(b.Lease, queue.Retry(time.Now()))
	f.promote()
	f.settle(f.start("b", queue.Granted, gated).Lease, queue.Dead("code", "reason"))

	f.send("d")
	f.start("d", queue.Waits, func(s *queue.Start) { s.After = []string{"a", "e"} })
	f.send("e")
	f.settleFor("d", f.start("e", queue.Granted, plainly).Lease)
	if d := f.start("d", queue.Granted, func(s *queue.Start) { s.After = []string{"a", "e"} }); string(d.Inputs[1]) != "result" {
		f.Errorf("without %s: inputs %q", f.right, d.Inputs)
	}
	f.orders()
	f.maintain()
}

func (f *fewer) renew(l queue.Lease) {
	f.Helper()
	f.step("renew", func() error {
		lost, err := f.q.Renew(f.Context(), []queue.Lease{l})
		if err == nil && len(lost) > 0 {
			err = errors.New("the lease is said to be lost")
		}
		return err
	})
}

func (f *fewer) promote() {
	f.Helper()
	f.step("promote", func() error {
		_, _, err := f.q.Promote(f.Context(), "jobs", 100)
		return err
	})
}

// orders gives orders, which must be heard, by a start and by a listener, and carries one out.
func (f *fewer) orders() {
	f.Helper()
	ctx := f.Context()
	if err := f.b.operator.Cancel(ctx, acme, "plan", []byte("cancel"), time.Hour); err != nil {
		f.Fatal(err)
	}
	if err := f.b.operator.Mode(ctx, "jobs", []byte("paused"), time.Hour); err != nil {
		f.Fatal(err)
	}
	f.send("f")
	started := f.start("f", queue.Granted, func(s *queue.Start) { s.Plan = "plan" })
	if len(started.Cancels) != 1 {
		f.Errorf("without %s: %d orders to cancel, want 1", f.right, len(started.Cancels))
	}
	f.settle(started.Lease, queue.Release())
	f.settle(f.start("f", queue.Granted, plainly).Lease, queue.Done())
	f.step("listen", func() error { return f.hears("paused") })
	f.step("requeue", func() error {
		n, err := f.b.worker.Requeue(ctx, "jobs", queue.DeadFilter{Code: "code"}, 100)
		if err == nil && n < 1 { // one letter, or one more, where its state could not be written
			err = errors.New("no letter was found")
		}
		return err
	})
	f.settle(f.start("b", queue.Granted, plainly).Lease, queue.Done())
	f.step("purge", func() error {
		_, err := f.b.worker.Purge(ctx, []queue.Lane{acme}, time.Now(), 100)
		return err
	})
}

// hears returns once the order that is kept is heard, or with the trouble that it cannot be.
func (f *fewer) hears(order string) error {
	ctx, cancel := context.WithTimeout(f.Context(), 10*time.Second)
	defer cancel()
	var trouble error
	heard := false
	err := f.b.worker.Listen(ctx, []string{"jobs"}, func(_ string, got []byte) {
		if string(got) == order {
			heard = true
			cancel()
		}
		if got == nil && !heard {
			trouble = errors.New("the end of what is kept, and not this")
			cancel()
		}
	}, func(_ string, err error) {
		trouble = err
		cancel()
	})
	if heard {
		return nil
	}
	return errors.Join(trouble, err)
}

// maintain does what workers do now and then: it takes over a dead worker's, and finds what somebody else let go.
func (f *fewer) maintain() {
	f.Helper()
	ctx, lanes := f.Context(), []queue.Lane{acme}
	f.send("g")
	dead := openQueue(f.T, f.b.worker, "dead", time.Second)
	if ds, err := dead.Claim(ctx, queue.Claim{Lanes: lanes, Max: 1, Wait: 10 * time.Second}); err != nil || len(ds) != 1 {
		f.Fatal(ds, err)
	}
	f.do("XGROUP", "DELCONSUMER", "cs:{jobs}:in:acme:1", "workers", dead.Worker())
	f.step("retire", func() error {
		_, err := openQueue(f.T, f.b.worker, "maintainer", time.Minute).Retire(ctx, lanes, 0) // each worker does it once in a while
		return err
	})
	f.step("recover", func() error {
		_, err := f.q.Recover(ctx, lanes, 100)
		return err
	})
	f.settle(f.start("g", queue.Granted, plainly).Lease, queue.Done())
}
