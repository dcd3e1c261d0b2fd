package queuetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

func after(ids ...string) func(s *queue.Start) {
	return func(s *queue.Start) { s.Plan, s.After, s.ResultKey = "plan", ids, Issuer }
}

// endStep settles a step with a result that wakes those that wait for it.
func endStep(t testing.TB, w Worker, l queue.Lease, v queue.Verdict, result string) {
	t.Helper()
	s := resultOf(l, v, result)
	s.Wake = true
	if got := settle(t, w, s); got != queue.Applied {
		t.Fatalf("%s of %s: %s", v, l.ID, got)
	}
}

func inputsOf(s queue.Started) []string {
	out := make([]string, len(s.Inputs))
	for i, in := range s.Inputs {
		out[i] = string(in)
	}
	return out
}

// A step waits for the last of its inputs, is woken once, and is given them in order.
func testPlanFanIn(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "one", "two", "three", "sum")
	ds := claim(t, w, 10, acme)
	join := after("three", "one", "two")
	if s := ask(t, w, ds[3:], join)[0]; s.State != queue.Waits || s.Lease.Token != "" {
		t.Fatalf("without inputs: %+v", s)
	}
	if st := stateOf(t, b, acme, "sum"); st.Phase != queue.PhaseWaiting || st.Attempt != 1 {
		t.Errorf("state %+v", st)
	}
	ends := []queue.Verdict{queue.Done(), queue.Dead("task.failed", "no"), queue.Done()}
	for i, d := range ds[:3] {
		if got := claim(t, w, 10, acme); len(got) != 0 {
			t.Fatalf("woken before input %d", i)
		}
		endStep(t, w, granted(t, w, d, string(d.Message)).Lease, ends[i], "result of "+string(d.Message))
	}
	woken := claim(t, w, 10, acme)
	if len(woken) != 1 || string(woken[0].Message) != "sum" {
		t.Fatalf("woken: %q", texts(woken))
	}
	s := ask(t, w, woken, join)[0]
	want := []string{"result of three", "result of one", "result of two"}
	if s.State != queue.Granted || s.Attempt != 1 || s.Crashes != 0 || !slices.Equal(inputsOf(s), want) {
		t.Fatalf("%s, attempt %d, inputs %q", s.State, s.Attempt, inputsOf(s))
	}
	// The reply may have been lost.
	if again := ask(t, w, woken, join)[0]; !slices.Equal(inputsOf(again), want) {
		t.Errorf("asked again: %+v", again)
	}
	apply(t, w, s.Lease, queue.Done())
	if d, err := b.Inspector().Depth(ctxOf(t), []queue.Lane{acme}); err != nil || d.Due["jobs"] != 0 || d.Lanes[0].Waiting != 0 {
		t.Errorf("left behind: %+v, %v", d, err)
	}
}

// Many wait for one; a result that was there before is no reason to wait.
func testPlanFanOut(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "root")
	send(t, b, acme, numbered("leaf", 50)...)
	root := claim(t, w, 1, acme)[0]
	if s := states(ask(t, w, claim(t, w, 100, acme), after("root"))); s[queue.Waits] != 50 {
		t.Fatalf("states %v", s)
	}
	// A result without Wake wakes nobody, and another sender's is another result.
	lease := granted(t, w, root, "root").Lease
	strange := resultOf(lease, queue.Done(), "x")
	strange.ResultKey, strange.Wake = "ffff", true
	if got := settle(t, w, strange); got != queue.Applied {
		t.Fatal(got)
	}
	if got := claim(t, w, 100, acme); len(got) != 0 {
		t.Fatalf("woken by another's: %q", texts(got))
	}
	b.Forget(t, acme, "root")
	send(t, b, acme, "root")
	endStep(t, w, granted(t, w, claimOne(t, w, acme), "root").Lease, queue.Done(), "r")
	woken := claim(t, w, 100, acme)
	if s := states(ask(t, w, woken, after("root"))); len(woken) != 50 || s[queue.Granted] != 50 {
		t.Fatalf("woken %d, %v", len(woken), s)
	}
	send(t, b, acme, "late-leaf")
	if s := ask(t, w, claim(t, w, 1, acme), after("root"))[0]; s.State != queue.Granted || string(s.Inputs[0]) != "r" {
		t.Errorf("after the result: %+v", s)
	}
}

// What waits in vain comes at its end, and once only.
func testPlanExpires(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	var expires time.Time
	with := func(s *queue.Start) { after("never")(s); s.Expires = expires }
	InTime(t, 80*time.Millisecond, func(within time.Duration) bool {
		send(t, b, acme, fmt.Sprint("step-", within.Milliseconds()))
		ds := claim(t, w, 1, acme)
		expires = time.Now().Add(within)
		s := ask(t, w, ds, with)[0]
		switch {
		case s.State == queue.Waits:
			return true
		case s.State != queue.Granted || time.Now().Before(expires):
			t.Fatal(s.State)
		}
		apply(t, w, s.Lease, queue.Done())
		return false
	})
	promoteAll(t, w, 1)
	if time.Now().Before(expires) {
		t.Error("came before its end")
	}
	s := ask(t, w, claim(t, w, 1, acme), with)[0]
	if s.State != queue.Granted || s.Inputs != nil {
		t.Fatalf("at its end: %+v", s)
	}
	// The input comes after all: nobody waits for it any more.
	send(t, b, urgent, "never")
	endStep(t, w, granted(t, w, claimOne(t, w, urgent), "never").Lease, queue.Done(), "r")
	if got := claim(t, w, 10, acme); len(got) != 0 {
		t.Errorf("came again: %q", texts(got))
	}
}

// Large inputs are read apart, and too large ones not at all.
func testPlanLargeInputs(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	const size = 12 << 20
	send(t, b, acme, "big")
	endStep(t, w, granted(t, w, claimOne(t, w, acme), "big").Lease, queue.Done(), string(make([]byte, size)))
	rows := []struct {
		id   string
		take int // so many times
		size int // bytes together, -1: none
	}{
		{"of-two", 2, 2 * size},
		{"of-six", 6, -1}, // 72 MiB
	}
	for _, r := range rows {
		send(t, b, acme, r.id)
		s := ask(t, w, claim(t, w, 1, acme), after(slices.Repeat([]string{"big"}, r.take)...))[0]
		size := -1
		if s.Inputs != nil {
			size = len(slices.Concat(s.Inputs...))
		}
		if s.State != queue.Granted || size != r.size {
			t.Errorf("%s: %s, %d bytes, want %d", r.id, s.State, size, r.size)
		}
	}
	// Of several in one batch, those that fit are granted; the others come again.
	send(t, b, acme, "a", "b", "c")
	if s := states(ask(t, w, claim(t, w, 3, acme), after("big", "big", "big"))); s[queue.Granted] != 1 || s[queue.Throttled] != 2 {
		t.Errorf("states %v", s)
	}
}

// Orders to cancel come back with whatever they are for, and with nothing else.
func testStartCancels(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	ctx := ctxOf(t)
	for id, order := range map[string]string{"own": "cancel own", "both": "cancel both", "plan": "cancel the plan"} {
		if err := b.Orders().Cancel(ctx, acme, id, []byte(order), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	plan := map[string]string{"step": "plan", "both": "plan", "free": "other-plan"}
	send(t, b, acme, "own", "step", "both", "free", "plain")
	got := ask(t, w, claim(t, w, 10, acme), func(s *queue.Start) { s.Plan = plan[s.ID] })
	want := []string{"[cancel own]", "[cancel the plan]", "[cancel both cancel the plan]", "[]", "[]"}
	for i, s := range got {
		if text := fmt.Sprintf("%s", s.Cancels); s.State != queue.Granted || text != want[i] {
			t.Errorf("%s: %s, cancels %s, want %s", s.Lease.ID, s.State, text, want[i])
		}
	}
	apply(t, w, got[0].Lease, queue.Retry(time.Now()))
	promoteAll(t, w, 1)
	if s := begin(t, w, claimOne(t, w, acme), "own"); s.Attempt != 2 || fmt.Sprintf("%s", s.Cancels) != want[0] {
		t.Errorf("at the second attempt: %+v", s)
	}
	send(t, b, other, "own")
	if s := begin(t, w, claimOne(t, w, other), "own"); len(s.Cancels) != 0 {
		t.Errorf("another tenant's: %s", s.Cancels)
	}
}
