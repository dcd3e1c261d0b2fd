package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// events are the events of one post that have not been written yet. When they come faster than the broker takes them, some are
// dropped and counted; no task waits for them.
type events struct {
	on      bool
	mu      sync.Mutex
	waiting []queue.Event
	spare   []queue.Event // the other of two buffers: one is filled while the other is written
	some    chan struct{}
}

// note adds an event about b, if events are written at all.
func (w *Worker) note(b *begun, kind queue.EventKind, code, progress string) {
	p := b.post
	if !p.events.on {
		return
	}
	p.events.mu.Lock()
	full := len(p.events.waiting) >= eventsMax
	if !full {
		p.events.waiting = append(p.events.waiting, queue.Event{
			Kind: kind, At: w.cfg.Clock(), Queue: p.name, Tenant: b.task.Tenant, Task: b.task.Task, ID: b.id,
			Worker: w.cfg.Name, Attempt: b.attempt, Code: code, Progress: progress,
		})
	}
	first := len(p.events.waiting) == 1
	p.events.mu.Unlock()
	switch {
	case full:
		w.metrics.eventsDropped.Inc()
	case first:
		select {
		case p.events.some <- struct{}{}:
		default:
		}
	}
}

// noteEnd adds the event for the end of a delivery.
func (w *Worker) noteEnd(e *ending) {
	b, r := e.begun, &e.report
	if b == nil || !b.post.events.on {
		return
	}
	switch r.outcome {
	case outcomeDone:
		w.note(b, queue.EventDone, "", "")
	case outcomeRetried:
		w.note(b, queue.EventRetried, r.code, "")
	case outcomeRefused:
		w.note(b, queue.EventRefused, r.code, "")
	case outcomeFailed:
		kind := queue.EventFailed
		if e.result != nil && e.result.Status == envelope.StatusDead {
			kind = queue.EventDead
		}
		w.note(b, kind, r.code, "")
	}
}

// emit writes the post's events in batches until ctx ends, and then the rest.
func (w *Worker) emit(ctx context.Context, p *post) {
	failing := false
	for last := false; !last; {
		select {
		case <-ctx.Done():
			last = true
		case <-p.events.some:
			sleep(ctx, emitEvery) // so that they are written together
		}
		p.events.mu.Lock()
		batch := p.events.waiting
		p.events.waiting, p.events.spare = p.events.spare, nil
		p.events.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), emitWithin)
		err := w.cfg.Events.Emit(call, p.name, batch)
		cancel()
		if err != nil {
			w.metrics.eventsDropped.Add(float64(len(batch)))
			if !failing {
				w.log.Warn("events cannot be written, tasks run all the same", "queue", p.name, "error", err)
			}
		}
		failing = err != nil
		clear(batch) // so that the buffer keeps no strings alive
		p.events.mu.Lock()
		p.events.spare = batch[:0]
		p.events.mu.Unlock()
	}
}

// reports are the newest progress reports of running tasks that have not been written yet.
type reports struct {
	mu      sync.Mutex
	waiting map[*begun]string
	some    chan struct{}
}

// report takes a progress report of b's guest, in place of the one before.
func (w *Worker) report(b *begun, text string) {
	w.reports.mu.Lock()
	w.reports.waiting[b] = text // as many as there are runners
	w.reports.mu.Unlock()
	select {
	case w.reports.some <- struct{}{}:
	default:
	}
}

// passOn writes the newest reports until ctx ends, at most one of each task within reportEvery.
func (w *Worker) passOn(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.reports.some:
		}
		w.reports.mu.Lock()
		batch := w.reports.waiting
		w.reports.waiting = map[*begun]string{}
		w.reports.mu.Unlock()
		for b, text := range batch {
			w.note(b, queue.EventProgress, "", text)
			if w.cfg.Progress == nil {
				continue
			}
			err := w.cfg.Progress.Report(ctx, b.lease.Lane, b.id, text, w.cfg.ResultTTL)
			if err != nil && !failing && ctx.Err() == nil {
				w.log.Warn("progress cannot be written, tasks run all the same", "error", err)
			}
			failing = err != nil
		}
		if !sleep(ctx, reportEvery) {
			return
		}
	}
}

// reporter returns the function by which b's guest reports its progress, nil if nobody would read it.
func (w *Worker) reporter(b *begun) func(text string) {
	if w.cfg.Progress == nil && !b.post.events.on {
		return nil
	}
	return func(text string) { w.report(b, text) }
}

// emitEvery is how long events are gathered before they are written; emitWithin bounds a write. reportEvery is the least
// time between two reports of one task that are passed on.
const (
	emitEvery   = 50 * time.Millisecond
	emitWithin  = 2 * time.Second
	reportEvery = 100 * time.Millisecond
)
