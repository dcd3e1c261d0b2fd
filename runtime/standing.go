package runtime

import (
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// A standingOrder is an order to requeue or purge that was heard. It is remembered until it expires, so that it is carried out once,
// however often somebody puts it into the broker again.
type standingOrder struct {
	order policy.AuthorisedOrder
	heard time.Time       // when it was first heard
	taken envelope.Digest // the message that it has requeued here, if it is for one dead letter; zero: none yet
}

// hearOnce remembers a, heard at the given time, and reports whether it is new. When there are standingMax, those that have expired are
// removed, and then the one that was issued first. Orders issued no later than that one do not count as new afterwards.
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

// forget removes an order that could not be handed on, so that it is new when it is heard again.
func (o *orders) forget(id envelope.MessageID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.standing, id)
}

// requeuedByOrder reports whether an order allows j, which became a dead letter on this worker, to run again: an order to requeue that
// selects it, was heard after it died, and whose signer may still give orders. So an order brings each dead letter back once.
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

// chooses reports whether one is an order to requeue j, whose death was d.
func (one *standingOrder) chooses(j *job, d death, now time.Time) bool {
	order := one.order.Order()
	switch {
	case order.Act != envelope.ActRequeue || !now.Before(order.Expires) || !d.at.Before(one.heard):
		return false
	case !order.Before.IsZero() && d.at.Sub(order.Before) > envelope.SkewMax: // Before is by the broker's clock
		return false
	case order.Tenant != "" && order.Tenant != j.task.Tenant, order.Code != "" && !d.coded(order.Code):
		return false
	case order.Target == "":
		return true
	}
	if _, err := envelope.ParseMessageID(order.Target); err == nil {
		return order.Target == j.id
	}
	// Target is the entry of one dead letter, which begins with its time by the broker's clock. Which message it is cannot
	// be known here, so the first that fits is taken.
	ms, err := strconv.ParseInt(order.Target[:max(strings.IndexByte(order.Target, '-'), 0)], 10, 64)
	return err == nil && one.taken.IsZero() && time.UnixMilli(ms).Sub(d.at).Abs() < envelope.SkewMax
}
