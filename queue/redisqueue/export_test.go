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
