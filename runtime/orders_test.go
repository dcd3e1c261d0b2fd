package runtime_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// order signs one for the queue, by the operator unless key says another.
func order(t testing.TB, key envelope.PrivateKey, o envelope.Order, edit ...func(*envelope.Order)) (envelope.Order, []byte) {
	t.Helper()
	o.ID, o.Audience, o.Queue = envelope.NewMessageID(), audience, queueName
	o.Issued, o.Expires = time.Now(), time.Now().Add(time.Hour)
	if o.Act == envelope.ActCancel && o.Tenant == "" {
		o.Tenant = "acme"
	}
	for _, e := range edit {
		e(&o)
	}
	signed, err := envelope.SignOrder(o, key)
	check(t, err)
	return o, signed
}

// mode gives an order to pause or resume, and returns it.
func (w *world) mode(act envelope.Act, edit ...func(*envelope.Order)) (envelope.Order, []byte) {
	w.t.Helper()
	o, signed := order(w.t, operatorKey, envelope.Order{Act: act}, edit...)
	check(w.t, w.admin.Mode(w.t.Context(), queueName, signed, time.Hour))
	return o, signed
}

// once gives an order that is carried out once.
func (w *world) once(o envelope.Order) envelope.Order {
	w.t.Helper()
	o, signed := order(w.t, operatorKey, o)
	check(w.t, w.admin.Once(w.t.Context(), queueName, signed))
	return o
}

// cancel gives an order to cancel.
func (w *world) cancel(target string, key envelope.PrivateKey, edit ...func(*envelope.Order)) {
	w.t.Helper()
	_, signed := order(w.t, key, envelope.Order{Act: envelope.ActCancel, Target: target}, edit...)
	check(w.t, w.admin.Cancel(w.t.Context(), lane(queue.PriorityNormal), target, signed, time.Hour))
}

// answered waits for what a worker says to an order.
func (w *world) answered(o envelope.Order) envelope.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	var result envelope.Result
	err := w.results.Wait(ctx, queueName, o.Issuer.String(), []string{o.ID.String()}, func(_ string, b []byte) {
		var err error
		result, err = envelope.OpenResult(b, parsePolicy(w.t))
		check(w.t, err)
	})
	check(w.t, err)
	return result
}

func issuer(o envelope.Order, key envelope.PrivateKey) envelope.Order {
	o.Issuer = key.Public().ID()
	return o
}

// TestPause pauses a queue: what runs goes on, nothing begins, also on a worker that starts later, until a newer order
// lets it. An older one changes nothing.
func TestPause(t *testing.T) {
	w := newWorld(t)
	gate := newGate("pause")
	first := w.work(func(c *runtime.Config) { c.Concurrency = 4 })
	running := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	_, old := order(t, operatorKey, envelope.Order{Act: envelope.ActResume})
	time.Sleep(2 * time.Millisecond) // orders are told apart by the millisecond
	paused, _ := w.mode(envelope.ActPause)
	first.await("queue paused")
	if r := w.answered(issuer(paused, operatorKey)); r.Status != envelope.StatusDone || r.ID != paused.ID || r.Task != "pause" {
		t.Errorf("the answer: %+v", r)
	}
	second := w.work(func(c *runtime.Config) { c.Name = "worker-2" })
	second.await("queue paused")
	waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
	if code, text := second.page("/readyz"); code != 200 || text != "ok\npaused: work\n" {
		t.Errorf("/readyz is %d %q", code, text)
	}
	close(gate.open)
	if r := w.ended(running); r.Status != envelope.StatusDone {
		t.Errorf("what ran: %+v", r)
	}
	check(t, w.admin.Mode(t.Context(), queueName, old, time.Hour))
	w.await("the old order was heard", func() bool {
		return first.metric(`caisson_orders_total{act="resume",code="heard"}`) == "1" && second.metric(`caisson_orders_total{act="resume",code="heard"}`) == "1"
	})
	if s := w.state(waiting.ID); s.Phase != queue.PhaseUnknown {
		t.Errorf("a message began in a queue that is paused: %+v", s)
	}
	w.mode(envelope.ActResume)
	if r := w.ended(waiting); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("after the pause: %+v", r)
	}
	if code, text := second.page("/readyz"); code != 200 || strings.Contains(text, "paused") {
		t.Errorf("/readyz is %d %q", code, text)
	}
}

// TestPauseGivesBack pauses a queue while its worker holds what has started and waits for a runner: it does not begin, and goes back to its lane.
func TestPauseGivesBack(t *testing.T) {
	w := newWorld(t)
	gate := newGate("pause-held")
	running := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	held := w.send(client.Task{Input: wish{Mode: "echo"}})
	worker := w.work(patient)
	gate.await(t, 1)
	w.await("it waits for the runner", func() bool { return w.state(held.ID).Phase == queue.PhaseRunning })
	w.mode(envelope.ActPause)
	worker.await("queue paused")
	close(gate.open)
	if r := w.ended(running); r.Status != envelope.StatusDone {
		t.Errorf("what ran: %+v", r)
	}
	w.await("it is back in its lane", func() bool { return w.state(held.ID).Phase != queue.PhaseRunning })
	if s := w.state(held.ID); s.Phase != queue.PhaseWaiting {
		t.Errorf("what was held: %+v", s)
	}
	time.Sleep(2 * time.Millisecond) // orders are told apart by the millisecond
	w.mode(envelope.ActResume)
	if r := w.ended(held); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("after the pause: %+v", r)
	}
}

// lateListener hears what there is to be heard only after a while, as over a slow connection.
type lateListener struct{ queue.Listener }

func (l lateListener) Listen(ctx context.Context, queues []string, heard func(string, []byte), trouble func(string, error)) error {
	time.Sleep(300 * time.Millisecond) // that is what is tried, and nothing is hoped for
	return l.Listener.Listen(ctx, queues, heard, trouble)
}

// TestPauseHeardFirst starts a worker, which has never been there, on a queue that is paused, and lets it hear of that late: it has begun nothing by then.
func TestPauseHeardFirst(t *testing.T) {
	w := newWorld(t)
	w.mode(envelope.ActPause)
	waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
	conn := w.dial(queuetest.UserWorker)
	worker := w.work(func(c *runtime.Config) {
		c.Listener, c.Admin, c.Events, c.Progress = lateListener{conn}, conn, conn, conn
	})
	worker.await("queue paused")
	if s := w.state(waiting.ID); s.Phase != queue.PhaseUnknown {
		t.Errorf("it began before its worker had heard of the pause: %+v", s)
	}
	time.Sleep(2 * time.Millisecond) // orders are told apart by the millisecond
	w.mode(envelope.ActResume)
	if r := w.ended(waiting); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("after the pause: %+v", r)
	}
}

// TestCancelFoundAtStart cancels a message for which there is no worker yet, and has the order be too old to be heard: the worker that starts the message
// finds it there.
func TestCancelFoundAtStart(t *testing.T) {
	w := newWorld(t)
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}})
	w.cancel(receipt.ID.String(), operatorKey)
	w.server.Do("DEL", "cs:{"+queueName+"}:cancels")
	w.work()
	if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != runtime.CodeCancelled || !r.Started.IsZero() {
		t.Errorf("result %+v", r)
	}
}

// TestPauseOverRestart restarts a worker of a queue that was paused and let go again, and one of a queue that is paused. In between somebody who can
// write to Redis puts the older order back, or deletes what is there: the worker keeps to the newest that it knew.
func TestPauseOverRestart(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "modes.json")
	remembering := func(c *runtime.Config) {
		modes, err := runtime.OpenModes(path)
		check(t, err)
		c.Modes = modes
	}
	mode := "cs:{" + queueName + "}:mode"
	first := w.work(remembering)
	pause, old := w.mode(envelope.ActPause)
	first.await("queue paused")
	time.Sleep(2 * time.Millisecond) // orders are told apart by the millisecond
	w.mode(envelope.ActResume)
	first.await("queue resumed")
	first.stop()
	check(t, first.wait())

	w.server.Do("SET", mode, string(old))
	second := w.work(remembering)
	second.await("order ignored, a newer one is known", "act", "pause", "order", pause.ID)
	if n := second.metric(`caisson_orders_total{act="pause",code="older"}`); n != "1" {
		t.Errorf("the metric counts %s", n)
	}
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Errorf("after the old order: %+v", r)
	}
	time.Sleep(2 * time.Millisecond)
	w.mode(envelope.ActPause)
	second.await("queue paused")
	second.stop()
	check(t, second.wait())

	w.server.Do("DEL", mode)
	third := w.work(remembering)
	third.await("queue was paused when the worker ended")
	third.await("worker started")
	waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
	if code, text := third.page("/readyz"); code != 200 || text != "ok\npaused: work\n" {
		t.Errorf("/readyz is %d %q", code, text)
	}
	time.Sleep(2 * time.Millisecond)
	w.mode(envelope.ActResume)
	if r := w.ended(waiting); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("after the pause: %+v", r)
	}
}

// TestModesFile keeps, keeps again, and forgets what is older than any order can be.
func TestModesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "modes.json")
	modes, err := runtime.OpenModes(path)
	check(t, err)
	now := time.UnixMilli(time.Now().UnixMilli()).UTC()
	one := func(age time.Duration) runtime.Mode {
		return runtime.Mode{Issued: now.Add(-age), ID: envelope.NewMessageID(), Order: []byte("order")}
	}
	over, kept, newest := one(envelope.ModeLifetimeMax+time.Hour), one(time.Hour), one(0)
	check(t, modes.Keep("over", over))
	check(t, modes.Keep("other", kept))
	check(t, modes.Keep("work", one(time.Minute)))
	check(t, modes.Keep("work", newest))
	again, err := runtime.OpenModes(path)
	check(t, err)
	if got := again.Newest("work"); !reflect.DeepEqual(got, newest) {
		t.Errorf("got %+v, want %+v", got, newest)
	}
	if got := again.Newest("other"); !reflect.DeepEqual(got, kept) {
		t.Errorf("got %+v, want %+v", got, kept)
	}
	if got := again.Newest("over"); !got.Issued.IsZero() {
		t.Errorf("what is over was kept: %+v", got)
	}
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	if err := modes.Keep("work", newest); err != nil {
		t.Error(err)
	}
}

// TestDamagedModesFile opens files that are none: none is taken for an empty one.
func TestDamagedModesFile(t *testing.T) {
	id := envelope.NewMessageID().String()
	for name, text := range map[string]string{
		"empty": "", "null": "null", "cut off": `{"work":{"issued":1`, "a list": `["work"]`, "more after it": `{}{}`, "too large": "{" + strings.Repeat(" ", 8<<20) + "}",
		"no time": `{"work":{"id":"` + id + `","order":"aa=="}}`, "no id": `{"work":{"issued":1,"order":"aa=="}}`, "no order": `{"work":{"issued":1,"id":"` + id + `"}}`,
		"a large order": `{"work":{"issued":1,"id":"` + id + `","order":"` + strings.Repeat("a", 8<<10) + `"}}`, "a bad name": `{"a:b":{"issued":1,"id":"` + id + `","order":"aa=="}}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "modes.json")
			check(t, os.WriteFile(path, []byte(text), 0o600))
			if _, err := runtime.OpenModes(path); err == nil || !strings.HasPrefix(err.Error(), "worker: modes of queues: ") || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestPauseEnds lets a pause expire.
func TestPauseEnds(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	queuetest.InTime(t, time.Second, func(within time.Duration) bool {
		pause, _ := w.mode(envelope.ActPause, func(o *envelope.Order) { o.Expires = time.Now().Add(within) })
		paused := func() bool { return len(worker.log.all("queue paused", "order", pause.ID)) > 0 }
		w.await("the queue is paused, or its pause is over", func() bool { return paused() || time.Now().After(pause.Expires) })
		if !paused() {
			return false
		}
		if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Started.Before(pause.Expires.Truncate(time.Millisecond)) {
			t.Errorf("it began %v before the pause was over", pause.Expires.Sub(r.Started))
		}
		return true
	})
}

// cancelWithin is how long a guest may go on after its worker has read the order that ends it.
const cancelWithin = 10 * time.Millisecond

// TestCancelWithin cancels guests that run, 17 each of three kinds: they compute, sleep, and wait for a server that says nothing. By the worker's
// own count, which begins when it has read the order, each kind ends in time. The median is held against the bound, less the time
// for which this process stood still meanwhile: others take the processor, and a guest that is not ended by a tick or a context makes all of its kind late.
func TestCancelWithin(t *testing.T) {
	silent(t)
	w := newWorld(t)
	worker := w.work()
	var all []float64
	for _, one := range []wish{{Mode: "spin"}, {Mode: "sleep", Number: 25_000}, {Mode: "fetch"}} {
		var took, held []float64 // held: less what this process stood still
		for i := range 17 {
			gate := newGate(fmt.Sprint("cancel-", one.Mode, i))
			close(gate.open)
			one.Key = gate.key
			receipt := w.send(client.Task{Input: one})
			receive(t, gate.left, "begin of the guest")
			stop := standstill()
			w.cancel(receipt.ID.String(), operatorKey)
			r := w.ended(receipt)
			stood := stop()
			if r.Status != envelope.StatusRefused || r.Code != runtime.CodeCancelled || r.Attempt != 1 || r.Started.IsZero() {
				t.Fatalf("result %+v", r)
			}
			line := worker.await("task refused", "task_id", receipt.ID)
			ms, ok := line["cancel_ms"].(float64)
			if !ok || ms <= 0 {
				t.Fatalf("the log does not say how long it went on: %v", line)
			}
			took, held = append(took, ms), append(held, ms-stood.Seconds()*1000)
		}
		slices.Sort(took)
		slices.Sort(held)
		t.Logf("%s went on for %v ms", one.Mode, took)
		if median := held[len(held)/2]; median > cancelWithin.Seconds()*1000 {
			t.Errorf("%s: half of the guests went on for more than %v ms", one.Mode, median)
		}
		all = append(all, took...)
	}
	slices.Sort(all)
	t.Logf("of %d: p50 %v, p90 %v, most %v ms", len(all), all[len(all)/2], all[len(all)*9/10], all[len(all)-1])
	if n := worker.metric("caisson_cancel_seconds_count"); n != fmt.Sprint(len(all)) {
		t.Errorf("the metric counts %s of %d", n, len(all))
	}
}

// standstill measures from now on, until what it returns is called, for how long this process did not go on though it wanted to.
func standstill() (stop func() (stood time.Duration)) {
	const every = time.Millisecond
	done, stood := make(chan struct{}), make(chan time.Duration)
	go func() { // ends with done
		var all time.Duration
		for ended := false; !ended; {
			last := time.Now()
			select {
			case <-done:
				ended = true
			case <-time.After(every):
			}
			all += max(0, time.Since(last)-2*every)
		}
		stood <- all
	}()
	return func() time.Duration { close(done); return <-stood }
}

// silent makes a server for the guests' fetches that takes connections and says nothing.
func silent(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	shared.web.Store(l.Addr().String())
	var conns []net.Conn
	done := make(chan struct{})
	go func() { // ends with the listener
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
	})
}

// TestCancelRunning cancels a guest that runs, by the word of its sender.
func TestCancelRunning(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	receipt := w.send(client.Task{Input: wish{Mode: "spin"}})
	w.await("it runs", func() bool { return w.state(receipt.ID).Phase == queue.PhaseRunning })
	w.cancel(receipt.ID.String(), shopKey) // its own sender
	if r := w.ended(receipt); r.Code != runtime.CodeCancelled {
		t.Errorf("result %+v", r)
	}
	worker.await("task refused", "code", "task.cancelled", "task_id", receipt.ID, "principal", "shop")
	if l := w.letter(receipt.ID); l.Code != "task.cancelled" {
		t.Errorf("letter %+v", l)
	}
}

// TestCancelWaiting cancels a message in its lane, and one that a worker holds and has not begun: neither runs.
func TestCancelWaiting(t *testing.T) {
	w := newWorld(t)
	gate := newGate("cancel-waiting")
	first := w.send(client.Task{Input: wish{Mode: "echo"}})
	w.cancel(first.ID.String(), shopKey)
	busy := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	held := w.send(client.Task{Input: wish{Mode: "echo"}})
	worker := w.work(patient)
	gate.await(t, 1)
	w.await("the message is held", func() bool { return w.state(held.ID).Phase == queue.PhaseRunning })
	heard := func() string { return worker.metric(`caisson_orders_total{act="cancel",code="heard"}`) }
	before := heard()
	w.cancel(held.ID.String(), operatorKey)
	w.await("the order is heard", func() bool { return heard() != before })
	close(gate.open)
	for _, r := range []client.Receipt{first, held} {
		if got := w.ended(r); got.Status != envelope.StatusRefused || got.Code != runtime.CodeCancelled || got.Attempt != 0 || !got.Module.IsZero() {
			t.Errorf("got %+v", got)
		}
		worker.await("task refused", "code", runtime.CodeCancelled, "task_id", r.ID, "principal", "shop")
	}
	if got := w.ended(busy); got.Status != envelope.StatusDone {
		t.Errorf("another message: %+v", got)
	}
}

// TestForgedOrders gives orders that do not count, by hand of somebody who can write to Redis: none does anything.
func TestForgedOrders(t *testing.T) {
	w := newWorld(t)
	gate := newGate("forged")
	worker := w.work()
	receipt := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	id := receipt.ID.String()
	pause := envelope.Order{Act: envelope.ActPause}
	cancel := envelope.Order{Act: envelope.ActCancel, Target: id}
	forge := func(key envelope.PrivateKey, o envelope.Order, edit ...func(*envelope.Order)) []byte {
		_, signed := order(t, key, o, edit...)
		return signed
	}
	flipped := forge(operatorKey, pause)
	flipped[len(flipped)-20] ^= 1
	rows := []struct {
		name, code string
		order      []byte
	}{
		{"no order", "envelope.encoding", []byte("pause")},
		{"a task", "envelope.type", message(t, shopKey, nil)},
		{"a changed byte", "envelope.signature", flipped},
		{"an unknown key", "envelope.key_unknown", forge(makeKey(envelope.Operate, "stranger"), pause)},
		{"another deployment", "envelope.audience", forge(operatorKey, pause, func(o *envelope.Order) { o.Audience = "prod" })},
		{"another queue", "queue.lane", forge(operatorKey, pause, func(o *envelope.Order) { o.Queue = "other" })},
		{"over", "envelope.expired", forge(operatorKey, pause, func(o *envelope.Order) {
			o.Issued, o.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		})},
		{"of the future", "envelope.not_yet", forge(operatorKey, pause, func(o *envelope.Order) {
			o.Issued, o.Expires = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})},
		{"another tenant's sender", "policy.tenant", forge(globexKey, cancel)},
	}
	for _, row := range rows {
		check(t, w.admin.Once(t.Context(), queueName, row.order))
		name := fmt.Sprintf(`caisson_orders_total{act="",code=%q}`, row.code)
		w.await(row.name+" is ignored as "+row.code, func() bool { return worker.metric(name) == "1" })
	}
	// Signed and in order, but of a sender for what another has sent, and kept for a message that it does not name.
	w.cancel(id, internKey)
	w.await("the intern's order was heard", func() bool { return worker.metric(`caisson_orders_total{act="cancel",code="heard"}`) == "1" })
	worker.await("order ignored", "code", runtime.CodeOrder, "error", "worker: the order of intern to cancel "+id+" is not for this message, or for one that another has sent")
	other, err := w.shop.Sign(client.Task{Name: "job.run", Input: wish{Mode: "echo"}})
	check(t, err)
	check(t, w.admin.Cancel(t.Context(), lane(queue.PriorityNormal), other.ID.String(), forge(operatorKey, envelope.Order{Act: envelope.ActCancel, Target: envelope.NewMessageID().String()}), time.Hour))
	w.put(lane(queue.PriorityNormal), other.Message)
	for _, r := range []client.Receipt{other, w.send(client.Task{Input: wish{Mode: "echo"}})} {
		if got := w.ended(r); got.Status != envelope.StatusDone {
			t.Errorf("got %+v", got)
		}
	}
	worker.await("order ignored", "code", runtime.CodeOrder)
	close(gate.open)
	if got := w.ended(receipt); got.Status != envelope.StatusDone {
		t.Errorf("what ran: %+v", got)
	}
	if code, text := worker.page("/readyz"); code != 200 || text != "ok\n" {
		t.Errorf("/readyz is %d %q", code, text)
	}
}

// TestKeep requeues and purges by order: letters go back and run, though this worker remembers them; others go.
func TestKeep(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	dead := w.send(client.Task{Name: "job.late", Input: wish{Mode: "echo"}})
	if r := w.ended(dead); r.Status != envelope.StatusRefused {
		t.Fatalf("got %+v", r)
	}
	denied := w.send(client.Task{Name: "other.run"})
	w.ended(denied)
	w.release(job(t, "job.late", "", fastRetry, ""))
	requeue := w.once(envelope.Order{Act: envelope.ActRequeue, Target: dead.ID.String()})
	if r := w.answered(issuer(requeue, operatorKey)); r.Status != envelope.StatusDone || string(r.Output) != `{"count":1}` {
		t.Errorf("the answer: %+v", r)
	}
	worker.await("task done", "task", "job.late")
	purge := w.once(envelope.Order{Act: envelope.ActPurgeDead, Code: "policy.denied"})
	if r := w.answered(issuer(purge, operatorKey)); string(r.Output) != `{"count":1}` {
		t.Errorf("the answer: %+v", r)
	}
	if l := w.letters(); len(l) != 0 {
		t.Errorf("letters: %+v", l)
	}
	w.mode(envelope.ActPause)
	worker.await("queue paused")
	w.await("no claim is under way", func() bool { // which would take the message for a moment, and what is in hands is not purged
		info, _ := w.server.Do("INFO", "clients").(string)
		return strings.Contains(info, "blocked_clients:0")
	})
	gone := w.send(client.Task{Input: wish{Mode: "echo"}})
	time.Sleep(2 * time.Millisecond) // what is purged is older than the order, by the millisecond
	purged := w.once(envelope.Order{Act: envelope.ActPurge, Tenant: "acme"})
	if r := w.answered(issuer(purged, operatorKey)); string(r.Output) != `{"count":1}` {
		t.Errorf("the answer: %+v", r)
	}
	w.mode(envelope.ActResume)
	w.ended(w.send(client.Task{Input: wish{Mode: "echo"}}))
	if s := w.state(gone.ID); s.Phase != queue.PhaseUnknown {
		t.Errorf("what was purged: %+v", s)
	}
}

// TestRequeueOnce requeues dead letters, which die again, and then plays somebody who can write to Redis: the orders are put there once more, states are
// deleted and copies of what died are put into the lane. Nothing runs for it: an order lets come back, once, what it was given for.
func TestRequeueOnce(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	fail := func() client.Receipt {
		r := w.send(client.Task{Input: wish{Mode: "fail", Text: "no"}})
		w.ended(r)
		return r
	}
	ran := func(r client.Receipt) int { return len(worker.log.all("task failed", "task_id", r.ID)) }
	byID, byEntry, byAll, never := fail(), fail(), fail(), fail()
	var orders [][]byte
	give := func(count string, o envelope.Order) {
		t.Helper()
		o, signed := order(t, operatorKey, o)
		orders = append(orders, signed)
		check(t, w.admin.Once(t.Context(), queueName, signed))
		if r := w.answered(issuer(o, operatorKey)); string(r.Output) != `{"count":`+count+`}` {
			t.Errorf("the answer: %+v", r)
		}
	}
	again := func(r client.Receipt, times int) {
		t.Helper()
		worker.awaitMany(times, "task failed", "task_id", r.ID)
		w.await("it is dead again", func() bool { return w.state(r.ID).Phase == queue.PhaseDead })
	}
	give("1", envelope.Order{Act: envelope.ActRequeue, Target: byID.ID.String()})
	again(byID, 2)
	give("1", envelope.Order{Act: envelope.ActRequeue, Target: w.letter(byEntry.ID).Entry})
	again(byEntry, 2)
	give("0", envelope.Order{Act: envelope.ActRequeue, Tenant: "acme", Code: "policy.denied"})
	check(t, w.admin.Once(t.Context(), queueName, orders[0])) // by hand of the attacker
	w.await("the first order was heard again", func() bool { return worker.metric(`caisson_orders_total{act="requeue",code="again"}`) == "1" })

	copies := func(receipts ...client.Receipt) {
		t.Helper()
		for _, r := range receipts {
			w.server.Do("HDEL", "cs:{work}:st:acme", r.ID.String())
			w.put(lane(queue.PriorityNormal), r.Message)
		}
		for _, r := range receipts {
			worker.await("task put aside", "code", "again", "task_id", r.ID)
		}
	}
	copies(byID, byEntry, never)
	for r, want := range map[*client.Receipt]int{&byID: 2, &byEntry: 2, &never: 1} {
		if n := ran(*r); n != want {
			t.Errorf("%s ran %d times, want %d", r.ID, n, want)
		}
	}
	o, all := order(t, operatorKey, envelope.Order{Act: envelope.ActRequeue})
	check(t, w.admin.Once(t.Context(), queueName, all))
	if r := w.answered(issuer(o, operatorKey)); r.Status != envelope.StatusDone {
		t.Errorf("the answer: %+v", r)
	}
	again(byAll, 2)
	late := fail()
	copies(byAll, late)
	if a, b := ran(byAll), ran(late); a != 2 || b != 1 {
		t.Errorf("after an order for all: what it was for ran %d times, want 2, and what died later %d times, want 1", a, b)
	}
}

// TestStateDeleted deletes the state of a message that has ended, and puts its bytes into the lane again: the worker
// that settled it does not run it again, whatever it ended as, but writes its outcome once more.
func TestStateDeleted(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	done := w.send(client.Task{Input: wish{Mode: "echo"}})
	failed := w.send(client.Task{Input: wish{Mode: "fail", Text: "no"}})
	w.ended(done)
	w.ended(failed)
	for _, r := range []client.Receipt{done, failed} {
		w.server.Do("HDEL", "cs:{work}:st:acme", r.ID.String())
		w.put(lane(queue.PriorityNormal), r.Message)
		worker.await("task put aside", "code", "again", "task_id", r.ID)
		if n := len(worker.log.all("task done", "task_id", r.ID)) + len(worker.log.all("task failed", "task_id", r.ID)); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	}
	if r := w.ended(done); r.Status != envelope.StatusDone {
		t.Errorf("its result was replaced: %+v", r)
	}
}
