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
	"github.com/caisson-run/caisson/runtime/policy"
)

// A Worker pulls messages from its lanes and settles each. Make one with [Open]; run it once with [Worker.Run].
type Worker struct {
	cfg      Config
	log      hclog.Logger
	guestLog hclog.Logger
	rules    atomic.Pointer[rules]
	releases *releases
	metrics  *metrics
	broker   brokerHealth

	flight flight       // what this worker holds a lease for
	room   room         // how much more it may hold
	ready  chan *begun  // started, waiting for a runner
	ended  chan *ending // outcomes on their way to the broker

	cuts    atomic.Int64 // runs that the drain ended
	opened  atomic.Bool  // Run was called
	running atomic.Bool
	cutOnce sync.Once
	cut     chan struct{} // closed by Cut
}

// rules is a policy and what follows from it, replaced as one.
type rules struct {
	*policy.Policy
	lanes []queue.Lane
}

// Errors that say why a run was ended from outside; they are causes of its context.
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
	held := cfg.Concurrency * prefetchFactor
	w := &Worker{
		cfg:      cfg,
		log:      cfg.Logger.Named("worker"),
		guestLog: cfg.Logger.Named("guest"),
		flight:   flight{held: map[string]*begun{}},
		room:     room{most: held, freed: make(chan struct{}, 1)},
		// The claimer and the tender may each fill the whole room before either sees the other's part.
		ready: make(chan *begun, 2*held),
		ended: make(chan *ending, 2*held+claimMax),
		cut:   make(chan struct{}),
	}
	w.metrics = newMetrics(w)
	w.releases = newReleases(cfg)
	if err := w.UsePolicy(cfg.Policy); err != nil {
		return nil, err
	}
	return w, nil
}

// UsePolicy replaces the policy. What is already running goes on under the one it was authorised by; every
// later step uses the new one.
//
// Errors: the policy is of another deployment than the one the worker was opened with, or makes more than
// queue.LanesMax lanes; the old one stays.
func (w *Worker) UsePolicy(p *policy.Policy) error {
	if p.Audience() != w.cfg.Policy.Audience() {
		return fmt.Errorf("worker: policy: audience %q is not this deployment's %q", p.Audience(), w.cfg.Policy.Audience())
	}
	var lanes []queue.Lane
	for _, name := range w.cfg.Queues {
		for _, priority := range queue.Priorities() {
			for _, tenant := range p.Tenants() {
				lanes = append(lanes, queue.Lane{Queue: name, Tenant: tenant, Priority: priority})
			}
		}
	}
	if len(lanes) > queue.LanesMax {
		return fmt.Errorf("worker: policy: %d tenants in %d queues make %d lanes, more than %d", len(p.Tenants()), len(w.cfg.Queues), len(lanes), queue.LanesMax)
	}
	if _, known := p.WorkerKey(w.cfg.Key.Public().ID()); !known {
		// Taken all the same: it may revoke other keys, and keeping the old one would let them go on.
		w.log.Error("policy does not list this worker's key, senders will refuse its results", "key", w.cfg.Key.Public().ID().String())
	}
	w.rules.Store(&rules{Policy: p, lanes: lanes})
	w.releases.forget()
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
	w.log.Info("worker started", "name", w.cfg.Name, "queues", w.cfg.Queues, "lanes", len(w.rules.Load().lanes),
		"concurrency", w.cfg.Concurrency, "lease", w.cfg.Lease)

	// What runs outlives ctx by the drain; work ends when that is over.
	work, cutWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutWork(nil)

	var intake, runners, keepers sync.WaitGroup
	intake.Go(func() { w.claim(ctx) })
	intake.Go(func() { w.tend(ctx) })
	for range w.cfg.Concurrency {
		runners.Go(func() { w.runReady(ctx, work) })
	}
	flush, endFlush := context.WithCancel(context.WithoutCancel(ctx))
	defer endFlush()
	keepers.Go(func() { w.settle(flush) })
	renewing, endRenewing := context.WithCancel(context.WithoutCancel(ctx))
	defer endRenewing()
	keepers.Go(func() { w.renew(renewing) })

	intake.Wait() // until ctx ends
	close(w.ready)
	w.giveBack() // here and not by the runners alone, all of which may be busy for the whole drain
	cut := w.drain(&runners, cutWork)
	close(w.ended)
	last := time.AfterFunc(drainFlush, endFlush)
	defer last.Stop()
	endRenewing()
	keepers.Wait()
	w.log.Info("worker stopped", "name", w.cfg.Name, "cut", cut)
	if cut > 0 {
		return fmt.Errorf("worker: %d running tasks were cut and will run again", cut)
	}
	return nil
}

// Cut ends the draining at once: what runs is ended and given back. Before Run's context has ended it only
// means that the drain to come will be none.
func (w *Worker) Cut() { w.cutOnce.Do(func() { close(w.cut) }) }

// drain waits for the runners, for Config.Drain or until Cut, then ends what still runs. It returns how many
// runs it had to end.
func (w *Worker) drain(runners *sync.WaitGroup, cutWork context.CancelCauseFunc) int {
	done := make(chan struct{})
	go func() { runners.Wait(); close(done) }() // ends with the runners, which end below at the latest
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

// claim reads lanes while there is room, until ctx ends.
func (w *Worker) claim(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; {
		most := w.room.wait(ctx)
		if most == 0 {
			return
		}
		batch, err := w.cfg.Broker.Claim(ctx, queue.Claim{Lanes: w.rules.Load().lanes, Max: min(most, claimMax), Wait: claimWait})
		switch {
		case err == nil:
			attempt = 0
			w.broker.up(w.log, actClaim)
			w.intake(ctx, batch)
		case ctx.Err() == nil:
			attempt++
			w.broker.down(w.log, actClaim, err)
			sleep(ctx, brokerPause(attempt))
		}
	}
}

// tend moves due messages back into their lanes and takes over what dead workers held, until ctx ends.
func (w *Worker) tend(ctx context.Context) {
	for wait := time.Duration(0); sleep(ctx, wait); {
		wait = min(w.promote(ctx), w.recover(ctx))
	}
}

// promote moves what is due in every queue and returns when to come again.
func (w *Worker) promote(ctx context.Context) time.Duration {
	wait := tendEvery
	for _, name := range w.cfg.Queues {
		n, next, err := w.cfg.Broker.Promote(ctx, name, promoteMax)
		if err != nil {
			return tendEvery // the claimer meets the same broker and says so
		}
		if n == promoteMax {
			wait = 0
		} else if !next.IsZero() {
			wait = min(wait, max(time.Until(next), tendSoonest))
		}
	}
	return wait
}

// recover takes over what fits and returns when to come again.
func (w *Worker) recover(ctx context.Context) time.Duration {
	free := min(w.room.free(), claimMax)
	if free == 0 {
		return tendEvery
	}
	found, err := w.cfg.Broker.Recover(ctx, w.rules.Load().lanes, free)
	if err != nil {
		return tendEvery
	}
	if found.Vanished > 0 {
		w.log.Error("entries were deleted while they were leased", "entries", found.Vanished)
		w.metrics.vanished.Add(float64(found.Vanished))
	}
	w.metrics.recovered.Add(float64(len(found.Deliveries)))
	w.intake(ctx, found.Deliveries)
	if len(found.Deliveries) > 0 {
		return 0
	}
	return tendEvery
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
