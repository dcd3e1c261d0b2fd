package redisqueue

import (
	"context"
	"sync"
)

// A door counts who is inside. Once it is shut nobody enters any more, and whoever shuts it waits for those inside: to a WaitGroup alone nothing may
// be added while somebody waits for it.
type door struct {
	ctx    context.Context // ends when this door or the one around it is shut
	cancel context.CancelFunc

	mu     sync.Mutex // orders enter before or after shut
	inside sync.WaitGroup
}

// newDoor makes a door in a room that ends with around.
func newDoor(around context.Context) *door {
	d := &door{}
	d.ctx, d.cancel = context.WithCancel(around)
	return d
}

// enter reports whether the door is open. Who has entered leaves.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isShut() {
		return false
	}
	d.inside.Add(1)
	return true
}

func (d *door) leave() { d.inside.Done() }

func (d *door) isShut() bool { return d.ctx.Err() != nil }

// shut lets nobody in any more. It does not wait: see empty.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel()
}

// empty waits until nobody is inside. The door is shut.
func (d *door) empty() { d.inside.Wait() }

// until returns a context that ends with ctx and when the door is shut.
func (d *door) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(d.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
