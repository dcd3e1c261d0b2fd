package queuetest

import (
	"reflect"
	"testing"

	"github.com/caisson-run/caisson/queue"
)

func testStartGranted(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	d := claimOne(t, w, acme)
	s := granted(t, w, d, "id-1")
	if s.Attempt != 1 || s.Crashes != 0 || s.Lease.Token == "" || s.Lease.ID != "id-1" {
		t.Errorf("started %+v", s)
	}
	// The reply may have been lost: asked again, the answer is the same.
	if again := begin(t, w, d, "id-1"); !reflect.DeepEqual(again, s) {
		t.Errorf("again %+v, want %+v", again, s)
	}
	st := stateOf(t, b, acme, "id-1")
	if st.Phase != queue.PhaseRunning || st.Lane != acme || st.Attempt != 1 || st.Crashes != 0 || st.Worker == "" {
		t.Errorf("state %+v", st)
	}
	if st := stateOf(t, b, acme, "id-2"); st.Phase != queue.PhaseUnknown {
		t.Errorf("state of nothing %+v", st)
	}
}

func testStartSameBytes(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m", "m", "m")
	copies := claim(t, w, 10, acme)
	first := granted(t, w, copies[0], "id")
	if s := begin(t, w, copies[1], "id"); s.State != queue.Duplicate || s.Lease.Token != "" {
		t.Errorf("while it runs: %+v", s)
	}
	apply(t, w, first.Lease, queue.Park(farAhead()))
	if s := begin(t, w, copies[1], "id"); s.State != queue.Duplicate {
		t.Errorf("while it is parked: %s", s.State)
	}
	apply(t, w, copies[1].Unstarted(), queue.Drop())

	send(t, b, acme, "n", "n")
	copies = append(copies[2:], claim(t, w, 10, acme)...)
	second := granted(t, w, copies[1], "id-n")
	apply(t, w, second.Lease, queue.Release())
	if s := begin(t, w, copies[2], "id-n"); s.State != queue.Duplicate {
		t.Errorf("while it lies in its lane: %s", s.State)
	}
	apply(t, w, granted(t, w, claimOne(t, w, acme), "id-n").Lease, queue.Done())
	if s := begin(t, w, copies[2], "id-n"); s.State != queue.Replayed {
		t.Errorf("after it ended: %s", s.State)
	}
	// In one batch, too, only one copy is granted.
	send(t, b, urgent, "p", "p")
	pair := claim(t, w, 10, urgent)
	got, err := w.Start(ctxOf(t), []queue.Start{startOf(pair[0], "id-p"), startOf(pair[1], "id-p")})
	if err != nil || got[0].State != queue.Granted || got[1].State != queue.Duplicate {
		t.Errorf("in one batch: %+v, %v", got, err)
	}
}

func testStartOtherBytes(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m", "forged", "forged too")
	ds := claim(t, w, 10, acme)
	s := granted(t, w, ds[0], "id")
	if c := begin(t, w, ds[1], "id"); c.State != queue.Conflict {
		t.Errorf("while it runs: %s", c.State)
	}
	apply(t, w, ds[1].Unstarted(), queue.Dead("queue.conflict", "same id"))
	apply(t, w, s.Lease, queue.Done())
	if c := begin(t, w, ds[2], "id"); c.State != queue.Conflict {
		t.Errorf("after it ended: %s", c.State)
	}
	if st := stateOf(t, b, acme, "id"); st.Phase != queue.PhaseDone {
		t.Errorf("state of the first: %+v", st)
	}
}

func testStartTenants(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	send(t, b, other, "squatter")
	granted(t, w, claimOne(t, w, other), "id")
	granted(t, w, claimOne(t, w, acme), "id")
}

// A message whose first copy was lost on its way (here: deleted from its lane
// while it waited for another turn) must not be held for a duplicate for ever.
func testStartFirstCopyVanished(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "m")
	apply(t, w, granted(t, w, claimOne(t, w, acme), "id").Lease, queue.Release())
	back := claimOne(t, w, acme)
	b.Delete(t, acme, back.Entry)
	send(t, b, acme, "m")
	if s := begin(t, w, claimOne(t, w, acme), "id"); s.State != queue.Granted || s.Attempt != 1 {
		t.Errorf("the second copy: %+v", s)
	}
	if s := begin(t, w, back, "id"); s.State == queue.Granted {
		t.Error("the first copy was granted, too")
	}
}
