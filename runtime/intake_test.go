package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestStartFails lets no start be recorded for half a lease: nothing runs, nothing is settled, and there is capacity again.
func TestStartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{onStart: func(context.Context, int) error { return nowhere }}
		w, log := openInside(t, f)
		began := time.Now()
		w.take(t, delivery(t, 1), delivery(t, 2))
		took := time.Since(began)
		if took < w.cfg.Lease/2 || took > w.cfg.Lease || f.starts < 3 {
			t.Errorf("gave up after %v and %d attempts", took, f.starts)
		}
		if w.ready.len() != 0 || w.waiting() != 0 || w.capacity.held.Load() != 0 || w.flight.len() != 0 {
			t.Errorf("%d run, %d end, %d places are taken", w.ready.len(), w.waiting(), w.capacity.held.Load())
		}
		if !strings.Contains(log.String(), "start failed, deliveries left to be recovered: deliveries=2") {
			t.Errorf("the log does not say it:\n%s", log)
		}
	})
}

// TestStartWhileDraining ends Run's context while a start is tried: what could not be started goes back to its lane,
// and what was started at that moment is not forgotten.
func TestStartWhileDraining(t *testing.T) {
	rows := []struct {
		name    string
		onStart func(ctx context.Context, n int) error
		want    map[string]string
	}{
		{"fails", func(context.Context, int) error { return nowhere }, map[string]string{"1-0": "release", "2-0": "release"}},
		{"goes on", func(ctx context.Context, _ int) error { time.Sleep(time.Second); return ctx.Err() },
			map[string]string{delivery1: "release", delivery2: "release"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{claims: [][]queue.Delivery{{delivery(t, 1), delivery(t, 2)}}, onStart: row.onStart}
				w, log := openInside(t, f)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- w.Run(ctx) }()
				time.Sleep(10 * time.Millisecond)
				stop()
				if err := <-ended; err != nil {
					t.Errorf("Run: %v", err)
				}
				if got := f.verdicts(); fmt.Sprint(got) != fmt.Sprint(row.want) {
					t.Errorf("settled %v, want %v\n%s", got, row.want, log)
				}
			})
		})
	}
}

var delivery1, delivery2 = envelope.MessageID{1, 1}.String(), envelope.MessageID{2, 1}.String()

// TestStates gives each answer to a start, and looks at the verdict.
func TestStates(t *testing.T) {
	rows := []struct {
		name    string
		f       fake
		verdict string
		code    string
		id      string // of the lease: of a copy
	}{
		{"duplicate", fake{onState: queue.Duplicate}, "drop", "", delivery1},
		{"replayed", fake{onState: queue.Replayed}, "dead", CodeReplayed, delivery1},
		{"conflict", fake{onState: queue.Conflict}, "dead", CodeIDReused, ""},
		{"no state", fake{onInvalid: true}, "dead", CodeState, ""},
		{"a state of the future", fake{onState: 99}, "dead", CodeState, ""},
	}
	for i := range rows {
		row := &rows[i]
		t.Run(row.name, func(t *testing.T) {
			w, _ := openInside(t, &row.f)
			w.take(t, delivery(t, 1))
			w.posts[0].ended.close()
			w.settle(t.Context(), w.posts[0])
			if len(row.f.settled) != 1 {
				t.Fatalf("settled %v", row.f.settled)
			}
			s := row.f.settled[0]
			if s.Verdict.String() != row.verdict || s.Verdict.Code() != row.code || s.Lease.Token != "" || s.Lease.ID != row.id || len(s.Result) != 0 {
				t.Errorf("settled %+v", s)
			}
			if w.ready.len() != 0 || w.capacity.held.Load() != 0 {
				t.Errorf("%d run, %d places are taken", w.ready.len(), w.capacity.held.Load())
			}
		})
	}
	lost := &fake{onState: queue.Lost}
	w, _ := openInside(t, lost)
	w.take(t, delivery(t, 1))
	if w.waiting() != 0 || w.capacity.held.Load() != 0 {
		t.Errorf("what is another worker's: %d end, %d places are taken", w.waiting(), w.capacity.held.Load())
	}
}

// TestClaimFails lets the broker refuse every claim until Run ends: pauses grow, the outage is said once, and the end
// is not taken for its end.
func TestClaimFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims := 0
		f := &fake{onClaim: func() error { claims++; return nowhere }}
		w, log := openInside(t, f)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := w.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if claims < 10 || claims > 100 {
			t.Errorf("%d claims in a minute", claims)
		}
		if n := strings.Count(log.String(), "intake paused"); n != 1 || strings.Contains(log.String(), "intake resumed") {
			t.Errorf("paused was said %d times:\n%s", n, log)
		}
	})
}

// TestRunRefuses takes one message through Run and a fake broker: refused by policy, with a signed result.
func TestRunRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{claims: [][]queue.Delivery{{delivery(t, 1)}}}
		w, log := openInside(t, f)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(f.settled) != 1 {
			t.Fatalf("settled %+v", f.settled)
		}
		if strings.Contains(log.String(), "intake paused") {
			t.Errorf("the end of a claim is taken for an outage:\n%s", log)
		}
		s := f.settled[0]
		r, err := envelope.OpenResult(s.Result, insidePolicy(t))
		if err != nil || r.Code != policy.CodeDenied || s.ResultKey != insideSubmit.Public().ID().String() || s.ResultTTL != time.Hour || s.Lease.Token != "token-1" {
			t.Errorf("settled %+v, result %+v, %v", s, r, err)
		}
	})
}

// TestExpiredStaysExpired sets the clock back between the two looks at it: what was expired once has no verified
// message, and must not be judged as if it had.
func TestExpiredStaysExpired(t *testing.T) {
	w, _ := openInside(t, &fake{})
	late := &envelope.ExpiredError{}
	_, err := w.authorise(&begun{opened: &opened{expired: late, task: envelope.Task{Expires: time.Now().Add(time.Hour)}}}, time.Now())
	if err != error(late) {
		t.Errorf("got %v", err)
	}
}

func TestCodeOf(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		code string
	}{
		"ours":       {&refusal{CodePoison, "x"}, "worker.poison"},
		"wrapped":    {fmt.Errorf("y: %w", &refusal{CodePayload, "x"}), "limit.payload"},
		"a room's":   {nowhere, "queue.unavailable"},
		"of no room": {errors.New("x"), CodeInternal},
	} {
		if code := codeOf(row.err); code != row.code {
			t.Errorf("%s: %s, want %s", name, code, row.code)
		}
	}
}

// TestDoneBeforeItsEnd ends a run from outside at the moment at which it was done: its result counts, as long as the
// lease does. What was not done is given back.
func TestDoneBeforeItsEnd(t *testing.T) {
	for want, o := range map[string]sandbox.Outcome{
		"done":    {Verdict: sandbox.Done, Output: []byte("42")},
		"release": {Verdict: sandbox.Crash, Code: sandbox.CodeCancelled, Error: "the run was cancelled"},
	} {
		f := &fake{}
		w, _ := openInside(t, f)
		d := delivery(t, 1)
		opened, err := w.open(w.rules.Load(), d, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b := w.begin(w.posts[0], opened, queue.Started{Lease: queue.Lease{Lane: d.Lane, Entry: d.Entry, ID: delivery1, Token: d.Token}, Attempt: 1})
		b.end(errCut)
		w.conclude(&job{begun: b}, release{}, o, time.Now())
		w.posts[0].ended.close()
		w.settle(t.Context(), w.posts[0])
		if got := f.verdicts()[delivery1]; got != want {
			t.Errorf("the verdict is %s, want %s", got, want)
		}
		if (len(f.settled[0].Result) > 0) != (want == "done") {
			t.Errorf("%s with a result of %d bytes", want, len(f.settled[0].Result))
		}
	}
}

// TestRoomAfterPause lets another queue take all the room while this one is paused: when it goes on, it claims nothing until there is capacity again.
func TestRoomAfterPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims := 0
		f := &fake{onClaim: func() error { claims++; return nowhere }}
		w, _ := openInside(t, f)
		p := w.posts[0]
		order := func(act envelope.Act) {
			now := time.Now()
			b, err := envelope.SignOrder(envelope.Order{
				ID: envelope.MessageID{1}, Audience: "test", Queue: "work", Act: act, Issued: now, Expires: now.Add(time.Hour),
			}, insideOperate)
			if err != nil {
				t.Fatal(err)
			}
			a, err := w.order(p, b)
			if err != nil {
				t.Fatal(err)
			}
			p.orders.setMode(a, modeOf(a, b))
		}
		order(envelope.ActPause)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.claimSome(ctx, p); close(ended) }()
		synctest.Wait()
		most, _ := w.capacity.most()
		w.capacity.take(most)
		time.Sleep(time.Millisecond)
		order(envelope.ActResume)
		synctest.Wait()
		if claims != 0 {
			t.Errorf("%d claims without room", claims)
		}
		w.capacity.give(most)
		synctest.Wait()
		if claims != 1 {
			t.Errorf("%d claims with room", claims)
		}
		stop()
		<-ended
	})
}
