package client

import (
	"context"
	"fmt"
	"maps"

	"github.com/caisson-run/caisson/queue/envelope"
)

// codePlanInput is the code of a step that is refused because one of its inputs was not done.
const codePlanInput = "plan.input"

// A StepError reports the step that ended a plan. It is final. The steps after it are refused with plan.input.
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

// WaitPlan waits for a plan and returns, by name, the results of its last steps (those that no other comes after) when all of them are
// done. It ends early when a step fails or is refused, and its error names that step, not one that was refused as a consequence. got,
// unless nil, is called for each result that arrives until then, as WaitAll's.
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

// planWait is the progress of a WaitPlan.
type planWait struct {
	plan  PlanReceipt
	ended map[string]error // by step, nil for done
	done  map[string]envelope.Result
	cause *StepError
}

// take records how a step ended, and sets cause when that ends the plan. A step that was refused for its input is the cause only if all
// its inputs are done: then the worker did not find their results in the broker.
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

// results returns the results of the last steps.
func (w *planWait) results() map[string]envelope.Result {
	results := maps.Clone(w.done)
	for _, s := range w.plan.Steps {
		for _, name := range s.After {
			delete(results, name)
		}
	}
	return results
}
