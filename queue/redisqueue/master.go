package redisqueue

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A masterHook closes connections to a server that is not the master any more, as soon as one is made to another server. go-redis
// closes those of its pool when a Sentinel names another master, but not subscribed ones: as long as the old master lives,
// cut off from the rest, nothing that matters would be received on them.
type masterHook struct {
	mu   sync.Mutex
	open map[*masterConn]struct{}
}

// masterConn is a connection to what was the master when it was made.
type masterConn struct {
	net.Conn
	hook *masterHook
}

// Close closes the connection, and the hook forgets it.
func (c *masterConn) Close() error {
	c.hook.mu.Lock()
	delete(c.hook.open, c)
	c.hook.mu.Unlock()
	return c.Conn.Close()
}

// DialHook notes each connection to a master. Those to Sentinels are not made through it.
func (h *masterHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &masterConn{Conn: conn, hook: h}
		for _, old := range h.add(c) {
			_ = old.Close()
		}
		return c, nil
	}
}

// add notes c and returns those to other servers.
func (h *masterHook) add(c *masterConn) (others []*masterConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o := range h.open {
		if o.RemoteAddr().String() != c.RemoteAddr().String() {
			others = append(others, o)
		}
	}
	h.open[c] = struct{}{}
	return others
}

// ProcessHook changes nothing.
func (h *masterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (h *masterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// lookForMaster takes a connection of the pool, for one who has a subscribed one and asks nothing else: if there is another
// master by now, the pool connects to it, and the subscribed one is closed.
func (c *Client) lookForMaster(ctx context.Context) {
	if c.conf.Master == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = c.rdb.Ping(ctx).Err()
}
