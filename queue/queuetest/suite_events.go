package queuetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// eventsOf makes n events that differ, some of them with everything that an event can hold.
func eventsOf(n int) []queue.Event {
	kinds := []queue.EventKind{
		queue.EventAccepted, queue.EventStarted, queue.EventProgress, queue.EventRetried,
		queue.EventDone, queue.EventFailed, queue.EventRefused, queue.EventDead,
	}
	out := make([]queue.Event, n)
	for i := range out {
		out[i] = queue.Event{
			Kind: kinds[i%len(kinds)], At: time.UnixMilli(1_700_000_000_000 + int64(i)), Queue: "jobs",
			Tenant: "acme", Task: "image.thumbnail", ID: fmt.Sprint("id-", i/3), Worker: "w-1", Attempt: i % 7,
		}
		switch out[i].Kind {
		case queue.EventProgress:
			out[i].Progress = strings.Repeat("é", queue.ProgressBytesMax/2)
		case queue.EventRefused:
			out[i].Code = "policy.denied"
		}
	}
	return out
}

type followed struct {
	cursor string
	event  queue.Event
}

// follow follows until it has n events after the cursor, and returns them.
func follow(t *testing.T, b Broker, after string, n int) []followed {
	t.Helper()
	ctx, cancel := context.WithCancel(ctxOf(t))
	defer cancel()
	var out []followed
	err := b.Events().Follow(ctx, "jobs", after, func(cursor string, e queue.Event) {
		if out = append(out, followed{cursor, e}); len(out) == n {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v after %d events", err, len(out))
	}
	return out
}

func testEvents(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	must(t, b.Events().Emit(ctx, "jobs", nil))
	must(t, b.Events().Emit(ctx, "mail", eventsOf(1)))
	all := eventsOf(700) // more than one entry
	must(t, b.Events().Emit(ctx, "jobs", all[:10]))
	must(t, b.Events().Emit(ctx, "jobs", all[10:]))
	for i, f := range follow(t, b, "0", len(all)) {
		if i < len(all) && !reflect.DeepEqual(f.event, all[i]) {
			t.Fatalf("event %d: %+v, want %+v", i, f.event, all[i])
		}
	}
	// From now on: nothing of what was, and all of what comes.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got, done := make(chan queue.Event, 10000), make(chan error, 1)
	go func() {
		done <- b.Events().Follow(ctx, "jobs", "", func(_ string, e queue.Event) { got <- e })
	}()
	var first queue.Event
	n := 0
	Eventually(t, "events are followed", func() bool {
		n++
		late := queue.Event{Kind: queue.EventDone, ID: fmt.Sprint("late-", n), At: time.UnixMilli(1), Queue: "jobs"}
		must(t, b.Events().Emit(ctx, "jobs", []queue.Event{late}))
		select {
		case first = <-got:
			return true
		case <-time.After(20 * time.Millisecond):
			return false
		}
	})
	if !strings.HasPrefix(first.ID, "late-") {
		t.Errorf("followed an event of before: %+v", first)
	}
	asked := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || time.Since(asked) > soon {
		t.Errorf("following ended with %v after %s", err, time.Since(asked))
	}
	// What is too long is cut, and what is no text is made one.
	odd := queue.Event{Kind: queue.EventProgress, Task: strings.Repeat("t", 5000), Progress: "\xff" + strings.Repeat("é", 5000), Attempt: -1}
	must(t, b.Events().Emit(t.Context(), "odd", []queue.Event{odd}))
	wantField(t, "an unknown kind", b.Events().Emit(t.Context(), "jobs", []queue.Event{{Kind: "x"}}))
	wantField(t, "a queue that cannot be", b.Events().Emit(t.Context(), "a}b", all[:1]))
	wantField(t, "a cursor that is none", b.Events().Follow(t.Context(), "jobs", "yesterday", nil))
}

// Whoever goes on from a cursor misses nothing and sees nothing twice, wherever in a batch it stopped.
func testEventsCursor(t *testing.T, b Broker) {
	all := eventsOf(260)
	must(t, b.Events().Emit(ctxOf(t), "jobs", all))
	whole := follow(t, b, "0", len(all))
	for _, stop := range []int{1, 2, 127, 128, 129, 255, 256, 259} {
		rest := follow(t, b, whole[stop-1].cursor, len(all)-stop)
		for i, f := range rest {
			if i < len(all)-stop && (!reflect.DeepEqual(f.event, all[stop+i]) || f.cursor != whole[stop+i].cursor) {
				t.Fatalf("after %d: event %d is %s %+v, want %s %+v", stop, i, f.cursor, f.event, whole[stop+i].cursor, all[stop+i])
			}
		}
	}
}

func testProgress(t *testing.T, b Broker) {
	ctx := ctxOf(t)
	p := b.Progress()
	if text, at, err := p.Progress(ctx, acme, "id"); err != nil || text != "" || !at.IsZero() {
		t.Errorf("none: %q, %s, %v", text, at, err)
	}
	begun := time.Now()
	must(t, p.Report(ctx, acme, "id", "10 %", time.Hour))
	must(t, p.Report(ctx, acme, "id", "20 % | é", time.Hour))
	must(t, p.Report(ctx, other, "id", "another's", time.Hour))
	text, at, err := p.Progress(ctx, acme, "id")
	if err != nil || text != "20 % | é" || at.Before(begun.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("%q, %s, %v", text, at, err)
	}
	must(t, p.Report(ctx, acme, "long", strings.Repeat("é", queue.ProgressBytesMax), time.Hour))
	if text, _, err := p.Progress(ctx, acme, "long"); err != nil || text != strings.Repeat("é", queue.ProgressBytesMax/2) {
		t.Errorf("a long one: %d bytes, %v", len(text), err)
	}
	must(t, p.Report(ctx, acme, "brief", "x", 30*time.Millisecond))
	b.Pass(time.Minute)
	Eventually(t, "the report is gone", func() bool {
		text, _, err := p.Progress(ctx, acme, "brief")
		return err == nil && text == ""
	})
	wantField(t, "for ever", p.Report(ctx, acme, "id", "x", 0))
	wantField(t, "an id that cannot be", p.Report(ctx, acme, "a:b", "x", time.Hour))
}
