package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// finish sends messages named by ids, runs them and leaves results "result of id".
func finish(t testing.TB, b Broker, w Worker, ids ...string) {
	t.Helper()
	send(t, b, acme, ids...)
	var batch []queue.Settlement
	for _, d := range claim(t, w, len(ids), acme) {
		s := granted(t, w, d, string(d.Message))
		batch = append(batch, resultOf(s.Lease, queue.Done(), "result of "+s.Lease.ID))
	}
	got, err := w.Settle(ctxOf(t), batch)
	if err != nil || len(got) != len(ids) {
		t.Fatalf("settled %v, %v", got, err)
	}
}

func testWait(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	finish(t, b, w, "early-1", "early-2")
	got := map[string]string{}
	told := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		ids := []string{"early-1", "late-1", "early-2", "late-2", "late-2"}
		done <- b.Results().Wait(ctxOf(t), "jobs", Issuer, ids, func(id string, r []byte) {
			got[id] = string(r)
			told <- id
		})
	}()
	next := func() string {
		t.Helper()
		select {
		case id := <-told:
			return id
		case err := <-done:
			t.Fatalf("the wait ended: %v", err)
			return ""
		}
	}
	if one, two := next(), next(); one == two || one[:5] != "early" || two[:5] != "early" {
		t.Errorf("told of %s and %s", one, two)
	}
	finish(t, b, w, "unrelated", "late-1")
	if id := next(); id != "late-1" {
		t.Errorf("told of %s", id)
	}
	finish(t, b, w, "late-2")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"early-1", "early-2", "late-1", "late-2"} {
		if got[id] != "result of "+id {
			t.Errorf("%s: %q", id, got[id])
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v", got)
	}
	if err := b.Results().Wait(ctxOf(t), "jobs", Issuer, nil, nil); err != nil {
		t.Errorf("waiting for nothing: %v", err)
	}
}

func testWaitMany(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	const waiters = 40
	results := b.Results()
	var ids []string
	var wg sync.WaitGroup
	for i := range waiters {
		id := fmt.Sprint("id-", i)
		ids = append(ids, id)
		wg.Go(func() {
			var mine []string
			err := results.Wait(ctxOf(t), "jobs", Issuer, []string{id, "common"}, func(id string, r []byte) {
				mine = append(mine, string(r))
			})
			if err != nil || len(mine) != 2 {
				t.Errorf("%s: %q, %v", id, mine, err)
			}
		})
	}
	finish(t, b, w, ids...)
	finish(t, b, w, "common")
	wg.Wait()
}

func testWaitCancel(t *testing.T, b Broker) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.Results().Wait(ctx, "jobs", Issuer, []string{"never"}, func(string, []byte) {})
	}()
	cancel()
	asked := time.Now()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if late := time.Since(asked); late > time.Second {
		t.Errorf("ended %s after it was cancelled", late)
	}
}

func testDeadLetterPages(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	const all = 25
	for i := range all {
		send(t, b, acme, fmt.Sprint("m", i))
	}
	for _, d := range claim(t, w, all, acme) {
		apply(t, w, d.Unstarted(), queue.Dead("envelope.signature", "of "+string(d.Message)))
	}
	var got []queue.DeadLetter
	for after := ""; ; after = got[len(got)-1].Entry {
		page, err := b.Inspector().DeadLetters(ctxOf(t), "jobs", after, 10)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if len(page) == 0 {
			break
		}
	}
	if len(got) != all {
		t.Fatalf("%d letters", len(got))
	}
	for i, l := range got {
		if want := fmt.Sprint("m", i); string(l.Message) != want || l.Reason != "of "+want {
			t.Errorf("letter %d: %+v", i, l)
		}
	}
	if none, err := b.Inspector().DeadLetters(ctxOf(t), "mail", "", 10); err != nil || len(none) != 0 {
		t.Errorf("of another queue: %v, %v", none, err)
	}
}

func testDepth(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	wantDepth(t, b, acme, 0, 0)
	send(t, b, acme, "a", "b", "c", "d")
	wantDepth(t, b, acme, 4, 0)
	ds := claim(t, w, 3, acme)
	wantDepth(t, b, acme, 1, 3)
	apply(t, w, granted(t, w, ds[0], "a").Lease, queue.Park(farAhead()))
	apply(t, w, granted(t, w, ds[1], "b").Lease, queue.Dead("task.failed", "no"))
	wantDepth(t, b, acme, 1, 1)
	d, err := b.Inspector().Depth(ctxOf(t), []queue.Lane{acme, other, {Queue: "mail", Tenant: Tenant}})
	if err != nil || d.Due["jobs"] != 1 || d.Dead["jobs"] != 1 || d.Due["mail"] != 0 || len(d.Lanes) != 3 {
		t.Errorf("depths %+v, %v", d, err)
	}
}

func testRefuses(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	ctx := ctxOf(t)
	bad := queue.Lane{Queue: "jobs", Tenant: "a:b"}
	send1 := func(l queue.Lane, m string) error {
		return b.Sender().Send(ctx, []queue.Outgoing{{Lane: l, Message: []byte(m)}})
	}
	claimErr := func(c queue.Claim) error { _, err := w.Claim(ctx, c); return err }
	settleErr := func(s queue.Settlement) error { _, err := w.Settle(ctx, []queue.Settlement{s}); return err }
	lease := queue.Lease{Lane: acme, Entry: "1-1"}
	started := queue.Lease{Lane: acme, Entry: "1-1", ID: "id", Token: "t"}
	lanes := []queue.Lane{acme}
	rows := []struct {
		name string
		err  error
	}{
		{"send to a lane that cannot be", send1(bad, "m")},
		{"send to a queue with a brace", send1(queue.Lane{Queue: "a}b", Tenant: "t"}, "m")},
		{"send to priority 3", send1(queue.Lane{Queue: "jobs", Tenant: "t", Priority: 3}, "m")},
		{"send nothing", send1(acme, "")},
		{"send too much", send1(acme, strings.Repeat("x", queue.MessageBytesMax+1))},
		{"claim from nowhere", claimErr(queue.Claim{Max: 1})},
		{"claim nothing", claimErr(queue.Claim{Lanes: lanes})},
		{"claim too many", claimErr(queue.Claim{Lanes: lanes, Max: queue.BatchMax + 1})},
		{"claim with a negative wait", claimErr(queue.Claim{Lanes: lanes, Max: 1, Wait: -1})},
		{"claim from a lane that cannot be", claimErr(queue.Claim{Lanes: []queue.Lane{bad}, Max: 1})},
		{"claim from two queues", claimErr(queue.Claim{Lanes: []queue.Lane{acme, {Queue: "mail", Tenant: Tenant}}, Max: 1})},
		{"no verdict", settleErr(queue.Settlement{Lease: lease})},
		{"done without a token", settleErr(queue.Settlement{Lease: lease, Verdict: queue.Done()})},
		{"retry without a token", settleErr(queue.Settlement{Lease: lease, Verdict: queue.Retry(time.Now())})},
		{"dead without a code", settleErr(queue.Settlement{Lease: lease, Verdict: queue.Dead("", "why")})},
		{"a result beside a retry", settleErr(resultOf(started, queue.Retry(time.Now()), "r"))},
		{"a result without an id", settleErr(resultOf(lease, queue.Dead("c", "r"), "r"))},
		{"a result kept for ever", settleErr(queue.Settlement{Lease: started, Verdict: queue.Done(), Result: []byte("r"), ResultKey: Issuer})},
		{"an id with a colon", settleErr(queue.Settlement{Lease: queue.Lease{Lane: acme, Entry: "1-1", ID: "a:b", Token: "t"}, Verdict: queue.Done()})},
	}
	for _, r := range rows {
		var field *queue.FieldError
		if !errors.As(r.err, &field) {
			t.Errorf("%s: %v, want a *queue.FieldError", r.name, r.err)
		}
	}
	if _, err := w.Start(ctx, []queue.Start{{Delivery: queue.Delivery{Lane: acme, Entry: "1-1", Token: "t"}, ID: "id"}}); err == nil {
		t.Error("started without a digest")
	}
	if got := settle(t, w, queue.Settlement{Lease: lease, Verdict: queue.Drop()}); got != queue.LeaseLost {
		t.Errorf("an entry that never was: %s", got)
	}
	wantDepth(t, b, acme, 0, 0)
}
