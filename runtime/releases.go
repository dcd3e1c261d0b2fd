package runtime

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// releases resolves tasks to programs and keeps what it resolved for releaseFresh, so that a task costs no
// round trip to the store.
type releases struct {
	store   modstore.Store
	floor   Floor
	sandbox *sandbox.Sandbox
	clock   func() time.Time
	limited *logLimiter

	mu   sync.Mutex
	kept map[releaseKey]*resolved
	seen map[seenKey]*modstore.Seen // for messages that pin a module
}

// seenKey is what the verdict on a stored release depends on.
type seenKey struct {
	task       string
	publishers manifest.Publishers
}

// releaseKey is what a sender asks for: a task, and a module when it pinned one.
type releaseKey struct {
	task string
	pin  envelope.Digest
}

// release is a release that is resolved and admitted, ready to run.
type release struct {
	program  *sandbox.Program
	manifest manifest.Manifest
	digest   envelope.Digest // of the module
}

// resolved is a cached answer of the store. turn holds one token while nobody asks the store, so that one runner asks and the others
// wait for it.
type resolved struct {
	turn chan struct{}
	at   time.Time
	release
	bound atomic.Pointer[manifest.Bound] // with the module's bytes, for whoever else asks for the same module
}

func newResolved() *resolved {
	e := &resolved{turn: make(chan struct{}, 1)}
	e.turn <- struct{}{}
	return e
}

func newReleases(cfg Config) *releases {
	return &releases{
		store: cfg.Modules, floor: cfg.Floor, sandbox: cfg.Sandbox, clock: cfg.Clock,
		limited: newLogLimiter(cfg.Logger.Named("releases")),
		kept:    map[releaseKey]*resolved{}, seen: map[seenKey]*modstore.Seen{},
	}
}

// forget drops all cached answers, since publishers may have changed, but not the modules' bytes.
func (r *releases) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, e := range r.kept {
		fresh := newResolved()
		fresh.bound.Store(e.bound.Load())
		r.kept[key] = fresh
	}
	clear(r.seen)
}

// load returns the release that t is to run: the newest one by a publisher that may publish it, or the pinned module's.
//
// Errors: ctx's, those of modstore.Find and sandbox.Load. An error is not kept: the next task asks again.
func (r *releases) load(ctx context.Context, publishers manifest.Publishers, t envelope.Task) (release, error) {
	entry := r.entry(releaseKey{t.Task, t.Module})
	select {
	case <-entry.turn:
		defer func() { entry.turn <- struct{}{} }()
	case <-ctx.Done():
		return release{}, ctx.Err()
	}
	if entry.program != nil && r.clock().Sub(entry.at) < releaseFresh {
		return entry.release, nil
	}
	found, bound, err := r.resolve(ctx, publishers, t)
	if err != nil {
		return release{}, err
	}
	entry.release, entry.at = found, r.clock()
	entry.bound.Store(&bound)
	return found, nil
}

// entry returns the cached answer for key. At releasesMax, answers without a release are dropped, of which a sender can cause any number;
// if that is not enough, all are dropped.
func (r *releases) entry(key releaseKey) *resolved {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.kept[key]
	if e == nil {
		if len(r.kept) >= releasesMax {
			maps.DeleteFunc(r.kept, func(_ releaseKey, e *resolved) bool { return e.bound.Load() == nil })
		}
		if len(r.kept) >= releasesMax {
			clear(r.kept)
		}
		e = newResolved()
		r.kept[key] = e
	}
	return e
}

// seenOf returns what is known of a task's stored releases. At seenMax tasks all is forgotten.
func (r *releases) seenOf(key seenKey) *modstore.Seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.seen[key]
	if s == nil {
		if len(r.seen) >= seenMax {
			clear(r.seen)
		}
		s = modstore.NewSeen(seenFresh, r.clock)
		r.seen[key] = s
	}
	return s
}

// held returns a release bound to a module, for whichever task, or the zero Bound: a module has megabytes, which are read and kept once.
func (r *releases) held(module manifest.Digest) manifest.Bound {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.kept {
		if b := e.bound.Load(); b != nil && b.Digest() == module {
			return *b
		}
	}
	return manifest.Bound{}
}

func (r *releases) resolve(ctx context.Context, publishers manifest.Publishers, t envelope.Task) (release, manifest.Bound, error) {
	bound, err := modstore.Find(ctx, r.store, modstore.Query{
		Task: t.Task, Pin: manifest.Digest(t.Module), Publishers: publishers, Floor: r.floor.Lowest(t.Task), Held: r.held, Seen: r.seenOf(seenKey{t.Task, publishers}),
		Rejected: func(rejected modstore.Rejected) {
			r.limited.warn("stored release passed over", string(rejected.Err.Code()), "task", rejected.Task, "number", rejected.Number, "code", rejected.Err.Code(), "error", rejected.Err)
		},
	})
	if err != nil {
		return release{}, manifest.Bound{}, err
	}
	if err := r.floor.Raise(t.Task, bound.Number()); err != nil {
		r.limited.warn("release number is not remembered over a restart", "", "task", t.Task, "error", err)
	}
	m := bound.Manifest()
	program, err := r.sandbox.Load(ctx, sandbox.Module{
		Digest: bound.Digest(), Bytes: bound.Module(), Needs: m.Needs, Start: string(m.Start), Args: m.Args, Env: m.Env, Tenant: t.Tenant,
	})
	if err != nil {
		return release{}, manifest.Bound{}, err
	}
	return release{program, m, envelope.Digest(bound.Digest())}, bound, nil
}
