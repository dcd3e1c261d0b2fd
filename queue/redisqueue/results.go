package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// Results reads results, and waits for them on one subscribed connection, however
// many wait. It is safe for concurrent use.
//
// Waiting is never polling: it subscribes, then reads what is there already,
// then reads what it is told of; and when the connection was lost, it reads all
// that is outstanding again, since whatever was told meanwhile went unheard.
type Results struct {
	client *Client
	done   sync.WaitGroup

	mu      sync.Mutex
	pubsub  *redis.PubSub                   // made by the first Wait
	waiters map[string]map[*waiter]struct{} // by channel
	closed  bool

	// subscribing keeps one subscription at a time on the way, since two of the
	// same channel would be one too many. It is held over the network, mu is not.
	subscribing sync.Mutex
	channels    map[string]bool
}

var _ queue.Results = (*Results)(nil)

// OpenResults returns a reader of results over c. It connects to nothing yet.
func OpenResults(c *Client) *Results {
	return &Results{client: c, waiters: map[string]map[*waiter]struct{}{}, channels: map[string]bool{}}
}

// Close ends every Wait. It does not close the Client.
func (r *Results) Close() error {
	r.mu.Lock()
	r.closed = true
	pubsub := r.pubsub
	for _, ws := range r.waiters {
		for w := range ws {
			w.stop()
		}
	}
	r.mu.Unlock()
	var err error
	if pubsub != nil {
		err = pubsub.Close()
	}
	r.done.Wait()
	return err
}

// Result returns the result kept for a message.
// Errors: queue.ErrNoResult, and as queue.Results says.
func (r *Results) Result(ctx context.Context, name, issuer, id string) ([]byte, error) {
	if err := checkResult(name, issuer, id); err != nil {
		return nil, err
	}
	got, err := r.read(ctx, name, issuer, []string{id})
	if err != nil {
		return nil, err
	}
	if got[0] == "" {
		return nil, queue.ErrNoResult
	}
	return []byte(got[0]), nil
}

func checkResult(name, issuer string, ids ...string) error {
	if err := queue.CheckName("queue", name); err != nil {
		return err
	}
	if err := queue.CheckID("result key", issuer); err != nil {
		return err
	}
	for _, id := range ids {
		if err := queue.CheckID("id", id); err != nil {
			return err
		}
	}
	return nil
}

// read returns the results of ids in their places, "" for none, which no result is.
func (r *Results) read(ctx context.Context, name, issuer string, ids []string) ([]string, error) {
	out := make([]string, len(ids))
	err := r.client.do(ctx, "result", func(ctx context.Context) error {
		pipe := r.client.rdb.Pipeline()
		cmds := make([]*redis.StringCmd, len(ids))
		for i, id := range ids {
			// GETRANGE is a GET with a bound: one byte more than may be there.
			cmds[i] = pipe.GetRange(ctx, resultKey(name, issuer, id), 0, queue.ResultBytesMax)
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
			return nil, damaged("result", fmt.Errorf("result of %s has more than %d bytes", ids[i], queue.ResultBytesMax))
		}
	}
	return out, nil
}

// Wait calls got for each of ids as its result comes.
// Errors: as queue.Results says.
func (r *Results) Wait(ctx context.Context, name, issuer string, ids []string, got func(id string, result []byte)) error {
	if err := checkResult(name, issuer, ids...); err != nil {
		return err
	}
	if len(ids) == 0 {
		return ctx.Err()
	}
	channel := channelPrefix(name) + issuer
	w := newWaiter(ids)
	if err := r.join(channel, w); err != nil {
		return err
	}
	defer r.leave(channel, w)
	r.subscribe(ctx, channel)

	var retry backoff
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.stopped:
			return unavailable("wait", errClosed)
		case <-w.ready:
		case <-retry.after():
		}
		for batch := w.take(waitBatch); len(batch) > 0; batch = w.take(waitBatch) {
			found, err := r.read(ctx, name, issuer, batch)
			if err != nil {
				if ctx.Err() != nil || hopeless(err) {
					return err
				}
				w.putBack(batch)
				retry.failed()
				break
			}
			retry.worked()
			for i, result := range found {
				if result != "" && w.end(batch[i]) {
					got(batch[i], []byte(result))
				}
			}
		}
		if w.left() == 0 {
			return nil
		}
	}
}

var errClosed = errors.New("results are closed")

// hopeless says whether waiting cannot mend err: we are not who may read this.
func hopeless(err error) bool {
	var u *queue.UnavailableError
	return !errors.As(err, &u) || u.Reason == queue.ReasonAuth || u.Reason == queue.ReasonPermission
}

// backoff is when to try again after an error. A new connection comes earlier.
type backoff struct {
	pause time.Duration
	timer <-chan time.Time
}

func (b *backoff) after() <-chan time.Time { return b.timer }

func (b *backoff) worked() { *b = backoff{} }

func (b *backoff) failed() {
	b.pause = min(max(2*b.pause, waitRetryMin), waitRetryMax)
	b.timer = time.After(b.pause/2 + rand.N(b.pause/2))
}

// join lets w hear of channel.
func (r *Results) join(channel string, w *waiter) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return unavailable("wait", errClosed)
	}
	if r.pubsub == nil {
		// No channel yet, so no connection either. The subscription lives on the
		// Results, not on the context of whoever waits first.
		r.pubsub = r.client.rdb.Subscribe(context.Background())
		r.done.Add(1)
		go r.listen(r.pubsub)
	}
	if r.waiters[channel] == nil {
		r.waiters[channel] = map[*waiter]struct{}{}
	}
	r.waiters[channel][w] = struct{}{}
	return nil
}

func (r *Results) leave(channel string, w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiters[channel], w)
	if len(r.waiters[channel]) == 0 {
		delete(r.waiters, channel)
	}
}

// subscribe makes sure that channel is subscribed. A channel stays so until Close:
// there is one for each issuer and queue, and whoever waits once waits again.
// When it fails, go-redis subscribes with its next connection, and listen hears.
func (r *Results) subscribe(ctx context.Context, channel string) {
	r.subscribing.Lock()
	defer r.subscribing.Unlock()
	r.mu.Lock()
	known, pubsub := r.channels[channel], r.pubsub
	r.channels[channel] = true
	waiters := r.waiters[channel]
	if known {
		// No word of a subscription will come: read what is there at once.
		for w := range waiters {
			w.tellAll()
		}
	}
	r.mu.Unlock()
	if !known {
		_ = pubsub.Subscribe(context.WithoutCancel(ctx), channel)
	}
}

// listen tells waiters what Redis says. It ends when pubsub is closed.
func (r *Results) listen(pubsub *redis.PubSub) {
	defer r.done.Done()
	for message := range pubsub.ChannelWithSubscriptions() {
		switch m := message.(type) {
		case *redis.Subscription: // also after each reconnection
			r.tell(m.Channel, (*waiter).tellAll)
		case *redis.Message:
			r.tell(m.Channel, func(w *waiter) { w.tell(m.Payload) })
		}
	}
}

func (r *Results) tell(channel string, say func(*waiter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.waiters[channel] {
		say(w)
	}
}

// waiter is one Wait: what it waits for, and what of that should be read.
type waiter struct {
	ready    chan struct{} // holds one word: there is something to read
	stopped  chan struct{}
	stopOnce sync.Once

	mu          sync.Mutex
	outstanding map[string]bool // id -> already in due
	due         []string
}

func newWaiter(ids []string) *waiter {
	w := &waiter{ready: make(chan struct{}, 1), stopped: make(chan struct{}), outstanding: make(map[string]bool, len(ids))}
	for _, id := range ids {
		w.outstanding[id] = false
	}
	return w
}

func (w *waiter) stop() { w.stopOnce.Do(func() { close(w.stopped) }) }

// tell says that the result of id is there, if anybody cares.
func (w *waiter) tell(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if due, waits := w.outstanding[id]; waits && !due {
		w.outstanding[id] = true
		w.due = append(w.due, id)
		w.wake()
	}
}

// tellAll says that any result may be there.
func (w *waiter) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, due := range w.outstanding {
		if !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
	w.wake()
}

func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take returns up to n ids to read.
func (w *waiter) take(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, len(w.due))
	batch := w.due[:n:n]
	w.due = w.due[n:]
	for _, id := range batch {
		w.outstanding[id] = false // from now on it may be told again
	}
	return batch
}

// putBack returns ids that could not be read.
func (w *waiter) putBack(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if due, waits := w.outstanding[id]; waits && !due {
			w.outstanding[id] = true
			w.due = append(w.due, id)
		}
	}
}

// end says that id has come, and whether that is news.
func (w *waiter) end(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, waits := w.outstanding[id]
	delete(w.outstanding, id)
	return waits
}

func (w *waiter) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outstanding)
}
