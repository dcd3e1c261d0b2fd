package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
	"github.com/caisson-run/caisson/sdk/client"
)

// TestDone sends one task down the whole road, and reads its result with sdk/client, which verifies it.
func TestDone(t *testing.T) {
	w := newWorld(t)
	began := time.Now().Add(-time.Millisecond).Truncate(time.Millisecond)
	worker := w.work()
	receipt := w.send(client.Task{Input: wish{Mode: "echo", Text: "hello"}})
	r := w.ended(receipt)
	if r.Status != envelope.StatusDone || string(r.Output) != `{"text":"hello"}` || r.Code != "" || r.Error != "" {
		t.Errorf("got %+v", r)
	}
	if r.ID != receipt.ID || r.Message != receipt.Digest || r.Worker != workerKey.Public().ID() || r.Module != envelope.DigestOf(shared.module) {
		t.Errorf("the result is about something else: %+v", r)
	}
	if r.Audience != audience || r.Tenant != "acme" || r.Queue != queueName || r.Task != "job.run" {
		t.Errorf("the result is about something else: %+v", r)
	}
	if r.Attempt != 1 || r.Started.Before(began) || r.Finished.Before(r.Started) {
		t.Errorf("attempt %d, from %s to %s, sent after %s", r.Attempt, r.Started, r.Finished, began)
	}
	worker.await("task done", "task_id", receipt.ID)
	if s := w.state(receipt.ID); s.Phase != queue.PhaseDone {
		t.Errorf("state %+v", s)
	}
	if letters := w.letters(); len(letters) != 0 {
		t.Errorf("dead letters %+v", letters)
	}
}

// TestFailures runs tasks that fail in each way, and looks at the result, the dead letter and the number of runs.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	w.release(job(t, "job.wall", "", fastRetry, ""))
	w.release(job(t, "job.result", `result = "64B"`, fastRetry, ""))
	w.release(job(t, "job.calls", "calls = 3", fastRetry, ""))
	w.release(job(t, "job.lines", "log_lines = 2", fastRetry, ""))
	w.release(job(t, "job.memory", `memory = "32MiB"`, fastRetry, ""))
	worker := w.work()
	wall := envelope.Limits{Wall: 300 * time.Millisecond}
	rows := []struct {
		name   string
		task   client.Task
		status envelope.Status
		code   string
		runs   int
		text   string // of the result
		reason string // of the dead letter
	}{
		{"fails for good", client.Task{Input: wish{Mode: "fail", Text: "no such picture"}}, envelope.StatusFailed, "task.failed", 1, "no such picture", "no such picture"},
		{"fails each time", client.Task{Input: wish{Mode: "error", Text: "busy"}}, envelope.StatusDead, "task.error", 3, "busy", "run 3 of 3: busy"},
		{"other status", client.Task{Input: wish{Mode: "status", Number: 7}}, envelope.StatusDead, "task.error", 3, "the task ended with status 7", "run 3 of 3: the task ended with status 7"},
		{"status 65", client.Task{Input: wish{Mode: "status", Number: 65}}, envelope.StatusFailed, "task.failed", 1, "the task failed for good", "the task failed for good"},
		{"panics", client.Task{Input: wish{Mode: "panic", Text: "oh"}}, envelope.StatusDead, "task.error", 3, "panic: oh", "run 3 of 3: panic: oh"},
		{"one attempt asked", client.Task{Input: wish{Mode: "error", Text: "busy"}, Attempts: 1}, envelope.StatusDead, "task.error", 1, "busy", "run 1 of 1: busy"},
		{"more attempts than the manifest's", client.Task{Input: wish{Mode: "error", Text: "busy"}, Attempts: 9}, envelope.StatusDead, "task.error", 3, "busy", "run 3 of 3: busy"},
		{"retry after its end", client.Task{Input: wish{Mode: "retry", Text: "busy", Number: 3600_000}, Within: time.Minute}, envelope.StatusDead, "task.error", 1, "busy", "expires before its next run: busy"},
		{"wall", client.Task{Name: "job.wall", Input: wish{Mode: "sleep", Number: 60_000}, Limits: wall}, envelope.StatusFailed, sandbox.CodeWall, 1, "more wall time", "more wall time"},
		{"wall, busy", client.Task{Name: "job.wall", Input: wish{Mode: "spin"}, Limits: wall}, envelope.StatusFailed, sandbox.CodeWall, 1, "more wall time", "more wall time"},
		{"result", client.Task{Name: "job.result", Input: wish{Mode: "repeat", Text: "x", Number: 100}}, envelope.StatusFailed, "limit.result", 1, "", ""},
		{"calls", client.Task{Name: "job.calls", Input: wish{Mode: "calls", Number: 10}}, envelope.StatusFailed, "limit.calls", 1, "", ""},
		{"log lines", client.Task{Name: "job.lines", Input: wish{Mode: "log", Text: "again", Number: 10}}, envelope.StatusFailed, "limit.log", 1, "", ""},
		{"memory", client.Task{Name: "job.memory", Input: wish{Mode: "hoard"}}, envelope.StatusFailed, sandbox.CodeMemory, 1, "more memory", "more memory"},
	}
	receipts := make([]client.Receipt, len(rows))
	for i, row := range rows {
		receipts[i] = w.send(row.task)
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := w.ended(receipts[i])
			if r.Status != row.status || r.Code != row.code || r.Attempt != row.runs || len(r.Output) != 0 {
				t.Errorf("got %s %s at attempt %d with %d bytes, want %s %s at attempt %d", r.Status, r.Code, r.Attempt, len(r.Output), row.status, row.code, row.runs)
			}
			if !strings.Contains(r.Error, row.text) {
				t.Errorf("error %q, want %q", r.Error, row.text)
			}
			letter := w.letter(r.ID)
			if letter.Code != row.code || !strings.HasPrefix(letter.Reason, row.reason) || string(letter.Message) != string(receipts[i].Message) || !strings.HasPrefix(letter.Worker, "worker-1-") {
				t.Errorf("dead letter %+v", letter)
			}
			worker.await("task failed", "task_id", r.ID, "code", row.code, "attempt", row.runs)
			if retried := worker.log.all("task retried", "task_id", r.ID); len(retried) != row.runs-1 {
				t.Errorf("%d retries were said, want %d", len(retried), row.runs-1)
			}
		})
	}
}

// TestRetrySucceeds lets a task fail twice: its third run counts, and the message that was signed once carried no count.
func TestRetrySucceeds(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	receipt := w.send(client.Task{Input: wish{Mode: "flaky", Key: "retry-succeeds", Number: 2, Text: "not yet"}})
	r := w.ended(receipt)
	if r.Status != envelope.StatusDone || string(r.Output) != `{"text":"3"}` || r.Attempt != 3 || r.Message != receipt.Digest {
		t.Errorf("got %+v", r)
	}
	worker.await("task done", "task_id", receipt.ID)
	for i, line := range worker.log.all("task retried", "task_id", receipt.ID) {
		if line["attempt"] != float64(i+1) || line["code"] != "task.error" || line["error"] != "not yet" {
			t.Errorf("retry %d said %v", i+1, line)
		}
	}
	if letters := w.letters(); len(letters) != 0 {
		t.Errorf("dead letters %+v", letters)
	}
}

// TestRetryAfter holds the pause that a guest asks for against the times at which it ran.
func TestRetryAfter(t *testing.T) {
	const pause = 700 * time.Millisecond // far above the manifest's 10 ms
	w := newWorld(t)
	worker := w.work()
	sent := time.Now().Truncate(time.Millisecond) // the first run ends after that
	receipt := w.send(client.Task{Input: wish{Mode: "retry", Text: "later", Number: int(pause.Milliseconds())}, Attempts: 2})
	worker.await("task retried", "task_id", receipt.ID)
	if r := w.ended(receipt); r.Status != envelope.StatusDead || r.Attempt != 2 {
		t.Errorf("got %+v", r)
	} else if waited := r.Started.Sub(sent); waited < pause {
		t.Errorf("the second run began %v after the message was sent, want %v", waited, pause)
	}
}

// TestBusyIsParked: a sandbox in which another task takes all the memory gives a task back, which counts for nothing; it runs once there is room.
func TestBusyIsParked(t *testing.T) {
	w := newWorld(t)
	cache, err := guesttest.Compiled()
	check(t, err)
	box, err := sandbox.Open(t.Context(), sandbox.Config{Host: shared.host, CacheDir: cache, Memory: 1}) // so that whatever runs, runs alone
	check(t, err)
	t.Cleanup(func() { check(t, box.Close(context.Background())) })
	worker := w.work(func(c *runtime.Config) { c.Sandbox, c.Concurrency = box, 2 })
	queuetest.InTime(t, 700*time.Millisecond, func(wall time.Duration) bool { // which is how long it waits for room, and what it has for its run
		gate := newGate(fmt.Sprint("busy-", wall))
		first := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
		gate.await(t, 1)
		second := w.send(client.Task{Input: wish{Mode: "echo", Text: "there is room"}, Limits: envelope.Limits{Wall: wall}, Attempts: 1})
		worker.await("task put aside", "task_id", second.ID, "code", "parked")
		close(gate.open)
		if r := w.ended(first); r.Status != envelope.StatusDone {
			t.Errorf("%s %s: %s", r.Status, r.Code, r.Error)
		}
		r := w.ended(second)
		if r.Code == sandbox.CodeWall { // it ran, too slowly
			return false
		}
		if r.Status != envelope.StatusDone || len(worker.log.all("task failed", "task_id", second.ID)) > 0 {
			t.Errorf("%s %s: %s", r.Status, r.Code, r.Error)
		}
		return true
	})
}

// TestNotBefore parks a message until its time: no run counts until then.
func TestNotBefore(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	receipt, at := w.parked(worker, 800*time.Millisecond)
	r := w.ended(receipt)
	if r.Status != envelope.StatusDone || r.Attempt != 1 || r.Started.Before(at) {
		t.Errorf("attempt %d, %s, began %s, not before %s", r.Attempt, r.Status, r.Started, at)
	}
}

// TestTenants gives two tenants the same key: each sees its own value.
func TestTenants(t *testing.T) {
	w := newWorld(t)
	w.work()
	globex := w.client(globexKey, "globex")
	sendGlobex := func(input wish) envelope.Result {
		r, err := globex.Send(t.Context(), client.Task{Name: "job.run", Input: input})
		check(t, err)
		return w.endedFor(globex, r)
	}
	w.ended(w.send(client.Task{Input: wish{Mode: "put", Key: "who", Text: "acme"}}))
	sendGlobex(wish{Mode: "put", Key: "who", Text: "globex"})
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "get", Key: "who"}})); string(r.Output) != `{"text":"acme"}` {
		t.Errorf("acme read %s", r.Output)
	}
	if r := sendGlobex(wish{Mode: "get", Key: "who"}); string(r.Output) != `{"text":"globex"}` || r.Tenant != "globex" {
		t.Errorf("globex read %s", r.Output)
	}
}

// TestModuleEnvironment: a guest sees the constants of its manifest, and nothing of the worker's environment.
func TestModuleEnvironment(t *testing.T) {
	w := newWorld(t)
	w.release(job(t, "job.env", "", fastRetry, "[env]\nREGION = \"north\"\n"))
	w.work()
	t.Setenv("CAISSON_TEST_OUTSIDE", "the worker's own")
	for key, want := range map[string]string{"REGION": "north", "CAISSON_TEST_OUTSIDE": "", "PATH": ""} {
		r := w.ended(w.send(client.Task{Name: "job.env", Input: wish{Mode: "env", Key: key}}))
		if string(r.Output) != `{"text":"`+want+`"}` {
			t.Errorf("%s is %s, want %q", key, r.Output, want)
		}
	}
}

// TestLanes serves every lane that follows from the queues and the policy: each queue, each priority.
func TestLanes(t *testing.T) {
	w := newWorld(t)
	worker := w.work(func(c *runtime.Config) {
		c.Queues = []string{queueName, "bulk"}
		c.Policy = parsePolicy(t, `queues = ["work"]`, `queues = ["work", "bulk"]`)
	})
	for _, name := range []string{queueName, "bulk"} {
		for _, priority := range []client.Priority{client.High, client.Normal, client.Low} {
			receipt := w.send(client.Task{Input: wish{Mode: "echo"}, Queue: name, Priority: priority})
			if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Queue != name {
				t.Errorf("%s at %s: %+v", name, priority, r)
			}
		}
	}
	if started := worker.await("worker started"); started["lanes"] != 12.0 { // 2 queues, 2 tenants, 3 priorities
		t.Errorf("started with %v lanes", started["lanes"])
	}
}
