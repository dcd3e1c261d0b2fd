package runtime

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// TestLostWhileSettled renews leases that the broker does not know any more: of one that runs, which is ended, and of two whose outcomes are just being
// written, of which nothing is said, since these outcomes are what ended their leases.
func TestLostWhileSettled(t *testing.T) {
	f := &fake{onRenew: func(batch []queue.Lease) ([]queue.Lease, error) { return batch, nil }}
	w, log := openInside(t, f)
	begin := func(id string) *begun {
		return w.begin(w.posts[0], &opened{id: id}, queue.Started{Lease: queue.Lease{Lane: queue.Lane{Queue: "work"}, ID: id, Token: id}})
	}
	running, ended, alone := begin("running"), begin("ended"), begin("alone")
	w.flight.add([]*begun{running, ended, alone})
	w.capacity.take(2)
	alone.alone = true // its own goroutine writes its outcome
	w.finish(alone, queue.Release(), nil, report{})
	w.finish(ended, queue.Release(), nil, report{})
	if err := w.renewAll(t.Context(), w.posts[0]); err != nil {
		t.Fatal(err)
	}
	if context.Cause(running.ctx) != errLeaseLost || ended.ctx.Err() != nil || alone.ctx.Err() != nil {
		t.Errorf("the one that runs: %v, the others: %v, %v", context.Cause(running.ctx), ended.ctx.Err(), alone.ctx.Err())
	}
	if got := log.String(); strings.Count(got, "lease lost") != 1 || !strings.Contains(got, "task_id=running") {
		t.Errorf("it says %s", got)
	}
	running.end(nil)
	w.leave(w.posts[0], []*ending{alone.ended}, []queue.Settled{queue.Applied}, time.Now())
	w.posts[0].ended.written()
	batch, _ := w.posts[0].ended.take()
	w.settleBatch(t.Context(), w.posts[0], batch)
	if w.flight.len() != 1 {
		t.Errorf("%d are held", w.flight.len())
	}
}
