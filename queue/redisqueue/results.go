package redisqueue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Results reads results, and waits for them on one pub/sub connection, however many
// waits there are. It is safe for concurrent use.
//
// A wait does not poll. It subscribes, then reads the results that are there already,
// then those that are announced, unless the announcement holds the result. After a loss
// of the connection it reads everything outstanding again, since announcements may have
// been missed.
type Results struct {
	client     *Client
	subscriber *subscriber // its closer is that of Results, too

	mu    sync.Mutex
	reads map[string]*reads // by queue
}

var _ queue.Results = (*Results)(nil)

// OpenResults returns a reader of results over c. It connects to nothing yet.
func OpenResults(c *Client) *Results {
	return &Results{client: c, subscriber: newSubscriber(c), reads: map[string]*reads{}}
}

// Close ends every Wait; these, and all later calls, return queue.ErrClosed. It does not close the Client.
func (r *Results) Close() error {
	r.subscriber.close()
	return nil
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
	switch one := got[0]; {
	case one.fault != nil:
		return nil, one.fault
	case one.text == "":
		return nil, queue.ErrNoResult
	default:
		return []byte(one.text), nil
	}
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

// read returns what is kept for ids in their places.
func (r *Results) read(ctx context.Context, name, issuer string, ids []string) ([]holding, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = resultKey(name, issuer, id)
	}
	return r.readsOf(name).read(ctx, keys)
}

// readsOf returns the reads of a queue. There is one for each queue whose results were asked for.
func (r *Results) readsOf(name string) *reads {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.reads[name]
	if of == nil {
		of = &reads{client: r.client, closer: r.subscriber.closer}
		r.reads[name] = of
	}
	return of
}

// Wait calls got for each of ids when its result arrives, or when its key turns out to hold something else.
// Errors: as queue.Results says.
func (r *Results) Wait(ctx context.Context, name, issuer string, ids []string, got func(id string, result []byte)) error {
	if err := checkResult(name, issuer, ids...); err != nil {
		return err
	}
	if len(ids) == 0 {
		return ctx.Err()
	}
	channel := channelPrefix(name) + issuer
	w, began := newWaiter(ids), time.Now()
	if err := r.subscriber.join(channel, w); err != nil {
		return err
	}
	defer r.subscriber.leave(channel, w)
	var retry backoff
	var unread error  // why the last read failed, nil after one that did not
	size := waitBatch // of a trip: large results may not pass a slow line together in time, so half as many after one that took too long
	for {
		select {
		case <-ctx.Done():
			return r.subscriber.late(ctx, unread, began)
		case err := <-w.failed:
			return err
		case <-w.ready:
		case <-retry.after():
		}
		for id, result := range w.arrived() {
			if w.end(id) {
				got(id, []byte(result))
			}
		}
		for batch := w.take(size); len(batch) > 0; batch = w.take(size) {
			asked := time.Now()
			found, err := r.read(ctx, name, issuer, batch)
			if err != nil {
				switch {
				case ctx.Err() != nil && time.Since(asked) > answerSoon:
					return r.subscriber.late(ctx, errNoAnswer, began)
				case ctx.Err() != nil:
					return r.subscriber.late(ctx, unread, began)
				case permanent(err):
					return err
				}
				unread = err
				w.putBack(batch)
				retry.failed()
				if tooMuch(err) {
					size = max(1, size/2)
				}
				break
			}
			unread = nil
			retry.worked()
			size = min(size+1, waitBatch)
			for i, one := range found {
				switch {
				case permanent(one.fault):
					return one.fault
				case one.fault != nil && w.end(batch[i]):
					got(batch[i], nil)
				case one.text != "" && w.end(batch[i]):
					got(batch[i], []byte(one.text))
				}
			}
		}
		if w.left() == 0 {
			return nil
		}
	}
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
