package redisqueue

import (
	"context"
	"sync"
)

// A closer counts the calls and goroutines of something that can be closed. Once it is closed no call begins, and whoever
// closes it can wait for those under way. A WaitGroup alone does not do: its Add must not race with Wait.
type closer struct {
	ctx    context.Context // ends when this closer, or its parent, is closed
	cancel context.CancelFunc

	mu    sync.Mutex // orders begin before or after close
	calls sync.WaitGroup
}

// newCloser returns a closer that is closed with parent at the latest.
func newCloser(parent context.Context) *closer {
	c := &closer{}
	c.ctx, c.cancel = context.WithCancel(parent)
	return c
}

// begin counts a call, unless c is closed, and reports whether it did. A call that began ends with end.
func (c *closer) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed() {
		return false
	}
	c.calls.Add(1)
	return true
}

func (c *closer) end() { c.calls.Done() }

func (c *closer) isClosed() bool { return c.ctx.Err() != nil }

// close lets no further call begin. It does not wait: see wait.
func (c *closer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel()
}

// wait returns when no call is under way. c must be closed.
func (c *closer) wait() { c.calls.Wait() }

// until returns a context that ends with ctx, and when c is closed.
func (c *closer) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
