package redisqueue

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// TLSConfig gives tests the settings under which Dial would connect.
func TLSConfig(c Config) (*tls.Config, error) { return c.check() }

// Retire is what Recover does now and then, with an idle time of the test's choice.
func (q *Queue) Retire(ctx context.Context, lanes []queue.Lane, idle time.Duration) (int, error) {
	return q.retire(ctx, lanes, idle)
}

// EncodeEvents and DecodeEvents are the form of an entry of events.
var (
	EncodeEvents = encodeEvents
	DecodeEvents = decodeEvents
)

// PassReplies feeds what a server sends to what bounds its replies, in pieces, and returns how many values of the reply that goes on are
// still to come, how many bytes it has, and the error.
func PassReplies(pieces ...string) (values, size int64, err error) {
	r := passing{values: 1}
	for _, p := range pieces {
		if err = r.pass([]byte(p)); err != nil {
			break
		}
	}
	return r.values, r.size, err
}

// ReplyBytesMax bounds one reply.
const ReplyBytesMax = replyBytesMax

// Get reads a key, however large it is.
func (c *Client) Get(ctx context.Context, key string) error {
	return c.do(ctx, "get", func(ctx context.Context) error { return c.rdb.Get(ctx, key).Err() })
}
