package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// Codes of refusals that the worker itself decides. Source: docs/reference/refusals.md.
const (
	CodeEntry    = "queue.entry"     // the broker entry is not one field with a message
	CodeLane     = "queue.lane"      // the message stands in another lane than the one it was signed for
	CodeReplayed = "queue.replayed"  // the same bytes have already ended
	CodeIDReused = "queue.id_reused" // another message already used this id
	CodeState    = "queue.state"     // what the broker holds about the message cannot be used
	CodePayload  = "limit.payload"   // the payload is larger than the manifest or the policy allows
	CodePoison   = "worker.poison"   // the task took its runner down too often
	CodeInternal = "worker.internal" // a defect of the worker
)

// A coded error carries a refusal's code. Every error type that a room refuses with is one.
type coded interface {
	error
	Code() string
}

// codeOf returns the code of err, and the code of a defect for an error that has none.
func codeOf(err error) string {
	var c coded
	if errors.As(err, &c) {
		return c.Code()
	}
	return CodeInternal
}

// A refusal is the worker's own.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return "worker: " + r.text }
func (r *refusal) Code() string  { return r.code }

// opened is a delivery whose signature holds. message is zero when the message has expired, since then it must
// not run; its sender is still told.
type opened struct {
	delivery queue.Delivery
	message  envelope.Verified
	task     envelope.Task
	digest   envelope.Digest // of the message
	expired  error
}

// begun is a delivery that this worker holds a lease for. Its run, if it gets one, ends with ctx.
type begun struct {
	opened
	lease   queue.Lease
	attempt int // 1 for the first run
	crashes int // runs that ended with their runner

	principal string // "" until policy has said who sent it

	ctx context.Context
	end context.CancelCauseFunc
}

// job is a begun delivery that policy lets run. Only authorise makes one.
type job struct {
	*begun
	allowed policy.Authorised
}

// intake takes a batch of deliveries to the runners; what must not run is on its way to the dead letters
// when it returns. It makes one round trip.
func (w *Worker) intake(ctx context.Context, batch []queue.Delivery) {
	if len(batch) == 0 {
		return
	}
	w.room.take(len(batch))
	w.metrics.claimed.Observe(float64(len(batch)))
	rules, now := w.rules.Load(), w.cfg.Clock()
	passed := make([]opened, 0, len(batch))
	for _, d := range batch {
		o, err := w.open(rules, d, now)
		if err != nil {
			w.refuseUnread(d, err)
			continue
		}
		passed = append(passed, o)
	}
	started, err := w.start(ctx, passed)
	if err != nil {
		w.leaveUnstarted(ctx, passed, err)
		return
	}
	for i, s := range started {
		w.enter(passed[i], s)
	}
}

// open verifies one delivery, and that it stands in the lane that its sender signed for.
func (w *Worker) open(rules *rules, d queue.Delivery, now time.Time) (opened, error) {
	if d.Fault != "" {
		return opened{}, &refusal{CodeEntry, d.Fault}
	}
	message, err := envelope.Reader{Keys: rules, Audience: rules.Audience()}.Open(d.Message, now)
	o := opened{delivery: d, message: message, task: message.Task(), digest: message.Digest()}
	if late := (*envelope.ExpiredError)(nil); errors.As(err, &late) {
		o.task, o.digest, o.expired = late.Task, late.Digest, err
	} else if err != nil {
		return opened{}, err
	}
	if o.task.Queue != d.Lane.Queue || o.task.Tenant != d.Lane.Tenant || queue.Priority(o.task.Priority) != d.Lane.Priority {
		return opened{}, &refusal{CodeLane, fmt.Sprintf("signed for another lane than %s", d.Lane)}
	}
	return o, nil
}

// leaveUnstarted lets go of deliveries that could not be started: without a record that they began they must not run.
// While draining they go back at once; else the broker is in trouble, and their leases end by themselves.
func (w *Worker) leaveUnstarted(ctx context.Context, batch []opened, err error) {
	if ctx.Err() != nil {
		for _, o := range batch {
			w.endUnread(o.delivery, queue.Release(), report{code: "released", id: o.task.ID.String(), task: o.task.Task})
		}
		return
	}
	w.log.Error("start failed, deliveries left to be recovered", "deliveries", len(batch), "error", err)
	w.room.give(len(batch))
}

// start records that the batch begins. While the broker cannot be used it tries again for half a lease, after
// which another worker may have taken the deliveries over. An attempt that is under way goes on when ctx ends: whether
// the broker has recorded it would not be known otherwise.
func (w *Worker) start(ctx context.Context, batch []opened) ([]queue.Started, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	starts := make([]queue.Start, len(batch))
	for i, o := range batch {
		starts[i] = queue.Start{Delivery: o.delivery, ID: o.task.ID.String(), Digest: o.digest.String(), Expires: o.task.Expires}
	}
	until := time.Now().Add(w.cfg.Lease / 2)
	for attempt := 1; ; attempt++ {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.cfg.Lease) // after it the answer is worth nothing
		started, err := w.cfg.Broker.Start(call, starts)
		cancel()
		if err == nil {
			w.broker.up(w.log, actStart)
			return started, nil
		}
		w.broker.down(w.log, actStart, err)
		if time.Now().After(until) || !sleep(ctx, brokerPause(attempt)) {
			return nil, err
		}
	}
}

// enter decides what a started delivery is: work, or something to be put aside.
func (w *Worker) enter(o opened, s queue.Started) {
	switch s.State {
	case queue.Granted:
		w.ready <- w.begin(o, s) // has room for all that room lets in
	case queue.Duplicate:
		w.endUnread(o.delivery, queue.Drop(), report{code: "duplicate", id: o.task.ID.String(), task: o.task.Task})
	case queue.Lost:
		w.log.Debug("delivery is another worker's by now", "task_id", o.task.ID.String())
		w.room.give(1)
	case queue.Replayed:
		w.refuseUnread(o.delivery, &refusal{CodeReplayed, "these bytes have already ended: " + o.task.ID.String()})
	case queue.Conflict:
		w.refuseUnread(o.delivery, &refusal{CodeIDReused, "another message used the id " + o.task.ID.String()})
	default:
		w.refuseUnread(o.delivery, &refusal{CodeState, fmt.Sprintf("the state of %s cannot be used", o.task.ID)})
	}
}

// begin takes a granted delivery into the flight, from where its lease is renewed until it is settled.
func (w *Worker) begin(o opened, s queue.Started) *begun {
	b := &begun{opened: o, lease: s.Lease, attempt: s.Attempt, crashes: s.Crashes}
	// Stored, against the rule, because the lease's end comes from the renewer and not from a caller.
	b.ctx, b.end = context.WithCancelCause(context.Background())
	w.flight.add(b)
	return b
}

// authorise asks policy, the last thing before a task's release is looked for, so that a key revoked or a message
// expired while it waited for its runner does not run. It comes after the start, so that a refusal is final: the
// message's state ends with it.
func (w *Worker) authorise(b *begun, now time.Time) (*job, error) {
	if b.expired != nil {
		return nil, b.expired
	}
	if !now.Before(b.task.Expires) {
		return nil, &envelope.ExpiredError{Expires: b.task.Expires, Now: now, Task: b.task, Digest: b.digest}
	}
	if b.crashes >= crashesMax {
		return nil, &refusal{CodePoison, fmt.Sprintf("its runner died %d times", b.crashes)}
	}
	allowed, err := w.rules.Load().Authorize(b.message, now)
	if err != nil {
		return nil, err
	}
	b.principal = allowed.Principal()
	return &job{begun: b, allowed: allowed}, nil
}
