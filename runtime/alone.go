package runtime

import (
	"context"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// What comes alone to a worker with a runner to spare goes all its way on the goroutine that claimed it: opened, started,
// run, signed and settled. On an idle worker each hand-over to another goroutine is a wait for a processor, of which there
// were six in a task's way.

// claim reads the post's lanes while there is room, until ctx ends. It returns when all that it brought is started.
func (w *Worker) claim(ctx context.Context, p *post) {
	w.awaitOrders(ctx, p)
	started := make(chan struct{})
	close(started)
	w.claimBeside(ctx, p, started)
	p.intakes.Wait()
}

// claimBeside claims from a goroutine of its own. It ends when what it brought is with the runners, or has ended.
func (w *Worker) claimBeside(ctx context.Context, p *post, before <-chan struct{}) {
	p.intakes.Add(1)
	go func() {
		b, runner := w.claimNext(ctx, p, before)
		if b == nil {
			p.intakes.Done()
			return
		}
		w.runners.Add(1) // before the other: a drain waits for intakes, and then for runners
		p.intakes.Done()
		defer w.runners.Done()
		w.runAlone(b, runner)
	}()
}

// claimNext claims until it has a batch, and takes that in; before is closed when the batch before it has been. The next
// claim goes out meanwhile, but for a batch of one: what comes while that is being started comes together. It returns
// what its caller is to run itself, on the place of a runner.
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

// runAlone runs b and settles it, unless settlements are under way with which its own can go.
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
		b.post.ended.again(e) // the settler knows what to do about it
		return
	}
	b.post.broker.up(w.log, actSettle)
	w.metrics.settled.Observe(1)
	w.leave(b.post, []*ending{e}, settled, asked)
	b.post.ended.written()
}
