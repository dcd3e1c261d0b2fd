package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// teller is a reactor that says "half" as its progress, and ends with the code that it was answered:
//
//	(import "caisson" "progress_write" (func (param i32 i32) (result i32)))
//	(memory (export "memory") 1) (data (i32.const 0) "half")
//	(func (export "caisson_run") (result i32) i32.const 0 i32.const 4 call 0)
func teller() []byte {
	part := func(id byte, body ...byte) []byte { return append([]byte{id, byte(len(body))}, body...) }
	str := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	imports := slices.Concat([]byte{1}, str("caisson"), str("progress_write"), []byte{0, 0})
	exports := slices.Concat([]byte{2}, str("caisson_run"), []byte{0, 1}, str("memory"), []byte{2, 0})
	return bytes.Join([][]byte{
		[]byte("\x00asm"), binary.LittleEndian.AppendUint32(nil, 1),
		part(1, 2, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f), part(2, imports...), part(3, 1, 1), part(5, 1, 0, 1),
		part(7, exports...), part(10, 1, 8, 0, 0x41, 0, 0x41, 4, 0x10, 0, 0x0b),
		part(11, append([]byte{1, 0, 0x41, 0, 0x0b}, str("half")...)...),
	}, nil)
}

// followed reads events until n of the message have come, and returns their kinds and codes.
func (w *world) followed(id envelope.MessageID, n int) (words []string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	err := w.admin.Follow(ctx, queueName, "0", func(_ string, e queue.Event) {
		if e.ID != id.String() {
			return
		}
		word := string(e.Kind)
		if e.Code != "" {
			word += " " + e.Code
		}
		if e.Progress != "" {
			word += " " + e.Progress
		}
		if words = append(words, word); len(words) == n {
			cancel()
		}
	})
	if len(words) < n {
		w.t.Fatalf("only %q: %v", words, err)
	}
	return words
}

// TestEvents follows one task of each end.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.work()
	rows := []struct {
		task client.Task
		want []string
	}{
		{client.Task{Input: wish{Mode: "echo"}}, []string{"accepted", "started", "done"}},
		{client.Task{Input: wish{Mode: "fail", Text: "no"}}, []string{"accepted", "started", "failed task.failed"}},
		{client.Task{Input: wish{Mode: "error", Text: "busy"}, Attempts: 2},
			[]string{"accepted", "started", "retried task.error", "started", "dead task.error"}},
		{client.Task{Name: "other.run"}, []string{"accepted", "refused policy.denied"}},
	}
	for _, row := range rows {
		r := w.send(row.task)
		w.ended(r)
		if got := w.followed(r.ID, len(row.want)); !slices.Equal(got, row.want) {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}

// TestProgress runs a task that says how far it is, under a manifest with and without the power to.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	publish(t, w.store, job(t, "job.teller", "", "max = 0", "[needs]\ncaps = [\"progress\"]\n"), teller(), 1, publisherKey)
	w.work()
	r := w.send(client.Task{Name: "job.teller"})
	if got := w.ended(r); got.Status != envelope.StatusDone {
		t.Fatalf("got %+v", got)
	}
	w.await("the report is kept", func() bool {
		text, at, err := w.admin.Progress(t.Context(), lane(queue.PriorityNormal), r.ID.String())
		check(t, err)
		return text == "half" && time.Since(at) < time.Minute
	})
	if got := w.followed(r.ID, 4); !slices.Contains(got, "progress half") || !slices.Contains(got, "done") {
		t.Errorf("events %q", got)
	}
	narrowed := w.send(client.Task{Name: "job.teller", Narrowed: true})
	if got := w.ended(narrowed); got.Status == envelope.StatusDone {
		t.Errorf("a task that its sender took the power from: %+v", got)
	}
}

// deaf is a broker's events that nobody takes.
type deaf struct{ queue.Events }

func (deaf) Emit(context.Context, string, []queue.Event) error { return errors.New("nobody there") }

// TestEventsLost lets nobody take events: tasks end all the same, and what was lost is counted and said once.
func TestEventsLost(t *testing.T) {
	w := newWorld(t)
	worker := w.work(func(c *runtime.Config) { c.Listener, c.Admin, c.Events = w.admin, w.admin, deaf{} })
	for range 3 {
		if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
			t.Errorf("got %+v", r)
		}
	}
	w.await("all are counted", func() bool { return worker.metric("caisson_events_dropped_total") == "9" })
	if n := len(worker.log.all("events cannot be written, tasks run all the same")); n != 1 {
		t.Errorf("said %d times", n)
	}
}
