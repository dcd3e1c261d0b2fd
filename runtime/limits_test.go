package runtime_test

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// TestLocalLimits bounds what one worker runs of a tenant, a task and a queue: never more than one runs of what is bounded,
// and it keeps nothing else from running.
func TestLocalLimits(t *testing.T) {
	rows := []struct {
		name   string
		limits runtime.Limits
		beside client.Task // what runs all the same
		globex bool        // as the other tenant
	}{
		{"tenant", runtime.Limits{Tenant: 1}, client.Task{Name: "job.run", Input: wish{Mode: "echo"}}, true},
		{"task", runtime.Limits{Task: 1}, client.Task{Name: "job.other", Input: wish{Mode: "echo"}}, false},
		{"queue", runtime.Limits{Queue: 1}, client.Task{}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			w.release(job(t, "job.other", "", fastRetry, ""))
			gate := newGate("local-" + row.name)
			var receipts []client.Receipt
			for range 20 {
				receipts = append(receipts, w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}}))
			}
			w.work(func(c *runtime.Config) { c.Concurrency, c.Limits = 4, row.limits })
			gate.await(t, 1)
			if row.beside.Name != "" {
				sender := w.shop
				if row.globex {
					sender = w.client(globexKey, "globex")
				}
				r, err := sender.Send(t.Context(), row.beside)
				check(t, err)
				if got := w.endedFor(sender, r); got.Status != envelope.StatusDone {
					t.Errorf("what is not bounded: %+v", got)
				}
			}
			if n := len(gate.entered); n != 0 {
				t.Errorf("%d more run", n)
			}
			close(gate.open)
			for _, r := range receipts {
				if got := w.ended(r); got.Status != envelope.StatusDone || got.Attempt != 1 {
					t.Errorf("got %+v", got)
				}
			}
		})
	}
}

// TestShare gives an idle worker what waits behind long tasks of another one.
func TestShare(t *testing.T) {
	w := newWorld(t)
	gate := newGate("share")
	for range 4 {
		w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	}
	short := func(c *runtime.Config) { c.Concurrency, c.Lease = 2, 3*time.Second }
	w.work(short)
	gate.await(t, 2)
	w.work(short, func(c *runtime.Config) { c.Name = "worker-2" })
	gate.await(t, 2)
	close(gate.open)
}
