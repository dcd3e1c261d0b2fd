package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// alone is a run of one worker without a plan's traffic, for a test that makes its own.
func alone(t *testing.T, lives ...string) *run {
	t.Helper()
	r := &run{tb: t, kit: openKit(t), dir: t.TempDir(), accepted: map[string]bool{}, told: map[string]time.Time{}}
	r.plan = plan{sync: "always", workers: []workerPlan{{lives: lives}}}
	r.open()
	r.begun = time.Now()
	return r
}

// result waits for what became of a task.
func (r *run) result(t *testing.T, receipt client.Receipt) envelope.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleBound)
	defer cancel()
	var got envelope.Result
	err := r.client.WaitAll(ctx, []client.Receipt{receipt}, func(_ client.Receipt, result envelope.Result, _ error) { got = result })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// count counts events of a kind about a message.
func (r *run) count(kind eventKind, id envelope.MessageID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == kind && e.ID == id.String() {
			n++
		}
	}
	return n
}

// TestRecovery kills a worker right after work on a task was granted to it: the task runs again within the lease and a second.
// On a machine that does much else the best of some tries counts, for a pause of the machine is not the queue's.
func TestRecovery(t *testing.T) {
	const tries = 4
	best := time.Duration(0)
	for range tries {
		r := alone(t, "start:1:kill")
		task, _ := taskOf(taskPlan{"done", 1}, time.Now())
		receipt, err := r.client.Send(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.result(t, receipt); got.Status != envelope.StatusDone || got.Attempt != 1 {
			t.Fatalf("ended as %s in run %d, want done in run 1: a crash is no failure", got.Status, got.Attempt)
		}
		for _, p := range r.places {
			p.end()
		}
		took := time.Duration(-1)
		var killed time.Time
		for _, e := range r.events {
			if e.Kind == fault && e.Text == "kill" {
				killed = e.At
			} else if e.Kind == ran && !killed.IsZero() {
				took = e.At.Sub(killed)
			}
		}
		if took < 0 {
			t.Fatal("the worker was not killed, or the task did not run after it")
		}
		if best == 0 || took < best {
			best = took
		}
		if best <= lease+time.Second {
			t.Logf("%.2f s after the kill, with a lease of %v", best.Seconds(), lease)
			return
		}
	}
	t.Errorf("%v after the kill at best, with a lease of %v", best, lease)
}

// TestForgottenState deletes, as an attacker, what the broker knows about a task that has ended, and writes its message again.
// That is what the promise leaves open: it runs once more each time, and not at all once it has expired.
func TestForgottenState(t *testing.T) {
	const lives = 10 * time.Second
	r := alone(t)
	task, _ := taskOf(taskPlan{"done", 1}, time.Now())
	task.Within = lives
	receipt, err := r.client.Send(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.result(t, receipt); got.Status != envelope.StatusDone {
		t.Fatalf("ended as %s", got.Status)
	}
	lane := queue.Lane{Queue: queueName, Tenant: tenant, Priority: receipt.Priority}
	replay := func() {
		if err := r.admin.Send(t.Context(), []queue.Outgoing{{Lane: lane, Message: receipt.Message}}); err != nil {
			t.Fatal(err)
		}
	}
	await := func(what string, so func() bool) {
		for late := time.Now().Add(settleBound); !so(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("%s: not in %v", what, settleBound)
			}
		}
	}
	letters := func(code string) int {
		found, err := r.admin.DeadLetters(t.Context(), queueName, "", queue.PageMax)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, l := range found {
			if l.Code == code {
				n++
			}
		}
		return n
	}
	replay()
	await("a dead letter for the copy", func() bool { return letters("queue.replayed") == 1 })
	if n := r.count(ran, receipt.ID); n != 1 {
		t.Fatalf("it ran %d times with its state there, want 1", n)
	}
	forget := func() { r.server.Do("DEL", "cs:{"+queueName+"}:st:"+tenant+":"+receipt.ID.String()) }
	forget()
	replay()
	await("a run without its state", func() bool { return r.count(ran, receipt.ID) == 2 })
	await("its end", func() bool { return r.count(said, receipt.ID) == 2 })
	time.Sleep(time.Until(receipt.Expires.Add(10 * time.Millisecond))) // its expiry, by the clock that we share with the worker
	forget()
	replay()
	await("its refusal", func() bool { return letters("envelope.expired") == 1 })
	if n := r.count(ran, receipt.ID); n != 2 {
		t.Errorf("it ran %d times, want 2: an expired message does not run", n)
	}
}

// TestPoisonAlone sends a message that kills its worker each time it runs, together with others that do no harm: it is put
// aside, and none of the others is taken for it, though they were in the same worker's hands each time.
func TestPoisonAlone(t *testing.T) {
	r := alone(t)
	for _, p := range r.places {
		p.end() // what starts now has the poison's fault in it
	}
	r.plan.batches = []batchPlan{{tasks: []taskPlan{{kind: "poison"}}}}
	var tasks []client.Task
	for i := range 12 {
		kind := "sleep"
		if i == 3 {
			kind = "poison"
		}
		task, _ := taskOf(taskPlan{kind, 1}, time.Now())
		tasks = append(tasks, task)
	}
	receipts, err := r.client.SendMany(t.Context(), tasks)
	if err != nil {
		t.Fatal(err)
	}
	p := r.places[0]
	again := &place{run: r, name: p.name, dir: p.dir, ready: make(chan struct{}), done: make(chan struct{})}
	go again.keep() // ends when end is called
	t.Cleanup(again.end)
	for i, receipt := range receipts {
		got := r.result(t, receipt)
		if i == 3 && got.Code != "worker.poison" {
			t.Errorf("the poison ended as %s %s", got.Status, got.Code)
		}
		if i != 3 && got.Status != envelope.StatusDone {
			t.Errorf("a task that does no harm ended as %s %s", got.Status, got.Code)
		}
	}
}
