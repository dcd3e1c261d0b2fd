package redisqueue

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// readsMax bounds the trips for results of one queue that are under way at a time. What is asked for meanwhile goes together
// in the next one: a thousand waiters make a few dozen trips, not a thousand.
const readsMax = 2

// reads combines the reads of many waiters on one queue into few trips.
type reads struct {
	client *Client
	closer *closer // of Results; counts reads for several

	mu      sync.Mutex
	trips   int // under way, at most readsMax
	waiting []*readCall
}

// A holding is what a key holds: "" for nothing, or why that cannot be a result.
type holding struct {
	text  string
	fault error
}

// A readCall is one caller's keys, at most waitBatch, and what was read of them.
type readCall struct {
	keys  []string
	ready chan struct{} // closed when values and err are set

	values []holding
	err    error
}

// read returns what keys hold, in their order: in a trip of its own while few are under way, else in the next one.
func (r *reads) read(ctx context.Context, keys []string) ([]holding, error) {
	if r.closer.isClosed() {
		return nil, queue.ErrClosed
	}
	r.mu.Lock()
	if r.trips < readsMax && len(r.waiting) == 0 {
		r.trips++
		r.mu.Unlock()
		defer r.ended()
		return r.client.getMany(ctx, keys)
	}
	call := &readCall{keys: keys, ready: make(chan struct{})}
	r.waiting = append(r.waiting, call)
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err() // what is read for it is thrown away
	case <-call.ready:
		return call.values, call.err
	}
}

// ended is called after each trip, and begins the next one if calls wait.
func (r *reads) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trips--
	if len(r.waiting) == 0 {
		return
	}
	if !r.closer.begin() {
		tell(r.waiting, nil, queue.ErrClosed)
		r.waiting = nil
		return
	}
	n, size := 0, 0
	for n < len(r.waiting) && (n == 0 || size+len(r.waiting[n].keys) <= waitBatch) {
		size += len(r.waiting[n].keys)
		n++
	}
	calls := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	r.trips++
	go func() { // ends with its trip, and Results.Close waits for it
		defer r.closer.end()
		r.answer(calls)
		r.ended()
	}()
}

// answer makes one trip for calls.
func (r *reads) answer(calls []*readCall) {
	var keys []string
	for _, call := range calls {
		keys = append(keys, call.keys...)
	}
	values, err := r.client.getMany(r.closer.ctx, keys)
	if r.closer.isClosed() {
		err = queue.ErrClosed
	}
	tell(calls, values, err)
}

// tell gives each of calls its part of values, or err.
func tell(calls []*readCall, values []holding, err error) {
	for _, call := range calls {
		if call.err = err; err == nil {
			n := len(call.keys)
			call.values, values = values[:n:n], values[n:]
		}
		close(call.ready)
	}
}

// getMany reads keys in one trip. A key that holds something else, or that this user may not read, is a fault of that key only.
func (c *Client) getMany(ctx context.Context, keys []string) ([]holding, error) {
	cmds := make([]*redis.StringCmd, len(keys))
	err := c.do(ctx, "result", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		for i, key := range keys {
			// GETRANGE is a GET with a bound: one byte more than may be there.
			cmds[i] = pipe.GetRange(ctx, key, 0, queue.ResultBytesMax)
		}
		_, err := exec(ctx, pipe) // replies are looked at one by one below
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]holding, len(keys))
	for i, cmd := range cmds {
		v, err := cmd.Result()
		switch why := reason(err); {
		case err == nil && len(v) > queue.ResultBytesMax:
			out[i].fault = damaged("result", fmt.Errorf("%s has more than %d bytes", keys[i], queue.ResultBytesMax))
		case err == nil:
			out[i].text = v
		case why == queue.ReasonData || why == queue.ReasonPermission:
			out[i].fault = unavailable("result", fmt.Errorf("%s: %w", keys[i], err))
		default:
			return nil, unavailable("result", err)
		}
	}
	return out, nil
}
