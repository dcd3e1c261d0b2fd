package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// These tests go the whole way of a plan: sdk/client signs and sends it, a worker runs its steps in the sandbox, over a real
// redis-server with TLS, and sdk/client waits for it.

// textOf is the text that the guest of these tests gave.
func textOf(r envelope.Result) string {
	var out struct{ Text string }
	if json.Unmarshal(r.Output, &out) != nil {
		return string(r.Output)
	}
	return out.Text
}

// job asks the guest for w.
func asks(w wish) client.Task { return client.Task{Name: "job.run", Input: w} }

// gives lets a step end with w, as the input of the step after it.
func gives(t testing.TB, w wish) client.Task {
	return asks(wish{Mode: "give", Text: string(mustJSON(t, w))})
}

// next takes what the steps before it gave.
func next() client.Task { return client.Task{Name: "job.run"} }

func (w *world) sendPlan(p client.Plan) client.PlanReceipt {
	w.t.Helper()
	r, err := w.shop.SendPlan(w.t.Context(), p)
	check(w.t, err)
	return r
}

func (w *world) waitPlan(r client.PlanReceipt) (map[string]envelope.Result, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.shop.WaitPlan(ctx, r, nil)
}

// ends waits for every step and holds how it ended against want: "done", or the code. Each ends once: with one result, and with one
// dead letter or, done, with none.
func (w *world) ends(r client.PlanReceipt, want ...string) []envelope.Result {
	w.t.Helper()
	results := make([]envelope.Result, len(r.Steps))
	letters := map[string]int{}
	for i, s := range r.Steps {
		results[i] = w.ended(s.Receipt)
		got := results[i].Code
		if results[i].Status == envelope.StatusDone {
			got = "done"
		}
		if got != want[i] {
			w.t.Errorf("step %s: %s, want %s (%s)", s.Step, got, want[i], results[i].Error)
		}
	}
	for _, l := range w.letters() {
		letters[l.ID]++
	}
	for i, s := range r.Steps {
		if n := letters[s.ID.String()]; n > 1 || n > 0 && want[i] == "done" {
			w.t.Errorf("step %s: %d dead letters", s.Step, n)
		}
	}
	return results
}

func TestWorkflowsThatEndWell(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Concurrency = 4 })
	t.Run("chain", func(t *testing.T) {
		r := w.sendPlan(client.Chain(gives(t, wish{Mode: "echo", Text: "deep"}), next(), next()))
		results, err := w.waitPlan(r)
		if err != nil || len(results) != 1 || textOf(results["3"]) != `{"text":"deep"}` {
			t.Errorf("got %v, %v", results, err)
		}
		w.ends(r, "done", "done", "done")
	})
	t.Run("group", func(t *testing.T) {
		var tasks []client.Task
		for i := range 20 {
			tasks = append(tasks, asks(wish{Mode: "echo", Text: fmt.Sprint(i)}))
		}
		results, err := w.waitPlan(w.sendPlan(client.Group(tasks...)))
		if err != nil || len(results) != 20 {
			t.Fatalf("%d results, %v", len(results), err)
		}
		for i := range 20 {
			if got := textOf(results[fmt.Sprint(i+1)]); got != fmt.Sprint(i) {
				t.Errorf("step %d gave %q", i+1, got)
			}
		}
	})
	t.Run("chord", func(t *testing.T) {
		plan := client.Group(asks(wish{Mode: "echo", Text: "a"}), asks(wish{Mode: "echo", Text: "b"})).Then(next()).Then(next())
		plan.Steps[2].After = []string{"2", "1"} // the order is the plan's, not that of the steps
		results, err := w.waitPlan(w.sendPlan(plan))
		if got := textOf(results["4"]); err != nil || got != `{"text":"[{\"text\":\"b\"},{\"text\":\"a\"}]"}` {
			t.Errorf("got %s, %v", got, err)
		}
	})
	t.Run("retry in the middle", func(t *testing.T) {
		r := w.sendPlan(client.Chain(gives(t, wish{Mode: "flaky", Key: "middle", Number: 2, Text: "not yet"}), next(), next()))
		results, err := w.waitPlan(r)
		if err != nil || textOf(results["3"]) != `{"text":"3"}` {
			t.Errorf("got %v, %v", results, err)
		}
		if got := w.ends(r, "done", "done", "done")[1].Attempt; got != 3 {
			t.Errorf("the middle ran %d times, want 3", got)
		}
	})
	t.Run("in any order", func(t *testing.T) {
		r, err := w.shop.SignPlan(client.Chord(next(), asks(wish{Mode: "echo", Text: "a"}), asks(wish{Mode: "echo", Text: "b"})).Then(next()))
		check(t, err)
		receipts := r.Receipts()
		slices.Reverse(receipts)
		for _, one := range receipts {
			check(t, w.shop.Resend(t.Context(), []client.Receipt{one}))
		}
		check(t, w.shop.Resend(t.Context(), receipts)) // and all of it again
		results, err := w.waitPlan(r)
		if got := textOf(results["4"]); err != nil || got != `{"text":"[{\"text\":\"a\"},{\"text\":\"b\"}]"}` {
			t.Errorf("got %s, %v", got, err)
		}
		for _, result := range w.ends(r, "done", "done", "done", "done") {
			if result.Attempt != 1 {
				t.Errorf("%s ran %d times", result.ID, result.Attempt)
			}
		}
	})
}

// A step in the middle fails for good: what comes after it is refused, what does not goes on, and the wait names the one that failed.
func TestWorkflowThatFails(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Concurrency = 4 })
	step := func(name string, task client.Task, after ...string) client.Step {
		return client.Step{Name: name, Task: task, After: after}
	}
	r := w.sendPlan(client.Plan{Steps: []client.Step{
		step("left", gives(t, wish{Mode: "fail", Text: "no"})),
		step("right", asks(wish{Mode: "echo", Text: "yes"})),
		step("fails", next(), "left"),
		step("goes-on", next(), "right"),
		step("both", next(), "fails", "goes-on"),
		step("last", next(), "both"),
		step("other", next(), "goes-on"),
	}})
	_, err := w.waitPlan(r)
	var at *client.StepError
	if !errors.As(err, &at) || at.Step != "fails" || at.Code() != "task.failed" {
		t.Errorf("the wait ended with %v", err)
	}
	results := w.ends(r, "done", "done", "task.failed", "done", "plan.input", "plan.input", "done")
	for _, i := range []int{4, 5} {
		if results[i].Attempt != 0 || results[i].Status != envelope.StatusRefused {
			t.Errorf("step %s ran: %+v", r.Steps[i].Step, results[i])
		}
	}
}

// Cancelled while its second step runs, and its third waits: what is done stays done, the others are ended.
func TestWorkflowCancelled(t *testing.T) {
	w := newWorld(t)
	w.work()
	gate := newGate("workflow")
	r := w.sendPlan(client.Chain(gives(t, wish{Mode: "gate", Key: gate.key}), next(), next()))
	gate.await(t, 1)
	check(t, w.shop.CancelPlan(t.Context(), r))
	if cause := receive(t, gate.left, "an end of the second step"); cause == nil {
		t.Error("the second step went on")
	}
	_, err := w.waitPlan(r)
	var at *client.StepError
	if !errors.As(err, &at) || at.Code() != runtime.CodeCancelled {
		t.Errorf("the wait ended with %v", err)
	}
	w.ends(r, "done", runtime.CodeCancelled, runtime.CodeCancelled)
}

// Somebody who can write to Redis puts something else where the first step's result was: the second does not run on it.
func TestWorkflowWithForgedResult(t *testing.T) {
	w := newWorld(t)
	w.work()
	plan := client.Chain(asks(wish{Mode: "echo", Text: "true"}), next())
	first := func() client.PlanReceipt {
		r, err := w.shop.SignPlan(plan)
		check(t, err)
		check(t, w.shop.Resend(t.Context(), r.Receipts()[:1]))
		if got := w.ended(r.Steps[0].Receipt); got.Status != envelope.StatusDone {
			t.Fatalf("the first step: %+v", got)
		}
		return r
	}
	key := func(r client.PlanReceipt) string {
		return fmt.Sprintf("cs:{%s}:res:%s:%s", queueName, shopKey.Public().ID(), r.Steps[0].ID)
	}
	other := first()
	replayed, err := w.results.Result(t.Context(), queueName, shopKey.Public().ID().String(), other.Steps[0].ID.String())
	check(t, err)
	for name, forge := range map[string]func(envelope.MessageID) []byte{
		"of a worker that the policy does not list": func(id envelope.MessageID) []byte {
			return result(t, makeKey(envelope.Worker, "another"), id, "acme")
		},
		"of another plan, by the same worker": func(envelope.MessageID) []byte { return replayed },
		"cut":                                 func(envelope.MessageID) []byte { return replayed[:len(replayed)-1] },
		"its own, with one bit of the signature changed": func(id envelope.MessageID) []byte {
			own, err := w.results.Result(t.Context(), queueName, shopKey.Public().ID().String(), id.String())
			check(t, err)
			return changed(own)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := first()
			w.server.Do("SET", key(r), string(forge(r.Steps[0].ID)))
			check(t, w.shop.Resend(t.Context(), r.Receipts()[1:]))
			if got := w.ended(r.Steps[1].Receipt); got.Code != runtime.CodeInput || got.Attempt != 0 {
				t.Errorf("the second step: %+v", got)
			}
		})
	}
}

// A plan whose first step never comes expires: each step ends then, and nothing runs that is late.
func TestWorkflowThatExpires(t *testing.T) {
	w := newWorld(t)
	w.work()
	plan := client.Chain(asks(wish{Mode: "echo"}), next(), next())
	plan.Within = 2 * time.Second
	r, err := w.shop.SignPlan(plan)
	check(t, err)
	check(t, w.shop.Resend(t.Context(), r.Receipts()[1:]))
	for _, s := range r.Steps[1:] {
		if got := w.ended(s.Receipt); got.Code != envelope.CodeExpired || got.Attempt != 0 {
			t.Errorf("step %s: %+v", s.Step, got)
		}
	}
	check(t, w.shop.Resend(t.Context(), r.Receipts()[:1]))
	w.ends(r, envelope.CodeExpired, envelope.CodeExpired, envelope.CodeExpired)
}
