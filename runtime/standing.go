package runtime

import (
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// A standingOrder is an order to requeue or purge that was heard. It is remembered until it expires, so that it counts once
// however often somebody puts it into the broker again.
type standingOrder struct {
	order policy.AuthorisedOrder
	heard time.Time       // for the first time
	taken envelope.Digest // the dead letter that it requeued, when it is for one dead letter; zero: nothing yet
}

// hearOnce remembers a, which was heard at that time; it reports whether it is new. When there are too many, those that
// have expired go, and then the one that was issued first: nothing as old as that is new afterwards.
func (o *orders) hearOnce(a policy.AuthorisedOrder, heard time.Time) (fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	order := a.Order()
	if _, known := o.standing[order.ID]; known || !order.Issued.After(o.standingAfter) {
		return false
	}
	if len(o.standing) >= standingMax {
		var first envelope.Order
		for id, one := range o.standing {
			switch known := one.order.Order(); {
			case !heard.Before(known.Expires):
				delete(o.standing, id)
			case first.ID.IsZero() || known.Issued.Before(first.Issued):
				first = known
			}
		}
		if len(o.standing) >= standingMax {
			delete(o.standing, first.ID)
			o.standingAfter = first.Issued
		}
	}
	o.standing[order.ID] = &standingOrder{order: a, heard: heard}
	return true
}

// forget makes an order that could not be handed on new again.
func (o *orders) forget(id envelope.MessageID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.standing, id)
}

// requeuedByOrder reports whether an order lets j run, which became a dead letter here: one to requeue that chooses it, whose
// signer may still order, and that was heard after it died. So one order lets each dead letter come back once.
func (w *Worker) requeuedByOrder(j *job, d death) bool {
	o, now, rules := j.post.orders, w.cfg.Clock(), w.rules.Load()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range o.standing {
		if !one.chooses(j, d, now) {
			continue
		}
		if _, err := rules.AuthorizeOrder(one.order.Verified(), now); err == nil {
			one.taken = j.digest
			return true
		}
	}
	return false
}

// chooses reports whether one is an order to requeue j, which died as d says.
func (one *standingOrder) chooses(j *job, d death, now time.Time) bool {
	order := one.order.Order()
	switch {
	case order.Act != envelope.ActRequeue || !now.Before(order.Expires) || !d.at.Before(one.heard):
		return false
	case !order.Before.IsZero() && d.at.Sub(order.Before) > envelope.SkewMax: // which is by the broker's clock
		return false
	case order.Tenant != "" && order.Tenant != j.task.Tenant, order.Code != "" && !d.coded(order.Code):
		return false
	case order.Target == "":
		return true
	}
	if _, err := envelope.ParseMessageID(order.Target); err == nil {
		return order.Target == j.id
	}
	// One dead letter, by the broker's name for it, which begins with the time by the broker's clock. Whose it is
	// cannot be known here, so the first that fits it is it.
	ms, err := strconv.ParseInt(order.Target[:max(strings.IndexByte(order.Target, '-'), 0)], 10, 64)
	return err == nil && one.taken.IsZero() && time.UnixMilli(ms).Sub(d.at).Abs() < envelope.SkewMax
}
