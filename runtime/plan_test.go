package runtime_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// step is one of a plan: what it asks the guest, or which steps it comes after.
type step struct {
	wish  wish
	after []int
}

// plan signs and sends steps as the shop, and returns their receipts and the plan's id.
func (w *world) plan(steps ...step) ([]client.Receipt, envelope.MessageID) {
	w.t.Helper()
	id, now := envelope.NewMessageID(), time.Now()
	tasks := make([]envelope.Task, len(steps))
	for i := range tasks {
		tasks[i].ID = envelope.NewMessageID()
	}
	for i, s := range steps {
		t := &tasks[i]
		t.Audience, t.Tenant, t.Queue, t.Task, t.Plan = audience, "acme", queueName, "job.run", id
		t.Issued, t.Expires, t.Priority = now, now.Add(10*time.Minute), int(queue.PriorityNormal)
		if t.Payload = mustJSON(w.t, s.wish); len(s.after) > 0 {
			t.Payload = nil
		}
		for _, n := range s.after {
			t.After = append(t.After, tasks[n].ID)
		}
	}
	messages, err := envelope.SignBatch(tasks, shopKey)
	check(w.t, err)
	receipts, batch := make([]client.Receipt, len(tasks)), make([]queue.Outgoing, len(tasks))
	for i, m := range messages {
		receipts[i] = client.Receipt{ID: tasks[i].ID, Digest: envelope.DigestOf(m), Queue: queueName, Task: "job.run", Expires: tasks[i].Expires, Message: m}
		batch[i] = queue.Outgoing{Lane: lane(queue.PriorityNormal), Message: m}
	}
	check(w.t, w.admin.Send(w.t.Context(), batch))
	return receipts, id
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	return b
}

// TestPlan runs a chain that ends in a step after three: each has what came before it as its payload.
func TestPlan(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Concurrency = 4 })
	again := func(text string) wish { // gives a wish as its output, for the step after it
		return wish{Mode: "echo", Text: text}
	}
	receipts, _ := w.plan(step{wish: again("a")}, step{wish: again("b")}, step{wish: again("c")}, step{after: []int{0, 1, 2}}, step{after: []int{0}})
	for i, want := range []string{`{"text":"a"}`, `{"text":"b"}`, `{"text":"c"}`} {
		if r := w.ended(receipts[i]); string(r.Output) != want || r.ContentType != "application/json" {
			t.Errorf("step %d: %+v", i, r)
		}
	}
	for n, want := range map[int]string{3: `[{"text":"a"},{"text":"b"},{"text":"c"}]`, 4: `{"text":"a"}`} { // without a mode it tells its input
		if r := w.ended(receipts[n]); textOf(r) != want || r.Attempt != 1 {
			t.Errorf("step %d: %+v", n, r)
		}
	}
}

// TestPlanFails lets the first step of a chain fail: all others are refused for their input, one after the other.
func TestPlanFails(t *testing.T) {
	w := newWorld(t)
	w.work()
	receipts, _ := w.plan(step{wish: wish{Mode: "fail", Text: "no"}}, step{after: []int{0}}, step{after: []int{1}}, step{after: []int{2}})
	if r := w.ended(receipts[0]); r.Status != envelope.StatusFailed {
		t.Errorf("the first: %+v", r)
	}
	for _, receipt := range receipts[1:] {
		if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != runtime.CodeInput || r.Attempt != 0 {
			t.Errorf("got %+v", r)
		}
	}
}

// TestPlanCancelled cancels a plan by its id while its first step runs.
func TestPlanCancelled(t *testing.T) {
	w := newWorld(t)
	w.work()
	gate := newGate("plan")
	receipts, id := w.plan(step{wish: wish{Mode: "gate", Key: gate.key}}, step{after: []int{0}}, step{after: []int{1}})
	gate.await(t, 1)
	w.cancel(id.String(), shopKey)
	for _, receipt := range receipts {
		if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != runtime.CodeCancelled {
			t.Errorf("got %+v", r)
		}
	}
}

// TestBoundInput sends, under the id of a plan's first step, another message of the same tenant: its result is signed by the worker and has the right
// id, and is no input of the second step. The plan as it was signed goes through.
func TestBoundInput(t *testing.T) {
	w := newWorld(t)
	w.work()
	chain := client.Chain(client.Task{Name: "job.run", Input: wish{Mode: "echo", Text: "a"}}, client.Task{Name: "job.run"})
	for _, row := range []struct {
		name string
		plan bool
	}{{"no step", false}, {"a step of the same plan", true}} {
		signed, err := w.shop.SignPlan(chain)
		check(t, err)
		other := message(t, shopKey, func(task *envelope.Task) {
			task.ID, task.Payload = signed.Steps[0].ID, mustJSON(t, wish{Mode: "echo", Text: "other"})
			if row.plan {
				task.Plan = signed.ID
			}
		})
		w.put(lane(queue.PriorityNormal), other)
		w.await("it is done", func() bool { return w.state(signed.Steps[0].ID).Phase == queue.PhaseDone })
		w.put(lane(queue.PriorityNormal), signed.Steps[1].Message)
		if r := w.ended(signed.Steps[1].Receipt); r.Status != envelope.StatusRefused || r.Code != runtime.CodeInput {
			t.Errorf("%s: %+v", row.name, r)
		}
	}
	sent, err := w.shop.SendPlan(t.Context(), chain)
	check(t, err)
	if r := w.ended(sent.Steps[1].Receipt); textOf(r) != `{"text":"a"}` {
		t.Errorf("the plan as it was signed: %+v", r)
	}
}

// TestForgedInput puts something else where a step's input would be: nothing of it reaches a task.
func TestForgedInput(t *testing.T) {
	rows := []struct {
		name string
		make func(id envelope.MessageID) []byte
	}{
		{"no result", func(envelope.MessageID) []byte { return []byte(`{"mode":"echo"}`) }},
		{"signed by a sender", func(id envelope.MessageID) []byte {
			return message(t, shopKey, func(task *envelope.Task) { task.ID = id })
		}},
		{"of a worker that the policy does not list", func(id envelope.MessageID) []byte {
			return result(t, makeKey(envelope.Worker, "another"), id, "acme")
		}},
		{"with a signature that does not hold", func(id envelope.MessageID) []byte {
			return changed(result(t, workerKey, id, "acme"))
		}},
		{"another message's", func(envelope.MessageID) []byte { return result(t, workerKey, envelope.NewMessageID(), "acme") }},
		{"another tenant's", func(id envelope.MessageID) []byte { return result(t, workerKey, id, "globex") }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			receipts, _ := w.plan(step{wish: wish{Mode: "echo"}}, step{after: []int{0}})
			w.server.Do("DEL", "cs:{work}:in:acme:1")
			w.put(lane(queue.PriorityNormal), receipts[1].Message)
			key := fmt.Sprintf("cs:{work}:res:%s:%s", shopKey.Public().ID(), receipts[0].ID)
			w.server.Do("SET", key, string(row.make(receipts[0].ID)))
			w.work()
			if r := w.ended(receipts[1]); r.Status != envelope.StatusRefused || r.Code != runtime.CodeInput || r.Attempt != 0 {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// changed returns a signed thing with another bit in its signature, or in its path where it is of a batch: behind the
// signature of what stands alone there is one byte, nil.
func changed(b []byte) []byte {
	b[len(b)-2] ^= 1
	return b
}

// result is one of a task that was done.
func result(t testing.TB, key envelope.PrivateKey, id envelope.MessageID, tenant string) []byte {
	t.Helper()
	signed, err := envelope.SignResult(envelope.Result{
		ID: id, Message: envelope.Digest{1}, Audience: audience, Tenant: tenant, Queue: queueName, Task: "job.run",
		Status: envelope.StatusDone, Attempt: 1, Finished: time.Now(), Output: []byte(`{"mode":"echo"}`),
	}, key)
	check(t, err)
	return signed
}

// TestUnique sends three messages with one key: the first runs, the others are told which it was.
func TestUnique(t *testing.T) {
	w := newWorld(t)
	w.work()
	var first envelope.MessageID
	for i := range 3 {
		msg := message(t, shopKey, func(task *envelope.Task) {
			task.ID, task.UniqueKey, task.UniqueWindow = envelope.NewMessageID(), "invoice 7", time.Minute
			task.Payload = mustJSON(t, wish{Mode: "echo"})
		})
		v, err := envelope.Reader{Keys: parsePolicy(t), Audience: audience}.Open(msg, time.Now())
		check(t, err)
		w.put(lane(queue.PriorityNormal), msg)
		r := w.ended(client.Receipt{ID: v.Task().ID, Digest: v.Digest(), Queue: queueName, Task: v.Task().Task, Expires: v.Task().Expires})
		switch {
		case i == 0:
			if first = v.Task().ID; r.Status != envelope.StatusDone {
				t.Errorf("the first: %+v", r)
			}
		case r.Status != envelope.StatusRefused || r.Code != runtime.CodeDuplicate || string(r.Output) != first.String() || r.ContentType != "text/plain":
			t.Errorf("a later one: %+v", r)
		}
	}
}

// TestUniqueWithDelay: a message that comes before its time has its unique key only when that has come, also when the worker
// that it first came to ended before it had put it aside.
func TestUniqueWithDelay(t *testing.T) {
	w := newWorld(t)
	gate := newGate("unique")
	busy := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	first := w.work(patient)
	gate.await(t, 1)
	unique := client.Task{Input: wish{Mode: "echo"}, UniqueKey: "invoice 7", UniqueWindow: time.Minute}
	early := unique
	early.Delay = 4 * time.Second // of which all up to the end of now's run takes a part
	delayed := w.send(early)
	w.await("the delayed one waits for its runner", func() bool { return w.state(delayed.ID).Phase == queue.PhaseRunning })
	first.stop()
	first.await("task put aside", "task_id", delayed.ID, "code", "released")
	w.work(patient, func(c *runtime.Config) { c.Name = "worker-2" })
	now := w.send(unique)
	if r := w.ended(now); r.Status != envelope.StatusDone {
		t.Errorf("the first to begin: %+v", r)
	}
	if r := w.ended(delayed); r.Code != runtime.CodeDuplicate || string(r.Output) != now.ID.String() {
		t.Errorf("the delayed one: %+v", r)
	}
	close(gate.open)
	w.ended(busy)
}

// TestGates bounds what runs of a tenant by policy: no more than one at a time, on two workers, and another tenant's
// goes on.
func TestGates(t *testing.T) {
	w := newWorld(t)
	gated := func(c *runtime.Config) {
		c.Policy = parsePolicy(t, "[[tenant]]\nname = \"acme\"\n", "[[tenant]]\nname = \"acme\"\nin_flight = 1\n")
		c.Concurrency = 4
	}
	gate := newGate("gates")
	var receipts []client.Receipt
	for range 3 {
		receipts = append(receipts, w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}}))
	}
	first := w.work(gated)
	second := w.work(gated, func(c *runtime.Config) { c.Name = "worker-2" })
	gate.await(t, 1)
	w.await("the others are parked", func() bool {
		n := 0.0
		for _, r := range []*running{first, second} {
			var one float64
			fmt.Sscan(r.metric(`caisson_parked_total{state="throttled"}`), &one)
			n += one
		}
		return n >= 2
	})
	globex := w.client(globexKey, "globex")
	other, err := globex.Send(t.Context(), client.Task{Name: "job.run", Input: wish{Mode: "echo"}})
	check(t, err)
	if r := w.endedFor(globex, other); r.Status != envelope.StatusDone {
		t.Errorf("the other tenant's: %+v", r)
	}
	if n := len(gate.entered); n != 0 {
		t.Errorf("%d more run", n)
	}
	close(gate.open)
	for _, receipt := range receipts {
		if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Attempt != 1 {
			t.Errorf("got %+v", r)
		}
	}
}
