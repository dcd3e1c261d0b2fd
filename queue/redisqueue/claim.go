package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// Claim waits for messages and returns as soon as one is there.
// Errors: as queue.Queue says.
//
// A read that has been sent to Redis is never aborted: what it brings would belong to
// nobody until its lease runs out. So reads are short (see blockFor). When ctx ends
// during one, Claim returns; the read ends in the background, and what it brings goes
// back to its lane. See Close.
func (q *Queue) Claim(ctx context.Context, c queue.Claim) ([]queue.Delivery, error) {
	if err := checkClaim(c); err != nil {
		return nil, err
	}
	if !q.closer.begin() {
		return nil, queue.ErrClosed
	}
	defer q.closer.end()
	end := time.Now().Add(c.Wait)
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if got := q.takeHeld(c); len(got) > 0 {
			return got, nil
		}
		if q.closer.isClosed() {
			return nil, queue.ErrClosed
		}
		left := time.Until(end)
		if !first && left <= 0 {
			return nil, nil
		}
		got, err := q.detached(ctx, func(ctx context.Context) ([]queue.Delivery, error) {
			return q.look(ctx, c, min(left, q.blockFor(len(c.Lanes))))
		})
		if err != nil || len(got) > 0 {
			return got, err
		}
	}
}

// blockFor returns how long one read over n lanes blocks. Its cost grows with the lanes that
// it names, so reads of many lanes are fewer and longer; each must end before Timeout.
func (q *Queue) blockFor(n int) time.Duration {
	if n <= blockLanes {
		return blockMax
	}
	return min(blockManyMax, q.client.conf.Timeout*3/5)
}

func checkClaim(c queue.Claim) error {
	if c.Wait < 0 {
		return &queue.FieldError{Field: "wait", Text: "is negative"}
	}
	if err := checkLanes(c.Lanes, c.Max); err != nil {
		return err
	}
	for _, l := range c.Lanes[1:] {
		if l.Queue != c.Lanes[0].Queue {
			return &queue.FieldError{Field: "lanes", Text: "of two queues: " + l.Queue + " and " + c.Lanes[0].Queue}
		}
	}
	return nil
}

func checkLanes(lanes []queue.Lane, limit int) error {
	if n := len(lanes); n == 0 || n > queue.LanesMax {
		return &queue.FieldError{Field: "lanes", Text: fmt.Sprintf("%d, want 1 to %d", n, queue.LanesMax)}
	}
	for _, l := range lanes {
		if err := l.Check(); err != nil {
			return err
		}
	}
	return checkMax(limit)
}

func checkMax(limit int) error {
	if limit < 1 || limit > queue.BatchMax {
		return &queue.FieldError{Field: "max", Text: fmt.Sprintf("%d, want 1 to %d", limit, queue.BatchMax)}
	}
	return nil
}

// detached runs read to its end even when ctx ends before; then what it brings goes
// back. The goroutine ends with its read, within blockManyMax and a reply's
// Timeout, and Close waits for it.
func (q *Queue) detached(ctx context.Context, read func(context.Context) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
	type answer struct {
		got []queue.Delivery
		err error
	}
	done, gone := make(chan answer), make(chan struct{})
	q.closer.calls.Add(1) // Claim has begun
	go func() {
		defer q.closer.end()
		got, err := read(context.WithoutCancel(ctx))
		select {
		case done <- answer{got, err}:
		case <-gone:
			q.giveBack(got)
		}
	}()
	select {
	case a := <-done:
		return a.got, a.err
	case <-ctx.Done():
		close(gone)
		return nil, ctx.Err()
	case <-q.closer.ctx.Done():
		close(gone)
		return nil, queue.ErrClosed
	}
}

// giveBack returns deliveries to their lanes. When that fails their leases run
// out, and somebody recovers them.
func (q *Queue) giveBack(ds []queue.Delivery) {
	ctx, cancel := context.WithTimeout(context.Background(), q.client.conf.Timeout)
	defer cancel()
	for len(ds) > 0 {
		n := min(len(ds), queue.BatchMax)
		batch := make([]queue.Settlement, n)
		for i, d := range ds[:n] {
			batch[i] = queue.Settlement{Lease: d.Unstarted(), Verdict: queue.Release()}
		}
		if _, err := q.Settle(ctx, batch); err != nil {
			q.conf.Logger.Warn("deliveries not given back", "count", len(ds), "error", err)
			return
		}
		ds = ds[n:]
	}
}

// takeHeld returns what an earlier read brought beyond its Max.
func (q *Queue) takeHeld(c queue.Claim) []queue.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.held) == 0 {
		return nil
	}
	asked := make(map[queue.Lane]bool, len(c.Lanes))
	for _, l := range c.Lanes {
		asked[l] = true
	}
	var got, rest []queue.Delivery
	for _, d := range q.held {
		if len(got) < c.Max && asked[d.Lane] {
			got = append(got, d)
		} else {
			rest = append(rest, d)
		}
	}
	q.held = rest
	return got
}

// look reads once: first without blocking, where there was more the last time; then, when
// that finds nothing, blocking on all lanes. Before it reads again, a lane without its
// group gets it, and one that is no stream is left out.
func (q *Queue) look(ctx context.Context, c queue.Claim, wait time.Duration) ([]queue.Delivery, error) {
	for tries := 0; ; tries++ {
		lanes := q.serviceable(c.Lanes)
		if len(lanes) == 0 {
			return nil, damaged("claim", errors.New("every lane is left out: none is a stream"))
		}
		got, err := q.lookIn(ctx, lanes, c.Max, wait)
		var u *queue.UnavailableError
		var large *largeReplyError
		if len(got) > 0 || tries == 2 || !errors.As(err, &u) || u.Reason != queue.ReasonData || errors.As(err, &large) {
			return got, err
		}
		if err := q.mend(ctx, lanes); err != nil {
			return nil, err
		}
	}
}

// lookIn returns what it has claimed even when one of its reads fails: that must be handed
// out, and the fault will show again.
func (q *Queue) lookIn(ctx context.Context, lanes []queue.Lane, limit int, wait time.Duration) ([]queue.Delivery, error) {
	for _, plans := range q.rounds(lanes, limit) {
		got, err := q.read(ctx, plans, 0)
		if err != nil || len(got) > 0 {
			q.setQuiet(lanes[0].Queue, false)
			return got, err
		}
	}
	// Redis may find entries in more lanes than limit before it begins to wait;
	// what is more is held for the next Claim. It cannot be many: all lanes had just
	// been empty.
	got, err := q.read(ctx, []plan{{lanes, max(1, limit/len(lanes)), math.MaxInt}}, wait)
	q.setQuiet(lanes[0].Queue, err == nil && len(got) == 0)
	if len(got) > limit {
		q.mu.Lock()
		q.held = append(q.held, got[limit:]...)
		q.mu.Unlock()
		got = got[:limit:limit]
	}
	return got, err
}

func (q *Queue) setQuiet(name string, quiet bool) {
	q.mu.Lock()
	q.quiet[name] = quiet
	q.mu.Unlock()
}

// read is one XREADGROUP, or lua/look.lua, for each plan, in one trip. Only a single plan may wait.
func (q *Queue) read(ctx context.Context, plans []plan, wait time.Duration) ([]queue.Delivery, error) {
	var cmds []*redis.Cmd
	var clock *redis.TimeCmd
	err := q.client.do(ctx, "claim", func(ctx context.Context) error {
		pipe := q.client.rdb.Pipeline()
		cmds, clock = cmds[:0], q.client.clock(ctx, pipe)
		for _, p := range plans {
			if p.bounded() {
				cmds = append(cmds, pipe.Do(ctx, q.readArgs(p, wait)...))
				continue
			}
			cmds = append(cmds, lookScript.EvalSha(ctx, pipe, laneKeys(p.lanes), group, q.consumer, p.most))
		}
		_, err := exec(ctx, pipe) // replies are looked at one by one below
		return err
	})
	if err != nil {
		return nil, err
	}
	var got []queue.Delivery
	var fault error
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			cmd = lookScript.Eval(ctx, q.client.rdb, laneKeys(plans[i].lanes), group, q.consumer, plans[i].most)
		}
		ds, err := q.deliveries(plans[i], cmd, readClock(clock))
		q.note(plans[i], ds)
		got = append(got, ds...)
		fault = errors.Join(fault, err)
		if err != nil && len(plans) > 1 && reason(err) == queue.ReasonData {
			// Busy lanes beside these may hide the fault for long, and a new tenant's lane has no group yet.
			if err := q.mend(ctx, plans[i].lanes); err != nil {
				fault = errors.Join(fault, err)
			}
		}
	}
	if len(got) > 0 || fault == nil {
		return got, nil
	}
	return nil, unavailable("claim", fault)
}

func laneKeys(lanes []queue.Lane) []string {
	out := make([]string, len(lanes))
	for i, l := range lanes {
		out[i] = laneKey(l)
	}
	return out
}

func (q *Queue) readArgs(p plan, wait time.Duration) []any {
	args := make([]any, 0, 9+2*len(p.lanes))
	args = append(args, "XREADGROUP", "GROUP", group, q.consumer, "COUNT", p.count)
	if ms := wait.Milliseconds(); ms > 0 {
		args = append(args, "BLOCK", ms) // 0 would be for ever
	}
	args = append(args, "STREAMS")
	for _, l := range p.lanes {
		args = append(args, laneKey(l))
	}
	for range p.lanes {
		args = append(args, ">")
	}
	return args
}

// clock asks for Redis's time, as the first command of a pipeline. In a cluster each node has a clock of its own, and it is not
// known which one answers. With Sentinels, a new master may know nothing of what the old one gave out. In both cases clock returns
// nil, and start asks who owns each entry.
func (c *Client) clock(ctx context.Context, pipe redis.Pipeliner) *redis.TimeCmd {
	if c.conf.Cluster || c.conf.Master != "" {
		return nil
	}
	return pipe.Time(ctx)
}

// readClock returns what clock was told, the zero time when that is nothing.
func readClock(cmd *redis.TimeCmd) time.Time {
	if cmd == nil || cmd.Err() != nil {
		return time.Time{}
	}
	return cmd.Val()
}

// deliveries reads the reply of XREADGROUP: [[lane, entries], ...]. leased is no later than it was carried out.
func (q *Queue) deliveries(p plan, cmd *redis.Cmd, leased time.Time) ([]queue.Delivery, error) {
	reply, err := cmd.Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	streams, ok := reply.([]any)
	if !ok {
		return nil, damaged("claim", fmt.Errorf("reply is %T, want a list", reply))
	}
	byKey := make(map[string]queue.Lane, len(p.lanes))
	for _, l := range p.lanes {
		byKey[laneKey(l)] = l
	}
	var got []queue.Delivery
	for _, raw := range streams {
		pair, ok := raw.([]any)
		if !ok || len(pair) != 2 {
			return got, damaged("claim", fmt.Errorf("stream is %T, want a pair", raw))
		}
		key, _ := pair[0].(string)
		lane, ok := byKey[key]
		if !ok {
			return got, damaged("claim", errors.New("reply names a lane that was not asked for"))
		}
		ds, _, err := entriesOf(lane, pair[1])
		if err != nil {
			return got, damaged("claim", err)
		}
		for i := range ds {
			ds[i].Token, ds[i].Leased = q.token(), leased
		}
		got = append(got, ds...)
	}
	return got, nil
}

// note remembers which lanes of p gave as many as they were asked for: they are hot.
func (q *Queue) note(p plan, got []queue.Delivery) {
	counts := map[queue.Lane]int{}
	for _, d := range got {
		counts[d.Lane]++
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range p.lanes {
		if counts[l] >= p.count {
			q.hot[l] = true
		} else {
			delete(q.hot, l)
		}
	}
}

// mend makes each lane's group, from the first entry on, and the lane itself
// where it is missing. Lanes that hold something else are left out for a while.
func (q *Queue) mend(ctx context.Context, lanes []queue.Lane) error {
	var cmds []redis.Cmder
	err := q.client.do(ctx, "claim", func(ctx context.Context) error {
		pipe := q.client.rdb.Pipeline()
		for _, l := range lanes {
			pipe.XGroupCreateMkStream(ctx, laneKey(l), group, "0")
		}
		var err error
		cmds, err = exec(ctx, pipe) // replies are looked at one by one below
		return err
	})
	if err != nil {
		return err
	}
	for i, cmd := range cmds {
		err := cmd.Err()
		if err == nil || strings.HasPrefix(err.Error(), "BUSYGROUP") {
			continue
		}
		if reason(err) != queue.ReasonData {
			return unavailable("claim", err)
		}
		q.leaveOut(lanes[i], err)
	}
	return nil
}

// leaveOut excludes a lane from reads for brokenFor. Of one that was left out until just now it was said.
func (q *Queue) leaveOut(l queue.Lane, err error) {
	q.mu.Lock()
	_, said := q.broken[l]
	q.broken[l] = time.Now().Add(brokenFor)
	q.mu.Unlock()
	if said {
		return
	}
	q.conf.Logger.Warn("lane left out", "lane", l.String(), "error", err)
}

// LeftOut implements queue.Maintainer.
func (q *Queue) LeftOut() []queue.Lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var out []queue.Lane
	for l, until := range q.broken {
		if now.Before(until) {
			out = append(out, l)
		}
	}
	return out
}

// serviceable returns the lanes that are not left out.
func (q *Queue) serviceable(lanes []queue.Lane) []queue.Lane {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.broken) == 0 {
		return lanes
	}
	now := time.Now()
	var out []queue.Lane
	for _, l := range lanes {
		until, broken := q.broken[l]
		if broken && now.Before(until) {
			continue
		}
		if broken && now.Sub(until) > brokenFor { // it was read meanwhile
			delete(q.broken, l)
		}
		out = append(out, l)
	}
	return out
}
