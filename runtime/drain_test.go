package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// patient is a worker that runs one task and takes one delivery more, which it cannot run yet however long the other takes, and a lease that nothing in
// these tests outlasts: what another worker gets was given back, and not recovered.
func patient(c *runtime.Config) { c.Concurrency, c.Limits.Task, c.Lease = 2, 1, 5*time.Minute }

// TestDrain ends the context of a worker of which one task runs, one has started and waits, and one is still in its
// lane: the first finishes, the others run elsewhere at once.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	gate := newGate("drain")
	running := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
	first := w.work(patient)
	gate.await(t, 1)
	w.await("the second message has started", func() bool { return w.state(waiting.ID).Phase == queue.PhaseRunning })
	first.stop()
	first.await("worker draining")
	late := w.send(client.Task{Input: wish{Mode: "echo"}})

	second := w.work(patient, func(c *runtime.Config) { c.Name = "worker-2" })
	for name, receipt := range map[string]client.Receipt{"what had started": waiting, "what was in its lane": late} {
		// While the first worker's runner is busy, nothing of it can be its doing.
		second.await("task done", "task_id", receipt.ID)
		if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Attempt != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if code, text := first.page("/healthz"); code != 200 {
		t.Errorf("a worker that drains is %d %q", code, text)
	}
	close(gate.open)
	if err := first.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if r := w.ended(running); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("what ran: %+v", r)
	}
	first.await("task done", "task_id", running.ID)
	if s := w.state(waiting.ID); s.Crashes != 0 {
		t.Errorf("a drain counted as a crash: %+v", s)
	}
	if code, _ := first.page("/healthz"); code != 503 {
		t.Errorf("a worker that has ended is %d", code)
	}
}

// TestCut ends a drain in which a task runs and another waits: the first is ended and both are given back.
func TestCut(t *testing.T) {
	rows := []struct {
		name string
		edit func(*runtime.Config)
		cut  func(*running)
	}{
		{"by Cut", func(*runtime.Config) {}, func(r *running) { r.await("worker draining"); r.Cut() }},
		{"by Cut before the drain", func(*runtime.Config) {}, func(r *running) { r.Cut() }},
		{"by time", func(c *runtime.Config) { c.Drain = 50 * time.Millisecond }, func(*running) {}},
		{"by DrainNone", func(c *runtime.Config) { c.Drain = runtime.DrainNone }, func(*running) {}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			gate := newGate("cut-" + strings.ReplaceAll(row.name, " ", "-"))
			receipt := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
			waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
			first := w.work(patient, row.edit)
			gate.await(t, 1)
			w.await("the second message has started", func() bool { return w.state(waiting.ID).Phase == queue.PhaseRunning })
			first.stop()
			row.cut(first)
			if err := first.wait(); err == nil || err.Error() != "worker: 1 running tasks were cut and will run again" {
				t.Errorf("Run: %v", err)
			}
			if err := receive(t, gate.left, "end of the guest"); err == nil {
				t.Errorf("the guest went on: %v", err)
			}
			for _, r := range []client.Receipt{receipt, waiting} {
				if s := w.state(r.ID); s.Phase != queue.PhaseWaiting || s.Attempt != 1 || s.Crashes != 0 {
					t.Errorf("state %+v", s)
				}
			}
			close(gate.open)
			w.work(patient)
			for _, r := range []client.Receipt{receipt, waiting} {
				if got := w.ended(r); got.Status != envelope.StatusDone || got.Attempt != 1 {
					t.Errorf("again: %+v", got)
				}
			}
		})
	}
}

// TestDrainNothing ends a worker that has nothing to do.
func TestDrainNothing(t *testing.T) {
	w := newWorld(t)
	worker := w.work(func(c *runtime.Config) { c.Drain = runtime.DrainNone })
	worker.await("worker started")
	worker.stop()
	if err := worker.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
