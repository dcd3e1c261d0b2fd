package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// shape writes a plan as "1:a 2:b<1".
func shape(p client.Plan) string {
	var parts []string
	for i, s := range p.Steps {
		name := s.Name
		if name == "" {
			name = fmt.Sprint(i + 1)
		}
		part := name + ":" + s.Task.Name
		if len(s.After) > 0 {
			part += "<" + strings.Join(s.After, ",")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

func task(name string) client.Task { return client.Task{Name: name} }

func TestShapesOfPlans(t *testing.T) {
	base := client.Plan{Steps: []client.Step{{Name: "x", Task: task("a")}}}
	for _, c := range []struct {
		name, want string
		plan       client.Plan
	}{
		{"chain", "1:a 2:b<1 3:c<2", client.Chain(task("a"), task("b"), task("c"))},
		{"group", "1:a 2:b", client.Group(task("a"), task("b"))},
		{"chord", "1:a 2:b 3:z<1,2", client.Chord(task("z"), task("a"), task("b"))},
		{"chain of groups", "1:a 2:b 3:c<1,2 4:d<1,2 5:e<3,4", client.Group(task("a"), task("b")).Then(task("c"), task("d")).Then(task("e"))},
		{"after named steps", "x:a 2:b<x", base.Then(task("b"))},
	} {
		if got := shape(c.plan); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if err := c.plan.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if shape(base) != "x:a" {
		t.Errorf("Then changed its plan: %s", shape(base))
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	step := func(name string, after ...string) client.Step {
		return client.Step{Name: name, Task: task("a"), After: after}
	}
	for _, c := range []struct {
		name string
		plan client.Plan
		want []string
	}{
		{"empty", client.Plan{}, []string{"client: plan: has 0 steps, want 1 to 256"}},
		{"too large", client.Group(make([]client.Task, 257)...), []string{"client: plan: has 257 steps, want 1 to 256"}},
		{"too long", client.Plan{Steps: []client.Step{step("a")}, Within: 25 * time.Hour}, []string{"client: plan: within is not from 0 to 24h0m0s"}},
		{"unknown", client.Plan{Steps: []client.Step{step("a", "b", "c")}},
			[]string{`step a: comes after "b", and there is no such step`, `step a: comes after "c", and there is no such step`}},
		{"itself", client.Plan{Steps: []client.Step{step("a", "a")}}, []string{"step a: comes after itself"}},
		{"twice", client.Plan{Steps: []client.Step{step("a"), step("b", "a", "a")}}, []string{`step b: comes after "a" twice`}},
		{"name twice", client.Plan{Steps: []client.Step{step("a"), step("a")}}, []string{"step a: is the name of two steps"}},
		{"bad name", client.Plan{Steps: []client.Step{step("A b")}}, []string{"step 1: name does not begin with a-z or 0-9"}},
		{"circle", client.Plan{Steps: []client.Step{step("z"), step("a", "c", "z"), step("b", "a"), step("c", "b")}},
			[]string{"step a: waits for itself: a after c after b after a"}},
		{"input", client.Plan{Steps: []client.Step{step("a"), {Name: "b", Task: client.Task{Name: "a", Input: 1}, After: []string{"a"}}}},
			[]string{"step b: has an input of its own"}},
		{"payload", client.Plan{Steps: []client.Step{step("a"), {Name: "b", Task: client.Task{Name: "a", Payload: []byte("x")}, After: []string{"a"}}}},
			[]string{"step b: has an input of its own"}},
		{"queue", client.Plan{Steps: []client.Step{{Task: client.Task{Name: "a", Queue: "q"}}}}, []string{"step 1: names a queue"}},
		{"id", client.Plan{Steps: []client.Step{{Task: client.Task{Name: "a", ID: envelope.NewMessageID()}}}}, []string{"step 1: gives an id"}},
		{"within", client.Plan{Steps: []client.Step{{Task: client.Task{Name: "a", Within: 1}}}}, []string{"step 1: says within"}},
	} {
		err := c.plan.Check()
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", c.name, want, err)
			}
		}
		if code(err) != "client.plan" {
			t.Errorf("%s: code %s", c.name, code(err))
		}
		b := newBroker()
		if _, err := open(t, config(b)).SendPlan(t.Context(), c.plan); code(err) != "client.plan" || len(b.batches) > 0 {
			t.Errorf("%s: sent %d batches, %v", c.name, len(b.batches), err)
		}
	}
	_, err := open(t, config(newBroker())).SignPlan(client.Chain(task("a"), task("B"), client.Task{Name: "c", Priority: "soon"}))
	var bad *client.TaskError
	if !errors.As(err, &bad) || bad.Index != 2 {
		t.Errorf("a priority that is none: %v", err)
	}
	_, err = open(t, config(newBroker())).SignPlan(client.Chain(task("a"), task("B"), task("c")))
	if !errors.As(err, &bad) || bad.Index != 1 || bad.Code() != "envelope.field" {
		t.Errorf("a task with a bad name: %v", err)
	}
}

// All of a plan is one write and one signature, and says of each step what it comes after.
func TestSendPlan(t *testing.T) {
	b := newBroker()
	plan := client.Chord(client.Task{Name: "sum", Priority: client.High}, client.Task{Name: "a", Input: 1}, client.Task{Name: "b", Attempts: 3})
	plan.Within = 10 * time.Minute
	r, err := open(t, config(b)).SendPlan(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.batches) != 1 || len(b.batches[0]) != 3 {
		t.Fatalf("%d writes", len(b.batches))
	}
	first := verify(t, r.Steps[0].Message)
	signature := r.Steps[0].Message[bytes.Index(r.Steps[0].Message, []byte{0xc4, 0x40})+2:][:64]
	for i, out := range b.batches[0] {
		got, step := verify(t, out.Message), r.Steps[i]
		if got.Plan != r.ID || got.ID != step.ID || got.ID != client.StepID(r.ID, step.Step) || !got.Issued.Equal(first.Issued) ||
			!got.Expires.Equal(now.Add(10*time.Minute)) || !step.Expires.Equal(got.Expires) || step.Digest != envelope.DigestOf(out.Message) {
			t.Errorf("step %s: %+v", step.Step, got)
		}
		if !bytes.Contains(out.Message, signature) {
			t.Errorf("step %s has a signature of its own", step.Step)
		}
		if want := (queue.Lane{Queue: "images", Tenant: "acme", Priority: queue.Priority(got.Priority)}); out.Lane != want {
			t.Errorf("step %s went to %v", step.Step, out.Lane)
		}
	}
	last := verify(t, b.batches[0][2].Message)
	if want := []envelope.MessageID{r.Steps[0].ID, r.Steps[1].ID}; !slices.Equal(last.After, want) || len(last.Payload) > 0 {
		t.Errorf("the last comes after %v", last.After)
	}
	for i, body := range last.AfterBodies {
		if want, err := envelope.BodyDigest(verify(t, b.batches[0][i].Message), submitKey); err != nil || body != want {
			t.Errorf("the last is bound to %v, want %v, %v", body, want, err)
		}
	}
	if len(last.AfterBodies) != 2 || len(first.AfterBodies) != 0 {
		t.Errorf("the last is bound to %d, the first to %d", len(last.AfterBodies), len(first.AfterBodies))
	}
	other, err := open(t, config(b)).SignPlan(plan)
	if err != nil || other.ID == r.ID || len(b.batches) != 1 {
		t.Errorf("signing alone: %v, the same id: %v, %d writes", err, other.ID == r.ID, len(b.batches))
	}
}

// A receipt that was kept as JSON, and one that is made of the plan and its id, wait for the same messages.
func TestPlanReceiptsAreKept(t *testing.T) {
	c := open(t, config(newBroker()))
	plan := client.Chain(task("a"), task("b"))
	sent, err := c.SignPlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var kept client.PlanReceipt
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	for i := range sent.Steps {
		sent.Steps[i].Message, sent.Steps[i].Priority = nil, 0
	}
	if !reflect.DeepEqual(kept, sent) {
		t.Errorf("kept %+v\nsent %+v", kept, sent)
	}
	recalled, err := c.RecallPlan(sent.ID, plan)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range recalled.Steps {
		if s.ID != sent.Steps[i].ID || s.Queue != sent.Steps[i].Queue || s.Task != sent.Steps[i].Task || !slices.Equal(s.After, sent.Steps[i].After) {
			t.Errorf("recalled %+v, sent %+v", s, sent.Steps[i])
		}
	}
	if _, err := c.RecallPlan(sent.ID, client.Plan{}); code(err) != "client.plan" {
		t.Errorf("recalled nothing: %v", err)
	}
}

// What a wait says, by the results in the order in which they come: "1=done", "2=failed", "3=input" for plan.input.
func TestWaitPlan(t *testing.T) {
	diamond := client.Chain(task("a")).Then(task("b"), task("c")).Then(task("d")) // 1; 2 and 3; 4
	for _, c := range []struct {
		name, came, want string
		plan             client.Plan
	}{
		{"all done", "1=done 2=done 3=done 4=done", "4", diamond},
		{"in any order", "4=done 3=done 1=done 2=done", "4", diamond},
		{"two ends", "1=done 2=done", "1 2", client.Group(task("a"), task("b"))},
		{"the first fails", "1=failed", "step 1: task.failed", diamond},
		{"in the middle", "1=done 3=failed", "step 3: task.failed", diamond},
		{"what follows is heard first", "4=input 1=done 2=refused", "step 2: policy.denied", diamond},
		{"what follows is heard first, twice", "4=input 2=input 3=input 1=failed", "step 1: task.failed", diamond},
		{"an input that was not what it is", "1=done 2=input", "step 2: plan.input", diamond},
		{"the same, heard before", "2=input 1=done", "step 2: plan.input", diamond},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroker()
			cl := open(t, config(b))
			r, err := cl.SendPlan(t.Context(), c.plan)
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan string)
			done := make(chan string)
			go func() {
				results, err := cl.WaitPlan(t.Context(), r, func(s client.StepReceipt, _ envelope.Result, _ error) { heard <- s.Step })
				done <- told(results, err)
			}()
			for _, part := range strings.Fields(c.came) {
				step, how, _ := strings.Cut(part, "=")
				put(t, b, r, step, how)
				if got := <-heard; got != step {
					t.Fatalf("heard of %s, not of %s", got, step)
				}
			}
			if got := <-done; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// put answers one step.
func put(t *testing.T, b *broker, r client.PlanReceipt, step, how string) {
	t.Helper()
	i := slices.IndexFunc(r.Steps, func(s client.StepReceipt) bool { return s.Step == step })
	b.put(r.Queue, r.Steps[i].ID.String(), answer(t, r.Steps[i].Receipt, workerKey, func(result *envelope.Result) {
		switch how {
		case "failed":
			result.Status, result.Code, result.Output, result.ContentType = envelope.StatusFailed, "task.failed", nil, ""
		case "refused":
			result.Status, result.Code, result.Output, result.ContentType = envelope.StatusRefused, "policy.denied", nil, ""
		case "input":
			result.Status, result.Code, result.Output, result.ContentType = envelope.StatusRefused, "plan.input", nil, ""
		}
	}))
}

// told writes what WaitPlan returned.
func told(results map[string]envelope.Result, err error) string {
	var step *client.StepError
	switch {
	case errors.As(err, &step):
		return "step " + step.Step + ": " + step.Code()
	case err != nil:
		return err.Error()
	}
	var names []string
	for name := range results {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// guide is what docs/guide/workflows.md shows of Go.
func guide(ctx context.Context, c *client.Client) (map[string]envelope.Result, error) {
	plan := client.Chord(client.Task{Name: "report.words"},
		client.Task{Name: "report.words", Input: "the sea, the deep sea"},
		client.Task{Name: "report.words", Input: "under the sea"})
	sent, err := c.SendPlan(ctx, plan)
	if err != nil {
		return nil, err
	}
	results, err := c.WaitPlan(ctx, sent, nil)
	return results, err
}

func TestGuideShowsGoThatCompiles(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/workflows.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("plan_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```go\n")
	block, _, _ = strings.Cut(block, "```")
	for line := range strings.Lines(block) {
		if !strings.Contains(string(source), "\t"+line) {
			t.Errorf("the guide shows a line that is in no test: %s", line)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guide(ctx, open(t, config(newBroker()))); !errors.Is(err, context.Canceled) || block == "" {
		t.Errorf("got %v", err)
	}
}

func TestWaitPlanEndsWithItsContext(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	r, err := c.SendPlan(t.Context(), client.Chain(task("a"), task("b")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WaitPlan(ctx, r, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
