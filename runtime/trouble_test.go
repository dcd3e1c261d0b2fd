package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// TestTroubleNamesItself brings Redis into states in which it cannot serve, one after the other under the same worker. In
// each the worker pauses and says why; when it is over the worker goes on by itself, and what is sent then runs.
func TestTroubleNamesItself(t *testing.T) {
	w := newWorld(t)
	worker := w.work(func(c *runtime.Config) { c.Lease = time.Second })
	echo := func() {
		t.Helper()
		if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Code != "" {
			t.Errorf("a task ends with %q: %s", r.Code, r.Error)
		}
	}
	echo()
	rows := []struct {
		name   string
		happen [][]string
		say    string
		mend   [][]string
	}{
		{"a right is taken away", [][]string{{"ACL", "SETUSER", queuetest.UserWorker, "-xreadgroup"}}, "permission",
			[][]string{{"ACL", "SETUSER", queuetest.UserWorker, "+xreadgroup"}}},
		{"the user is turned off", [][]string{{"ACL", "SETUSER", queuetest.UserWorker, "off"}, {"CLIENT", "KILL", "USER", queuetest.UserWorker}}, "auth",
			[][]string{{"ACL", "SETUSER", queuetest.UserWorker, "on"}}},
		{"it becomes a replica", [][]string{{"REPLICAOF", "127.0.0.1", "1"}}, "readonly", [][]string{{"REPLICAOF", "NO", "ONE"}}},
	}
	for _, r := range rows {
		for _, c := range r.happen {
			w.server.Do(c...)
		}
		w.await(r.name+": /readyz says "+r.say, func() bool {
			code, text := worker.page("/readyz")
			return code == 503 && text == "broker unavailable: "+r.say+"\n"
		})
		for _, c := range r.mend {
			w.server.Do(c...)
		}
		w.await(r.name+" no more: ready again", func() bool { code, _ := worker.page("/readyz"); return code == 200 })
		echo()
	}
	// Not more often, as in a loop of crashes. (It may pause once more for a connection that was cut.)
	if resumed := len(worker.log.all("intake resumed")); resumed != len(rows) {
		t.Errorf("resumed was said %d times for %d troubles", resumed, len(rows))
	}
}

// TestFlushedUnderWorker flushes Redis while the worker works: what was there is lost, as it would be for anybody, and what is sent
// afterwards runs.
func TestFlushedUnderWorker(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Lease = time.Second })
	for range 3 {
		w.ended(w.send(client.Task{Input: wish{Mode: "echo"}}))
		w.server.Do("FLUSHALL")
	}
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Code != "" || r.Attempt != 1 {
		t.Errorf("after the flush: %+v", r)
	}
}

// TestRestoredFromOldData restores data from before a task ran: its message is in the lane again and no state says that it
// is done. The worker that has settled it does not run it again.
func TestRestoredFromOldData(t *testing.T) {
	w := newWorld(t)
	old := w.send(client.Task{Input: wish{Mode: "echo"}})
	w.server.Stop()
	kept := w.server.Keep()
	w.server.Restart()
	worker := w.work(func(c *runtime.Config) { c.Lease = time.Second })
	w.ended(old)
	w.server.Stop()
	w.server.Restore(kept)
	w.server.Restart()
	if s := w.state(old.ID); s.Phase != "" {
		t.Fatalf("the old data know the task: %+v", s)
	}
	for range 3 {
		w.ended(w.send(client.Task{Input: wish{Mode: "echo"}}))
	}
	w.await("the old message is gone", func() bool {
		d, err := w.admin.Depth(t.Context(), []queue.Lane{lane(queue.PriorityNormal)})
		return err == nil && d.Lanes[0].Waiting == 0 && d.Lanes[0].Running == 0
	})
	if runs := worker.log.all("task done", "task_id", old.ID.String()); len(runs) != 1 {
		t.Errorf("the restored task ran %d times", len(runs))
	}
}

// TestTroubleOfAPart breaks what only a part of the work needs: the rest goes on, and the part is named on /readyz, in a metric and in the log.
func TestTroubleOfAPart(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	echo := func(p client.Priority) {
		t.Helper()
		if r := w.ended(w.send(client.Task{Priority: p, Input: wish{Mode: "echo"}})); r.Code != "" {
			t.Errorf("a task ends with %q: %s", r.Code, r.Error)
		}
	}
	echo(client.Normal)
	named := func(note, metric, log string) {
		t.Helper()
		w.await("/readyz says "+note, func() bool {
			code, text := worker.page("/readyz")
			return code == 200 && text == "ok\n"+note+"\n"
		})
		name, want, _ := strings.Cut(metric, " ")
		if got := worker.metric(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
		worker.await(log)
	}
	over := func() {
		t.Helper()
		w.await("/readyz says nothing of it", func() bool { _, text := worker.page("/readyz"); return text == "ok\n" })
	}
	w.server.Do("ACL", "SETUSER", queuetest.UserWorker, "resetchannels", "&cs:{*}:done:*")
	named("orders are not heard: permission", "caisson_orders_heard 0", "orders are not heard")
	echo(client.Normal)
	w.server.Do("ACL", "SETUSER", queuetest.UserWorker, "&cs:{*}:orders")
	worker.await("orders are heard again")
	over()
	w.mode(envelope.ActPause)
	named("paused: work", "caisson_queues_paused 1", "queue paused")
	w.mode(envelope.ActResume)
	over()

	w.server.Do("DEL", "cs:{work}:in:acme:1")
	w.server.Do("SET", "cs:{work}:in:acme:1", "no stream")
	named("lane left out: work/acme/normal", "caisson_lanes_left_out 1", "lane left out")
	echo(client.High)
}

// TestOrderThatCannotBe puts something else in the place of the dead letters and gives an order to requeue them: it is answered, as one that could not be
// carried out, and does not keep those after it waiting.
func TestOrderThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.work()
	w.server.Do("SET", "cs:{work}:dead", "no stream")
	requeue := w.once(envelope.Order{Act: envelope.ActRequeue})
	if r := w.answered(issuer(requeue, operatorKey)); r.Status != envelope.StatusFailed || r.Code != "queue.unavailable" {
		t.Errorf("the answer: %+v", r)
	}
	pause, _ := w.mode(envelope.ActPause)
	if r := w.answered(issuer(pause, operatorKey)); r.Status != envelope.StatusDone {
		t.Errorf("the answer to the order after it: %+v", r)
	}
}
