package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// Codes of refusals that the worker itself decides. Source: docs/reference/refusals.md.
const (
	CodeEntry     = "queue.entry"     // the broker entry is not one field with a message
	CodeLane      = "queue.lane"      // the message stands in another lane than the one it was signed for
	CodeReplayed  = "queue.replayed"  // the same bytes have already ended
	CodeIDReused  = "queue.id_reused" // another message already used this id
	CodeState     = "queue.state"     // what the broker holds about the message cannot be used
	CodePayload   = "limit.payload"   // the payload is larger than the manifest or the policy allows
	CodePoison    = "worker.poison"   // the task took its runner down too often
	CodeInternal  = "worker.internal" // a defect of the worker
	CodeDuplicate = "task.duplicate"  // another message had the unique key first
	CodeInput     = "plan.input"      // a step's input is no result of a worker, or not one of a task that was done
	CodeOrder     = "queue.order"     // an order to cancel is for another message than it is kept for, or for another sender's
)

// A coded error carries a refusal's code. Every error type for a refusal implements it.
type coded interface {
	error
	Code() string
}

// codeOf returns the code of err, CodeInternal for an error that has none.
func codeOf(err error) string {
	var c coded
	if errors.As(err, &c) {
		return c.Code()
	}
	return CodeInternal
}

// A refusal is a refusal that the worker itself decides.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return "worker: " + r.text }
func (r *refusal) Code() string  { return r.code }

// opened is a delivery whose signature holds. message is zero when the message has expired: it must not run, but its sender is
// told.
type opened struct {
	delivery queue.Delivery
	message  envelope.Verified
	task     envelope.Task
	id       string          // of the message, as text
	digest   envelope.Digest // of the message
	expired  error
	asked    bool              // its start checked gates, unique key and inputs; else it must not run
	allowed  policy.Authorised // the policy's answer at intake; zero when it denied, see authorise
}

// begun is a delivery that this worker holds a lease for. Its run, if it gets one, ends with ctx.
type begun struct {
	*opened
	post    *post
	lease   queue.Lease
	since   time.Time // when it began to wait for a runner
	attempt int       // 1 for the first run
	crashes int       // runs that ended with their runner
	inputs  [][]byte  // unverified results that a step needs; nil once they have become its payload
	charged int64     // bytes of inputs that are counted in Worker.inputs
	renewed time.Time // when the lease began, at the latest: see queue.StartLate and flight.renew; guarded by the flight's mu

	cancelled time.Time // when the order that cancelled it was read; zero: none; guarded by the flight's mu

	over atomic.Bool // it has an outcome, which may not have been written yet

	principal string // "" until policy has said who sent it

	alone bool    // its runner settles it, see runAlone
	ended *ending // the outcome that its runner settles

	ctx context.Context
	end context.CancelCauseFunc
}

// suspect reports whether the next crash makes b poison. A suspect runs while nothing else does, so that a crash is its own.
func (b *begun) suspect() bool { return b.crashes == queue.SuspectCrashes }

// job is a begun delivery that policy lets run. Only authorise makes one.
type job struct {
	*begun
	allowed policy.Authorised
}

// takeIn verifies and starts a batch of deliveries of one queue, which capacity has counted, in one round trip. It returns those that are
// to run; the outcomes of all others are on their way to the settler.
func (w *Worker) takeIn(ctx context.Context, p *post, batch []queue.Delivery) []*begun {
	w.metrics.claimed.Observe(float64(len(batch)))
	if paused, _, _ := p.orders.paused(w.cfg.Clock()); paused { // by an order that came with the batch
		for _, d := range batch {
			w.endUnread(p, d.Unstarted(), queue.Release(), report{code: "released"})
		}
		return nil
	}
	opened, refused := w.openAll(batch, w.cfg.Clock())
	passed := opened[:0]
	for i, o := range opened {
		if refused[i] != nil {
			w.refuseUnread(p, batch[i].Unstarted(), refused[i])
			continue
		}
		passed = append(passed, o)
	}
	started, asked, err := w.start(ctx, p, passed)
	if err != nil {
		w.leaveUnstarted(ctx, p, passed, err)
		return nil
	}
	granted := make([]*begun, 0, len(started))
	for i, s := range started {
		if s.State == queue.Granted {
			granted = append(granted, w.begin(p, passed[i], s))
			granted[len(granted)-1].renewed = asked.Add(-w.cfg.Lease / queue.StartLate)
			continue
		}
		w.turnAway(p, passed[i], s)
	}
	w.flight.add(granted)
	for i, at := 0, 0; i < len(started); i++ { // after flight.add, so that an order heard from now on finds them
		if started[i].State != queue.Granted {
			continue
		}
		if started[i].Attempt == 1 && started[i].Crashes == 0 {
			w.note(granted[at], queue.EventAccepted, "", "")
		}
		if w.ordered(p, granted[at].opened, &started[i]) {
			granted[at].end(errCancelled)
		}
		at++
	}
	return w.chargeInputs(granted)
}

// handOver gives what has started to the runners.
func (w *Worker) handOver(started []*begun) {
	w.ready.add(started, time.Duration(w.pace.mean.Load()), w.giveAway)
}

// openAll verifies a batch, on one goroutine for each openEach deliveries, at most one for each processor.
func (w *Worker) openAll(batch []queue.Delivery, now time.Time) (out []*opened, refused []error) {
	rules := w.rules.Load()
	out, refused = make([]*opened, len(batch)), make([]error, len(batch))
	part := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i], refused[i] = w.open(rules, batch[i], now); refused[i] == nil && out[i].expired == nil {
				// A denial is acted on at its run: only after the start can the message's state end with it.
				out[i].allowed, _ = rules.Authorize(out[i].message, now)
			}
		}
	}
	each := max(openEach, (len(batch)+goruntime.GOMAXPROCS(0)-1)/goruntime.GOMAXPROCS(0))
	var others sync.WaitGroup
	from := 0
	for len(batch)-from > each {
		begin, end := from, from+each
		others.Go(func() { part(begin, end) })
		from = end
	}
	part(from, len(batch))
	others.Wait()
	return out, refused
}

// open verifies one delivery, and that it stands in the lane that its sender signed for.
func (w *Worker) open(rules *rules, d queue.Delivery, now time.Time) (*opened, error) {
	if d.Fault != "" {
		return nil, &refusal{CodeEntry, d.Fault}
	}
	message, err := envelope.Reader{Keys: rules, Audience: rules.Audience(), Roots: &w.roots}.Open(d.Message, now)
	o := &opened{delivery: d, message: message, task: message.Task(), digest: message.Digest()}
	if late := (*envelope.ExpiredError)(nil); errors.As(err, &late) {
		o.task, o.digest, o.expired = late.Task, late.Digest, err
	} else if err != nil {
		return nil, err
	}
	o.id = o.task.ID.String()
	if o.task.Queue != d.Lane.Queue || o.task.Tenant != d.Lane.Tenant || queue.Priority(o.task.Priority) != d.Lane.Priority {
		return nil, &refusal{CodeLane, fmt.Sprintf("signed for another lane than %s", d.Lane)}
	}
	return o, nil
}

// leaveUnstarted gives up deliveries that could not be started: without a record of their start they must not run. While draining
// they are released; else the broker is not available, and their leases run out.
func (w *Worker) leaveUnstarted(ctx context.Context, p *post, batch []*opened, err error) {
	if ctx.Err() != nil {
		for _, o := range batch {
			w.endUnread(p, o.delivery.Unstarted(), queue.Release(), report{code: "released", id: o.id, task: o.task.Task})
		}
		return
	}
	w.log.Error("start failed, deliveries left to be recovered", "deliveries", len(batch), "error", err)
	w.capacity.give(len(batch))
}

// start records that the batch begins. While the broker cannot be used it retries for half a lease, after which another worker may
// have taken over the deliveries. An attempt under way goes on when ctx ends, since otherwise it would not be known whether the
// broker has recorded it. asked is when the broker was asked: leases count from then.
func (w *Worker) start(ctx context.Context, p *post, batch []*opened) (started []queue.Started, asked time.Time, err error) {
	if len(batch) == 0 {
		return nil, time.Time{}, nil
	}
	starts, now := make([]queue.Start, len(batch)), w.cfg.Clock()
	for i := range batch {
		starts[i] = batch[i].start(now)
	}
	until := time.Now().Add(w.cfg.Lease / 2)
	for attempt := 1; ; attempt++ {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.cfg.Lease) // a later answer is of no use
		asked = time.Now()
		started, err = w.cfg.Broker.Start(call, starts)
		cancel()
		if err == nil {
			p.broker.up(w.log, actStart)
			return started, asked, nil
		}
		p.broker.down(w.log, actStart, err)
		if time.Now().After(until) || !p.broker.pause(ctx, attempt) {
			return nil, time.Time{}, err
		}
	}
}

// start returns the queue.Start for o. A message that waits for its time, has expired or will be refused asks for no gate, unique
// key or input: it would take them from others.
func (o *opened) start(now time.Time) queue.Start {
	t := &o.task
	s := queue.Start{Delivery: o.delivery, ID: o.id, Digest: o.digest.String(), Expires: t.Expires}
	if !t.Plan.IsZero() {
		s.Plan = t.Plan.String()
	}
	if o.allowed.Principal() == "" || t.NotBefore.After(now) {
		s.Unasked = t.UniqueKey != ""
		return s
	}
	o.asked = true
	if len(t.After) > 0 {
		s.ResultKey, s.After = t.Issuer.String(), make([]string, len(t.After))
		for i, id := range t.After {
			s.After[i] = id.String()
		}
	}
	if t.UniqueKey != "" {
		sum := sha256.Sum256([]byte(t.Task + "\x00" + t.UniqueKey))
		s.Unique = queue.Unique{Key: hex.EncodeToString(sum[:]), Window: t.UniqueWindow}
	}
	for _, g := range o.allowed.Gates() {
		s.Gates = append(s.Gates, queue.Gate(g))
	}
	return s
}

// turnAway ends a delivery that was not granted.
func (w *Worker) turnAway(p *post, o *opened, s queue.Started) {
	if s.State == queue.Replayed && o.task.UniqueKey != "" {
		s.State = queue.Duplicate // copies of a message with a unique key are expected, even late ones
	}
	switch s.State {
	case queue.Duplicate:
		w.endUnread(p, s.Lease, queue.Drop(), report{code: "duplicate", id: o.id, task: o.task.Task})
	case queue.Lost:
		w.log.Debug("delivery is another worker's by now", "task_id", o.id)
		w.capacity.give(1)
	case queue.Waits, queue.Throttled:
		w.metrics.parked.WithLabelValues(s.State.String()).Inc()
		w.capacity.give(1)
	case queue.Taken:
		w.duplicate(w.begin(p, o, s), s.First)
	case queue.Replayed:
		w.refuseUnread(p, s.Lease, &refusal{CodeReplayed, "these bytes have already ended: " + o.id})
	case queue.Conflict:
		w.refuseUnread(p, o.delivery.Unstarted(), &refusal{CodeIDReused, "another message used the id " + o.id})
	default:
		w.refuseUnread(p, o.delivery.Unstarted(), &refusal{CodeState, fmt.Sprintf("the state of %s cannot be used", o.id)})
	}
}

// begin makes a begun of a delivery that was started.
func (w *Worker) begin(p *post, o *opened, s queue.Started) *begun {
	b := &begun{opened: o, post: p, lease: s.Lease, since: time.Now(), attempt: s.Attempt, crashes: s.Crashes, inputs: s.Inputs, principal: o.allowed.Principal()}
	// Stored, against the rule, because the lease's end comes from the renewer and not from a caller.
	b.ctx, b.end = context.WithCancelCause(w.work)
	return b
}

// authorise asks the policy just before the task's release is resolved, so that nothing runs whose key was revoked, or that expired,
// while it waited for a runner. It comes after the start, so that a refusal is final: the message's state ends with it.
func (w *Worker) authorise(b *begun, now time.Time) (*job, error) {
	if b.expired != nil {
		return nil, b.expired
	}
	if context.Cause(b.ctx) == errCancelled {
		return nil, &refusal{CodeCancelled, "an order cancelled it before it began"}
	}
	if !now.Before(b.task.Expires) {
		return nil, &envelope.ExpiredError{Expires: b.task.Expires, Now: now, Task: b.task, Digest: b.digest}
	}
	if b.crashes >= crashesMax {
		return nil, &refusal{CodePoison, fmt.Sprintf("its runner died %d times", b.crashes)}
	}
	allowed := b.allowed
	if rules := w.rules.Load(); !allowed.Stands(rules.Policy, now) {
		var err error
		if allowed, err = rules.Authorize(b.message, now); err != nil {
			return nil, err
		}
	}
	b.principal = allowed.Principal()
	return &job{begun: b, allowed: allowed}, nil
}
