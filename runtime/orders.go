package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// CodeCancelled is the code of a task that an order ended, before it began or while it ran.
const CodeCancelled = sandbox.CodeCancelled

// errCancelled is the cause of a run's end by an order.
var errCancelled = errors.New("worker: cancelled by an order")

// orders is what the worker remembers of the orders for one queue. Whatever the broker says, an order counts only
// when its signature holds and policy lets its signer give it.
type orders struct {
	mu       sync.Mutex
	mode     policy.AuthorisedOrder // the newest to pause or resume; zero: none was heard, or it counts no more
	newest   Mode                   // the newest that was ever heard; older ones do not count
	changed  context.Context        // ends, and is made anew, when mode changes
	change   context.CancelFunc
	cancels  map[string][]policy.AuthorisedOrder   // by target, for what starts while they are heard
	standing map[envelope.MessageID]*standingOrder // orders to requeue and purge, until they expire
	// What was issued no later is not new, though it is not in standing: they were too many.
	standingAfter time.Time

	once chan policy.AuthorisedOrder // to be carried out

	told     chan struct{} // closed when what the broker has kept was heard for the first time
	toldOnce sync.Once
}

func newOrders() *orders {
	o := &orders{cancels: map[string][]policy.AuthorisedOrder{}, standing: map[envelope.MessageID]*standingOrder{}, once: make(chan policy.AuthorisedOrder, onceMax), told: make(chan struct{})}
	o.changed, o.change = context.WithCancel(context.Background())
	return o
}

// paused reports whether the queue is paused at the instant now, until when, and a context that ends at a change.
func (o *orders) paused(now time.Time) (yes bool, until time.Time, changed context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.mode.Order()
	return m.Act == envelope.ActPause && now.Before(m.Expires), m.Expires, o.changed
}

// setMode makes a, an order to pause or resume that is m, the mode unless a newer one is known. taken reports that it did, older that a
// newer one is known; both are false if a is already the mode.
func (o *orders) setMode(a policy.AuthorisedOrder, m Mode) (taken, older bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch c := m.than(o.newest); {
	case c < 0:
		return false, true
	case c == 0 && o.mode.Principal() != "":
		return false, false
	}
	o.newest = m
	o.turn(a)
	return true, false
}

// recheck drops a mode whose signer may no longer give orders.
func (o *orders) recheck(rules *policy.Policy, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mode.Principal() == "" {
		return
	}
	if _, err := rules.AuthorizeOrder(o.mode.Verified(), now); err != nil {
		o.turn(policy.AuthorisedOrder{})
	}
}

// turn sets the mode and wakes whoever waits for a change. o.mu is held.
func (o *orders) turn(mode policy.AuthorisedOrder) {
	o.mode = mode
	o.change()
	o.changed, o.change = context.WithCancel(context.Background())
}

// keepCancel remembers an order to cancel, for messages that are being started at this moment. At cancelsMax the expired ones are
// removed, and if that is not enough, all: the broker keeps them too, and returns them with each start.
func (o *orders) keepCancel(a policy.AuthorisedOrder, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.cancels) >= cancelsMax {
		for target, list := range o.cancels {
			if !now.Before(list[0].Order().Expires) {
				delete(o.cancels, target)
			}
		}
		if len(o.cancels) >= cancelsMax {
			clear(o.cancels)
		}
	}
	target := a.Order().Target
	if list := o.cancels[target]; len(list) < cancelsEach {
		o.cancels[target] = append(list, a)
	}
}

// cancelled reports whether an order that was heard cancels the task.
func (o *orders) cancelled(id string, allowed policy.Authorised, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.cancels) == 0 {
		return false
	}
	match := func(target string) bool {
		for _, a := range o.cancels[target] {
			if a.Cancels(allowed) && now.Before(a.Order().Expires) {
				return true
			}
		}
		return false
	}
	if match(id) {
		return true
	}
	task := allowed.Task()
	return !task.Plan.IsZero() && match(task.Plan.String())
}

// listen receives orders until ctx ends.
func (w *Worker) listen(ctx context.Context) {
	for attempt := 1; ; attempt++ {
		err := w.cfg.Listener.Listen(ctx, w.cfg.Queues, func(name string, order []byte) {
			switch p := w.postOf[name]; {
			case p == nil:
			case order == nil:
				p.orders.toldOnce.Do(func() { close(p.orders.told) })
			default:
				w.hear(p, order)
			}
		}, func(name string, err error) {
			if p := w.postOf[name]; p != nil {
				p.hearing.told(w.log, err)
			}
		})
		if ctx.Err() != nil {
			return
		}
		for _, p := range w.posts {
			p.hearing.told(w.log, err)
		}
		if !sleep(ctx, brokerPause(attempt)) {
			return
		}
	}
}

// awaitOrders waits until the orders that the broker has stored are known, so that a worker that starts does not begin tasks of a
// paused queue. After hearWithin it works without them, and logs that.
func (w *Worker) awaitOrders(ctx context.Context, p *post) {
	if w.cfg.Listener == nil {
		return
	}
	late := time.NewTimer(hearWithin)
	defer late.Stop()
	select {
	case <-p.orders.told:
	case <-ctx.Done():
	case <-late.C:
		w.log.Error("orders are not heard, the queue is served all the same", "queue", p.name)
	}
}

// order verifies and authorises the bytes of an order for one queue.
func (w *Worker) order(p *post, b []byte) (policy.AuthorisedOrder, error) {
	rules, now := w.rules.Load(), w.cfg.Clock()
	verified, err := envelope.OrderReader{Keys: rules, Audience: rules.Audience()}.Open(b, now)
	if err != nil {
		return policy.AuthorisedOrder{}, err
	}
	if q := verified.Order().Queue; q != p.name {
		return policy.AuthorisedOrder{}, &refusal{CodeLane, fmt.Sprintf("an order for queue %s stands in that of %s", q, p.name)}
	}
	return rules.AuthorizeOrder(verified, now)
}

// hear acts on one order.
func (w *Worker) hear(p *post, b []byte) {
	heard := time.Now()
	a, err := w.order(p, b)
	if err != nil {
		w.ignoreOrder(p, err)
		return
	}
	o := a.Order()
	w.metrics.orders.WithLabelValues(string(o.Act), "heard").Inc()
	switch o.Act {
	case envelope.ActPause, envelope.ActResume:
		w.hearMode(p, a, b)
	case envelope.ActCancel:
		p.orders.keepCancel(a, w.cfg.Clock())
		n, spared := w.flight.cancel(a, heard)
		if spared > 0 {
			w.ignoreOrder(p, notToCancel(a))
		}
		if n > 0 {
			w.log.Info("runs cancelled", "queue", p.name, "principal", a.Principal(), "order", o.ID.String(), "runs", n, "note", o.Note)
			w.hand(p, a)
		}
	default:
		switch {
		case !p.orders.hearOnce(a, heard):
			w.metrics.orders.WithLabelValues(string(o.Act), "again").Inc()
		case !w.hand(p, a):
			p.orders.forget(o.ID)
		}
	}
}

// hand passes an order to obey, which carries it out. When too many wait it drops the order and returns false: other workers have
// heard it, too.
func (w *Worker) hand(p *post, a policy.AuthorisedOrder) bool {
	select {
	case p.orders.once <- a:
		return true
	default:
		w.metrics.orders.WithLabelValues(string(a.Order().Act), "dropped").Inc()
		return false
	}
}

// ignoreOrder counts and logs bytes that are no order, or an order that its signer may not give: somebody with write access to the
// broker put them there. Expired orders are not logged, since the broker returns what it has stored again and again.
func (w *Worker) ignoreOrder(p *post, err error) {
	code := codeOf(err)
	w.metrics.orders.WithLabelValues("", code).Inc()
	if late := (*envelope.ExpiredError)(nil); errors.As(err, &late) {
		return
	}
	w.limited.warn("order ignored", code, "queue", p.name, "code", code, "error", err)
}

// obey carries out orders to requeue and to purge, and answers orders of all kinds, until ctx ends. It has a goroutine of its own, so
// that a long purge delays no cancel.
func (w *Worker) obey(ctx context.Context, p *post) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-p.orders.once:
			n, err := w.carryOut(ctx, p, a)
			if ctx.Err() != nil {
				return
			}
			w.answer(ctx, p, a, n, err)
		}
	}
}

// carryOut carries out a at the broker and returns how many messages or letters it concerned. Other workers do the same at the same
// time, or have done it before; so it touches only what is older than the order.
func (w *Worker) carryOut(ctx context.Context, p *post, a policy.AuthorisedOrder) (total int, err error) {
	o, admin := a.Order(), w.cfg.Admin
	filter := queue.DeadFilter{Code: o.Code, Tenant: o.Tenant, Before: o.Issued}
	if !o.Before.IsZero() {
		filter.Before = o.Before
	}
	if _, err := envelope.ParseMessageID(o.Target); err == nil {
		filter.ID = o.Target
	} else {
		filter.Entry = o.Target
	}
	var once func() (int, error)
	switch o.Act {
	case envelope.ActRequeue:
		once = func() (int, error) { return admin.Requeue(ctx, p.name, filter, ActMax) }
	case envelope.ActPurgeDead:
		once = func() (int, error) { return admin.PurgeDead(ctx, p.name, filter, ActMax) }
	case envelope.ActPurge:
		lanes := w.lanesOf(p, o.Tenant)
		if len(lanes) == 0 {
			return 0, nil
		}
		once = func() (int, error) { return admin.Purge(ctx, lanes, o.Issued, ActMax) }
	default:
		return 0, nil // done when it was heard
	}
	until := time.Now().Add(time.Until(o.Expires))
	for attempt := 1; ; {
		n, err := once()
		total += n
		switch {
		case err == nil && n < ActMax:
			return total, nil
		case err == nil:
			attempt = 1
		case !unavailable(err) || damaged(err) || time.Now().After(until) || !sleep(ctx, brokerPause(attempt)):
			return total, err // what somebody put in a key's place is still there an hour later, and other orders wait for their answers
		default:
			attempt++
		}
	}
}

// lanesOf returns the post's lanes of one tenant, or of all for "".
func (w *Worker) lanesOf(p *post, tenant string) []queue.Lane {
	var lanes []queue.Lane
	for _, l := range w.rules.Load().lanes[p.name] {
		if tenant == "" || l.Tenant == tenant {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// answer stores a signed result for the giver of the order. A worker that found nothing to do waits for answerAfter, so that one that
// did something answers first.
func (w *Worker) answer(ctx context.Context, p *post, a policy.AuthorisedOrder, n int, err error) {
	o := a.Order()
	quick := n > 0 || err != nil || o.Act == envelope.ActPause || o.Act == envelope.ActResume || o.Act == envelope.ActCancel
	if !quick && !sleep(ctx, answerAfter) {
		return
	}
	r := a.Verified().Answer()
	r.Finished, r.ContentType, r.Output = w.cfg.Clock(), "application/json", fmt.Appendf(nil, `{"count":%d}`, n)
	if err != nil {
		r.Status, r.Code, r.Error = envelope.StatusFailed, codeOf(err), envelope.ErrorText(err.Error())
	}
	if n > 0 {
		w.log.Warn("order carried out", "act", string(o.Act), "queue", p.name, "principal", a.Principal(), "order", o.ID.String(), "count", n, "note", o.Note)
	}
	signed, err := envelope.SignResults([]envelope.Result{r}, w.cfg.Key)
	if err == nil {
		err = w.cfg.Admin.Answer(ctx, p.name, o.Issuer.String(), o.ID.String(), signed[0], w.cfg.ResultTTL)
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("order not answered", "order", o.ID.String(), "error", err)
	}
}

// notToCancel is the refusal of an order to cancel that names a message which it may not cancel.
func notToCancel(a policy.AuthorisedOrder) error {
	o := a.Order()
	return &refusal{CodeOrder, fmt.Sprintf("the order of %s to cancel %s is not for this message, or for one that another has sent", a.Principal(), o.Target)}
}

// ordered reports whether an order cancels o, which has just been started: one that the broker has stored for it, or one that was heard
// while it was being started.
func (w *Worker) ordered(p *post, o *opened, s *queue.Started) bool {
	if p.orders.cancelled(o.id, o.allowed, w.cfg.Clock()) {
		return true
	}
	for i, b := range s.Cancels {
		if i == cancelsEach {
			break
		}
		a, err := w.order(p, b)
		if err != nil {
			w.ignoreOrder(p, err)
			continue
		}
		if a.Cancels(o.allowed) {
			return true
		}
		w.ignoreOrder(p, notToCancel(a))
	}
	return false
}
