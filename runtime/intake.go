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

// opened is a delivery whose signature holds.
type opened struct {
	delivery queue.Delivery
	message  envelope.Verified
}

// begun is a delivery that this worker holds a lease for. Its run, if it gets one, ends with ctx.
type begun struct {
	lease   queue.Lease
	message envelope.Verified
	attempt int       // 1 for the first run
	crashes int       // runs that ended with their runner
	claimed time.Time // by the worker's clock

	principal string // "" until policy has said who sent it

	ctx context.Context
	end context.CancelCauseFunc
}

// job is a begun delivery that policy lets run. Only authorise makes one.
type job struct {
	*begun
	task policy.Authorised
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
		message, err := w.open(rules, d, now)
		if err != nil {
			w.refuseUnread(d, err)
			continue
		}
		passed = append(passed, opened{d, message})
	}
	started, err := w.start(ctx, passed)
	if err != nil {
		// Without a record that they began they must not run. Their leases end by themselves.
		w.log.Error("start failed, deliveries left to be recovered", "deliveries", len(passed), "error", err)
		w.room.give(len(passed))
		return
	}
	for i, s := range started {
		w.enter(rules, passed[i], s, now)
	}
}

// open verifies one delivery, and that it stands in the lane that its sender signed for.
func (w *Worker) open(rules *rules, d queue.Delivery, now time.Time) (envelope.Verified, error) {
	if d.Fault != "" {
		return envelope.Verified{}, &refusal{CodeEntry, d.Fault}
	}
	message, err := envelope.Reader{Keys: rules, Audience: rules.Audience()}.Open(d.Message, now)
	if err != nil {
		return envelope.Verified{}, err
	}
	t := message.Task()
	if t.Queue != d.Lane.Queue || t.Tenant != d.Lane.Tenant || queue.Priority(t.Priority) != d.Lane.Priority {
		return envelope.Verified{}, &refusal{CodeLane, fmt.Sprintf("signed for another lane than %s", d.Lane)}
	}
	return message, nil
}

// start records that the batch begins. While the broker cannot be used it tries again for half a lease, after
// which another worker may have taken the deliveries over.
func (w *Worker) start(ctx context.Context, batch []opened) ([]queue.Started, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	starts := make([]queue.Start, len(batch))
	for i, o := range batch {
		starts[i] = queue.Start{Delivery: o.delivery, ID: o.message.Task().ID.String(), Digest: o.message.Digest().String(), Expires: o.message.Task().Expires}
	}
	until := time.Now().Add(w.cfg.Lease / 2)
	for attempt := 1; ; attempt++ {
		started, err := w.cfg.Broker.Start(ctx, starts)
		if err == nil {
			return started, nil
		}
		w.broker.down(w.log, "start", err)
		if time.Now().After(until) || !sleep(ctx, brokerPause(attempt)) {
			return nil, err
		}
	}
}

// enter decides what a started delivery is: work, or something to be put aside.
func (w *Worker) enter(rules *rules, o opened, s queue.Started, now time.Time) {
	t := o.message.Task()
	switch s.State {
	case queue.Granted:
	case queue.Duplicate:
		w.endUnread(o.delivery, queue.Drop(), report{code: "duplicate", id: t.ID.String(), task: t.Task})
		return
	case queue.Lost:
		w.log.Debug("delivery is another worker's by now", "task_id", t.ID.String())
		w.room.give(1)
		return
	case queue.Replayed:
		w.refuseUnread(o.delivery, &refusal{CodeReplayed, "these bytes have already ended: " + t.ID.String()})
		return
	case queue.Conflict:
		w.refuseUnread(o.delivery, &refusal{CodeIDReused, "another message used the id " + t.ID.String()})
		return
	default:
		w.refuseUnread(o.delivery, &refusal{CodeState, fmt.Sprintf("the state of %s cannot be used", t.ID)})
		return
	}
	b := w.begin(o, s, now)
	j, err := w.authorise(rules, b, now)
	if err != nil {
		w.refuse(b, err)
		return
	}
	if t.NotBefore.After(now) {
		w.finish(b, queue.Park(t.NotBefore), nil, report{code: "parked"})
		return
	}
	w.ready <- j // has room for all that room lets in
}

// begin takes a granted delivery into the flight, from where its lease is renewed until it is settled.
func (w *Worker) begin(o opened, s queue.Started, now time.Time) *begun {
	b := &begun{lease: s.Lease, message: o.message, attempt: s.Attempt, crashes: s.Crashes, claimed: now}
	// Stored, against the rule, because the lease's end comes from the renewer and not from a caller.
	b.ctx, b.end = context.WithCancelCause(context.Background())
	w.flight.add(b)
	return b
}

// authorise asks policy. It comes after the start, so that a refusal is final: the message's state ends with it.
func (w *Worker) authorise(rules *rules, b *begun, now time.Time) (*job, error) {
	if b.crashes >= crashesMax {
		return nil, &refusal{CodePoison, fmt.Sprintf("its runner died %d times", b.crashes)}
	}
	task, err := rules.Authorize(b.message, now)
	if err != nil {
		return nil, err
	}
	b.principal = task.Principal()
	return &job{begun: b, task: task}, nil
}
