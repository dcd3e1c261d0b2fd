package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// A Worker pulls messages from its lanes and settles each. Make one with [Open]; run it once with [Worker.Run].
type Worker struct {
	cfg      Config
	log      hclog.Logger
	guestLog hclog.Logger
	limited  *logLimiter // for lines that anybody can cause
	rules    atomic.Pointer[rules]
	releases *releases
	metrics  *metrics

	posts    []*post          // one for each queue
	postOf   map[string]*post // by the queue's name
	reports  reports
	roots    envelope.Roots // of batches of messages and results whose signatures held
	settled  ended          // messages that have ended here
	recent   recent         // how the last of them did
	flight   flight         // what this worker holds a lease for
	pace     pace
	capacity capacity        // how many deliveries it may hold
	inputs   atomic.Int64    // bytes of inputs of steps that it holds, at most inputsHeldMax and one step's
	ready    *ready          // started, waiting for a runner
	runners  sync.WaitGroup  // and what runs alone
	work     context.Context // ends when the drain is over; what runs, runs in it

	cuts    atomic.Int64 // runs that the drain ended
	opened  atomic.Bool  // Run was called
	running atomic.Bool
	cutOnce sync.Once
	cut     chan struct{} // closed by Cut
}

// rules is a policy with the lanes that follow from it. It is replaced as a whole.
type rules struct {
	*policy.Policy
	lanes map[string][]queue.Lane // by queue
	count int                     // of lanes
}

// The causes of a run's context when the run is ended from outside.
var (
	errCut       = errors.New("worker: cut while draining")
	errLeaseLost = errors.New("worker: lease lost")
)

// Open checks cfg and makes a worker of it.
//
// Errors: every fault of cfg at once, as joined *ConfigError.
func Open(cfg Config) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	w := &Worker{
		cfg:      cfg,
		log:      cfg.Logger.Named("worker"),
		guestLog: cfg.Logger.Named("guest"),
		limited:  newLogLimiter(cfg.Logger.Named("worker")),
		postOf:   map[string]*post{},
		flight:   flight{held: map[string]*begun{}},
		pace:     pace{runners: make([]atomic.Int64, cfg.Concurrency)},
		recent:   recent{keep: cfg.Lease + recentKeep},
		ready:    newReady(cfg.Limits, cfg.Concurrency),
		work:     context.Background(), // until Run
		reports:  reports{waiting: map[*begun]string{}, some: make(chan struct{}, 1)},
		cut:      make(chan struct{}),
	}
	w.pace.mean.Store(int64(aheadFor)) // before anything is known: one ahead for each runner
	w.capacity = capacity{pace: &w.pace, ready: w.ready, freed: make(chan struct{}, 1)}
	for _, name := range cfg.Queues {
		p := &post{name: name, broker: brokerHealth{queue: name}, hearing: hearing{queue: name}, ended: endings{some: make(chan struct{}, 1)}, orders: newOrders(), events: events{on: cfg.Events != nil, some: make(chan struct{}, 1)}}
		w.posts, w.postOf[name] = append(w.posts, p), p
	}
	w.metrics = newMetrics(w)
	w.releases = newReleases(cfg)
	if err := w.UsePolicy(cfg.Policy); err != nil {
		return nil, err
	}
	w.recallModes()
	return w, nil
}

// UsePolicy replaces the policy. Running tasks go on under the policy that authorised them; every later step uses the new one.
//
// Errors: the policy is of another deployment than the one the worker was opened with, or makes more than
// queue.LanesMax lanes in a queue; the old one stays.
func (w *Worker) UsePolicy(p *policy.Policy) error {
	if p.Audience() != w.cfg.Policy.Audience() {
		return fmt.Errorf("worker: policy: audience %q is not this deployment's %q", p.Audience(), w.cfg.Policy.Audience())
	}
	tenants := p.Tenants()
	each := len(tenants) * len(queue.Priorities())
	if each > queue.LanesMax {
		return fmt.Errorf("worker: policy: %d tenants make %d lanes in a queue, more than %d", len(tenants), each, queue.LanesMax)
	}
	lanes := make(map[string][]queue.Lane, len(w.cfg.Queues))
	for _, name := range w.cfg.Queues {
		for _, priority := range queue.Priorities() {
			for _, tenant := range tenants {
				lanes[name] = append(lanes[name], queue.Lane{Queue: name, Tenant: tenant, Priority: priority})
			}
		}
	}
	if _, known := p.WorkerKey(w.cfg.Key.Public().ID()); !known {
		// The policy is used all the same: it may revoke other keys.
		w.log.Error("policy does not list this worker's key, senders will refuse its results", "key", w.cfg.Key.Public().ID().String())
	}
	w.rules.Store(&rules{Policy: p, lanes: lanes, count: each * len(w.cfg.Queues)})
	w.releases.forget()
	for _, post := range w.posts {
		post.orders.recheck(p, w.cfg.Clock())
	}
	return nil
}

// Run works until ctx ends, then drains as Config.Drain says, and returns once every goroutine of its own has
// ended and every outcome that the broker would take is settled.
//
// Errors: nil after a clean drain; an error when it had to cut running tasks, which then run again elsewhere.
// A broker that cannot be reached is no error: it is waited for.
func (w *Worker) Run(ctx context.Context) error {
	if w.opened.Swap(true) {
		return errors.New("worker: Run was called twice")
	}
	w.running.Store(true)
	defer w.running.Store(false)
	defer func() { w.limited.flush(); w.releases.limited.flush() }()
	w.log.Info("worker started", "name", w.cfg.Name, "queues", w.cfg.Queues, "lanes", w.rules.Load().count,
		"concurrency", w.cfg.Concurrency, "lease", w.cfg.Lease)

	// What runs outlives ctx by the drain; work ends when that is over.
	work, cutWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutWork(nil)
	w.work = work

	var intake, background sync.WaitGroup
	defer context.AfterFunc(ctx, w.ready.halt)()
	for range w.cfg.Concurrency {
		w.runners.Go(w.runReady)
	}
	flush, endFlush := context.WithCancel(context.WithoutCancel(ctx))
	defer endFlush()
	renewing, endRenewing := context.WithCancel(context.WithoutCancel(ctx))
	defer endRenewing()
	for _, p := range w.posts {
		intake.Go(func() { w.claim(ctx, p) })
		intake.Go(func() { w.maintain(ctx, p) })
		if w.cfg.Admin != nil {
			intake.Go(func() { w.obey(ctx, p) })
		}
		background.Go(func() { w.settle(flush, p) })
		background.Go(func() { w.renew(renewing, p) })
	}
	hearing, endHearing := context.WithCancel(context.WithoutCancel(ctx)) // cancels count while it drains, too
	defer endHearing()
	intake.Go(func() { w.share(ctx) })
	background.Go(func() { w.passOn(hearing) })
	watching, endWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer endWatching()
	var watchers sync.WaitGroup
	if w.cfg.Events != nil {
		for _, p := range w.posts {
			watchers.Go(func() { w.emit(watching, p) })
		}
	}
	if w.cfg.Listener != nil {
		background.Go(func() { w.listen(hearing) })
	}

	intake.Wait() // until ctx ends
	w.giveBack()
	cut := w.drain(cutWork)
	for _, p := range w.posts {
		p.ended.close()
	}
	last := time.AfterFunc(drainFlush, endFlush)
	defer last.Stop()
	endRenewing()
	endHearing()
	background.Wait()
	endWatching()
	watchers.Wait()
	w.log.Info("worker stopped", "name", w.cfg.Name, "cut", cut)
	if cut > 0 {
		return fmt.Errorf("worker: %d running tasks were cut and will run again", cut)
	}
	return nil
}

// Cut ends the drain at once: running tasks are ended, and their messages released. Before Run's context has ended it only means that
// there will be no drain.
func (w *Worker) Cut() { w.cutOnce.Do(func() { close(w.cut) }) }

// drain waits for the runners, at most for Config.Drain or until Cut, then ends what still runs. It returns how many runs it had to
// end.
func (w *Worker) drain(cutWork context.CancelCauseFunc) int {
	done := make(chan struct{})
	go func() { w.runners.Wait(); close(done) }() // ends with the runners, which end below at the latest
	w.log.Info("worker draining", "in_flight", w.flight.len(), "at_most", max(w.cfg.Drain, 0))
	late := time.NewTimer(max(w.cfg.Drain, 0))
	defer late.Stop()
	select {
	case <-done:
		return 0
	case <-late.C:
	case <-w.cut:
	}
	cutWork(errCut)
	<-done
	return int(w.cuts.Load())
}

// sleep waits for d or until ctx ends; it reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
