package sandbox

import (
	"context"
	"slices"
	"sync"
)

// Turns say which module is admitted next. Small modules have places of their own, so that a large one, which may take minutes, does not hold them up; a tenant holds at
// most one place of each kind; and of the tenants that wait the one comes next whose last turn was longest ago. So whoever floods a worker with modules that are dear
// to compile waits for oneself. Any number of goroutines use it at once.
type turns struct {
	mu           sync.Mutex
	small, large turnKind
}

// A turnKind is the places for modules of one size, and who waits for them.
type turnKind struct {
	free    int
	held    map[string]bool   // tenants that hold a place
	served  map[string]uint64 // when a tenant's last turn began, by clock
	clock   uint64
	waiting []*ticket // in order of their coming
}

// A ticket waits for a place.
type ticket struct {
	tenant string
	called chan struct{} // closed when it has got one
}

func newTurns() *turns {
	kind := func(places int) turnKind {
		return turnKind{free: places, held: map[string]bool{}, served: map[string]uint64{}}
	}
	return &turns{small: kind(admitSmall), large: kind(admitLarge)}
}

// enter waits for a place for a module of size bytes of a tenant. The caller gives it back with leave.
// Errors: ctx's.
func (t *turns) enter(ctx context.Context, tenant string, size int) (leave func(), err error) {
	kind := &t.small
	if size > smallModuleMax {
		kind = &t.large
	}
	own := &ticket{tenant: tenant, called: make(chan struct{})}
	leave = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(kind.held, tenant)
		kind.free++
		kind.call()
	}
	t.mu.Lock()
	kind.waiting = append(kind.waiting, own)
	kind.call()
	t.mu.Unlock()
	select {
	case <-own.called:
		return leave, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	at := slices.Index(kind.waiting, own)
	if at >= 0 {
		kind.waiting = slices.Delete(kind.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 { // it was called meanwhile
		leave()
	}
	return nil, context.Cause(ctx)
}

// call gives free places to those that are next. Under turns.mu.
func (k *turnKind) call() {
	for k.free > 0 {
		next := -1
		for i, w := range k.waiting {
			if !k.held[w.tenant] && (next < 0 || k.served[w.tenant] < k.served[k.waiting[next].tenant]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := k.waiting[next]
		k.waiting = slices.Delete(k.waiting, next, next+1)
		if len(k.served) >= servedMax { // tenants come and go with policies
			clear(k.served)
		}
		k.clock++
		k.served[w.tenant], k.held[w.tenant] = k.clock, true
		k.free--
		close(w.called)
	}
}
