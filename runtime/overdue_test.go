package runtime

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// TestOverdue lets a lease run out before its task runs, as when the process was stopped: it does not run, and is given back,
// which counts only while the lease is nobody else's. Renewed in time, it is not overdue; told that it is lost, it is.
func TestOverdue(t *testing.T) {
	f := &fake{}
	w, _ := openInside(t, f)
	w.take(t, delivery(t, 1))
	b, _ := w.ready.next()
	if w.flight.overdue(b, w.cfg.Lease) {
		t.Error("overdue at once")
	}
	if !w.flight.overdue(b, w.cfg.Lease/queue.StartLate) {
		t.Error("the lease is counted from the start, though it may have begun with the claim")
	}
	long := time.Now().Add(-2 * w.cfg.Lease)
	w.flight.renew([]queue.Lease{b.lease}, nil, long)
	if err := w.renewAll(t.Context(), w.posts[0]); err != nil {
		t.Fatal(err)
	}
	if w.flight.overdue(b, w.cfg.Lease) {
		t.Error("overdue after its renewal")
	}
	w.flight.renew([]queue.Lease{b.lease}, nil, long)
	w.flight.renew([]queue.Lease{b.lease}, []queue.Lease{b.lease}, time.Now())
	if !w.flight.overdue(b, w.cfg.Lease) {
		t.Error("not overdue after its lease was asked for and lost")
	}
	w.runOne(b)
	w.posts[0].ended.close()
	w.settle(t.Context(), w.posts[0])
	if len(f.settled) != 1 || f.settled[0].Verdict.Outcome() != queue.OutcomeRelease {
		t.Errorf("settled %+v, want one release", f.settled)
	}
}
