package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// part is one part of the suite.
type part struct {
	name string
	test func(t *testing.T, b Broker)
}

// operatorParts are those about orders, and about what operators see and do.
func operatorParts() []part {
	return []part{
		{"orders/mode", testOrderMode},
		{"orders/once", testOrderOnce},
		{"orders/cancel", testOrderCancel},
		{"orders/many kept", testOrdersMany},
		{"orders/listening ends with its context", testListenEnds},
		{"orders/refused", testOrdersRefused},
		{"keeps/requeue", testRequeue},
		{"keeps/requeue chooses", testRequeueChooses},
		{"keeps/requeue of what cannot be", testRequeueLeaves},
		{"keeps/purge of dead letters", testPurgeDead},
		{"keeps/purge of lanes", testPurge},
		{"keeps/answer", testAnswer},
		{"keeps/refused", testKeeperRefuses},
		{"events/followed", testEvents},
		{"events/cursor", testEventsCursor},
		{"progress/newest", testProgress},
	}
}

// heard is what a listener hears, as "queue: order".
type heard struct {
	words chan string
	end   func() error // ends the listening and returns its error
}

// listen starts to listen. What is kept has been heard, or will be, when it returns.
func listen(t *testing.T, b Broker, queues ...string) *heard {
	t.Helper()
	ctx, cancel := context.WithCancel(ctxOf(t))
	h := &heard{words: make(chan string, 2*queue.OrdersMax)}
	done := make(chan error, 1)
	go func() {
		done <- b.Listener().Listen(ctx, queues, func(name string, order []byte) {
			if order != nil {
				h.words <- name + ": " + string(order)
			}
		}, func(string, error) {})
	}()
	ended := false
	h.end = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = h.end() })
	return h
}

// until hears until word, and returns all that it heard, word last.
func (h *heard) until(t *testing.T, word string) []string {
	t.Helper()
	deadline := time.After(eventually)
	var out []string
	for {
		select {
		case w := <-h.words:
			if out = append(out, w); w == word {
				return out
			}
		case <-deadline:
			t.Fatalf("never heard %q, but %q", word, out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hear gives orders until one of them is heard, so that what follows is heard live.
func (h *heard) live(t *testing.T, b Broker, name string) {
	t.Helper()
	ctx := ctxOf(t)
	n := 0
	Eventually(t, "orders are heard", func() bool {
		n++
		must(t, b.Orders().Once(ctx, name, fmt.Appendf(nil, "are you there? %d", n)))
		select {
		case <-h.words:
			return true
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
}

func testOrderMode(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	must(t, b.Orders().Mode(ctx, "jobs", []byte("pause 1"), time.Hour))
	must(t, b.Orders().Mode(ctx, "jobs", []byte("resume 2"), time.Hour))
	must(t, b.Orders().Mode(ctx, "other", []byte("pause other"), time.Hour))
	must(t, b.Orders().Mode(ctx, "short", []byte("pause short"), 30*time.Millisecond))
	h := listen(t, b, "jobs", "mail", "jobs")
	if got := h.until(t, "jobs: resume 2"); len(got) != 1 {
		t.Errorf("kept: heard %q, want the newest only", got)
	}
	h.live(t, b, "jobs")
	must(t, b.Orders().Mode(ctx, "other", []byte("not for us"), time.Hour))
	must(t, b.Orders().Mode(ctx, "mail", []byte("pause 3"), time.Hour))
	for _, w := range h.until(t, "mail: pause 3") {
		if strings.HasPrefix(w, "other") {
			t.Errorf("heard %q", w)
		}
	}
	// Its time passes.
	b.Pass(time.Minute)
	Eventually(t, "the short mode is gone", func() bool {
		again := listen(t, b, "short", "jobs")
		got := again.until(t, "jobs: resume 2")
		_ = again.end()
		return len(got) == 1 || !slices.Contains(got, "short: pause short")
	})
}

func testOrderOnce(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	for i := range 3 {
		must(t, b.Orders().Once(ctx, "jobs", fmt.Appendf(nil, "kept %d", i)))
	}
	h := listen(t, b, "jobs")
	if got := h.until(t, "jobs: kept 2"); !slices.Equal(got, []string{"jobs: kept 0", "jobs: kept 1", "jobs: kept 2"}) {
		t.Errorf("kept: heard %q", got)
	}
	h.live(t, b, "jobs")
	raw := []byte{0, 255, '\n', '|'} // an order is bytes, not text
	must(t, b.Orders().Once(ctx, "jobs", raw))
	h.until(t, "jobs: "+string(raw))
	largest := []byte(strings.Repeat("x", queue.OrderBytesMax))
	must(t, b.Orders().Once(ctx, "jobs", largest))
	h.until(t, "jobs: "+string(largest))
	if err := h.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("listening ended with %v", err)
	}
	// Who comes later hears it, too.
	listen(t, b, "jobs").until(t, "jobs: "+string(largest))
}

func testOrderCancel(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	must(t, b.Orders().Cancel(ctx, acme, "id-0", []byte("cancel 0"), time.Hour))
	h := listen(t, b, "jobs")
	h.live(t, b, "jobs")
	must(t, b.Orders().Cancel(ctx, acme, "id-1", []byte("cancel 1"), time.Hour))
	given := time.Now()
	h.until(t, "jobs: cancel 1")
	// A guest has 10 ms to end; most of them should be left. What is looked for is an order that is heard when something else is.
	if late := time.Since(given); late > soon {
		t.Errorf("heard after %s", late)
	}
}

// Kept orders come in pieces, and none is lost between two; the oldest are forgotten.
func testOrdersMany(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	const all = 200
	for i := range all {
		must(t, b.Orders().Once(ctx, "jobs", fmt.Appendf(nil, "kept %d", i)))
	}
	got := listen(t, b, "jobs").until(t, fmt.Sprint("jobs: kept ", all-1))
	if len(got) != all {
		t.Errorf("heard %d, want %d", len(got), all)
	}
	for i, w := range got {
		if w != fmt.Sprint("jobs: kept ", i) {
			t.Fatalf("place %d: %q", i, w)
		}
	}
}

func testListenEnds(t *testing.T, b Broker) {
	h := listen(t, b, "jobs")
	h.live(t, b, "jobs")
	asked := time.Now()
	if err := h.end(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if late := time.Since(asked); late > soon {
		t.Errorf("ended %s after it was cancelled", late)
	}
}

func testOrdersRefused(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	o := b.Orders()
	large := make([]byte, queue.OrderBytesMax+1)
	rows := []struct {
		name string
		err  error
	}{
		{"no order", o.Once(ctx, "jobs", nil)},
		{"a large order", o.Once(ctx, "jobs", large)},
		{"a queue with a brace", o.Once(ctx, "a}b", []byte("o"))},
		{"a large mode", o.Mode(ctx, "jobs", large, time.Hour)},
		{"a mode for ever", o.Mode(ctx, "jobs", []byte("o"), 0)},
		{"a mode for a year", o.Mode(ctx, "jobs", []byte("o"), queue.OrderTTLMax+1)},
		{"a cancel for ever", o.Cancel(ctx, acme, "id", []byte("o"), 0)},
		{"a cancel of an id that cannot be", o.Cancel(ctx, acme, "a:b", []byte("o"), time.Hour)},
		{"a cancel for a tenant that cannot be", o.Cancel(ctx, queue.Lane{Queue: "jobs", Tenant: "*"}, "id", []byte("o"), time.Hour)},
		{"a large cancel", o.Cancel(ctx, acme, "id", large, time.Hour)},
		{"listening to nothing", b.Listener().Listen(ctx, nil, nil, nil)},
		{"listening to what cannot be", b.Listener().Listen(ctx, []string{"*"}, nil, nil)},
	}
	for _, r := range rows {
		wantField(t, r.name, r.err)
	}
}

func wantField(t *testing.T, what string, err error) {
	t.Helper()
	var field *queue.FieldError
	if !errors.As(err, &field) {
		t.Errorf("%s: %v, want a *queue.FieldError", what, err)
	}
}
