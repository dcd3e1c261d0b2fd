package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// bury sends messages named by ids to lane, fails each once, and makes dead letters of them.
func bury(t *testing.T, b Broker, w Worker, lane queue.Lane, code string, ids ...string) {
	t.Helper()
	send(t, b, lane, ids...)
	for _, d := range claim(t, w, len(ids), lane) {
		apply(t, w, granted(t, w, d, string(d.Message)).Lease, queue.Retry(time.Time{}))
	}
	promoteAll(t, w, len(ids))
	for _, d := range claim(t, w, len(ids), lane) {
		s := granted(t, w, d, string(d.Message))
		if s.Attempt != 2 {
			t.Fatalf("attempt %d before the end", s.Attempt)
		}
		apply(t, w, s.Lease, queue.Dead(code, "buried"))
	}
}

func testRequeue(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	w := b.Worker(t, "w", long)
	bury(t, b, w, acme, "task.failed", "a", "b", "c")
	n, err := b.Admin().Requeue(ctx, "jobs", queue.DeadFilter{}, 2)
	if err != nil || n != 2 {
		t.Fatalf("requeued %d, %v; want 2", n, err)
	}
	if n, err = b.Admin().Requeue(ctx, "jobs", queue.DeadFilter{}, 2); err != nil || n != 1 {
		t.Fatalf("requeued %d, %v; want the one that was left", n, err)
	}
	if n, err = b.Admin().Requeue(ctx, "jobs", queue.DeadFilter{}, 2); err != nil || n != 0 {
		t.Fatalf("requeued %d, %v; want none", n, err)
	}
	if got := letters(t, b); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
	for _, d := range claim(t, w, 10, acme) {
		if s := granted(t, w, d, string(d.Message)); s.Attempt != 1 || s.Crashes != 0 {
			t.Errorf("%s comes back as attempt %d after %d crashes", d.Message, s.Attempt, s.Crashes)
		} else {
			apply(t, w, s.Lease, queue.Done())
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if s := stateOf(t, b, acme, id); s.Phase != queue.PhaseDone {
			t.Errorf("%s: %+v", id, s)
		}
	}
}

func testRequeueChooses(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	w := b.Worker(t, "w", long)
	bury(t, b, w, acme, "task.failed", "a1")
	bury(t, b, w, acme, "policy.denied", "a2")
	bury(t, b, w, urgent, "task.failed", "u1")
	bury(t, b, w, other, "task.failed", "o1", "o2")
	all := letters(t, b)
	if len(all) != 5 {
		t.Fatalf("%d letters", len(all))
	}
	rows := []struct {
		name string
		f    queue.DeadFilter
		want []string
	}{
		{"nothing so old", queue.DeadFilter{Before: time.UnixMilli(1)}, nil},
		{"nothing before the epoch", queue.DeadFilter{Before: time.Unix(-5, 0)}, nil},
		{"no such code", queue.DeadFilter{Code: "task"}, nil},
		{"no such tenant", queue.DeadFilter{Tenant: "acm"}, nil},
		{"two that do not go together", queue.DeadFilter{Tenant: "acme", ID: "o1"}, nil},
		{"an entry and a time", queue.DeadFilter{Entry: all[0].Entry, Before: time.UnixMilli(1)}, nil},
		{"an id", queue.DeadFilter{ID: "u1"}, []string{"u1"}},
		{"a code and a tenant", queue.DeadFilter{Code: "task.failed", Tenant: "acme"}, []string{"a1"}},
		{"an entry", queue.DeadFilter{Entry: all[1].Entry}, []string{"a2"}},
		{"an entry, and none after it", queue.DeadFilter{Entry: all[3].Entry, Before: time.Now().Add(time.Hour)}, []string{"o1"}},
		{"what is before the hour to come", queue.DeadFilter{Before: time.Now().Add(time.Hour)}, []string{"o2"}},
	}
	for _, r := range rows {
		var match []string
		for _, l := range letters(t, b) {
			if r.f.Match(l) {
				match = append(match, l.ID)
			}
		}
		if !slices.Equal(match, r.want) {
			t.Errorf("%s: Match chooses %q, want %q", r.name, match, r.want)
		}
		n, err := b.Admin().Requeue(ctx, "jobs", r.f, 100)
		if err != nil || n != len(r.want) {
			t.Errorf("%s: requeued %d, %v; want %d", r.name, n, err, len(r.want))
		}
		var got []string
		for _, d := range claim(t, w, 10, acme, urgent, other) {
			got = append(got, string(d.Message))
			apply(t, w, d.Unstarted(), queue.Drop())
		}
		slices.Sort(got)
		if !slices.Equal(got, r.want) {
			t.Errorf("%s: %q came back, want %q", r.name, got, r.want)
		}
	}
}

// What is no message stays; and a letter about other bytes leaves the state of the first alone.
func testRequeueLeaves(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	w := b.Worker(t, "w", long)
	send(t, b, acme, "vanishes")
	d := claimOne(t, w, acme)
	s := granted(t, w, d, "gone")
	b.Delete(t, acme, d.Entry)
	if got := settle(t, w, queue.Settlement{Lease: s.Lease, Verdict: queue.Release()}); got != queue.Vanished {
		t.Fatalf("settled %s", got)
	}
	if n, err := b.Admin().Requeue(ctx, "jobs", queue.DeadFilter{}, 100); err != nil || n != 0 {
		t.Errorf("requeued %d without bytes, %v", n, err)
	}
	if got := letters(t, b); len(got) != 1 {
		t.Errorf("letters %+v", got)
	}

	send(t, b, acme, "first")
	apply(t, w, granted(t, w, claimOne(t, w, acme), "same").Lease, queue.Done())
	send(t, b, acme, "second")
	d = claimOne(t, w, acme)
	st := begin(t, w, d, "same")
	if st.State != queue.Conflict {
		t.Fatalf("start: %s", st.State)
	}
	apply(t, w, st.Lease, queue.Dead("task.conflict", "other bytes"))
	if n, err := b.Admin().Requeue(ctx, "jobs", queue.DeadFilter{Code: "task.conflict"}, 100); err != nil || n != 1 {
		t.Errorf("requeued %d, %v", n, err)
	}
	if got := stateOf(t, b, acme, "same"); got.Phase != queue.PhaseDone {
		t.Errorf("the first one's state is %+v", got)
	}
	if st := begin(t, w, claimOne(t, w, acme), "same"); st.State != queue.Conflict {
		t.Errorf("the second is %s", st.State)
	}
}

func testPurgeDead(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	w := b.Worker(t, "w", long)
	var ids []string
	for i := range 150 {
		ids = append(ids, fmt.Sprintf("m%03d", i))
	}
	send(t, b, acme, ids...)
	for _, d := range claim(t, w, len(ids), acme) {
		code := "task.failed"
		if d.Message[3] == '7' {
			code = "policy.denied"
		}
		apply(t, w, d.Unstarted(), queue.Dead(code, "r"))
	}
	// A filter that chooses few looks at all of them.
	if n, err := b.Admin().PurgeDead(ctx, "jobs", queue.DeadFilter{Code: "policy.denied"}, 100); err != nil || n != 15 {
		t.Errorf("purged %d, %v; want 15", n, err)
	}
	total := 0
	for n := 50; n == 50; {
		var err error
		if n, err = b.Admin().PurgeDead(ctx, "jobs", queue.DeadFilter{}, 50); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 135 {
		t.Errorf("purged %d, want 135", total)
	}
	if got := letters(t, b); len(got) != 0 {
		t.Errorf("left: %d", len(got))
	}
	if n, err := b.Admin().PurgeDead(ctx, "jobs", queue.DeadFilter{}, 50); err != nil || n != 0 {
		t.Errorf("purged %d of nothing, %v", n, err)
	}
}

func testPurge(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	w := b.Worker(t, "w", long)
	lanes := []queue.Lane{acme, urgent}
	if n, err := b.Admin().Purge(ctx, lanes, time.Now(), 10); err != nil || n != 0 {
		t.Errorf("purged %d of nothing, %v", n, err)
	}
	send(t, b, acme, "runs", "parked", "w1", "w2", "w3")
	send(t, b, urgent, "u1")
	send(t, b, other, "o1", "o parked")
	ds := claim(t, w, 2, acme)
	running := granted(t, w, ds[0], "runs")
	apply(t, w, granted(t, w, ds[1], "parked").Lease, queue.Park(farAhead()))
	ds = claim(t, w, 2, other)
	apply(t, w, granted(t, w, ds[1], "o-parked").Lease, queue.Park(farAhead()))

	if n, err := b.Admin().Purge(ctx, lanes, time.Now().Add(-time.Hour), 100); err != nil || n != 0 {
		t.Errorf("purged %d that are younger, %v", n, err)
	}
	// In pieces: four wait and one is parked.
	total := 0
	for n := 2; n == 2; {
		var err error
		if n, err = b.Admin().Purge(ctx, lanes, time.Now().Add(time.Minute), 2); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 5 {
		t.Errorf("purged %d, want 5", total)
	}
	wantDepth(t, b, acme, 0, 1)
	wantDepth(t, b, urgent, 0, 0)
	d, err := b.Inspector().Depth(ctx, []queue.Lane{other})
	if err != nil || d.Lanes[0].Running != 1 || d.Due["jobs"] != 1 {
		t.Errorf("another tenant: %+v, %v", d, err)
	}
	apply(t, w, running.Lease, queue.Done())
	// A copy of what was purged while it was parked does not bring it back.
	send(t, b, acme, "parked")
	if s := begin(t, w, claimOne(t, w, acme), "parked"); s.State != queue.Replayed {
		t.Errorf("a copy of what was purged: %s", s.State)
	}
}

func testAnswer(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		var text string
		err := b.Results().Wait(ctx, "jobs", Issuer, []string{"order-1"}, func(_ string, r []byte) { text = string(r) })
		got <- answer{text, err}
	}()
	must(t, b.Admin().Answer(ctx, "jobs", Issuer, "order-1", []byte("done: 3"), time.Hour))
	if a := <-got; a.err != nil || a.text != "done: 3" {
		t.Errorf("told %q, %v", a.text, a.err)
	}
	must(t, b.Admin().Answer(ctx, "jobs", Issuer, "order-1", []byte("done: 0"), time.Hour))
	if r, err := b.Results().Result(ctx, "jobs", Issuer, "order-1"); err != nil || string(r) != "done: 3" {
		t.Errorf("the second of two answers counts: %q, %v", r, err)
	}
	must(t, b.Admin().Answer(ctx, "jobs", Issuer, "brief", []byte("x"), 30*time.Millisecond))
	b.Pass(time.Minute)
	Eventually(t, "the answer is gone", func() bool {
		_, err := b.Results().Result(ctx, "jobs", Issuer, "brief")
		return errors.Is(err, queue.ErrNoResult)
	})
}

func testKeeperRefuses(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	k := b.Admin()
	count := func(_ int, err error) error { return err }
	all := queue.DeadFilter{}
	rows := []struct {
		name string
		err  error
	}{
		{"requeue of a queue that cannot be", count(k.Requeue(ctx, "a}b", all, 1))},
		{"requeue of nothing", count(k.Requeue(ctx, "jobs", all, 0))},
		{"requeue of too many", count(k.Requeue(ctx, "jobs", all, queue.BatchMax+1))},
		{"an entry that is none", count(k.Requeue(ctx, "jobs", queue.DeadFilter{Entry: "+"}, 1))},
		{"a tenant that cannot be", count(k.PurgeDead(ctx, "jobs", queue.DeadFilter{Tenant: "a:b"}, 1))},
		{"an id that cannot be", count(k.PurgeDead(ctx, "jobs", queue.DeadFilter{ID: "a:b"}, 1))},
		{"a long code", count(k.PurgeDead(ctx, "jobs", queue.DeadFilter{Code: string(make([]byte, 65))}, 1))},
		{"purge of no lane", count(k.Purge(ctx, nil, time.Now(), 1))},
		{"purge of a lane that cannot be", count(k.Purge(ctx, []queue.Lane{{Queue: "jobs"}}, time.Now(), 1))},
		{"an answer for ever", k.Answer(ctx, "jobs", Issuer, "id", []byte("r"), 0)},
		{"an empty answer", k.Answer(ctx, "jobs", Issuer, "id", nil, time.Hour)},
		{"an answer to nobody", k.Answer(ctx, "jobs", "", "id", []byte("r"), time.Hour)},
	}
	for _, r := range rows {
		wantField(t, r.name, r.err)
	}
}
