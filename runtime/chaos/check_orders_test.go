package chaos_test

import (
	"slices"
	"time"
)

// Bounds of what orders do.
const (
	// tellLate is how long after an outcome was settled its worker may tell it: it was stopped in between, or the machine is busy. So much
	// earlier than what was told an order may have requeued it.
	tellLate = 5 * time.Second

	// holdMax is for how long after its worker heard of a pause a guest may say that it runs, which had been let begin before, on a machine that does much else.
	holdMax = time.Second

	// hearMax is after how long a worker has heard an order that Redis has taken, on a machine that does much else.
	hearMax = 4 * time.Second
)

// requeue are the times of orders that may have requeued one message.
type requeue []time.Time

// between says whether one of them may have come between an end that was told, or seen, at a and what followed at b, and takes it away: an
// order requeues a message once.
func (r *requeue) between(a, b time.Time) bool {
	for i, at := range *r {
		if at.After(a.Add(-tellLate)) && at.Before(b) {
			*r = slices.Delete(*r, i, i+1)
			return true
		}
	}
	return false
}

// requeues returns the orders that may have requeued a message.
func (j *judgement) requeues(id string) requeue {
	var out requeue
	for _, o := range j.orders {
		if o.Text == "requeue" && o.Queue == j.queueOf(id) {
			out = append(out, o.At)
		}
	}
	return out
}

// queueOf is where a message was sent to.
func (j *judgement) queueOf(id string) string {
	if s := first(j.byID[id], sent); s != nil {
		return s.Queue
	}
	return ""
}

// given says whether an order of an act for the message's queue came after it was sent, and not long before t.
func (j *judgement) given(id, act string, t time.Time) bool {
	s := first(j.byID[id], sent)
	return s != nil && slices.ContainsFunc(j.orders, func(o event) bool {
		return o.Text == act && o.Queue == s.Queue && o.At.After(s.At) && (t.IsZero() || o.At.After(t.Add(-tellLate)))
	})
}

// purged says whether a message may have been forgotten where it waited: it had been sent when a purge was ordered.
func (j *judgement) purged(id string) bool { return j.given(id, "purge", time.Time{}) }

// forgotten says whether an order may have removed the attacker's garbage, in its lane or from the dead letters.
func (j *judgement) forgotten(e event) bool {
	return slices.ContainsFunc(j.orders, func(o event) bool {
		return (o.Text == "purge" || o.Text == "purge_dead") && o.Queue == e.Queue && o.At.After(e.At)
	})
}

// cancelled holds that of a message nothing begins once an order to cancel it was taken before its time: whoever starts it is told. What may have
// been in a worker's hands by then neither begins nor goes on to its end long after the order was taken, or after the last fault that kept the worker
// from hearing it.
func (j *judgement) cancelled(id string, send event, runs, takes, told []event) {
	for _, t := range takes {
		if j.lossy(t.At) {
			continue
		}
		waited := t.At.Before(send.Until.Add(-j.Step))
		for _, r := range runs {
			if waited && r.At.After(t.At) || r.At.After(j.calm(r.Who, t.At, r.At).Add(hearMax)) {
				j.find(defied, id, "cancelled at %s, run by %s at %s", clock(t.At), r.Who, clock(r.At))
				return
			}
			for _, end := range told {
				if end.Who == r.Who && end.Text == "done" && r.At.Before(end.At) && end.At.After(j.calm(r.Who, t.At, end.At).Add(hearMax)) {
					j.find(defied, id, "cancelled at %s, run by %s until %s", clock(t.At), r.Who, clock(end.At))
					return
				}
			}
		}
	}
}

// calm returns when the last fault had ended that could keep a worker from hearing an order of a time, at the earliest that time itself: of those that
// began before another. To be killed is none.
func (j *judgement) calm(worker string, from, before time.Time) time.Time {
	for _, f := range j.faults {
		if (f.Who == "redis" || f.Who == worker && f.Text != "kill") && f.At.Before(before) && f.Until.After(from) {
			from = f.Until
		}
	}
	return from
}

// upset says whether a fault may have kept what a worker held for long, or from hearing, between two times. To be killed is none: what runs
// afterwards has nothing from before.
func (j *judgement) upset(worker string, from, to time.Time) bool {
	return slices.ContainsFunc(j.faults, func(f event) bool {
		return (f.Who == "redis" || f.Who == worker && f.Text != "kill") && f.At.Before(to) && f.Until.After(from.Add(-j.Lease))
	})
}

// A pause is the time from which on every worker had heard an order to pause, until the next order of that kind.
type pause struct {
	queue    string
	ordered  time.Time
	from, to time.Time
}

// allPauses returns those that hold: what Redis forgot is none.
func (j *judgement) allPauses() []pause {
	var all []pause
	for i, o := range j.orders {
		if o.Text != "pause" || j.lossy(o.At) {
			continue
		}
		p := pause{queue: o.Queue, ordered: o.At}
		who := map[string]bool{}
		for _, e := range j.events {
			if e.Kind == heard && e.Order == o.Order && !who[e.Who] {
				who[e.Who], p.from = true, e.At
			}
		}
		for _, next := range j.orders[i+1:] {
			if next.Queue == o.Queue && (next.Text == "pause" || next.Text == "resume") {
				p.to = next.At
				break
			}
		}
		if len(who) == j.Workers && j.Workers > 0 && !p.to.IsZero() {
			all = append(all, p)
		}
	}
	return all
}

// pauses holds that nothing of a queue begins once every worker has heard that it is paused: on workers that start meanwhile neither.
func (j *judgement) pauses() {
	for _, p := range j.allPauses() {
		for _, e := range j.events {
			if e.Kind != ran || j.queueOf(e.ID) != p.queue || !e.At.After(p.from.Add(holdMax)) || !e.At.Before(p.to) {
				continue
			}
			unheard := slices.ContainsFunc(j.events, func(h event) bool {
				return h.Kind == heard && h.Text == "deaf" && h.Who == e.Who && h.At.After(p.ordered) && h.At.Before(e.At)
			})
			if !unheard && !j.upset(e.Who, p.from, p.from.Add(holdMax)) {
				j.find(deaf, e.ID, "by %s at %s; %s was paused, and all had heard it at %s", e.Who, clock(e.At), p.queue, clock(p.from))
			}
		}
	}
}

// clears holds that what came into a paused queue before a purge that was answered never runs, nor what was parked then.
func (j *judgement) clears() {
	for _, p := range j.allPauses() {
		for _, o := range j.orders {
			done := slices.IndexFunc(j.events, func(e event) bool {
				return e.Kind == answered && e.Order == o.Order && e.Text == "done" && e.At.Before(p.to)
			})
			if o.Text != "purge" || o.Queue != p.queue || done < 0 || o.At.Before(p.from) || j.lossy(o.At) {
				continue
			}
			for _, id := range sortedKeys(j.byID) {
				s, a, run := first(j.byID[id], sent), first(j.byID[id], accepted), first(j.byID[id], ran)
				if s == nil || a == nil || run == nil || s.Queue != p.queue || !a.At.Before(o.At) {
					continue
				}
				parked := s.Text == "stored" && j.events[done].At.Before(s.Until.Add(-j.Step))
				waited := s.Text == "cleared" && s.At.After(p.from) && !j.upset("", p.from, s.At) // a read that Redis still held up would have brought it to a worker
				if parked || waited {
					j.find(remains, id, "purged at %s, run by %s at %s", clock(o.At), run.Who, clock(run.At))
				}
			}
		}
	}
}

// gates holds that of what goes through a gate no more runs at a time, and no more begins, than it lets in. What a fault met counts for neither,
// since its place may have ended with its lease; a gate is forgotten with Redis.
func (j *judgement) gates() {
	byQueue := map[string][]event{}
	for _, e := range j.events {
		if s := first(j.byID[e.ID], sent); e.Kind == ran && s != nil && s.Text == "gated" {
			e.Until = e.At
			for _, end := range j.byID[e.ID] {
				if end.Kind == said && end.Who == e.Who && end.Text == "done" && end.At.After(e.At) {
					e.Until = e.At.Add(end.Took) // of the whole run, of which its guest says no sooner than it begins
					if end.At.Before(e.Until) {
						e.Until = end.At
					}
				}
			}
			byQueue[s.Queue] = append(byQueue[s.Queue], e)
		}
	}
	for _, name := range sortedKeys(byQueue) {
		runs := byQueue[name]
		for i, e := range runs {
			at := 1
			for _, other := range runs[:i] {
				if other.Until.After(e.At) {
					at++
				}
			}
			if at > gateInFlight && !j.upset(e.Who, e.At.Add(-j.Lease), e.At) && !j.broken(e.At) {
				j.find(crowd, e.ID, "%d ran in %s at %s", at, name, clock(e.At))
			}
			for n, from := range runs[:i] {
				most := float64(gateBurst+gateInFlight) + gateRate*e.At.Sub(from.At).Seconds()
				if float64(i-n+1) > most && !j.broken(e.At) {
					j.find(rush, e.ID, "%d began in %s within %v", i-n+1, name, e.At.Sub(from.At))
					break
				}
			}
		}
	}
}

// broken says whether a fault lies so near before t that places behind gates, or their rates, may have been lost or given twice.
func (j *judgement) broken(t time.Time) bool {
	return slices.ContainsFunc(j.faults, func(f event) bool {
		return f.Who != "clients" && f.At.Before(t) && f.Until.After(t.Add(-2*j.Lease-time.Second))
	})
}
