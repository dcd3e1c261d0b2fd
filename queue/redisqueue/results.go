package redisqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	ears   *ears
}

var _ queue.Results = (*Results)(nil)

// OpenResults returns a reader of results over c. It connects to nothing yet.
func OpenResults(c *Client) *Results {
	return &Results{client: c, ears: newEars(c)}
}

// Close ends every Wait. It does not close the Client.
func (r *Results) Close() error {
	r.ears.close()
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
	if err := r.ears.join(channel, w); err != nil {
		return err
	}
	defer r.ears.leave(channel, w)

	var retry backoff
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-w.failed:
			return err
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
