package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// held puts n runs into the flight, as if they went on.
func held(w *Worker, n int) []*begun {
	all := make([]*begun, n)
	for i := range all {
		b := &begun{lease: queue.Lease{Lane: queue.Lane{Queue: "work"}, Entry: fmt.Sprint(i), ID: fmt.Sprint(i), Token: fmt.Sprint(i)}}
		b.ctx, b.end = context.WithCancelCause(context.Background())
		w.flight.add([]*begun{b})
		all[i] = b
	}
	return all
}

// TestRenewInChunks renews more leases than one call takes: each goes out once, and the lost ones end their runs.
func TestRenewInChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2*queue.BatchMax + 100
		f := &fake{onRenew: func(batch []queue.Lease) (lost []queue.Lease, err error) {
			for _, l := range batch {
				if l.ID == "7" || l.ID == "2000" {
					lost = append(lost, l)
				}
			}
			return lost, nil
		}}
		w, log := openInside(t, f)
		all := held(w, n)
		ctx, stop := context.WithTimeout(t.Context(), 6*time.Second) // one renewal of a lease of 15 s
		defer stop()
		w.renew(ctx, w.posts[0])
		seen := map[string]int{}
		for _, batch := range f.renewed {
			if len(batch) > queue.BatchMax {
				t.Errorf("%d leases in one call", len(batch))
			}
			for _, l := range batch {
				seen[l.ID]++
			}
		}
		if len(f.renewed) != 3 || len(seen) != n {
			t.Errorf("%d leases in %d calls, want %d in 3", len(seen), len(f.renewed), n)
		}
		for i, b := range all {
			if ended := context.Cause(b.ctx) == errLeaseLost; ended != (i == 7 || i == 2000) {
				t.Errorf("run %d: %v", i, context.Cause(b.ctx))
			}
			b.end(nil)
		}
		w.limited.flush()
		if n := strings.Count(log.String(), "lease lost, run ended"); n != 2 { // the second with more=1
			t.Errorf("said %d times:\n%s", n, log)
		}
	})
}

// TestRenewGoesOn fails the renewals for a while: the broker is not ready, no run is ended, and the next one comes in
// time.
func TestRenewGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := true
		f := &fake{onRenew: func([]queue.Lease) ([]queue.Lease, error) {
			if fails {
				return nil, nowhere
			}
			return nil, nil
		}}
		w, _ := openInside(t, f)
		run := held(w, 1)[0]
		ctx, stop := context.WithCancel(t.Context())
		go w.renew(ctx, w.posts[0])
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if w.brokerReason() != "broker unavailable: connection" || run.ctx.Err() != nil {
			t.Errorf("%q, %v", w.brokerReason(), run.ctx.Err())
		}
		f.mu.Lock()
		fails = false
		f.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if w.brokerReason() != "" || len(f.renewed) != 2 {
			t.Errorf("%q after %d renewals", w.brokerReason(), len(f.renewed))
		}
		stop()
		synctest.Wait()
		run.end(nil)
	})
}

// settlements hands outcomes to the settler and returns when it has ended.
func settlements(ctx context.Context, w *Worker, ids ...string) {
	for _, id := range ids {
		w.posts[0].ended.add(&ending{settlement: queue.Settlement{Lease: queue.Lease{Entry: id, ID: id}, Verdict: queue.Drop()}, report: report{outcome: outcomeDone, id: id, ran: true}})
	}
	w.posts[0].ended.close()
	w.settle(ctx, w.posts[0])
}

// TestSettleAlone lets the broker refuse one outcome of a batch: the others are written, that one is let go.
func TestSettleAlone(t *testing.T) {
	for name, fault := range map[string]error{
		"a final error":         &queue.FieldError{Field: "reason", Text: "test"},
		"a key of another kind": &queue.UnavailableError{Op: "settle", Reason: queue.ReasonData, Err: errors.New("WRONGTYPE")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{onSettle: func(_ int, batch []queue.Settlement) error {
					if slices.ContainsFunc(batch, func(s queue.Settlement) bool { return s.Lease.ID == "b" }) {
						return fault
					}
					return nil
				}}
				w, log := openInside(t, f)
				settlements(t.Context(), w, "a", "b", "c")
				if got := f.verdicts(); len(got) != 2 || got["a"] != "drop" || got["c"] != "drop" {
					t.Errorf("settled %v", got)
				}
				if !strings.Contains(log.String(), "outcome cannot be written, its lease will end: task_id=b") || !strings.Contains(log.String(), "task outcome lost") {
					t.Errorf("the log does not say it:\n%s", log)
				}
				if n := w.posts[0].ended.count; n != 0 {
					t.Errorf("%d outcomes still wait", n)
				}
			})
		})
	}
}

// TestSettleWaits lets the broker be away for a while: everything is written when it is back, in one batch.
func TestSettleWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{onSettle: func(n int, _ []queue.Settlement) error {
			if n <= 20 {
				return nowhere
			}
			return nil
		}}
		w, log := openInside(t, f)
		began := time.Now()
		settlements(t.Context(), w, "a", "b")
		if got := f.verdicts(); len(got) != 2 || len(f.tried) != 21 {
			t.Errorf("settled %v at the %dth time", got, len(f.tried))
		}
		if took := time.Since(began); took < time.Second || took > 20*(brokerBackoffMin+brokerBackoffMax) {
			t.Errorf("20 attempts took %v", took)
		}
		if n := strings.Count(log.String(), "intake paused"); n != 1 || !strings.Contains(log.String(), "intake resumed") {
			t.Errorf("paused was said %d times:\n%s", n, log)
		}
	})
}

// TestSettleGivesUp ends the time for the last outcomes: they are let go, and said to be lost.
func TestSettleGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{onSettle: func(int, []queue.Settlement) error { return nowhere }}
		w, log := openInside(t, f)
		ctx, stop := context.WithTimeout(t.Context(), drainFlush)
		defer stop()
		settlements(ctx, w, "a", "b")
		if got := f.verdicts(); len(got) != 0 || !strings.Contains(log.String(), "outcomes not written, their tasks will run again: outcomes=2") {
			t.Errorf("settled %v:\n%s", got, log)
		}
		w.limited.flush()
		if n := strings.Count(log.String(), "task outcome lost"); n != 2 || !strings.Contains(log.String(), "task outcome lost: more=1 ") {
			t.Errorf("%d lines say that outcomes are lost:\n%s", n, log)
		}
	})
}
