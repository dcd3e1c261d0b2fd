package runtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

// act is one of the calls that the worker makes to the broker all the time. The health of each is tracked by itself: a Redis that
// is full hands out work and refuses to record it.
type act string

const (
	actClaim   act = "claim"
	actStart   act = "start"
	actSettle  act = "settle"
	actRenew   act = "renew"
	actPromote act = "promote"
	actRecover act = "recover"
)

// acts are all of them; the reason of the first that fails is the one that is shown.
var acts = [...]act{actClaim, actStart, actSettle, actRenew, actPromote, actRecover}

// everywhere are the reasons that make all acts fail, for all workers: an act that succeeds shows that they are gone. Other reasons
// concern one act: memory is short, a right is missing, a reply is too large.
var everywhere = map[queue.Reason]bool{
	queue.ReasonConnection: true, queue.ReasonLoading: true, queue.ReasonReadOnly: true, queue.ReasonAuth: true,
	queue.ReasonCluster: true, queue.ReasonMasterDown: true, queue.ReasonBusy: true,
}

// reasonOf returns why the broker did not do what was asked, "" if that is not known. Our own deadline is ReasonTimeout.
func reasonOf(err error) queue.Reason {
	var u *queue.UnavailableError
	switch {
	case errors.As(err, &u):
		return u.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return queue.ReasonTimeout
	}
	return ""
}

// brokerHealth tracks which acts on one queue fail, so that a change is logged once and not at each attempt. Each queue has its
// own, since in a cluster one queue may be away while others are served.
type brokerHealth struct {
	queue string // for the log

	mu      sync.Mutex
	failing map[act]failing
	why     string        // the reason that is shown; "" while no act fails
	again   chan struct{} // closed when an act that failed goes well again; nil while nobody waits for it
}

type failing struct {
	why    string
	reason queue.Reason
	at     time.Time // of the last failure
}

// down records that an act failed.
func (b *brokerHealth) down(log hclog.Logger, a act, err error) {
	why, reason := "broker: "+string(a)+" fails", reasonOf(err)
	if reason != "" {
		why = "broker unavailable: " + string(reason)
	}
	b.mu.Lock()
	if b.failing == nil {
		b.failing = map[act]failing{}
	}
	b.failing[a] = failing{why, reason, time.Now()}
	changed := b.judge()
	b.mu.Unlock()
	if changed {
		log.Warn("intake paused", "queue", b.queue, "reason", why, "act", string(a), "error", err)
	}
}

// up records that an act succeeded. Failures of other acts are forgotten when those were not tried again for healthMemory (healthBrief
// for a reason in everywhere): a delivery that failed to start may be another worker's by now, and is never tried again.
func (b *brokerHealth) up(log hclog.Logger, a act) {
	b.mu.Lock()
	if len(b.failing) == 0 {
		b.mu.Unlock()
		return
	}
	if _, failed := b.failing[a]; failed {
		delete(b.failing, a)
		if b.again != nil {
			close(b.again)
			b.again = nil
		}
	}
	for other, f := range b.failing {
		memory := healthMemory
		if everywhere[f.reason] {
			memory = healthBrief
		}
		if time.Since(f.at) > memory {
			delete(b.failing, other)
		}
	}
	resumed := b.judge() && b.why == ""
	b.mu.Unlock()
	if resumed {
		log.Info("intake resumed", "queue", b.queue)
	}
}

// pause waits for brokerPause before the next attempt at an act that failed. It ends early when another act that failed succeeds
// again, so that outcomes are settled before other workers take over their deliveries. It reports whether ctx still goes on.
func (b *brokerHealth) pause(ctx context.Context, attempt int) bool {
	b.mu.Lock()
	if b.again == nil {
		b.again = make(chan struct{})
	}
	again := b.again
	b.mu.Unlock()
	timer := time.NewTimer(brokerPause(attempt))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	case <-again:
		return sleep(ctx, brokerPause(1))
	}
}

// stuck reports whether outcomes cannot be written or leases cannot be renewed. A run that begins then is in vain, and each lease that
// runs out counts as a crash of the message. One late reply (ReasonTimeout) does not count: others may well be in time.
func (b *brokerHealth) stuck() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range []act{actSettle, actRenew} {
		if f, fails := b.failing[a]; fails && f.reason != queue.ReasonTimeout {
			return true
		}
	}
	return false
}

// judge sets why and reports whether it changed. b.mu is held.
func (b *brokerHealth) judge() bool {
	before := b.why
	b.why = ""
	for _, a := range acts {
		if f, fails := b.failing[a]; fails {
			b.why = f.why
			break
		}
	}
	return b.why != before
}

// brokerReason returns why the broker cannot be used, "" when it can. If only some queues are affected, it names them.
func (w *Worker) brokerReason() string {
	return w.reasons(func(p *post) string { return p.broker.reason() })
}

// hearingReason returns why orders are not received, "" while they are. If only some queues are affected, it names them.
func (w *Worker) hearingReason() string {
	return w.reasons(func(p *post) string { return p.hearing.reason() })
}

// reasons returns the first reason of a post, followed by the names of the queues that have one, unless all have.
func (w *Worker) reasons(of func(p *post) string) string {
	var why string
	var names []string
	for _, p := range w.posts {
		if reason := of(p); reason != "" {
			names = append(names, p.name)
			if why == "" {
				why = reason
			}
		}
	}
	if len(names) == 0 || len(names) == len(w.posts) {
		return why
	}
	return why + ": " + strings.Join(names, ", ")
}

// reason returns why the queue cannot be used, "" when it can.
func (b *brokerHealth) reason() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

// hearing tracks why a queue's orders are not received. Work goes on meanwhile: known pauses hold, and running tasks can be cancelled
// once orders are received again.
type hearing struct {
	queue string // for the log

	mu  sync.Mutex
	why string // "" while orders are heard
}

// told records what the listener reports: err, or nil when orders are received again.
func (h *hearing) told(log hclog.Logger, err error) {
	why := string(reasonOf(err))
	if err != nil && why == "" {
		why = "failed"
	}
	h.mu.Lock()
	changed := h.why != why
	h.why = why
	h.mu.Unlock()
	switch {
	case changed && why == "":
		log.Info("orders are heard again", "queue", h.queue)
	case changed:
		log.Warn("orders are not heard", "queue", h.queue, "reason", why, "error", err)
	}
}

// reason returns why orders are not received, "" while they are.
func (h *hearing) reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}

// notes returns a line for each part of the work that is held up although the broker can be used.
func (w *Worker) notes() []string {
	var lines []string
	for _, name := range w.paused() { // by an order, so no fault
		lines = append(lines, "paused: "+name)
	}
	for _, l := range w.cfg.Broker.LeftOut() {
		lines = append(lines, "lane left out: "+l.String())
	}
	for _, p := range w.posts {
		if at := p.refused.Load(); at != 0 && time.Since(time.Unix(0, at)) < healthMemory {
			lines = append(lines, "outcomes that cannot be written: "+p.name)
		}
	}
	if why := w.hearingReason(); why != "" {
		lines = append(lines, "orders are not heard: "+why)
	}
	slices.Sort(lines)
	return lines
}
