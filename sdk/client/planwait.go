package client

import (
	"context"
	"fmt"
	"maps"

	"github.com/caisson-run/caisson/queue/envelope"
)

// codePlanInput is what a worker refuses a step with, an input of which did not end done.
const codePlanInput = "plan.input"

// A StepError reports the step at which a plan ended. It is final. Steps after it end by themselves, refused with plan.input.
type StepError struct {
	Plan envelope.MessageID
	Step string
	Err  error // *RefusedError or *FailedError
}

func (e *StepError) Error() string {
	return fmt.Sprintf("client: plan %s: step %s: %v", e.Plan, e.Step, e.Err)
}

// Code returns that of the step's result.
func (e *StepError) Code() string {
	coded, ok := e.Err.(interface{ Code() string })
	if !ok {
		return ""
	}
	return coded.Code()
}

// Unwrap returns Err.
func (e *StepError) Unwrap() error { return e.Err }

// WaitPlan waits for a plan and returns the results of the steps that no other comes after, by name, when all of them are done. It ends at
// the first step that was not done: the one that failed or was refused, and none that was refused because of it. got, unless nil, is
// called for each result that comes until then, as WaitAll's.
// Errors: *StepError; else as WaitAll's.
func (c *Client) WaitPlan(ctx context.Context, r PlanReceipt, got func(s StepReceipt, result envelope.Result, err error)) (map[string]envelope.Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w := planWait{plan: r, ended: map[string]error{}, done: map[string]envelope.Result{}}
	byID := map[envelope.MessageID]StepReceipt{}
	for _, s := range r.Steps {
		byID[s.ID] = s
	}
	err := c.WaitAll(ctx, r.Receipts(), func(receipt Receipt, result envelope.Result, err error) {
		if w.cause != nil {
			return // it came while the wait was ending
		}
		s := byID[receipt.ID]
		if got != nil {
			got(s, result, err)
		}
		w.take(s, result, err)
		if w.cause != nil {
			stop()
		}
	})
	switch {
	case w.cause != nil:
		return nil, w.cause
	case err != nil:
		return nil, err
	}
	return w.results(), nil
}

// planWait is what has come of a plan.
type planWait struct {
	plan  PlanReceipt
	ended map[string]error // by step, nil for done
	done  map[string]envelope.Result
	cause *StepError
}

// take notes how a step ended and looks for the step at which the plan did. A step that was refused for its input is that one only if
// all its inputs are done, for then they were not what the worker found in the broker.
func (w *planWait) take(s StepReceipt, result envelope.Result, err error) {
	w.ended[s.Step] = err
	if err == nil {
		w.done[s.Step] = result
	} else if result.Code != codePlanInput {
		w.cause = &StepError{w.plan.ID, s.Step, err}
		return
	}
	for _, s := range w.plan.Steps {
		if err := w.ended[s.Step]; err != nil && w.allDone(s.After) {
			w.cause = &StepError{w.plan.ID, s.Step, err}
			return
		}
	}
}

func (w *planWait) allDone(steps []string) bool {
	for _, name := range steps {
		if _, done := w.done[name]; !done {
			return false
		}
	}
	return true
}

// results returns those of the steps that no other comes after.
func (w *planWait) results() map[string]envelope.Result {
	results := maps.Clone(w.done)
	for _, s := range w.plan.Steps {
		for _, name := range s.After {
			delete(results, name)
		}
	}
	return results
}
