package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// runReady is the goroutine of one runner: it runs what is ready until ready is halted.
func (w *Worker) runReady() {
	for {
		b, runner := w.ready.next()
		if b == nil {
			return
		}
		w.runOn(runner, b)
		w.ready.done(b, runner, false)
	}
}

// runOn runs b as the runner of that number.
func (w *Worker) runOn(runner int, b *begun) {
	w.pace.begin(runner, time.Now())
	w.metrics.busy.Inc()
	w.runOne(b)
	w.metrics.busy.Dec()
	w.pace.end(runner, time.Now())
}

// giveBack releases what has started and not begun to run. It is called when nothing more is added.
func (w *Worker) giveBack() {
	for _, b := range w.ready.rest() {
		w.putBack(b)
	}
}

// putBack releases b, which has not begun to run.
func (w *Worker) putBack(b *begun) {
	w.finish(b, queue.Release(), nil, report{code: "released"})
}

// runOne authorises one delivery, resolves its release, checks its capabilities and runs it. Every way out passes exactly one outcome to
// finish or to the settler.
func (w *Worker) runOne(b *begun) {
	if w.flight.overdue(b, w.cfg.Lease) {
		w.putBack(b)
		return
	}
	now := w.cfg.Clock()
	j, err := w.authorise(b, now)
	if err != nil {
		w.refuse(b, err)
		return
	}
	t := j.task
	if t.NotBefore.After(now) || !b.asked {
		// Not asked: its time came, or the policy changed, after it was started. It is delivered again, and asks then.
		w.finish(b, queue.Park(t.NotBefore), nil, report{code: "parked"})
		return
	}
	if paused, _, _ := b.post.orders.paused(now); paused { // by an order that came while it was started, or waited for its runner
		w.finish(b, queue.Release(), nil, report{code: "released"})
		return
	}
	if w.endedBefore(j) {
		return
	}
	payload, err := w.payload(j)
	if err != nil {
		w.refuse(b, err)
		return
	}
	release, err := w.releases.load(j.ctx, w.rules.Load(), t)
	if err != nil {
		w.withoutRelease(j, err)
		return
	}
	held, err := j.allowed.Hold(release.manifest.Needs)
	if err != nil {
		w.refuse(b, err)
		return
	}
	limits := release.manifest.Limits.Tightest(j.allowed.Limits())
	if int64(len(payload)) > limits.Payload {
		w.refuse(b, &refusal{CodePayload, fmt.Sprintf("the payload has %d bytes, more than %d", len(payload), limits.Payload)})
		return
	}
	began := w.cfg.Clock()
	outcome := release.program.Run(j.ctx, sandbox.Job{
		ID:       b.id,
		Tenant:   j.allowed.Tenant(),
		Held:     held,
		Limits:   limits,
		Input:    payload,
		Begin:    func() { began = w.beginRun(j) },
		Log:      func(level, line string) { w.guestLine(b, level, line) },
		Progress: w.reporter(b),
	})
	w.conclude(j, release, outcome, began)
}

// beginRun is called just before j's guest begins, and returns the time. It checks the lease again: since runOne did, j may have waited for
// its release, a template or a cell, or the whole process may have been stopped.
func (w *Worker) beginRun(j *job) time.Time {
	switch {
	case w.flight.overdue(j.begun, w.cfg.Lease), j.suspect() && !w.beginSuspect(j):
		j.end(errLeaseLost)
	case j.ctx.Err() == nil:
		w.note(j.begun, queue.EventStarted, "", "")
	}
	return w.cfg.Clock()
}

// beginSuspect tells the broker that j, a suspect, begins to run: from now on the end of this process is j's crash. It reports whether
// j may run.
func (w *Worker) beginSuspect(j *job) bool {
	ctx, cancel := context.WithTimeout(j.ctx, w.cfg.Lease/2)
	defer cancel()
	s := queue.Start{Delivery: j.delivery, ID: j.id, Digest: j.digest.String(), Expires: j.task.Expires, Begins: true}
	got, err := w.cfg.Broker.Start(ctx, []queue.Start{s})
	if err != nil {
		w.limited.warn("suspect cannot begin", "", "task_id", j.id, "error", err)
		return false
	}
	return got[0].State == queue.Granted
}

// withoutRelease ends j, whose release could not be loaded: refused if it was cancelled, released if its run was ended from outside, parked
// if the store is not available, which is no fault of the task and costs no attempt, and refused otherwise.
func (w *Worker) withoutRelease(j *job, err error) {
	switch {
	case context.Cause(j.ctx) == errCancelled:
		w.refuse(j.begun, &refusal{CodeCancelled, "an order cancelled it before it began"})
	case j.ctx.Err() != nil:
		w.release(j, report{})
	case unavailable(err):
		w.limited.warn("module store cannot be used, task put back", "", "task", j.task.Task, "error", err)
		w.finish(j.begun, queue.Park(w.cfg.Clock().Add(releaseFresh)), nil, report{code: "parked"})
	default:
		w.refuse(j.begun, err)
	}
}

// conclude turns the sandbox's outcome into a verdict and a signed result.
func (w *Worker) conclude(j *job, release release, o sandbox.Outcome, began time.Time) {
	now := w.cfg.Clock()
	r := report{ran: true, code: o.Code, waited: began.Sub(j.task.Issued), usage: o.Usage}
	result := j.result(now)
	result.Attempt, result.Started = j.attempt, began
	result.Module, result.Code, result.Error = release.digest, o.Code, envelope.ErrorText(o.Error)
	switch {
	case o.Verdict == sandbox.Done:
		r.outcome, r.code = outcomeDone, "done"
		result.Status, result.Code, result.Output = envelope.StatusDone, "", o.Output
		result.ContentType = j.contentType(o.Output)
		w.finish(j.begun, queue.Done(), &result, r)
	case context.Cause(j.ctx) == errCancelled:
		r.outcome, r.code, r.text = outcomeRefused, CodeCancelled, "an order cancelled it while it ran"
		if r.cancel = w.flight.sinceCancel(j.begun); r.cancel > 0 {
			w.metrics.cancel.Observe(r.cancel.Seconds())
		}
		result.Status, result.Code, result.Error = envelope.StatusRefused, CodeCancelled, ""
		w.finish(j.begun, queue.Dead(CodeCancelled, r.text), &result, r)
	case j.ctx.Err() != nil:
		// The worker drains, or the lease is lost: we ended the guest.
		w.release(j, r)
	case o.Verdict == sandbox.Failed, o.Verdict == sandbox.Limit:
		w.fail(j, envelope.StatusFailed, result, r, "")
	case o.Code == sandbox.CodeBusy: // nothing ran, and it is no fault of the task
		w.finish(j.begun, queue.Park(now.Add(busyPause)), nil, report{code: "parked"})
	default: // Retry, Crash
		w.retry(j, release.manifest.Retry, o, result, r, now)
	}
}

// release releases j, whose run was ended from outside. Runs that the drain cut are counted for Run's error.
func (w *Worker) release(j *job, r report) {
	if context.Cause(j.ctx) == errCut {
		w.cuts.Add(1)
	}
	r.code = "released"
	w.finish(j.begun, queue.Release(), nil, r)
}

// retry parks j for its next run, or lets it fail when there is none left.
func (w *Worker) retry(j *job, retry manifest.Retry, o sandbox.Outcome, result envelope.Result, r report, now time.Time) {
	crash := o.Verdict == sandbox.Crash
	runs := retry.Max + 1
	if asked := j.task.Attempts; asked > 0 {
		runs = min(runs, asked)
	}
	if !crash && j.attempt >= runs {
		w.fail(j, envelope.StatusDead, result, r, fmt.Sprintf("run %d of %d", j.attempt, runs))
		return
	}
	wait := backoff(retry, max(j.attempt, 1))
	if o.RetryAfter > 0 {
		wait = min(o.RetryAfter, retryAfterMax)
	}
	at := now.Add(wait)
	if at.After(j.task.Expires) {
		w.fail(j, envelope.StatusDead, result, r, "expires before its next run")
		return
	}
	r.outcome, r.text = outcomeRetried, o.Error
	verdict := queue.Retry(at)
	if crash {
		verdict = queue.Crash(at)
	}
	w.finish(j.begun, verdict, nil, r)
}

// fail ends j for good as the task's own failure: StatusFailed by its own word or a limit, StatusDead when no attempt is left.
func (w *Worker) fail(j *job, status envelope.Status, result envelope.Result, r report, why string) {
	r.outcome, r.text = outcomeFailed, result.Error
	result.Status = status
	reason := result.Error
	if why != "" {
		reason = why + ": " + reason
	}
	w.finish(j.begun, queue.Dead(result.Code, reason), &result, r)
}

// refuse ends b for good by our decision. The result tells its sender the code.
func (w *Worker) refuse(b *begun, err error) {
	code := codeOf(err)
	result := b.result(w.cfg.Clock())
	result.Status, result.Code = envelope.StatusRefused, code
	waited := result.Finished.Sub(b.task.Issued)
	w.finish(b, queue.Dead(code, err.Error()), &result, report{outcome: outcomeRefused, code: code, text: err.Error(), waited: waited})
}

// duplicate ends b, whose unique key another message holds. The result tells its sender which.
func (w *Worker) duplicate(b *begun, first string) {
	result := b.result(w.cfg.Clock())
	result.Status, result.Code, result.ContentType, result.Output = envelope.StatusRefused, CodeDuplicate, "text/plain", []byte(first)
	text := "the message " + first + " had its unique key first"
	w.finish(b, queue.Dead(CodeDuplicate, text), &result, report{outcome: outcomeRefused, code: CodeDuplicate, text: text})
}

// endedBefore ends a task that this worker has settled before, although the broker has forgotten that: it was set back to an older
// state, or somebody deleted the message's state. It reports whether it did. If the outcome is still kept, it is written again. A dead
// letter may have been requeued by an order that has not reached this worker yet; so at its first return it is parked for requeueWait.
func (w *Worker) endedBefore(j *job) bool {
	known, d := w.settled.has(j.digest)
	if !known {
		return false
	}
	dead := !d.at.IsZero()
	if dead && w.requeuedByOrder(j, d) {
		w.settled.forget(j.digest) // as the broker has done
		return false
	}
	if dead && w.settled.doubt(j.digest) {
		w.finish(j.begun, queue.Park(w.cfg.Clock().Add(requeueWait)), nil, report{code: "parked"})
		return true
	}
	if s, kept := w.recent.get(j.digest); kept {
		w.limited.warn("outcome written again, the broker had forgotten it", "", "task_id", j.id)
		s.Lease = j.lease
		j.post.ended.add(&ending{settlement: s, begun: j.begun, report: report{code: "again", id: j.id, task: j.task.Task, tenant: j.task.Tenant, attempt: j.attempt}})
		w.capacity.give(1)
		return true
	}
	err := &refusal{CodeReplayed, "this worker has settled these bytes, and the broker has forgotten it"}
	w.finish(j.begun, queue.Dead(CodeReplayed, err.text), nil, report{outcome: outcomeRefused, code: CodeReplayed, text: err.text})
	return true
}

// refuseUnread ends a delivery that was not started: it has no state, and no sender who could be told.
func (w *Worker) refuseUnread(p *post, l queue.Lease, err error) {
	code := codeOf(err)
	w.endUnread(p, l, queue.Dead(code, err.Error()), report{outcome: outcomeRefused, code: code, text: err.Error()})
}

// result returns a result of b with the fields that all have in common. It says that nothing ran.
func (b *begun) result(finished time.Time) envelope.Result {
	t := b.task
	return envelope.Result{
		ID: t.ID, Message: b.digest, Body: b.message.Body(), Audience: t.Audience, Tenant: t.Tenant, Queue: t.Queue, Task: t.Task, Finished: finished,
	}
}

// unavailable reports whether err says that the broker or the store cannot be used for now.
func unavailable(err error) bool {
	var broker *queue.UnavailableError
	var store *modstore.UnavailableError
	return errors.As(err, &broker) || errors.As(err, &store)
}

// damaged reports whether err says that a key of the broker holds something else, which waiting does not cure.
func damaged(err error) bool {
	var broker *queue.UnavailableError
	return errors.As(err, &broker) && broker.Reason == queue.ReasonData
}
