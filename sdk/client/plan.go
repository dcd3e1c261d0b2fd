package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// A Step is a task of a plan, and what it comes after.
type Step struct {
	// Name is unique within the plan, by the grammar of envelope.CheckName. "": the step's number in the plan, from 1.
	Name string

	// Task is what runs. Its Queue, Within and ID must be zero: the first two are the plan's, and the ID follows from it, see StepID.
	Task Task

	// After names the steps whose results are this one's input; then Task must have no input. The input from one step is its output as
	// it is; from several it is a JSON array in this order, in which an output that is not JSON is a base64 string. The step runs when
	// all of them are done, and is refused with plan.input if one ends otherwise.
	After []string
}

// A Plan is a set of steps that are signed and sent together. Make one with Chain, Group, Chord and Then, or list the steps.
type Plan struct {
	Steps  []Step        // 1 to StepsMax
	Within time.Duration // how long after sending its steps may begin. 0: Config.Within
	Queue  string        // of every step: a plan stays in one queue. "": Config.Queue
}

// Chain returns a plan whose tasks run one after the other, each with the result of the one before.
func Chain(tasks ...Task) Plan {
	var p Plan
	for _, t := range tasks {
		p = p.Then(t)
	}
	return p
}

// Group returns a plan whose tasks run in parallel.
func Group(tasks ...Task) Plan { return Plan{}.Then(tasks...) }

// Chord returns a plan whose first tasks run in parallel, and then last, with the results of all of them.
func Chord(last Task, first ...Task) Plan { return Group(first...).Then(last) }

// Then returns p with tasks added that run in parallel once all of p is done: each comes after the last steps of p, those that no other
// step comes after. The new steps are named by their numbers; p is not changed.
func (p Plan) Then(tasks ...Task) Plan {
	ends := p.ends()
	p.Steps = slices.Clone(p.named())
	for _, t := range tasks {
		p.Steps = append(p.Steps, Step{Name: strconv.Itoa(len(p.Steps) + 1), Task: t, After: ends})
	}
	return p
}

// named returns the steps, each with its name.
func (p Plan) named() []Step {
	steps := slices.Clone(p.Steps)
	for i := range steps {
		if steps[i].Name == "" {
			steps[i].Name = strconv.Itoa(i + 1)
		}
	}
	return steps
}

// ends returns the names of the steps that no other comes after.
func (p Plan) ends() []string {
	steps := p.named()
	inner := map[string]bool{}
	for _, s := range steps {
		for _, name := range s.After {
			inner[name] = true
		}
	}
	var ends []string
	for _, s := range steps {
		if !inner[s.Name] {
			ends = append(ends, s.Name)
		}
	}
	return ends
}

// Check reports all that is wrong with the shape of p. Its tasks are checked when they are signed.
// Errors, final: *PlanError, one for each fault, joined.
func (p Plan) Check() error {
	var faults []error
	fault := func(step, format string, args ...any) {
		faults = append(faults, &PlanError{step, fmt.Sprintf(format, args...)})
	}
	if n := len(p.Steps); n == 0 || n > StepsMax {
		return &PlanError{"", fmt.Sprintf("has %d steps, want 1 to %d", n, StepsMax)}
	}
	if p.Within < 0 || p.Within > envelope.LifetimeMax {
		fault("", "within is not from 0 to %v", envelope.LifetimeMax)
	}
	steps := p.named()
	known := map[string]bool{}
	for i, s := range steps {
		var bad *envelope.FieldError
		if errors.As(envelope.CheckName("name", s.Name), &bad) {
			fault(strconv.Itoa(i+1), "name %s", bad.Text)
		}
		if known[s.Name] {
			fault(s.Name, "is the name of two steps")
		}
		known[s.Name] = true
	}
	for _, s := range steps {
		for _, text := range s.faults(known) {
			fault(s.Name, "%s", text)
		}
	}
	if len(faults) == 0 {
		if cycle := findCycle(steps); cycle != nil {
			fault(cycle[0], "waits for itself: %s", strings.Join(cycle, " after "))
		}
	}
	return errors.Join(faults...)
}

// faults says what is wrong with s, among steps of the names known.
func (s Step) faults(known map[string]bool) (faults []string) {
	if len(s.After) > envelope.AfterMax {
		faults = append(faults, fmt.Sprintf("comes after %d steps, at most %d", len(s.After), envelope.AfterMax))
	}
	seen := map[string]bool{}
	for _, name := range s.After {
		switch {
		case !known[name]:
			faults = append(faults, fmt.Sprintf("comes after %q, and there is no such step", name))
		case name == s.Name:
			faults = append(faults, "comes after itself")
		case seen[name]:
			faults = append(faults, fmt.Sprintf("comes after %q twice", name))
		}
		seen[name] = true
	}
	if len(s.After) > 0 && (s.Task.Input != nil || len(s.Task.Payload) > 0 || s.Task.ContentType != "") {
		faults = append(faults, "has an input of its own, and those of the steps it comes after")
	}
	if s.Task.Queue != "" {
		faults = append(faults, "names a queue; all steps are in the plan's")
	}
	if !s.Task.ID.IsZero() {
		faults = append(faults, "gives an id; that of a step follows from the plan's")
	}
	if s.Task.Within != 0 {
		faults = append(faults, "says within; it is the plan's for all steps")
	}
	return faults
}

// findCycle returns the names of a cycle, each of which comes after the next, and the last of which is the first; nil when there is
// none.
func findCycle(steps []Step) []string {
	after := map[string][]string{}
	for _, s := range steps {
		after[s.Name] = s.After
	}
	const open, closed = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string) []string // nests at most StepsMax deep
	visit = func(name string) []string {
		switch state[name] {
		case closed:
			return nil
		case open:
			return append(path[slices.Index(path, name):], name)
		}
		state[name] = open
		path = append(path, name)
		for _, before := range after[name] {
			if cycle := visit(before); cycle != nil {
				return cycle
			}
		}
		path = path[:len(path)-1]
		state[name] = closed
		return nil
	}
	for _, s := range steps {
		if cycle := visit(s.Name); cycle != nil {
			return cycle
		}
	}
	return nil
}

// A PlanReceipt identifies a plan that was sent, to wait for its results. It may be stored, also as JSON, and used by another Client
// with the same key.
type PlanReceipt struct {
	ID      envelope.MessageID `json:"id"`
	Queue   string             `json:"queue"`
	Expires time.Time          `json:"expires"`
	Steps   []StepReceipt      `json:"steps"` // in the order of the plan
}

// A StepReceipt is the receipt of one step.
type StepReceipt struct {
	Step  string   `json:"step"` // its name
	After []string `json:"after,omitempty"`
	Receipt
}

// Receipts returns those of the steps, for Wait, WaitAll and Resend.
func (r PlanReceipt) Receipts() []Receipt {
	receipts := make([]Receipt, len(r.Steps))
	for i, s := range r.Steps {
		receipts[i] = s.Receipt
	}
	return receipts
}

// StepID returns the message id of a step: the first 16 bytes of the SHA-256 of three lines, the first two ended by a line feed:
// "caisson-plan-step-v1", the text of the plan's id, the step's name. So whoever has a plan and its id can find its steps.
func StepID(plan envelope.MessageID, step string) envelope.MessageID {
	sum := sha256.Sum256([]byte("caisson-plan-step-v1\n" + plan.String() + "\n" + step))
	return envelope.MessageID(sum[:16])
}

// SendPlan signs all steps of p with one signature and puts them into their queue with one call of Sender.Send.
// Errors: as SignPlan's: nothing was sent. With an error of the queue some may have been; the receipt is returned, and
// Resend of its Receipts is safe.
func (c *Client) SendPlan(ctx context.Context, p Plan) (PlanReceipt, error) {
	receipt, err := c.SignPlan(p)
	if err != nil {
		return PlanReceipt{}, err
	}
	return receipt, c.Resend(ctx, receipt.Receipts())
}

// SignPlan signs p as SendPlan does and sends nothing; see Sign.
// Errors, final: *PlanError, *TaskError and *BatchError, joined.
func (c *Client) SignPlan(p Plan) (PlanReceipt, error) {
	if err := p.Check(); err != nil {
		return PlanReceipt{}, err
	}
	receipt := c.planReceipt(envelope.NewMessageID(), p)
	issued, steps := c.cfg.Now(), p.named()
	within := p.Within
	if within == 0 {
		within = c.cfg.Within
	}
	receipt.Expires = issued.Add(within)
	tasks := make([]envelope.Task, len(steps))
	var faults []error
	for i, s := range steps {
		s.Task.Queue, s.Task.Within = receipt.Queue, within
		t, err := c.prepare(s.Task)
		if err != nil {
			faults = append(faults, &TaskError{i, s.Task.Name, err})
			continue
		}
		t.ID, t.Plan, t.Issued, t.Expires = receipt.Steps[i].ID, receipt.ID, issued, receipt.Expires
		for _, name := range s.After {
			t.After = append(t.After, StepID(receipt.ID, name))
		}
		tasks[i] = t
	}
	if len(faults) > 0 {
		return PlanReceipt{}, errors.Join(faults...)
	}
	if err := bind(tasks, steps, c.cfg.Key); err != nil {
		return PlanReceipt{}, err
	}
	messages, err := envelope.SignBatch(tasks, c.cfg.Key)
	if err != nil {
		return PlanReceipt{}, planFaults(err, steps)
	}
	size := 0
	for i, msg := range messages {
		receipt.Steps[i].Receipt = receiptOf(&tasks[i], msg)
		size += len(msg)
	}
	if size > BatchSizeMax {
		return PlanReceipt{}, &BatchError{fmt.Sprintf("more than %d bytes", BatchSizeMax)}
	}
	return receipt, nil
}

// bind sets AfterBodies of each of tasks, which are those of steps: a step's inputs first, since their bodies are hashed in turn.
// Errors, final: *TaskError.
func bind(tasks []envelope.Task, steps []Step, key envelope.PrivateKey) error {
	at := make(map[envelope.MessageID]int, len(tasks))
	for i := range tasks {
		at[tasks[i].ID] = i
	}
	bodies := make([]envelope.Digest, len(tasks))
	var visit func(i int) error // nests at most StepsMax deep: a plan that was checked has no cycle
	visit = func(i int) (err error) {
		if !bodies[i].IsZero() {
			return nil
		}
		t := &tasks[i]
		for _, id := range t.After {
			if err := visit(at[id]); err != nil {
				return err
			}
			t.AfterBodies = append(t.AfterBodies, bodies[at[id]])
		}
		if bodies[i], err = envelope.BodyDigest(*t, key); err != nil {
			return &TaskError{i, steps[i].Task.Name, err}
		}
		return nil
	}
	for i := range tasks {
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}

// planFaults turns each *envelope.BatchError into a *TaskError.
func planFaults(err error, steps []Step) error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var faults []error
	for _, err := range list {
		var bad *envelope.BatchError
		if errors.As(err, &bad) {
			err = &TaskError{bad.Index, steps[bad.Index].Task.Name, bad.Err}
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// RecallPlan makes the receipt of a plan that was sent under that id. It has no digests, see Receipt.Digest: where that matters, keep
// the receipt of SendPlan.
// Errors, final: *PlanError.
func (c *Client) RecallPlan(id envelope.MessageID, p Plan) (PlanReceipt, error) {
	if err := p.Check(); err != nil {
		return PlanReceipt{}, err
	}
	return c.planReceipt(id, p), nil
}

// planReceipt returns a receipt of the fields that follow from a plan and its id.
func (c *Client) planReceipt(id envelope.MessageID, p Plan) PlanReceipt {
	receipt := PlanReceipt{ID: id, Queue: p.Queue}
	if receipt.Queue == "" {
		receipt.Queue = c.cfg.Queue
	}
	for _, s := range p.named() {
		receipt.Steps = append(receipt.Steps, StepReceipt{
			Step: s.Name, After: slices.Clone(s.After),
			Receipt: Receipt{ID: StepID(id, s.Name), Queue: receipt.Queue, Task: s.Task.Name},
		})
	}
	return receipt
}
