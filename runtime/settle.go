package runtime

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// ending is one outcome on its way to the broker.
type ending struct {
	settlement queue.Settlement
	result     *envelope.Result // nil for none; signed by the settler
	begun      *begun           // nil for a delivery that never began
	report     report
}

// size returns about how many bytes of memory the result takes.
func (e *ending) size() int {
	if e.result == nil {
		return 0
	}
	return len(e.result.Output)
}

// finish hands b's outcome to the settler, or leaves it to runAlone. result is nil for none.
func (w *Worker) finish(b *begun, verdict queue.Verdict, result *envelope.Result, r report) {
	t := &b.task
	r.id, r.task, r.tenant, r.attempt = b.id, t.Task, t.Tenant, b.attempt
	if r.sender = b.principal; r.sender == "" {
		r.sender = t.Issuer.String()
	}
	s := queue.Settlement{Lease: b.lease, Verdict: verdict}
	s.ResultTTL, s.Wake = w.keep(t, verdict, w.cfg.Clock())
	e := &ending{settlement: s, result: result, begun: b, report: r}
	if b.alone && b.post.ended.begin(e) {
		b.ended = e
	} else {
		b.post.ended.add(e)
	}
	w.capacity.give(1)
}

// endUnread hands the outcome of a delivery that was not started to the settler.
func (w *Worker) endUnread(p *post, l queue.Lease, verdict queue.Verdict, r report) {
	r.tenant = l.Lane.Tenant
	p.ended.add(&ending{settlement: queue.Settlement{Lease: l, Verdict: verdict}, report: r})
	w.capacity.give(1)
}

// settle writes outcomes until nothing more is added, in batches that grow with load: see endings.take. Signing one batch overlaps
// with the write of another.
func (w *Worker) settle(ctx context.Context, p *post) {
	for {
		batch, over := p.ended.take()
		switch {
		case over:
			return
		case batch == nil:
			<-p.ended.some
		default:
			w.sign(batch)
			go func() { // ends before the settler, which waits for what is under way
				w.settleBatch(ctx, p, batch)
				p.ended.written()
			}()
		}
	}
}

// sign signs the results of a batch, with one signature for all, and puts them into its settlements.
func (w *Worker) sign(batch []*ending) {
	results, of := make([]envelope.Result, 0, len(batch)), make([]*ending, 0, len(batch))
	for _, e := range batch {
		if e.result != nil {
			results, of = append(results, *e.result), append(of, e)
		}
	}
	signed, err := envelope.SignResults(results, w.cfg.Key)
	for bad := (*envelope.BatchError)(nil); err != nil; signed, err = envelope.SignResults(results, w.cfg.Key) {
		// The sandbox bounds the task's part of a result, so this is our own defect. The outcome is
		// written without its result, so that the task does not run again.
		if !errors.As(err, &bad) {
			w.log.Error("results cannot be signed", "results", len(results), "error", err)
			return
		}
		w.log.Error("result cannot be signed", "task_id", of[bad.Index].report.id, "error", bad.Err)
		results, of = slices.Delete(results, bad.Index, bad.Index+1), slices.Delete(of, bad.Index, bad.Index+1)
	}
	for i, e := range of {
		e.settlement.Result, e.settlement.ResultKey = signed[i], e.begun.task.Issuer.String()
	}
}

// settleBatch writes batch, and retries while the broker cannot be used and ctx goes on.
func (w *Worker) settleBatch(ctx context.Context, p *post, batch []*ending) {
	settlements := make([]queue.Settlement, len(batch))
	for i, e := range batch {
		settlements[i] = e.settlement
	}
	for attempt := 1; ; attempt++ {
		asked := time.Now()
		settled, err := w.cfg.Broker.Settle(ctx, settlements)
		if err == nil {
			p.broker.up(w.log, actSettle)
			w.metrics.settled.Observe(float64(len(batch)))
			w.leave(p, batch, settled, asked)
			return
		}
		if !unavailable(err) || damaged(err) {
			w.settleAlone(ctx, p, batch, err)
			return
		}
		p.broker.down(w.log, actSettle, err)
		if !p.broker.pause(ctx, attempt) {
			w.log.Error("outcomes not written, their tasks will run again", "outcomes", len(batch), "error", err)
			w.abandon(p, batch)
			return
		}
	}
}

// settleAlone writes the outcomes of a batch one by one, so that one that the broker rejects does not hold up the others.
func (w *Worker) settleAlone(ctx context.Context, p *post, batch []*ending, err error) {
	if len(batch) == 1 {
		w.limited.warn("outcome cannot be written, its lease will end", "", "task_id", batch[0].report.id, "error", err)
		p.refused.Store(time.Now().UnixNano())
		w.abandon(p, batch)
		return
	}
	for _, e := range batch {
		w.settleBatch(ctx, p, []*ending{e})
	}
}

// abandon gives up outcomes that were not written, as if their leases were lost.
func (w *Worker) abandon(p *post, batch []*ending) {
	lost := make([]queue.Settled, len(batch))
	for i := range lost {
		lost[i] = queue.LeaseLost
	}
	w.leave(p, batch, lost, time.Now())
}

// leave frees what the worker holds for batch, and logs and counts how each ended. settled are the broker's answers to a call made at
// asked.
func (w *Worker) leave(p *post, batch []*ending, settled []queue.Settled, asked time.Time) {
	w.flight.remove(batch)
	p.ended.gone(batch)
	w.capacity.wake() // for a post that was full
	for i, e := range batch {
		if e.begun != nil {
			w.releaseInputs(e.begun)
			e.begun.end(nil)
		}
		switch settled[i] {
		case queue.Applied:
			w.remember(e, asked)
		case queue.Vanished:
			e.report.outcome, e.report.code = outcomeRefused, queue.CodeVanished
			e.report.text = "its entry was deleted from the lane while it ran"
			w.tellVanished(p, e)
		default:
			e.report.outcome = outcomeLost
		}
		w.metrics.count(e.report)
		w.noteEnd(e)
		w.say(e.report)
	}
}

// tellVanished stores a result for the sender of a message that can be neither retried nor released, since somebody deleted its entry. It
// is tried once only: the message's state says that it is dead in any case.
func (w *Worker) tellVanished(p *post, e *ending) {
	if e.begun == nil || w.cfg.Admin == nil {
		return
	}
	result := e.begun.result(w.cfg.Clock())
	result.Status, result.Code = envelope.StatusRefused, queue.CodeVanished
	signed, err := envelope.SignResults([]envelope.Result{result}, w.cfg.Key)
	if err == nil {
		ctx, cancel := context.WithTimeout(w.work, w.cfg.Lease)
		defer cancel()
		err = w.cfg.Admin.Answer(ctx, p.name, e.begun.task.Issuer.String(), e.report.id, signed[0], w.cfg.ResultTTL)
	}
	if err != nil {
		w.log.Warn("the sender is not told", "task_id", e.report.id, "code", queue.CodeVanished, "error", err)
	}
}

// remember records that e's message has ended, until it expires. Its death counts from asked, when the broker was asked: an operator may
// have read the outcome, and ordered to requeue it, before the answer came here.
func (w *Worker) remember(e *ending, asked time.Time) {
	o := e.settlement.Verdict.Outcome()
	if e.begun != nil && (o == queue.OutcomeDone || o == queue.OutcomeDead) {
		var d death
		if o == queue.OutcomeDead {
			d = death{asked, codeSum(e.settlement.Verdict.Code())}
		}
		now := w.cfg.Clock()
		w.settled.add(e.begun.digest, now, e.begun.task.Expires, d)
		w.recent.add(e.begun.digest, now, e.settlement)
	}
}

// renew renews the leases of all deliveries of the post that are in flight, until ctx ends.
func (w *Worker) renew(ctx context.Context, p *post) {
	for sleep(ctx, w.cfg.Lease/renewPart) {
		began := time.Now()
		if err := w.renewAll(ctx, p); err == nil {
			p.broker.up(w.log, actRenew)
		} else if ctx.Err() == nil {
			p.broker.down(w.log, actRenew, err)
		}
		w.metrics.renewed.Observe(time.Since(began).Seconds())
	}
}

// renewAll renews every lease once and ends the runs whose lease is lost.
func (w *Worker) renewAll(ctx context.Context, p *post) error {
	for batch := range slices.Chunk(w.flight.leases(p.name), queue.BatchMax) {
		asked := time.Now()
		lost, err := w.cfg.Broker.Renew(ctx, batch)
		if err != nil {
			return err
		}
		w.flight.renew(batch, lost, asked)
		for _, lease := range lost {
			if w.flight.lose(lease) {
				w.limited.warn("lease lost, run ended", "", "task_id", lease.ID)
			}
		}
	}
	return nil
}
