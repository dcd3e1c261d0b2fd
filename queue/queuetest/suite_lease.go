package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

func testRecover(t *testing.T, b Broker) {
	dead, alive := b.Worker(t, "dead", short), b.Worker(t, "alive", short)
	send(t, b, acme, "started", "claimed only")
	ds := claim(t, dead, 10, acme)
	granted(t, dead, ds[0], "id")
	if r, err := alive.Recover(ctxOf(t), []queue.Lane{other, urgent}, 10); err != nil || len(r.Deliveries) != 0 {
		t.Errorf("lanes that nobody uses: %+v, %v", r, err)
	}
	got := recoverAll(t, alive, 2, acme)
	slices.SortFunc(got, func(a, b queue.Delivery) int { return strings.Compare(a.Entry, b.Entry) }) // leases begin at the start, for those that have one
	if !slices.Equal(texts(got), []string{"started", "claimed only"}) || !got[0].Redelivered || got[0].Token == "" {
		t.Fatalf("recovered %+v", got)
	}
	s := granted(t, alive, got[0], "id")
	if s.Attempt != 1 || s.Crashes != 1 {
		t.Errorf("started %+v, want one crash", s)
	}
	if s := granted(t, alive, got[1], "id-2"); s.Crashes != 0 {
		t.Errorf("never started before: %+v", s)
	}
	apply(t, alive, s.Lease, queue.Done())
}

// A worker that was stopped past its lease, and comes back, can settle nothing.
func testFenced(t *testing.T, b Broker) {
	stopped, alive := b.Worker(t, "stopped", short), b.Worker(t, "alive", short)
	send(t, b, acme, "m")
	old := granted(t, stopped, claimOne(t, stopped, acme), "id")
	taken := granted(t, alive, recoverAll(t, alive, 1, acme)[0], "id")
	verdicts := []queue.Verdict{
		queue.Done(), queue.Crash(time.Now()), queue.Retry(time.Now()),
		queue.Park(time.Now()), queue.Release(), queue.Dead("task.failed", "late"), queue.Drop(),
	}
	bare := queue.Lease{Lane: old.Lease.Lane, Entry: old.Lease.Entry}
	for _, v := range verdicts {
		if got := settle(t, stopped, queue.Settlement{Lease: old.Lease, Verdict: v}); got != queue.LeaseLost {
			t.Errorf("%s with the old lease: %s", v, got)
		}
		s := queue.Settlement{Lease: bare, Verdict: v}
		if s.Check() != nil {
			continue // needs a token
		}
		if got := settle(t, stopped, s); got != queue.LeaseLost {
			t.Errorf("%s without a token: %s", v, got)
		}
	}
	late := resultOf(old.Lease, queue.Done(), "late")
	settle(t, stopped, late)
	if lost, err := stopped.Renew(ctxOf(t), []queue.Lease{old.Lease, bare}); err != nil || len(lost) != 2 {
		t.Errorf("renew: lost %v, %v", lost, err)
	}
	if _, err := b.Results().Result(ctxOf(t), "jobs", Issuer, "id"); err == nil {
		t.Error("the late result is there")
	}
	apply(t, alive, taken.Lease, queue.Done())
	if n := len(letters(t, b)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// Without its state a message is fenced by the entry's owner.
func testFencedStateForgotten(t *testing.T, b Broker) {
	stopped, alive := b.Worker(t, "stopped", short), b.Worker(t, "alive", short)
	send(t, b, acme, "m")
	old := granted(t, stopped, claimOne(t, stopped, acme), "id")
	taken := recoverAll(t, alive, 1, acme)[0]
	b.Forget(t, acme, "id")
	if got := settle(t, stopped, queue.Settlement{Lease: old.Lease, Verdict: queue.Done()}); got != queue.LeaseLost {
		t.Errorf("settled by a worker that lost it: %s", got)
	}
	if lost, err := stopped.Renew(ctxOf(t), []queue.Lease{old.Lease}); err != nil || len(lost) != 1 {
		t.Errorf("renewed by a worker that lost it: lost %v, %v", lost, err)
	}
	granted(t, alive, taken, "id")
}

// Stopped between Claim and Start: the entry is another worker's by then.
func testFencedBeforeStart(t *testing.T, b Broker) {
	stopped, alive := b.Worker(t, "stopped", short), b.Worker(t, "alive", short)
	send(t, b, acme, "m", "n")
	ds := claim(t, stopped, 10, acme)
	taken := recoverAll(t, alive, 2, acme)
	if s := begin(t, stopped, ds[0], "m"); s.State != queue.Lost {
		t.Errorf("before the other one starts: %s", s.State)
	}
	s := granted(t, alive, taken[0], "m")
	if s := begin(t, stopped, ds[0], "m"); s.State != queue.Lost {
		t.Errorf("while the other one runs it: %s", s.State)
	}
	apply(t, alive, s.Lease, queue.Done())
	if s := begin(t, stopped, ds[0], "m"); s.State != queue.Lost {
		t.Errorf("after the other one ended it: %s", s.State)
	}
	if got := settle(t, stopped, queue.Settlement{Lease: ds[1].Unstarted(), Verdict: queue.Release()}); got != queue.LeaseLost {
		t.Errorf("release of what is another's: %s", got)
	}
	granted(t, alive, taken[1], "n")
}

func testRenewed(t *testing.T, b Broker) {
	InTime(t, 3*short, func(lease time.Duration) bool { return renewed(t, b, lease) })
}

// renewed says false when a lease was not renewed in time.
func renewed(t *testing.T, b Broker, lease time.Duration) bool {
	w, v := b.Worker(t, "w", lease), b.Worker(t, "v", lease)
	send(t, b, acme, "started", "claimed only", "neglected")
	ds := claim(t, w, 10, acme)
	id := fmt.Sprint("id-", lease.Milliseconds())
	s := granted(t, w, ds[0], id)
	ours := ds[0].Entry + " " + ds[1].Entry
	begun := time.Now()
	recovered := 0
	// Long enough for the neglected one to be recovered, and then some. v does not renew what it recovered, and recovers it again.
	for time.Since(begun) < 3*lease {
		renewing := time.Now()
		lost, err := w.Renew(ctxOf(t), []queue.Lease{s.Lease, ds[1].Unstarted()})
		if err != nil || len(lost) != 0 {
			t.Fatalf("lost %v, %v", lost, err)
		}
		r, err := v.Recover(ctxOf(t), []queue.Lane{acme}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Deliveries {
			if !strings.Contains(ours, d.Entry) {
				recovered++
			} else if time.Since(renewing) >= lease {
				return false
			} else {
				t.Errorf("recovered %q, which is renewed", d.Message)
			}
		}
		<-time.After(pollEvery)
	}
	if recovered == 0 {
		t.Error("the neglected one was not recovered")
	}
	apply(t, w, s.Lease, queue.Done())
	return true
}

// A worker that asks to start what it claimed long ago has a whole lease from then on: it cannot know how much of it was over.
func testLeaseFromStart(t *testing.T, b Broker) {
	const lease = 3 * short
	w, v := b.Worker(t, "w", lease), b.Worker(t, "v", lease)
	send(t, b, acme, "one", "two")
	ds := claim(t, w, 10, acme)
	claimed := time.Now()
	Eventually(t, "two thirds of the lease are over", func() bool { return time.Since(claimed) > 2*short })
	asked := time.Now()
	for i, d := range ds {
		granted(t, w, d, fmt.Sprint("id-", i))
	}
	recoverAll(t, v, 1, acme)
	if time.Since(asked) < lease {
		t.Errorf("recovered %v after it was started, with a lease of %v", time.Since(asked), lease)
	}
}

func testRecoverInPieces(t *testing.T, b Broker) {
	dead, alive := b.Worker(t, "dead", short), b.Worker(t, "alive", long)
	var all []string
	for i := range 120 {
		all = append(all, fmt.Sprintf("m%03d", i))
	}
	send(t, b, acme, all...)
	if n := len(claim(t, dead, 200, acme)); n != 120 {
		t.Fatalf("claimed %d", n)
	}
	quick := b.Worker(t, "quick", short)
	var got []string
	Eventually(t, "all are recovered", func() bool {
		r, err := quick.Recover(ctxOf(t), []queue.Lane{other, acme, urgent}, 16)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Deliveries) > 16 {
			t.Fatalf("recovered %d at once", len(r.Deliveries))
		}
		for _, d := range r.Deliveries {
			got = append(got, string(d.Message))
			apply(t, quick, d.Unstarted(), queue.Drop())
		}
		return len(got) >= 120
	})
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Errorf("recovered %d, some of them twice", len(got))
	}
	if r, err := alive.Recover(ctxOf(t), []queue.Lane{acme}, 16); err != nil || len(r.Deliveries) != 0 {
		t.Errorf("nothing is left: %+v, %v", r, err)
	}
}

func testPromote(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	if n, next, err := w.Promote(ctxOf(t), "jobs", 10); n != 0 || !next.IsZero() || err != nil {
		t.Errorf("nothing parked: %d, %s, %v", n, next, err)
	}
	var all []string
	for i := range 25 {
		all = append(all, fmt.Sprintf("m%02d", i))
	}
	send(t, b, acme, all...)
	for i, d := range claim(t, w, 30, acme) {
		at := time.Now()
		if i == 24 {
			at = farAhead()
		}
		apply(t, w, granted(t, w, d, string(d.Message)).Lease, queue.Park(at))
	}
	total := 0
	Eventually(t, "24 are promoted", func() bool {
		n, next, err := w.Promote(ctxOf(t), "jobs", 10)
		if err != nil || n > 10 || next.IsZero() {
			t.Fatalf("promoted %d, next %s, %v", n, next, err)
		}
		total += n
		return total >= 24
	})
	_, next, err := w.Promote(ctxOf(t), "jobs", 10)
	if off := time.Until(next) - time.Hour; err != nil || off.Abs() > time.Minute {
		t.Errorf("the last is due in %s, %v", time.Until(next), err)
	}
	got := texts(claim(t, w, 30, acme))
	slices.Sort(got)
	if !slices.Equal(got, all[:24]) {
		t.Errorf("came back: %q", got)
	}
}

func testSettledOnce(t *testing.T, b Broker) {
	const messages, workers = 300, 3
	var all []string
	for i := range messages {
		all = append(all, fmt.Sprintf("m%03d", i))
	}
	send(t, b, acme, all...)
	send(t, b, urgent, all[:100]...) // copies: the same bytes, hence the same ids
	var mu sync.Mutex
	ended := map[string]int{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ended)
	}
	var wg sync.WaitGroup
	for n := range workers {
		w := b.Worker(t, fmt.Sprint("w", n), long)
		wg.Go(func() {
			for count() < messages && !t.Failed() {
				for _, id := range work(t, w) {
					mu.Lock()
					ended[id]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for id, n := range ended {
		if n != 1 {
			t.Errorf("%s was settled %d times", id, n)
		}
	}
}

// work claims once, ends what it was granted and returns whose end was applied.
func work(t *testing.T, w Worker) (done []string) {
	ctx := ctxOf(t)
	ds, err := w.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme, urgent}, Max: 16, Wait: 20 * time.Millisecond})
	if err != nil {
		t.Error(err)
		return nil
	}
	var starts []queue.Start
	for _, d := range ds {
		starts = append(starts, startOf(d, string(d.Message)))
	}
	started, err := w.Start(ctx, starts)
	if err != nil {
		t.Error(err)
		return nil
	}
	var batch []queue.Settlement
	for _, s := range started {
		v := queue.Drop()
		if s.State == queue.Granted {
			v = queue.Done()
		}
		batch = append(batch, queue.Settlement{Lease: s.Lease, Verdict: v})
	}
	settled, err := w.Settle(ctx, batch)
	if err != nil {
		t.Error(err)
		return nil
	}
	for i, s := range settled {
		if s == queue.Applied && batch[i].Verdict == queue.Done() {
			done = append(done, batch[i].Lease.ID)
		}
	}
	return done
}
