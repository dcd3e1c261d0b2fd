package redisqueue_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// quiet is told of trouble that a test expects.
func quiet(string, error) {}

// A listener outlives its connection, and then hears what was given while it had none.
func TestListenerComesBack(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{Sync: "always"})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- b.worker.Listen(ctx, []string{"jobs"}, func(_ string, order []byte) { heard <- string(order) }, quiet)
	}()
	defer func() { cancel(); <-done }()
	until := func(want string) {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case got := <-heard:
				if got == want {
					return
				}
			case <-late:
				t.Fatalf("never heard %q", want)
			}
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(b.operator.Once(ctx, "jobs", []byte("first")))
	until("first")
	queuetest.Eventually(t, "it has subscribed", func() bool {
		channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
		return len(channels) == 1
	})
	// A subscriber of a server whose listeners are cut misses what is published; these two find it nonetheless.
	s.Do("ACL", "SETUSER", "worker", "off")
	s.Do("CLIENT", "KILL", "USER", "worker")
	queuetest.Eventually(t, "it is cut off", func() bool {
		channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
		return len(channels) == 0
	})
	check(b.operator.Cancel(ctx, acme, "id", []byte("cancel while away"), time.Minute))
	check(b.operator.Once(ctx, "jobs", []byte("once while away")))
	s.Do("ACL", "SETUSER", "worker", "on")
	until("once while away")
	until("cancel while away")
	s.Kill()
	s.Restart()
	check(b.operator.Mode(ctx, "jobs", []byte("pause after the restart"), time.Minute))
	until("pause after the restart")
}

// What is kept may have been written by anybody: no order is as if it were not there.
func TestKeptByOthers(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx, cancel := context.WithCancel(t.Context())
	large := strings.Repeat("x", queue.OrderBytesMax+1)
	b.admin.Set(ctx, "cs:{jobs}:mode", large, 0)
	b.admin.HSet(ctx, "cs:{other}:mode", "not", "a string")
	b.admin.Set(ctx, "cs:{other}:orders", "not a stream", 0)
	for _, values := range [][]any{{"o", large}, {"o", ""}, {"x", "y"}, {"o", "twice", "o", "twice"}} {
		b.admin.XAdd(ctx, &redis.XAddArgs{Stream: "cs:{jobs}:orders", Values: values})
	}
	if err := b.operator.Once(ctx, "jobs", []byte("an order")); err != nil {
		t.Fatal(err)
	}
	heard, done := make(chan string, 100), make(chan error, 1)
	go func() {
		done <- b.worker.Listen(ctx, []string{"other", "jobs"}, func(_ string, order []byte) {
			if order != nil { // that was all that is kept
				heard <- string(order)
			}
		}, quiet)
	}()
	if got := <-heard; got != "an order" {
		t.Errorf("heard %.40q", got)
	}
	s.Do("PUBLISH", "cs:{jobs}:orders", large)
	s.Do("PUBLISH", "cs:{jobs}:orders", "")
	s.Do("PUBLISH", "cs:{jobs}:orders", "the last")
	if got := <-heard; got != "the last" {
		t.Errorf("heard %.40q", got)
	}
	cancel()
	<-done

	// So it is with progress and events.
	ctx = t.Context()
	for _, text := range []string{"", "5", "x|text", "-1|text", "1|\xff", "1|" + strings.Repeat("x", queue.ProgressBytesMax+1)} {
		b.admin.Set(ctx, "cs:{jobs}:prog:acme:id", text, 0)
		if got, at, err := b.watcher.Progress(ctx, acme, "id"); err != nil || got != "" || !at.IsZero() {
			t.Errorf("progress %.20q: %q, %s, %v", text, got, at, err)
		}
	}
	b.admin.XAdd(ctx, &redis.XAddArgs{Stream: "cs:{jobs}:events", Values: []any{"b", "\x01\xff"}})
	if err := b.worker.Emit(ctx, "jobs", []queue.Event{{Kind: queue.EventDone, ID: "id", At: time.UnixMilli(5)}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(ctx)
	_ = b.watcher.Follow(ctx, "jobs", "0", func(_ string, e queue.Event) {
		if e.ID != "id" {
			t.Errorf("followed %+v", e)
		}
		cancel()
	})
}

func FuzzEvents(f *testing.F) {
	at := time.UnixMilli(1_700_000_000_000)
	seed, err := redisqueue.EncodeEvents([]queue.Event{
		{Kind: queue.EventStarted, At: at, Queue: "q", Tenant: "acme", Task: "t", ID: "a", Worker: "w", Attempt: 1},
		{Kind: queue.EventRefused, At: at, Queue: "q", Tenant: "acme", Task: "t", ID: "b", Worker: "w", Attempt: 2, Code: "policy.denied", Progress: "p"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{1})
	f.Add([]byte{1, 1, 0, 0, 1, 3, 5, 7, 9, 11})
	f.Add([]byte{1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := redisqueue.DecodeEvents("q", in)
		if err != nil {
			return
		}
		out, err := redisqueue.EncodeEvents(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := redisqueue.DecodeEvents("q", out)
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%x: %+v became %+v, %v", in, got, again, err)
		}
	})
}

// What is kept of events ends where it ended when it was asked for, however slowly it is taken and whatever comes meanwhile; a
// broker that is not there is an error and not an end.
func TestKeptEventsEnd(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	event := func(id string) queue.Event { return queue.Event{Kind: queue.EventDone, ID: id, At: time.UnixMilli(5)} }
	emit := func(batch ...queue.Event) {
		t.Helper()
		if err := b.worker.Emit(ctx, "jobs", batch); err != nil {
			t.Fatal(err)
		}
	}
	read := func(after string, while func()) (ids, cursors []string) {
		t.Helper()
		err := b.watcher.KeptEvents(ctx, "jobs", after, func(cursor string, e queue.Event) {
			ids, cursors = append(ids, e.ID), append(cursors, cursor)
			while()
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids, cursors
	}
	if ids, _ := read("0", func() {}); len(ids) != 0 {
		t.Errorf("of a queue without events: %v", ids)
	}
	var want []string
	for i := range 200 { // more entries than are read in one trip
		want = append(want, strconv.Itoa(2*i), strconv.Itoa(2*i+1))
		emit(event(want[2*i]), event(want[2*i+1]))
	}
	ids, cursors := read("0", func() { emit(event("late")) })
	if !reflect.DeepEqual(ids, want) {
		t.Errorf("%d events, want %d: %v", len(ids), len(want), ids)
	}
	if ids, _ := read(cursors[len(want)-2], func() {}); len(ids) != 1+len(want) || ids[0] != want[len(want)-1] {
		t.Errorf("after the last but one: %d events", len(ids))
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := b.watcher.KeptEvents(ctx, "jobs", "0", func(string, queue.Event) { n++; cancel() })
	if !errors.Is(err, context.Canceled) || n > 2 { // what is in one entry is told whole
		t.Errorf("%d events after the context has ended, %v", n, err)
	}
	s.Kill()
	var away *queue.UnavailableError
	if err := b.watcher.KeptEvents(t.Context(), "jobs", "0", nil); !errors.As(err, &away) {
		t.Errorf("without a broker: %v", err)
	}
}
