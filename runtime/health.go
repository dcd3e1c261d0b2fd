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

// act is one of the things that the worker asks of the broker all the time. Each is watched on its own: a Redis that
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

// acts orders them for whoever asks for one reason.
var acts = [...]act{actClaim, actStart, actSettle, actRenew, actPromote, actRecover}

// everywhere are the reasons that keep the broker from all acts alike, for all workers: any act that goes well says that they are gone. Other reasons
// are of one act, as where memory is short, a right is missing, or a reply is too large for the line.
var everywhere = map[queue.Reason]bool{
	queue.ReasonConnection: true, queue.ReasonLoading: true, queue.ReasonReadOnly: true, queue.ReasonAuth: true,
	queue.ReasonCluster: true, queue.ReasonMasterDown: true, queue.ReasonBusy: true,
}

// reasonOf returns why the broker did not do what was asked; "" when it did not say. Of what it did not answer before our own deadline it is the time.
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

// brokerHealth remembers which acts on one queue fail, so that a change is said once and not at each attempt. Each queue has its own: in
// a cluster one may be gone while others are served.
type brokerHealth struct {
	queue string // for the log

	mu      sync.Mutex
	failing map[act]failing
	why     string        // what reason says; "" while no act fails
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

// up records that an act went well. Failures of other acts that were not tried again for healthMemory, or for healthBrief where the reason was
// everywhere, are forgotten: what failed to start may be another worker's by now.
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

// pause waits before the next attempt at an act that fails, as long as brokerPause says, but no longer than until another act that failed goes well
// again: what this worker has outcomes of is to be settled before others take it over. It reports whether ctx still goes on.
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

// stuck reports whether outcomes cannot be written, or leases not be renewed: what would begin now would run in vain, and again and again, each time as if
// it had taken its runner with it. It is not so because of one reply that is late: then others may well be in time.
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

// trouble says why the broker cannot be used; "" when it can. Where that is so for some queues only, they are named.
func (w *Worker) trouble() string {
	return w.reasons(func(p *post) string { return p.broker.reason() })
}

// deaf says why orders are not heard; "" while they are. Where that is so for some queues only, they are named.
func (w *Worker) deaf() string { return w.reasons(func(p *post) string { return p.hearing.reason() }) }

// reasons returns the first reason that a post has, and behind it the queues that have one, when not all have.
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

// reason says why the queue cannot be used; "" when it can.
func (b *brokerHealth) reason() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

// hearing remembers why a queue's orders are not heard. That is no reason to begin nothing: pauses that are known hold, and what
// runs can be cancelled again when orders are heard.
type hearing struct {
	queue string // for the log

	mu  sync.Mutex
	why string // "" while orders are heard
}

// told records what a listener says: err, or nil when orders are heard again.
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

// reason says why orders are not heard; "" while they are.
func (h *hearing) reason() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.why
}

// notes says what of the worker's work does not go on though the broker can be used, a line for each.
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
	if why := w.deaf(); why != "" {
		lines = append(lines, "orders are not heard: "+why)
	}
	slices.Sort(lines)
	return lines
}
