package runtime

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// TestAlone lets one goroutine do all for a delivery, while nothing else is written, while something is, and while the
// broker is away: its outcome is settled once, by whomever, and it leaves nothing behind.
func TestAlone(t *testing.T) {
	away := &queue.UnavailableError{Op: "settle", Reason: queue.ReasonConnection}
	for name, row := range map[string]struct {
		under  int // writes, when it ends
		faults int // of the broker
		tries  int
		left   int // for the settler
	}{
		"nothing else":    {tries: 1},
		"a write goes on": {under: 1, left: 1},
		"broker away":     {faults: 1, tries: 1, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{onSettle: func(n int, _ []queue.Settlement) error {
				if n <= row.faults {
					return away
				}
				return nil
			}}
			w, _ := openInside(t, f)
			p := w.posts[0]
			p.ended.writes = row.under
			w.capacity.take(1)
			started := w.takeIn(t.Context(), p, []queue.Delivery{delivery(t, 1)})
			runner, ok := w.ready.lend(started[0])
			if !ok {
				t.Fatal("no place for what is alone")
			}
			w.runAlone(started[0], runner) // which refuses it: there is no release
			if len(f.tried) != row.tries || w.waiting() != row.left {
				t.Errorf("%d tries, %d left to the settler, want %d and %d", len(f.tried), w.waiting(), row.tries, row.left)
			}
			for range row.under {
				p.ended.written()
			}
			p.ended.close()
			w.settle(t.Context(), p)
			if len(f.settled) != 1 || f.settled[0].Verdict.Outcome() != queue.OutcomeDead || len(f.settled[0].Result) == 0 {
				t.Errorf("settled %+v, want one that is dead, with a result", f.settled)
			}
			if w.flight.len() != 0 || w.capacity.held.Load() != 0 || p.ended.writes != 0 || len(w.ready.idle) != w.cfg.Concurrency {
				t.Errorf("left: %d held, %d places taken, %d writes, %d runners idle", w.flight.len(), w.capacity.held.Load(), p.ended.writes, len(w.ready.idle))
			}
		})
	}
}

// TestLentPlaces: what is lent counts as a runner, goes to nobody else meanwhile, and then to what waits. Nothing is lent
// past others, nor when nothing more is given out.
func TestLentPlaces(t *testing.T) {
	w, _ := openInside(t, &fake{})
	r := newReady(Limits{}, 1)
	none := func(*begun, bool) {}
	b := func() *begun { return &begun{opened: &opened{}, post: w.posts[0]} }
	runner, ok := r.lend(b())
	if !ok {
		t.Fatal("nothing is lent on an idle worker")
	}
	if _, ok := r.lend(b()); ok {
		t.Error("one place was lent twice")
	}
	waits, got := b(), make(chan *begun)
	r.add([]*begun{waits}, time.Millisecond, none)
	go func() { // has to wait for the place that is lent, whether it comes before it is given back or after
		next, _ := r.next()
		got <- next
	}()
	r.done(b(), runner, true)
	if next := <-got; next != waits {
		t.Errorf("next is %p, want %p", next, waits)
	}
	r.done(waits, 0, false)
	r.add([]*begun{b()}, time.Millisecond, none)
	if _, ok := r.lend(b()); ok {
		t.Error("lent past what waits")
	}
	r.next()
	r.done(waits, 0, false)
	r.halt()
	if _, ok := r.lend(b()); ok {
		t.Error("lent while the worker drains")
	}
}

// TestSuspectRunsAlone: a suspect waits until nothing else runs, nothing begins meanwhile, nor beside it; and it does not go back to
// its lane because it waits.
func TestSuspectRunsAlone(t *testing.T) {
	w, _ := openInside(t, &fake{})
	r := newReady(Limits{}, 2)
	b := func(crashes int) *begun {
		return &begun{opened: &opened{}, post: w.posts[0], crashes: crashes, since: time.Now()}
	}
	before, suspect, after := b(0), b(queue.SuspectCrashes), b(1)
	got := make(chan *begun)
	next := func() {
		b, _ := r.next()
		got <- b
	}
	runner, _ := r.lend(before)
	if _, ok := r.lend(suspect); ok {
		t.Fatal("a suspect was lent a place beside another")
	}
	r.add([]*begun{suspect, after}, time.Millisecond, func(*begun, bool) {})
	if taken := r.excess(0, time.Now().Add(time.Hour)); len(taken) != 1 || taken[0] != after {
		t.Errorf("given back: %v", taken)
	}
	r.add([]*begun{after}, time.Millisecond, func(*begun, bool) {})
	go next()
	select {
	case b := <-got:
		t.Fatalf("%d crashes: begun beside another", b.crashes)
	case <-time.After(20 * time.Millisecond):
	}
	r.done(before, runner, true)
	if <-got != suspect {
		t.Fatal("not the suspect, when nothing else runs")
	}
	if _, ok := r.lend(b(0)); ok {
		t.Error("lent beside a suspect")
	}
	go next()
	select {
	case <-got:
		t.Fatal("begun beside a suspect")
	case <-time.After(20 * time.Millisecond):
	}
	r.done(suspect, runner, false)
	if <-got != after {
		t.Error("not the next, when the suspect has ended")
	}
	late := b(queue.SuspectCrashes)
	late.since = time.Now().Add(-suspectWait)
	if _, ok := r.lend(late); !ok {
		t.Error("a suspect waits for ever behind what lasts long")
	}
}
