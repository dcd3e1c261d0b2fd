package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

func farAhead() time.Time { return time.Now().Add(time.Hour) }

func resultOf(l queue.Lease, v queue.Verdict, text string) queue.Settlement {
	return queue.Settlement{Lease: l, Verdict: v, Result: []byte(text), ResultKey: Issuer, ResultTTL: time.Hour}
}

func testSettleDone(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	s := granted(t, w, claimOne(t, w, acme), "id")
	if got := settle(t, w, resultOf(s.Lease, queue.Done(), "signed\x00result")); got != queue.Applied {
		t.Fatal(got)
	}
	r, err := b.Results().Result(ctxOf(t), "jobs", Issuer, "id")
	if err != nil || string(r) != "signed\x00result" {
		t.Errorf("result %q, %v", r, err)
	}
	if st := stateOf(t, b, acme, "id"); st.Phase != queue.PhaseDone {
		t.Errorf("state %+v", st)
	}
	wantDepth(t, b, acme, 0, 0)
}

func testSettleAgain(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "a", "b", "c")
	ds := claim(t, w, 10, acme)
	done := resultOf(granted(t, w, ds[0], "a").Lease, queue.Done(), "first")
	dead := queue.Settlement{Lease: granted(t, w, ds[1], "b").Lease, Verdict: queue.Dead("task.failed", "no")}
	retry := queue.Settlement{Lease: granted(t, w, ds[2], "c").Lease, Verdict: queue.Retry(farAhead())}
	for range 3 {
		for _, s := range []queue.Settlement{done, dead, retry} {
			if got := settle(t, w, s); got != queue.Applied {
				t.Errorf("%s: %s", s.Verdict, got)
			}
		}
		done.Result = []byte("second")
	}
	if r, err := b.Results().Result(ctxOf(t), "jobs", Issuer, "a"); string(r) != "first" {
		t.Errorf("result %q, %v", r, err)
	}
	if n := len(letters(t, b)); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	if st := stateOf(t, b, acme, "c"); st.Attempt != 2 {
		t.Errorf("attempt %d, want 2", st.Attempt)
	}
	// Another verdict under the same lease is no repetition.
	done.Verdict, done.Result = queue.Dead("task.failed", "no"), nil
	if got := settle(t, w, done); got != queue.LeaseLost {
		t.Errorf("another verdict: %s", got)
	}
}

func testSettleRetry(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	s := granted(t, w, claimOne(t, w, acme), "id")
	for attempt := 2; attempt <= 4; attempt++ {
		apply(t, w, s.Lease, queue.Retry(time.Now().Add(30*time.Millisecond)))
		wantDepth(t, b, acme, 0, 0)
		if st := stateOf(t, b, acme, "id"); st.Phase != queue.PhaseWaiting || st.Attempt != attempt {
			t.Fatalf("state %+v, want attempt %d", st, attempt)
		}
		if got := claim(t, w, 1, acme); len(got) != 0 {
			t.Fatal("claimed before it was due")
		}
		promoteAll(t, w, 1)
		d := claimOne(t, w, acme)
		if string(d.Message) != "m" || d.Redelivered {
			t.Fatalf("came back as %+v", d)
		}
		if s = granted(t, w, d, "id"); s.Attempt != attempt || s.Crashes != 0 {
			t.Fatalf("started %+v, want attempt %d", s, attempt)
		}
	}
	// What is past is due at once.
	apply(t, w, s.Lease, queue.Retry(time.Now().Add(-time.Hour)))
	promoteAll(t, w, 1)
}

func testSettleCrash(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	s := granted(t, w, claimOne(t, w, acme), "id")
	apply(t, w, s.Lease, queue.Crash(time.Now()))
	promoteAll(t, w, 1)
	s = granted(t, w, claimOne(t, w, acme), "id")
	if s.Attempt != 1 || s.Crashes != 1 {
		t.Errorf("started %+v, want attempt 1 and one crash", s)
	}
}

func testSettlePark(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	binary := "| \x00:2|\n\xff"
	send(t, b, urgent, binary)
	s := granted(t, w, claimOne(t, w, urgent), "id")
	apply(t, w, s.Lease, queue.Park(time.Now()))
	promoteAll(t, w, 1)
	// It lies in its lane now; a copy must not overtake it there.
	send(t, b, acme, binary)
	if dup := begin(t, w, claimOne(t, w, acme), "id"); dup.State != queue.Duplicate {
		t.Errorf("a copy of what was promoted: %s", dup.State)
	}
	d := claimOne(t, w, urgent)
	if string(d.Message) != binary {
		t.Errorf("came back as %q", d.Message)
	}
	if s = granted(t, w, d, "id"); s.Attempt != 1 || s.Crashes != 0 {
		t.Errorf("started %+v, want nothing counted", s)
	}
}

func testSettleRelease(t *testing.T, b Broker) {
	w, v := b.Worker(t, "w", long), b.Worker(t, "v", long)
	send(t, b, acme, "started", "claimed only")
	ds := claim(t, w, 10, acme)
	apply(t, w, granted(t, w, ds[0], "id").Lease, queue.Release())
	apply(t, w, ds[1].Unstarted(), queue.Release())
	got := claim(t, v, 10, acme)
	if !slices.Equal(texts(got), []string{"started", "claimed only"}) {
		t.Fatalf("came back as %q", texts(got))
	}
	if s := granted(t, v, got[0], "id"); s.Attempt != 1 || s.Crashes != 0 {
		t.Errorf("started %+v, want nothing counted", s)
	}
}

func testSettleDead(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m\x00m")
	s := granted(t, w, claimOne(t, w, acme), "id")
	before := time.Now().Add(-time.Minute)
	v := queue.Dead("task.failed", strings.Repeat("é", queue.ReasonBytesMax))
	if got := settle(t, w, resultOf(s.Lease, v, "why")); got != queue.Applied {
		t.Fatal(got)
	}
	kept := letters(t, b)
	if len(kept) != 1 {
		t.Fatalf("%d dead letters", len(kept))
	}
	l := kept[0]
	if l.Code != "task.failed" || l.Lane != acme || l.ID != "id" || string(l.Message) != "m\x00m" ||
		!strings.HasPrefix(l.Worker, "w") || l.At.Before(before) || l.At.After(time.Now().Add(time.Minute)) {
		t.Errorf("letter %+v", l)
	}
	if n := len(l.Reason); n > queue.ReasonBytesMax || n < queue.ReasonBytesMax-2 {
		t.Errorf("reason has %d bytes", n)
	}
	if st := stateOf(t, b, acme, "id"); st.Phase != queue.PhaseDead {
		t.Errorf("state %+v", st)
	}
	if r, err := b.Results().Result(ctxOf(t), "jobs", Issuer, "id"); string(r) != "why" {
		t.Errorf("result %q, %v", r, err)
	}
	wantDepth(t, b, acme, 0, 0)
}

func testSettleUnstarted(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "never verified", "refused", "forged")
	ds := claim(t, w, 10, acme)
	bare := ds[0].Unstarted()
	apply(t, w, bare, queue.Dead("envelope.signature", "does not verify"))
	if got := settle(t, w, queue.Settlement{Lease: bare, Verdict: queue.Drop()}); got != queue.LeaseLost {
		t.Errorf("settled twice: %s", got)
	}
	if kept := letters(t, b); len(kept) != 1 || kept[0].ID != "" {
		t.Errorf("letters %+v", kept)
	}
}

// A worker that was told that a message is a copy may settle it with a server that knows otherwise: another one has taken the
// place of the first meanwhile. What has no other way to its end stays.
func testSettleCopy(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m", "m", "m", "other")
	ds := claim(t, w, 10, acme)
	copyOf := func(d queue.Delivery) queue.Lease {
		l := d.Unstarted()
		l.ID = "id"
		return l
	}
	verdicts := []queue.Verdict{queue.Drop(), queue.Dead("queue.replayed", "has ended")}
	stays := func(d queue.Delivery, why string) {
		t.Helper()
		for _, v := range verdicts {
			if got := settle(t, w, queue.Settlement{Lease: copyOf(d), Verdict: v}); got != queue.LeaseLost {
				t.Errorf("%s, %s: %s, want lost", why, v, got)
			}
		}
	}
	stays(ds[0], "nothing is known of it")
	s := granted(t, w, ds[0], "id")
	stays(ds[0], "it is what runs")
	apply(t, w, copyOf(ds[1]), queue.Drop())
	apply(t, w, s.Lease, queue.Park(time.Now().Add(time.Hour)))
	apply(t, w, copyOf(ds[2]), verdicts[1])
	if kept := letters(t, b); len(kept) != 1 || kept[0].ID != "" {
		t.Errorf("letters %+v", kept)
	}
	b.Forget(t, acme, "id")
	stays(ds[3], "nothing is known any more")
	apply(t, w, granted(t, w, ds[3], "id").Lease, queue.Done())
	send(t, b, acme, "other")
	apply(t, w, copyOf(claimOne(t, w, acme)), queue.Drop())
	wantDepth(t, b, acme, 0, 0)
}

func testSettleDrop(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m", "m")
	ds := claim(t, w, 10, acme)
	s := granted(t, w, ds[0], "id")
	apply(t, w, ds[1].Unstarted(), queue.Drop())
	wantDepth(t, b, acme, 0, 1)
	if st := stateOf(t, b, acme, "id"); st.Phase != queue.PhaseRunning {
		t.Errorf("state %+v", st)
	}
	apply(t, w, s.Lease, queue.Done())
	wantDepth(t, b, acme, 0, 0)
}

func testSettleVanished(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "retried", "done")
	ds := claim(t, w, 10, acme)
	retried, done := granted(t, w, ds[0], "r"), granted(t, w, ds[1], "d")
	b.Delete(t, acme, ds[0].Entry)
	b.Delete(t, acme, ds[1].Entry)
	if got := settle(t, w, queue.Settlement{Lease: retried.Lease, Verdict: queue.Retry(time.Now())}); got != queue.Vanished {
		t.Errorf("retry: %s", got)
	}
	if kept := letters(t, b); len(kept) != 1 || kept[0].Code != queue.CodeVanished || kept[0].Message != nil {
		t.Errorf("letters %+v", kept)
	}
	if st := stateOf(t, b, acme, "r"); st.Phase != queue.PhaseDead {
		t.Errorf("state %+v", st)
	}
	// A verdict that does not need the bytes is applied.
	apply(t, w, done.Lease, queue.Done())
}

// A worker that was stopped for longer than its lease comes back and would give a message back, which another one took over and gave back before it
// started it. The message is not gone: it runs once more.
func testSettlePassedOn(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	for i, verdict := range []queue.Verdict{queue.Release(), queue.Retry(time.Now()), queue.Park(time.Now())} {
		stopped, id := b.Worker(t, "stopped", short), fmt.Sprint("m", i)
		send(t, b, acme, id)
		s := granted(t, stopped, claimOne(t, stopped, acme), id)
		other := b.Worker(t, "other", short)
		apply(t, other, recoverAll(t, other, 1, acme)[0].Unstarted(), queue.Release())
		if got := settle(t, stopped, queue.Settlement{Lease: s.Lease, Verdict: verdict}); got != queue.LeaseLost {
			t.Errorf("%s: %s", verdict, got)
		}
		again := granted(t, w, claimOne(t, w, acme), id)
		apply(t, w, again.Lease, queue.Done())
	}
	if kept := letters(t, b); len(kept) != 0 {
		t.Errorf("letters %+v", kept)
	}
	wantDepth(t, b, acme, 0, 0)
}

func testSettleStateForgotten(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m", "m")
	ds := claim(t, w, 10, acme)
	s := granted(t, w, ds[0], "id")
	b.Forget(t, acme, "id")
	if lost, err := w.Renew(ctxOf(t), []queue.Lease{s.Lease}); err != nil || len(lost) != 0 {
		t.Errorf("renew: lost %v, %v", lost, err)
	}
	apply(t, w, s.Lease, queue.Done())
	if again := begin(t, w, ds[1], "id"); again.State != queue.Replayed {
		t.Errorf("the copy: %s, want replayed", again.State)
	}
}

func testSettleMixedBatch(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	elsewhere := queue.Lane{Queue: "mail", Tenant: Tenant}
	send(t, b, acme, "a", "b", "c")
	send(t, b, elsewhere, "d")
	ds := append(claim(t, w, 10, acme), claim(t, w, 10, elsewhere)...)
	var starts []queue.Start
	for i, d := range ds {
		starts = append(starts, startOf(d, string(rune('a'+i))))
	}
	// Another order than by queue: answers must come in the places of the questions.
	starts[1], starts[3] = starts[3], starts[1]
	got, err := w.Start(ctxOf(t), starts)
	if err != nil {
		t.Fatal(err)
	}
	var batch []queue.Settlement
	for i, s := range got {
		if s.State != queue.Granted || s.Lease.ID != starts[i].ID || s.Lease.Lane != starts[i].Delivery.Lane {
			t.Fatalf("place %d: %+v", i, s)
		}
		batch = append(batch, queue.Settlement{Lease: s.Lease, Verdict: queue.Done()})
	}
	batch[2].Lease.Token = "not-the-token"
	settled, err := w.Settle(ctxOf(t), batch)
	want := []queue.Settled{queue.Applied, queue.Applied, queue.LeaseLost, queue.Applied}
	if err != nil || !slices.Equal(settled, want) {
		t.Errorf("settled %v, %v, want %v", settled, err, want)
	}
	lost, err := w.Renew(ctxOf(t), []queue.Lease{batch[0].Lease, got[2].Lease, batch[3].Lease})
	if err != nil || !slices.Equal(lost, []queue.Lease{batch[0].Lease, batch[3].Lease}) {
		t.Errorf("lost %v, %v", lost, err)
	}
}

func wantDepth(t testing.TB, b Broker, lane queue.Lane, waiting, running int64) {
	t.Helper()
	d, err := b.Inspector().Depth(ctxOf(t), []queue.Lane{lane})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Lanes[0]; got.Waiting != waiting || got.Running != running {
		t.Errorf("depth of %s: %d waiting, %d running; want %d and %d", lane, got.Waiting, got.Running, waiting, running)
	}
}

func testResult(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	ctx := ctxOf(t)
	if _, err := b.Results().Result(ctx, "jobs", Issuer, "id"); !errors.Is(err, queue.ErrNoResult) {
		t.Errorf("none yet: %v", err)
	}
	send(t, b, acme, "m")
	s := resultOf(granted(t, w, claimOne(t, w, acme), "id").Lease, queue.Done(), "r")
	s.ResultTTL = 200 * time.Millisecond
	asked := time.Now()
	if got := settle(t, w, s); got != queue.Applied {
		t.Fatal(got)
	}
	var passed time.Duration // besides
	Eventually(t, "the result expires", func() bool {
		r, err := b.Results().Result(ctx, "jobs", Issuer, "id")
		if kept := time.Since(asked) + passed; err != nil && kept < s.ResultTTL || err == nil && string(r) != "r" {
			t.Fatalf("after %s of %s: %q, %v", kept, s.ResultTTL, r, err)
		}
		b.Pass(pollEvery)
		passed += pollEvery
		return errors.Is(err, queue.ErrNoResult)
	})
	if _, err := b.Results().Result(ctx, "jobs", Issuer, "../id"); err == nil || errors.Is(err, queue.ErrNoResult) {
		t.Errorf("bad id: %v", err)
	}
}
