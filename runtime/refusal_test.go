package runtime_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
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

// message signs a task of the shop's by hand, for what sdk/client does not send.
func message(t testing.TB, key envelope.PrivateKey, edit func(*envelope.Task)) []byte {
	t.Helper()
	now := time.Now()
	task := envelope.Task{
		ID: envelope.NewMessageID(), Audience: audience, Tenant: "acme", Queue: queueName, Task: "job.run",
		Issued: now, Expires: now.Add(10 * time.Minute), Priority: int(queue.PriorityNormal),
		ContentType: "application/json", Payload: []byte(`{"mode":"echo","text":"by hand"}`),
	}
	if edit != nil {
		edit(&task)
	}
	msg, err := envelope.Sign(task, key)
	check(t, err)
	return msg
}

// put writes bytes into a lane as they are.
func (w *world) put(l queue.Lane, message []byte) {
	w.t.Helper()
	check(w.t, w.admin.Send(w.t.Context(), []queue.Outgoing{{Lane: l, Message: message}}))
}

// TestUnread sends what is refused before it begins: each ends in the dead letters with its bytes and code, leaves no
// state and no result, and honest work goes on.
func TestUnread(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	normal := lane(queue.PriorityNormal)
	honest := message(t, shopKey, nil)
	flipped := append([]byte(nil), honest...)
	flipped[len(flipped)/2] ^= 1
	rows := []struct {
		name    string
		lane    queue.Lane
		message []byte
		code    string
	}{
		{"random bytes", normal, []byte("not a message"), envelope.CodeEncoding},
		{"a flipped bit", normal, flipped, envelope.CodeSignature},
		{"a stranger's", normal, message(t, strangerKey, nil), envelope.CodeKeyUnknown},
		{"another deployment's", normal, message(t, shopKey, func(t *envelope.Task) { t.Audience = "prod" }), envelope.CodeAudience},
		{"another priority", lane(queue.PriorityLow), message(t, shopKey, nil), runtime.CodeLane},
		{"another tenant's lane", queue.Lane{Queue: queueName, Tenant: "globex", Priority: queue.PriorityNormal}, message(t, shopKey, nil), runtime.CodeLane},
		{"another queue", normal, message(t, shopKey, func(t *envelope.Task) { t.Queue = "other" }), runtime.CodeLane},
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w.put(row.lane, row.message)
			worker.awaitMany(i+1, "task refused")
			letters := w.letters()
			last := letters[len(letters)-1]
			if len(letters) != i+1 || last.Code != row.code || string(last.Message) != string(row.message) || last.Lane != row.lane || last.Reason == "" {
				t.Errorf("%d dead letters, the last one %+v, want %s", len(letters), last, row.code)
			}
		})
	}
	if keys := w.server.Do("KEYS", "cs:{work}:st:*").([]any); len(keys) != 0 {
		t.Errorf("states were left: %v", keys)
	}
	if keys := w.server.Do("KEYS", "cs:{work}:res:*").([]any); len(keys) != 0 {
		t.Errorf("results were left: %v", keys)
	}
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Errorf("honest work: %+v", r)
	}
}

// TestMalformedEntry writes entries that no sender of ours writes.
func TestMalformedEntry(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	for i, fields := range [][]string{{"x", "1"}, {"e", "1", "f", "2"}, {"e", ""}, {"e", "1", "e", "2"}} {
		w.server.Do(append([]string{"XADD", "cs:{work}:in:acme:1", "*"}, fields...)...)
		worker.awaitMany(i+1, "task refused", "code", runtime.CodeEntry)
		if letters := w.letters(); len(letters) != i+1 || letters[i].Code != "queue.entry" {
			t.Errorf("%q: dead letters %+v", fields, letters)
		}
	}
	if n := w.server.Do("XLEN", "cs:{work}:in:acme:1"); n != int64(0) {
		t.Errorf("%v entries were left in the lane", n)
	}
}

// TestCopies sends the same bytes again, while they wait and after they have ended, and other bytes under the same id.
func TestCopies(t *testing.T) {
	w := newWorld(t)
	gate := newGate("copies")
	worker := w.work()
	first := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)

	check(t, w.shop.Resend(t.Context(), []client.Receipt{first}))
	worker.await("task put aside", "task_id", first.ID, "code", "duplicate")
	if letters := w.letters(); len(letters) != 0 {
		t.Errorf("a second copy of what runs is in the dead letters: %+v", letters)
	}
	forged := message(t, shopKey, func(task *envelope.Task) { task.ID = first.ID })
	w.put(lane(queue.PriorityNormal), forged)
	worker.await("task refused", "code", runtime.CodeIDReused)
	close(gate.open)
	if r := w.ended(first); r.Status != envelope.StatusDone || r.Message != first.Digest {
		t.Errorf("the first copy: %+v", r)
	}

	check(t, w.shop.Resend(t.Context(), []client.Receipt{first}))
	worker.await("task refused", "code", runtime.CodeReplayed)
	letters := w.letters()
	if len(letters) != 2 || letters[0].Code != "queue.id_reused" || letters[1].Code != "queue.replayed" || string(letters[1].Message) != string(first.Message) {
		t.Errorf("dead letters %+v", letters)
	}
	if r := w.ended(first); r.Status != envelope.StatusDone {
		t.Errorf("the replay changed the result: %+v", r)
	}
	if done := worker.log.all("task done"); len(done) != 1 {
		t.Errorf("%d runs are said to be done", len(done))
	}

	unique := w.send(client.Task{Input: wish{Mode: "echo"}, UniqueKey: "tick", UniqueWindow: time.Second})
	w.ended(unique)
	check(t, w.shop.Resend(t.Context(), []client.Receipt{unique}))
	worker.await("task put aside", "task_id", unique.ID, "code", "duplicate")
	if letters := w.letters(); len(letters) != 2 {
		t.Errorf("with a unique key, a copy is a dead letter: %+v", letters)
	}
}

// TestRefused sends what is refused after it began: the sender is told the code, signed, and nothing ran.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	w.release(job(t, "job.small", `payload = "64B"`, fastRetry, ""))
	w.release(job(t, "job.web", "", fastRetry, "[needs]\ncaps = [\"kv rw test/*\", \"kv ro gate/*\", \"http GET https://web.test/*\", \"http GET https://img.example.com/*\"]\n"))
	publish(t, w.store, job(t, "job.junk", "", fastRetry, ""), []byte("\x00asm\x01\x00\x00\x00junk"), 1, publisherKey)
	publish(t, w.store, job(t, "job.former", "", fastRetry, ""), shared.module, 1, formerKey)
	worker := w.work()
	intern := w.client(internKey, "acme")
	var long [200]byte
	rows := []struct {
		name string
		from *client.Client
		task client.Task
		code string
	}{
		{"no grant", w.shop, client.Task{Name: "other.run"}, "policy.denied"},
		{"a grant of less", intern, client.Task{Name: "job.run"}, "capability.shortfall"},
		{"a need that nobody is granted", w.shop, client.Task{Name: "job.web"}, "capability.shortfall"},
		{"a payload above the grant's limit", intern, client.Task{Name: "job.run", Payload: long[:]}, "policy.limits"},
		{"a payload above the manifest's limit", w.shop, client.Task{Name: "job.small", Payload: long[:]}, runtime.CodePayload},
		{"no release", w.shop, client.Task{Name: "job.none"}, "release.unknown"},
		{"no release of the pinned module", w.shop, client.Task{Name: "job.run", Module: envelope.DigestOf([]byte("another"))}, "release.unknown"},
		{"a publisher who may not", w.shop, client.Task{Name: "job.former"}, "release.publisher"},
		{"a module that is none", w.shop, client.Task{Name: "job.junk"}, "module.invalid"},
		{"a tenant that is not the sender's", w.client(globexKey, "acme"), client.Task{Name: "job.run"}, "policy.tenant"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			receipt, err := row.from.Send(t.Context(), row.task)
			check(t, err)
			r := w.endedFor(row.from, receipt)
			if r.Status != envelope.StatusRefused || r.Code != row.code || r.Attempt != 0 || !r.Started.IsZero() || len(r.Output) != 0 {
				t.Errorf("got %+v, want %s", r, row.code)
			}
			if r.Error != "" || !r.Module.IsZero() {
				t.Errorf("the sender is told more than the code: %+v", r)
			}
			letter := w.letter(receipt.ID)
			if letter.Code != row.code || letter.Reason == "" || string(letter.Message) != string(receipt.Message) {
				t.Errorf("dead letter %+v", letter)
			}
			worker.await("task refused", "task_id", receipt.ID, "code", row.code)
			if s := w.state(receipt.ID); s.Phase != queue.PhaseDead {
				t.Errorf("state %+v", s)
			}
		})
	}
	if runs := worker.metric(`caisson_tasks_total{code="release.unknown",outcome="refused",task=""}`); runs != "2" {
		t.Errorf("the metric of release.unknown says %q", runs)
	}
}

// TestNarrowed gives powers up: the call that needs them is denied, for good.
func TestNarrowed(t *testing.T) {
	w := newWorld(t)
	w.work()
	r := w.ended(w.send(client.Task{Input: wish{Mode: "put", Key: "narrowed"}, Narrowed: true, Caps: []string{"kv ro test/*"}}))
	if r.Status != envelope.StatusFailed || r.Code != "task.failed" {
		t.Errorf("got %+v", r)
	}
}

// clock is a clock that a test sets forward. It stands still in between, however long the machine takes.
type clock struct {
	once  sync.Once
	began time.Time
	ahead atomic.Int64
}

func (c *clock) now() time.Time {
	c.once.Do(func() { c.began = time.Now() })
	return c.began.Add(time.Duration(c.ahead.Load()))
}
func (c *clock) forward(d time.Duration)    { c.ahead.Store(int64(d)) }
func (c *clock) config(cfg *runtime.Config) { cfg.Clock = c.now; cfg.Concurrency = 1 }
func expired(t *testing.T, w *world, r client.Receipt) {
	t.Helper()
	got := w.ended(r)
	if got.Status != envelope.StatusRefused || got.Code != envelope.CodeExpired || got.Attempt != 0 || got.Message != r.Digest {
		t.Errorf("got %+v", got)
	}
	if letter := w.letter(r.ID); letter.Code != "envelope.expired" {
		t.Errorf("dead letter %+v", letter)
	}
}

// TestExpired lets messages expire at each place where they may wait. None runs, and each sender is told.
func TestExpired(t *testing.T) {
	t.Run("in its lane", func(t *testing.T) {
		w := newWorld(t)
		r := w.send(client.Task{Input: wish{Mode: "echo"}, Within: 10 * time.Minute})
		var late clock
		late.forward(11 * time.Minute)
		w.work(late.config)
		expired(t, w, r)
	})
	t.Run("parked", func(t *testing.T) {
		w := newWorld(t)
		var c clock
		worker := w.work(c.config)
		r, _ := w.parked(worker, 600*time.Millisecond)
		c.forward(time.Hour)
		expired(t, w, r)
	})
	t.Run("waiting for its runner", func(t *testing.T) {
		w := newWorld(t)
		var c clock
		gate := newGate("expired")
		first := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
		second := w.send(client.Task{Input: wish{Mode: "echo"}})
		worker := w.work(patient, c.config)
		gate.await(t, 1)
		w.await("the second message has started", func() bool { return w.state(second.ID).Phase == queue.PhaseRunning })
		c.forward(time.Hour)
		close(gate.open)
		expired(t, w, second)
		if r := w.ended(first); r.Status != envelope.StatusDone {
			t.Errorf("the first, which had begun: %+v", r)
		}
		if done := worker.awaitMany(1, "task done"); len(done) != 1 {
			t.Errorf("%d runs", len(done))
		}
	})
}

// parked sends a message for a later time, and returns once it is parked. The worker's clock may stand still.
func (w *world) parked(worker *running, first time.Duration) (r client.Receipt, at time.Time) {
	w.t.Helper()
	queuetest.InTime(w.t, first, func(within time.Duration) bool {
		at = time.Now().Add(within).Truncate(time.Millisecond)
		r = w.send(client.Task{Input: wish{Mode: "echo", Text: "on time"}, NotBefore: at})
		aside := func() bool { return len(worker.log.all("task put aside", "task_id", r.ID, "code", "parked")) > 0 }
		w.await("the message is parked, or its time has come", func() bool { return aside() || time.Now().After(at) })
		return aside() && w.state(r.ID).Phase == queue.PhaseWaiting
	})
	return r, at
}

// crash takes the one message of the lane, starts it, and gives it back as a runner's crash.
func crash(t *testing.T, w *world, hand *redisqueue.Queue) {
	t.Helper()
	var got []queue.Delivery
	w.await("the message can be claimed", func() bool {
		_, _, err := hand.Promote(t.Context(), queueName, 1)
		check(t, err)
		got, err = hand.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{lane(queue.PriorityNormal)}, Max: 1})
		check(t, err)
		return len(got) == 1
	})
	verified, err := envelope.Reader{Keys: parsePolicy(t), Audience: audience}.Open(got[0].Message, time.Now())
	check(t, err)
	task := verified.Task()
	started, err := hand.Start(t.Context(), []queue.Start{{Delivery: got[0], ID: task.ID.String(), Digest: verified.Digest().String(), Expires: task.Expires}})
	check(t, err)
	settled, err := hand.Settle(t.Context(), []queue.Settlement{{Lease: started[0].Lease, Verdict: queue.Crash(time.Time{})}})
	check(t, err)
	if settled[0] != queue.Applied {
		t.Fatalf("the crash was not applied: %s", settled[0])
	}
}

// TestPoison lets a message take its worker down three times, by the test's own hand: no worker runs it again.
func TestPoison(t *testing.T) {
	w := newWorld(t)
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}})
	hand, err := redisqueue.OpenQueue(w.admin, redisqueue.QueueConfig{Worker: "hand"})
	check(t, err)
	defer hand.Close()
	for range 3 {
		crash(t, w, hand)
	}
	worker := w.work()
	r := w.ended(receipt)
	if r.Status != envelope.StatusRefused || r.Code != runtime.CodePoison {
		t.Errorf("got %+v", r)
	}
	if letter := w.letter(receipt.ID); letter.Code != "worker.poison" {
		t.Errorf("dead letter %+v", letter)
	}
	if done := worker.log.all("task done"); len(done) != 0 {
		t.Error("it ran")
	}
}

// brokenStore answers with an error of no kind that a store may give.
type brokenStore struct{ modstore.Store }

func (brokenStore) Releases(context.Context, string, func(uint64) bool) iter.Seq2[modstore.Stored, error] {
	return func(yield func(modstore.Stored, error) bool) {
		yield(modstore.Stored{}, errors.New("a defect"))
	}
}

// TestInternal gives the worker a store with a defect: the task is refused with the code of a defect, which names no detail.
func TestInternal(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Modules = brokenStore{c.Modules} })
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}})
	if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != runtime.CodeInternal || r.Error != "" {
		t.Errorf("got %+v", r)
	}
	if letter := w.letter(receipt.ID); letter.Code != "worker.internal" || letter.Reason != "a defect" {
		t.Errorf("dead letter %+v", letter)
	}
}
