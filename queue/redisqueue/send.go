package redisqueue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

var _ queue.Sender = (*Client)(nil)

// Send puts the batch into its lanes, in one pipelined write for each BatchMax of
// them and each sendBytesMax of their bytes. It needs +xadd on the lanes and no more.
// Errors: as queue.Sender says.
func (c *Client) Send(ctx context.Context, batch []queue.Outgoing) error {
	for i, m := range batch {
		if err := m.Lane.Check(); err != nil {
			return err
		}
		if n := len(m.Message); n == 0 || n > queue.MessageBytesMax {
			return &queue.FieldError{Field: "message", Text: fmt.Sprintf("number %d has %d bytes, want 1 to %d", i, n, queue.MessageBytesMax)}
		}
	}
	for len(batch) > 0 {
		n := together(batch)
		if err := c.send(ctx, batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// together returns how many of batch go out in one write, one at least.
func together(batch []queue.Outgoing) int {
	size := 0
	for n, m := range batch {
		if size += len(m.Message); n == queue.BatchMax || n > 0 && size > sendBytesMax {
			return n
		}
	}
	return len(batch)
}

// send writes one batch. When a connection turns out to be stale, only what was
// not answered is written again; if it had arrived nonetheless, the copy is a
// duplicate that never runs.
func (c *Client) send(ctx context.Context, batch []queue.Outgoing) error {
	rest := batch
	return c.do(ctx, "send", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		sent, cmds := rest, make([]*redis.StringCmd, len(rest))
		for i, m := range sent {
			cmds[i] = pipe.XAdd(ctx, &redis.XAddArgs{Stream: laneKey(m.Lane), Values: []any{"e", m.Message}})
		}
		_, err := pipe.Exec(ctx)
		if err == nil {
			return nil
		}
		var left []queue.Outgoing
		for i, cmd := range cmds {
			if cmd.Err() != nil {
				left = append(left, sent[i])
			}
		}
		// None: the pipeline failed before it was sent, see exec.
		if len(left) > 0 {
			rest = left
		}
		return ofLane(err, cmds, sent)
	})
}

// ofLane names the lane of the first message that Redis would not take, where that lane may be why: others of the batch may be in theirs.
func ofLane(err error, cmds []*redis.StringCmd, batch []queue.Outgoing) error {
	for i, cmd := range cmds {
		if fault := cmd.Err(); fromServer(fault) && (reason(fault) == queue.ReasonPermission || reason(fault) == queue.ReasonData) {
			return fmt.Errorf("lane %s: %w", batch[i].Lane, fault)
		}
	}
	return err
}
