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

// size is about what the result takes in memory.
func (e *ending) size() int {
	if e.result == nil {
		return 0
	}
	return len(e.result.Output)
}

// finish sends b's outcome to the settler, or leaves it to runAlone, with a result when there is one.
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
	w.room.give(1)
}

// endUnread sends the outcome of a delivery that never began.
func (w *Worker) endUnread(p *post, l queue.Lease, verdict queue.Verdict, r report) {
	r.tenant = l.Lane.Tenant
	p.ended.add(&ending{settlement: queue.Settlement{Lease: l, Verdict: verdict}, report: r})
	w.room.give(1)
}

// settle writes outcomes until no more come, in batches that grow with load: see endings.take. Signing does not wait for
// the network.
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

// sign signs the results of a batch, all with one signature, into its settlements.
func (w *Worker) sign(batch []*ending) {
	results, of := make([]envelope.Result, 0, len(batch)), make([]*ending, 0, len(batch))
	for _, e := range batch {
		if e.result != nil {
			results, of = append(results, *e.result), append(of, e)
		}
	}
	signed, err := envelope.SignResults(results, w.cfg.Key)
	for bad := (*envelope.BatchError)(nil); err != nil; signed, err = envelope.SignResults(results, w.cfg.Key) {
		// The task's part of a result is bounded by the sandbox, so this is our own defect; the
		// outcome stands without its result rather than the task running again.
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

// settleBatch writes batch, waiting for the broker as long as ctx lasts.
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

// settleAlone keeps one outcome that the broker will not take, whatever the reason, from holding up others.
func (w *Worker) settleAlone(ctx context.Context, p *post, batch []*ending, err error) {
	if len(batch) == 1 {
		w.log.Error("outcome cannot be written, its lease will end", "task_id", batch[0].report.id, "error", err)
		p.refused.Store(time.Now().UnixNano())
		w.abandon(p, batch)
		return
	}
	for _, e := range batch {
		w.settleBatch(ctx, p, []*ending{e})
	}
}

// abandon lets go of outcomes that were not written.
func (w *Worker) abandon(p *post, batch []*ending) {
	lost := make([]queue.Settled, len(batch))
	for i := range lost {
		lost[i] = queue.LeaseLost
	}
	w.leave(p, batch, lost, time.Now())
}

// leave ends what the worker holds of batch, for which the broker was asked at a time, and says how each ended.
func (w *Worker) leave(p *post, batch []*ending, settled []queue.Settled, asked time.Time) {
	w.flight.remove(batch)
	p.ended.gone(batch)
	w.room.wake() // for a post that was full
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

// tellVanished leaves a result for the sender of a message that can neither be retried nor given back, since it is nowhere any more. Whoever deleted it
// is at fault, so it is tried once: its state says that it is dead.
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

// remember keeps in mind that e's message has ended, for as long as it could come again. It ended no sooner than asked:
// whoever has read its outcome may have ordered something by now.
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

// renew keeps the leases of all of the post's that is in flight, until ctx ends.
func (w *Worker) renew(ctx context.Context, p *post) {
	for sleep(ctx, w.cfg.Lease/renewShare) {
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
