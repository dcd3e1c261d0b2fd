package runtime

import (
	"context"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// A delivery that comes alone, while a runner is free, is handled from end to end by the goroutine that claimed it: opened,
// started, run, signed and settled. On an idle worker each hand-over to another goroutine waits for a processor, and the
// pipeline has six of them.

// claim reads the post's lanes while there is room, until ctx ends. It returns when everything that it claimed is started.
func (w *Worker) claim(ctx context.Context, p *post) {
	w.awaitOrders(ctx, p)
	started := make(chan struct{})
	close(started)
	w.claimBeside(ctx, p, started)
	p.intakes.Wait()
}

// claimBeside claims on a goroutine of its own, which ends when the runners have what it claimed, or when it has run that itself.
func (w *Worker) claimBeside(ctx context.Context, p *post, before <-chan struct{}) {
	p.intakes.Add(1)
	go func() {
		b, runner := w.claimNext(ctx, p, before)
		if b == nil {
			p.intakes.Done()
			return
		}
		w.runners.Add(1) // before intakes.Done: a drain waits for intakes, and then for runners
		p.intakes.Done()
		defer w.runners.Done()
		w.runAlone(b, runner)
	}()
}

// claimNext claims until it has a batch, and takes it in; before is closed when the previous batch has been taken in. The next claim
// goes out meanwhile, except for a batch of one: then it waits for the start, so that what arrives in that time comes as one batch.
// If the caller is to run the delivery itself, claimNext returns it with the runner's place.
func (w *Worker) claimNext(ctx context.Context, p *post, before <-chan struct{}) (alone *begun, runner int) {
	batch := w.claimSome(ctx, p)
	if len(batch) == 0 {
		return nil, 0
	}
	done := make(chan struct{})
	defer close(done)
	if len(batch) > 1 {
		w.claimBeside(ctx, p, done)
	}
	started := w.takeIn(ctx, p, batch)
	<-before
	if len(batch) > 1 {
		w.handOver(started)
		return nil, 0
	}
	defer w.claimBeside(ctx, p, done)
	if len(started) == 1 {
		if runner, ok := w.ready.lend(started[0]); ok {
			return started[0], runner
		}
	}
	w.handOver(started)
	return nil, 0
}

// runAlone runs b and settles it, unless other settlements are under way: then it joins the next batch.
func (w *Worker) runAlone(b *begun, runner int) {
	b.alone = true
	w.runOn(runner, b)
	w.ready.done(b, runner, true)
	e := b.ended
	if e == nil {
		return
	}
	w.sign([]*ending{e})
	asked := time.Now()
	settled, err := w.cfg.Broker.Settle(w.work, []queue.Settlement{e.settlement})
	if err != nil {
		b.post.ended.again(e) // the settler retries
		return
	}
	b.post.broker.up(w.log, actSettle)
	w.metrics.settled.Observe(1)
	w.leave(b.post, []*ending{e}, settled, asked)
	b.post.ended.written()
}
