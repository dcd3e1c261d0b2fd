package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// readsMax bounds the trips for results of one queue that are under way at a time. What is asked for meanwhile goes together
// in the next one: a thousand waiters make a few dozen trips, not a thousand.
const readsMax = 2

// reads gathers what many waiters want to read of one queue.
type reads struct {
	client *Client
	ctx    context.Context // of trips for several: ends with Results.Close

	mu      sync.Mutex
	trips   int // under way, at most readsMax
	waiting []*readCall
	done    sync.WaitGroup // trips for several
}

// A readCall is one caller's keys, at most waitBatch, and what was read of them.
type readCall struct {
	keys  []string
	ready chan struct{} // closed when values and err are set

	values []string
	err    error
}

// read returns the values of keys in their places, "" for none, in a trip of its own when few are under way.
func (r *reads) read(ctx context.Context, keys []string) ([]string, error) {
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

// ended is called after each trip, and begins the next one for those who wait.
func (r *reads) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trips--
	if len(r.waiting) == 0 {
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
	r.done.Add(1)
	go func() { // ends with its trip, and Results.Close waits for it
		defer r.done.Done()
		r.answer(calls)
		r.ended()
	}()
}

// answer makes one trip for calls. When what one of them asks for cannot be read, each gets a trip of its own, so that a
// key that somebody spoiled holds up nobody else.
func (r *reads) answer(calls []*readCall) {
	var keys []string
	for _, call := range calls {
		keys = append(keys, call.keys...)
	}
	values, err := r.client.getMany(r.ctx, keys)
	var away *queue.UnavailableError
	if len(calls) > 1 && errors.As(err, &away) && (away.Reason == queue.ReasonData || away.Reason == queue.ReasonPermission) {
		for i := range calls {
			r.answer(calls[i : i+1])
		}
		return
	}
	if r.ctx.Err() != nil {
		err = unavailable("wait", errClosed)
	}
	for _, call := range calls {
		if call.err = err; err == nil {
			n := len(call.keys)
			call.values, values = values[:n:n], values[n:]
		}
		close(call.ready)
	}
}

// getMany reads keys in one trip.
func (c *Client) getMany(ctx context.Context, keys []string) ([]string, error) {
	out := make([]string, len(keys))
	err := c.do(ctx, "result", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		cmds := make([]*redis.StringCmd, len(keys))
		for i, key := range keys {
			// GETRANGE is a GET with a bound: one byte more than may be there.
			cmds[i] = pipe.GetRange(ctx, key, 0, queue.ResultBytesMax)
		}
		_, err := pipe.Exec(ctx)
		for i, cmd := range cmds {
			out[i] = cmd.Val()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, v := range out {
		if len(v) > queue.ResultBytesMax {
			return nil, damaged("result", fmt.Errorf("%s has more than %d bytes", keys[i], queue.ResultBytesMax))
		}
	}
	return out, nil
}
