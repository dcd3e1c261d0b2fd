package runtime

import (
	"errors"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// TestJoined makes one payload of several outputs.
func TestJoined(t *testing.T) {
	results := []envelope.Result{
		{Output: []byte(`{"n":1}`), ContentType: "application/json"},
		{Output: []byte(`{"n":1}`)},
		{Output: []byte(`{"n":`), ContentType: "application/json"},
		{},
	}
	got, err := joined(results)
	if want := `[{"n":1},"eyJuIjoxfQ==","eyJuIjo=",""]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	large := envelope.Result{Output: make([]byte, inputsBytesMax/2)}
	var refused *refusal
	if _, err := joined([]envelope.Result{large, large}); !errors.As(err, &refused) || refused.code != CodePayload {
		t.Errorf("too much: %v", err)
	}
}

// TestStartAsks looks at what a start asks for: nothing before its time or without policy's yes, and then it must not run.
func TestStartAsks(t *testing.T) {
	p, now := insidePolicy(t), time.Now()
	msg, err := envelope.Sign(envelope.Task{
		ID: envelope.MessageID{1}, Audience: "test", Tenant: "acme", Queue: "other", Task: "other.run", Issued: now, NotBefore: now.Add(time.Minute),
		Expires: now.Add(time.Hour), UniqueKey: "k", UniqueWindow: time.Minute, Priority: int(queue.PriorityNormal),
	}, insideSubmit)
	if err != nil {
		t.Fatal(err)
	}
	v, err := envelope.Reader{Keys: p, Audience: "test"}.Open(msg, now)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := p.Authorize(v, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		allowed policy.Authorised
		at      time.Time
		asked   bool
	}{
		"early":      {allowed, now, false},
		"in time":    {allowed, now.Add(time.Minute), true},
		"no policy":  {policy.Authorised{}, now.Add(time.Minute), false},
		"both wrong": {policy.Authorised{}, now, false},
	} {
		o := opened{message: v, task: v.Task(), id: v.Task().ID.String(), allowed: row.allowed}
		s := o.start(row.at)
		if o.asked != row.asked || (len(s.Unique.Key) == 64) != row.asked || s.Unasked == row.asked {
			t.Errorf("%s: asked %t, %+v", name, o.asked, s)
		}
	}
}

// TestInputsAreBounded starts steps with more inputs together than a worker holds: what does not fit is parked, a step that is alone never, and what a
// step has let go of, or ended with, is free again.
func TestInputsAreBounded(t *testing.T) {
	f := &fake{}
	w, _ := openInside(t, f)
	half := make([]byte, inputsHeldMax/2)
	begin := func(inputs ...[]byte) *begun {
		b := w.begin(w.posts[0], &opened{id: "step"}, queue.Started{Inputs: inputs})
		w.capacity.take(1)
		return b
	}
	first, second, none := begin(half), begin(half[1:], []byte{1}), begin()
	beyond := begin([]byte{1})
	if fit := w.chargeInputs([]*begun{first, second, beyond, none}); len(fit) != 3 || fit[2] != none || w.waiting() != 1 {
		t.Fatalf("%d fit, %d are parked", len(fit), w.waiting())
	}
	if e := w.outcomes()[0]; e.begun != beyond || e.settlement.Verdict.Outcome() != queue.OutcomePark || beyond.inputs != nil {
		t.Errorf("parked is %+v", e.settlement)
	}
	w.releaseInputs(first)
	w.releaseInputs(first)
	w.finish(second, queue.Release(), nil, report{})
	w.settleBatch(t.Context(), w.posts[0], w.outcomes())
	if n := w.inputs.Load(); n != 0 {
		t.Errorf("%d bytes are counted when all are gone", n)
	}
	huge := begin(half, half, half)
	if fit := w.chargeInputs([]*begun{huge}); len(fit) != 1 {
		t.Error("a step that is alone does not fit")
	}
	if _, err := w.payload(&job{begun: huge}); err != nil || w.inputs.Load() == 0 {
		t.Errorf("a task without inputs: %v", err)
	}
	huge.task.After = []envelope.MessageID{{1}}
	if _, err := w.payload(&job{begun: huge}); err == nil || w.inputs.Load() != 0 || huge.inputs != nil {
		t.Errorf("%v, %d bytes are counted once they are used", err, w.inputs.Load())
	}
}
