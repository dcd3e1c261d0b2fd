package runtime

import (
	"context"
	"slices"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// ending is one outcome on its way to the broker.
type ending struct {
	settlement queue.Settlement
	begun      *begun // nil for a delivery that never began
	report     report
}

// finish sends b's outcome to the settler, with a result when there is one.
func (w *Worker) finish(b *begun, verdict queue.Verdict, result *envelope.Result, r report) {
	t := b.task
	r.id, r.task, r.tenant, r.attempt = t.ID.String(), t.Task, t.Tenant, b.attempt
	if r.sender = b.principal; r.sender == "" {
		r.sender = t.Issuer.String()
	}
	s := queue.Settlement{Lease: b.lease, Verdict: verdict}
	if result != nil {
		signed, err := envelope.SignResult(*result, w.cfg.Key)
		if err != nil {
			// The task's part of a result is bounded by the sandbox, so this is our own defect; the
			// outcome stands without its result rather than the task running again.
			w.log.Error("result cannot be signed", "task_id", r.id, "error", err)
		} else {
			s.Result, s.ResultKey, s.ResultTTL = signed, t.Issuer.String(), w.cfg.ResultTTL
		}
	}
	w.ended <- &ending{settlement: s, begun: b, report: r}
}

// endUnread sends the outcome of a delivery that never began.
func (w *Worker) endUnread(d queue.Delivery, verdict queue.Verdict, r report) {
	r.tenant = d.Lane.Tenant
	w.ended <- &ending{settlement: queue.Settlement{Lease: d.Unstarted(), Verdict: verdict}, report: r}
}

// settle writes outcomes until the channel closes: whatever has ended by the time the last write returned goes
// into the next one, so that batches grow with load and one outcome alone goes out at once.
func (w *Worker) settle(ctx context.Context) {
	for first := range w.ended {
		batch := append(make([]*ending, 0, settleMax), first)
	fill:
		for len(batch) < settleMax {
			select {
			case e, open := <-w.ended:
				if !open {
					break fill
				}
				batch = append(batch, e)
			default:
				break fill
			}
		}
		w.settleBatch(ctx, batch)
	}
}

// settleBatch writes batch, waiting for the broker as long as ctx lasts.
func (w *Worker) settleBatch(ctx context.Context, batch []*ending) {
	settlements := make([]queue.Settlement, len(batch))
	for i, e := range batch {
		settlements[i] = e.settlement
	}
	for attempt := 1; ; attempt++ {
		settled, err := w.cfg.Broker.Settle(ctx, settlements)
		if err == nil {
			w.broker.up(w.log, actSettle)
			w.metrics.settled.Observe(float64(len(batch)))
			for i, e := range batch {
				w.leave(e, settled[i])
			}
			return
		}
		if !unavailable(err) || damaged(err) {
			w.settleAlone(ctx, batch, err)
			return
		}
		w.broker.down(w.log, actSettle, err)
		if !sleep(ctx, brokerPause(attempt)) {
			w.log.Error("outcomes not written, their tasks will run again", "outcomes", len(batch), "error", err)
			w.abandon(batch)
			return
		}
	}
}

// settleAlone keeps one outcome that the broker will not take, whatever the reason, from holding up others.
func (w *Worker) settleAlone(ctx context.Context, batch []*ending, err error) {
	if len(batch) == 1 {
		w.log.Error("outcome cannot be written, its lease will end", "task_id", batch[0].report.id, "error", err)
		w.abandon(batch)
		return
	}
	for _, e := range batch {
		w.settleBatch(ctx, []*ending{e})
	}
}

// abandon lets go of outcomes that were not written.
func (w *Worker) abandon(batch []*ending) {
	for _, e := range batch {
		w.leave(e, queue.LeaseLost)
	}
}

// leave ends what the worker holds of e and says how it ended.
func (w *Worker) leave(e *ending, settled queue.Settled) {
	if e.begun != nil {
		e.begun.end(nil)
		w.flight.remove(e.settlement.Lease)
	}
	switch settled {
	case queue.Applied:
	case queue.Vanished:
		e.report.outcome, e.report.code = outcomeRefused, queue.CodeVanished
		e.report.text = "its entry was deleted from the lane while it ran"
	default:
		e.report.outcome = outcomeLost
	}
	w.metrics.count(e.report)
	w.say(e.report)
	w.room.give(1)
}

// renew keeps the leases of all that is in flight, until ctx ends.
func (w *Worker) renew(ctx context.Context) {
	for sleep(ctx, w.cfg.Lease/renewShare) {
		began := time.Now()
		if err := w.renewAll(ctx); err == nil {
			w.broker.up(w.log, actRenew)
		} else if ctx.Err() == nil {
			w.broker.down(w.log, actRenew, err)
		}
		w.metrics.renewed.Observe(time.Since(began).Seconds())
	}
}

// renewAll renews every lease once and ends the runs whose lease is lost.
func (w *Worker) renewAll(ctx context.Context) error {
	for batch := range slices.Chunk(w.flight.leases(), queue.BatchMax) {
		lost, err := w.cfg.Broker.Renew(ctx, batch)
		if err != nil {
			return err
		}
		for _, lease := range lost {
			w.log.Warn("lease lost, run ended", "task_id", lease.ID)
			w.flight.lose(lease)
		}
	}
	return nil
}
