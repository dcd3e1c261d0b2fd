package runtime_test

import (
	"context"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// hand is the test's own part in the queue. Its lease is so short that it may take over what a worker still runs, as
// a worker would whose clock or network is broken.
func (w *world) hand() *redisqueue.Queue {
	w.t.Helper()
	hand, err := redisqueue.OpenQueue(w.admin, redisqueue.QueueConfig{Worker: "hand", Lease: 100 * time.Millisecond})
	check(w.t, err)
	w.t.Cleanup(func() { hand.Close() })
	return hand
}

// begin starts what was delivered to hand.
func begin(t *testing.T, hand *redisqueue.Queue, d queue.Delivery, receipt client.Receipt) queue.Started {
	t.Helper()
	started, err := hand.Start(t.Context(), []queue.Start{{Delivery: d, ID: receipt.ID.String(), Digest: receipt.Digest.String(), Expires: receipt.Expires}})
	check(t, err)
	if started[0].State != queue.Granted {
		t.Fatalf("the start was answered by %s", started[0].State)
	}
	return started[0]
}

// steal takes the one message that runs elsewhere and starts it.
func (w *world) steal(t *testing.T, hand *redisqueue.Queue, receipt client.Receipt) queue.Lease {
	t.Helper()
	var got queue.Recovered
	w.await("the message can be taken over", func() bool {
		var err error
		got, err = hand.Recover(t.Context(), []queue.Lane{lane(queue.PriorityNormal)}, 10)
		check(t, err)
		return len(got.Deliveries) == 1
	})
	return begin(t, hand, got.Deliveries[0], receipt).Lease
}

// TestLeaseLost takes a running task away: at its next renewal the worker ends the run, and says so; what the thief
// settles stands.
func TestLeaseLost(t *testing.T) {
	w := newWorld(t)
	gate := newGate("lease-lost")
	worker := w.work(func(c *runtime.Config) { c.Lease = 2 * time.Second })
	receipt := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	hand := w.hand()
	stolen := w.steal(t, hand, receipt)
	w.await("the worker gives it up", func() bool { // and the thief does not, or the worker would take it over
		lost, err := hand.Renew(t.Context(), []queue.Lease{stolen})
		if check(t, err); len(lost) > 0 {
			t.Fatal("the worker has taken it back")
		}
		return len(worker.log.all("task outcome lost", "task_id", receipt.ID, "code", "released")) > 0
	})
	worker.await("lease lost, run ended", "task_id", receipt.ID)
	if err := receive(t, gate.left, "end of the guest"); err == nil {
		t.Error("the guest went on")
	}
	settled, err := hand.Settle(t.Context(), []queue.Settlement{{Lease: stolen, Verdict: queue.Done()}})
	if err != nil || settled[0] != queue.Applied {
		t.Errorf("the thief's outcome: %v, %v", settled, err)
	}
	if n := worker.metric(`caisson_tasks_total{code="released",outcome="lost",task="job.run"}`); n != "1" {
		t.Errorf("the metric says %q", n)
	}
	w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	worker.stop()
	worker.Cut()
	if err := worker.wait(); err == nil || err.Error() != "worker: 1 running tasks were cut and will run again" {
		t.Errorf("Run counts a lost lease as cut: %v", err)
	}
}

// TestLateOutcome takes a running task away and lets it end before its worker can know: its outcome is not applied.
func TestLateOutcome(t *testing.T) {
	w := newWorld(t)
	gate := newGate("late-outcome")
	worker := w.work(func(c *runtime.Config) { c.Lease = 5 * time.Minute })
	receipt := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	hand := w.hand()
	stolen := w.steal(t, hand, receipt)
	close(gate.open)
	worker.await("task outcome lost", "task_id", receipt.ID, "code", "done")
	if s := w.state(receipt.ID); s.Phase != queue.PhaseRunning || s.Worker != hand.Worker() {
		t.Errorf("state %+v", s)
	}
	if _, err := w.results.Result(t.Context(), queueName, shopKey.Public().ID().String(), receipt.ID.String()); err != queue.ErrNoResult {
		t.Errorf("a result was written: %v", err)
	}
	if done := worker.log.all("task done"); len(done) != 0 {
		t.Error("the worker says that it is done")
	}
	settled, err := hand.Settle(t.Context(), []queue.Settlement{{Lease: stolen, Verdict: queue.Release()}})
	if err != nil || settled[0] != queue.Applied {
		t.Fatalf("the thief's outcome: %v, %v", settled, err)
	}
	if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("the next run: %+v", r)
	}
}

// TestRecovered leaves a message started by somebody who gives no sign of life: a worker takes it over after the lease.
func TestRecovered(t *testing.T) {
	w := newWorld(t)
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}})
	hand := w.hand()
	var got []queue.Delivery
	var left time.Time // before the lease begins
	w.await("the message can be claimed", func() bool {
		left = time.Now().Truncate(time.Millisecond)
		var err error
		got, err = hand.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{lane(queue.PriorityNormal)}, Max: 1})
		check(t, err)
		return len(got) == 1
	})
	begin(t, hand, got[0], receipt)
	worker := w.work(func(c *runtime.Config) { c.Lease = time.Second })
	r := w.ended(receipt)
	if r.Status != envelope.StatusDone || r.Attempt != 1 || r.Started.Sub(left) < time.Second {
		t.Errorf("%v after the lease began: %+v", r.Started.Sub(left), r)
	}
	if s := w.state(receipt.ID); s.Crashes != 1 {
		t.Errorf("state %+v", s)
	}
	if n := worker.metric("caisson_recovered_total"); n != "1" {
		t.Errorf("the metric says %q", n)
	}
}

// TestLeaseOutlivesRun runs a task for longer than its lease beside a worker that would take it over: renewals keep it.
func TestLeaseOutlivesRun(t *testing.T) {
	queuetest.InTime(t, time.Second, func(lease time.Duration) bool {
		w := newWorld(t)
		stood := w.stalls()
		short := func(c *runtime.Config) { c.Lease = lease }
		first := w.work(short)
		receipt := w.send(client.Task{Input: wish{Mode: "sleep", Number: int(lease.Milliseconds()) * 5 / 2}})
		w.await("the message has started", func() bool { return w.state(receipt.ID).Phase == queue.PhaseRunning })
		second := w.work(short, func(c *runtime.Config) { c.Name = "worker-2" })
		r, n, s := w.ended(receipt), second.metric("caisson_recovered_total"), w.state(receipt.ID)
		if most := stood(); most > lease/4 && (n != "0" || s.Crashes != 0) {
			t.Logf("it was taken over with a lease of %v, and the machine stood still for %v", lease, most)
			return false
		}
		if r.Status != envelope.StatusDone || n != "0" || s.Crashes != 0 {
			t.Errorf("%s deliveries were taken over, state %+v, result %+v", n, s, r)
		}
		first.await("task done", "task_id", receipt.ID)
		return true
	})
}

// TestVanished deletes the entry of a running task: an outcome that needs the message ends as what it is, and its sender learns of it.
func TestVanished(t *testing.T) {
	w := newWorld(t)
	gate := newGate("vanished")
	w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	receipt := w.send(client.Task{Input: wish{Mode: "error", Text: "busy"}})
	worker := w.work(patient)
	gate.await(t, 1)
	w.await("the second message has started", func() bool { return w.state(receipt.ID).Phase == queue.PhaseRunning })
	w.server.Do("XTRIM", "cs:{work}:in:acme:1", "MAXLEN", "0")
	close(gate.open)
	worker.await("task refused", "task_id", receipt.ID, "code", queue.CodeVanished)
	if letter := w.letter(receipt.ID); letter.Code != "queue.vanished" || letter.Message != nil {
		t.Errorf("dead letter %+v", letter)
	}
	if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != queue.CodeVanished {
		t.Errorf("the sender got %+v", r)
	}
}

// TestOutcomeThatCannotBeWritten puts another kind of key where the dead letters are: a refusal cannot be written, and
// holds up no other outcome. When the key is gone, the refused message comes again after its lease, and ends.
func TestOutcomeThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.server.Do("SET", "cs:{work}:dead", "not a stream")
	worker := w.work(func(c *runtime.Config) { c.Lease = time.Second })
	refused := w.send(client.Task{Name: "other.run"})
	done := w.send(client.Task{Input: wish{Mode: "echo"}})
	if r := w.ended(done); r.Status != envelope.StatusDone {
		t.Errorf("got %+v", r)
	}
	worker.await("outcome cannot be written, its lease will end", "task_id", refused.ID)
	worker.await("task outcome lost", "task_id", refused.ID, "code", "policy.denied")
	if code, text := worker.page("/readyz"); code != 200 || text != "ok\noutcomes that cannot be written: work\n" {
		t.Errorf("/readyz says %d %q", code, text)
	}
	w.server.Do("DEL", "cs:{work}:dead")
	worker.await("task refused", "task_id", refused.ID, "code", "policy.denied")
	w.letter(refused.ID)
	if r := w.ended(refused); r.Status != envelope.StatusRefused || r.Code != "policy.denied" {
		t.Errorf("got %+v", r)
	}
}

// cutOff is a broker whose renewals do not arrive, as of a worker that was stopped.
type cutOff struct{ runtime.Broker }

func (cutOff) Renew(context.Context, []queue.Lease) ([]queue.Lease, error) {
	return nil, &queue.UnavailableError{Op: "renew", Reason: queue.ReasonConnection, Err: errAway}
}

// heldBlobs is a store that answers when it is open.
type heldBlobs struct {
	modstore.Blobs
	asked chan struct{} // one for each question
	open  chan struct{}
}

func (b *heldBlobs) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	b.asked <- struct{}{}
	<-b.open
	return b.Blobs.Get(ctx, name, most)
}

// TestLeaseOverBeforeRun lets a lease run out while its task waits for its release: another worker runs and settles the task, and
// the first one, which gets the release at last, does not begin to run it.
func TestLeaseOverBeforeRun(t *testing.T) {
	w := newWorld(t)
	store := &heldBlobs{w.blobs, make(chan struct{}, 100), make(chan struct{})}
	first := w.work(func(c *runtime.Config) { c.Lease, c.Modules = time.Second, modstore.Over(store) }, func(c *runtime.Config) {
		conn := w.dial(queuetest.UserWorker)
		t.Cleanup(func() { conn.Close() })
		lanes, err := redisqueue.OpenQueue(conn, redisqueue.QueueConfig{Lease: c.Lease, Worker: c.Name})
		check(t, err)
		t.Cleanup(func() { lanes.Close() })
		c.Broker = cutOff{lanes}
	})
	receipt := w.send(client.Task{Input: wish{Mode: "log"}})
	receive(t, store.asked, "question for the release")
	second := w.work(func(c *runtime.Config) { c.Lease, c.Name = time.Second, "worker-2" })
	if r := w.ended(receipt); r.Status != envelope.StatusDone {
		t.Errorf("got %+v", r)
	}
	second.await("guest says", "task_id", receipt.ID)
	close(store.open)
	first.await("task outcome lost", "task_id", receipt.ID, "code", "released")
	if ran := first.log.all("guest says"); len(ran) != 0 {
		t.Errorf("it ran after its end: %v", ran)
	}
}
