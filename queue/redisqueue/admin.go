package redisqueue

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

var (
	//go:embed lua/letters.lua
	lettersSource string
	//go:embed lua/purge_lane.lua
	purgeLaneSource string
	//go:embed lua/purge_parked.lua
	purgeParkedSource string

	lettersScript     = newScript(statesSource + stateSource + lettersSource)
	purgeLaneScript   = newScript(purgeLaneSource)
	purgeParkedScript = newScript(statesSource + stateSource + purgeParkedSource)
)

var _ queue.Admin = (*Client)(nil)

// Requeue puts dead letters back into their lanes: each with its state forgotten and its letter deleted in one script.
// Letters without a message, and those whose lane takes nothing, stay.
// Errors: as queue.Admin says.
func (c *Client) Requeue(ctx context.Context, name string, f queue.DeadFilter, limit int) (int, error) {
	return c.letters(ctx, "requeue", name, f, limit)
}

// PurgeDead forgets dead letters.
// Errors: as queue.Admin says.
func (c *Client) PurgeDead(ctx context.Context, name string, f queue.DeadFilter, limit int) (int, error) {
	return c.letters(ctx, "purge", name, f, limit)
}

// letters looks through the letters that f chooses, a piece for each script call, until limit of them are acted on.
func (c *Client) letters(ctx context.Context, act, name string, f queue.DeadFilter, limit int) (int, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return 0, err
	}
	if err := f.Check(); err != nil {
		return 0, err
	}
	if err := checkMax(limit); err != nil {
		return 0, err
	}
	first, last := "-", entriesBefore(f.Before)
	if f.Entry != "" {
		if !entryID(f.Entry) {
			return 0, &queue.FieldError{Field: "entry", Text: "is no entry"}
		}
		if !entryBefore(f.Entry, f.Before) {
			return 0, nil
		}
		first, last = f.Entry, f.Entry // that one, and none of those after it
	}
	total := 0
	for {
		args := []any{act, first, last, letterPiece, limit - total, f.Code, f.Tenant, f.ID, prefix(name)}
		n, next, err := c.piece(ctx, act, lettersScript, []string{deadKey(name)}, args)
		if err != nil {
			return total, err
		}
		total += n
		if total >= limit || next == "" || f.Entry != "" {
			return total, nil
		}
		first = "(" + next
	}
}

// Purge forgets what waits in lanes, then what is parked for them. What moves from the one to the other meanwhile can
// escape.
// Errors: as queue.Admin says.
func (c *Client) Purge(ctx context.Context, lanes []queue.Lane, before time.Time, limit int) (int, error) {
	if err := checkLanes(lanes, limit); err != nil {
		return 0, err
	}
	total := 0
	for _, l := range lanes {
		n, err := c.purgeLane(ctx, l, before, limit-total)
		if total += n; err != nil || total >= limit {
			return total, err
		}
	}
	names, places := byQueue(len(lanes), func(i int) string { return lanes[i].Queue })
	for _, name := range names {
		var of []any
		for _, i := range places[name] {
			of = append(of, laneName(lanes[i]))
		}
		n, err := c.purgeParked(ctx, name, of, before, limit-total)
		if total += n; err != nil || total >= limit {
			return total, err
		}
	}
	return total, nil
}

func (c *Client) purgeLane(ctx context.Context, l queue.Lane, before time.Time, limit int) (int, error) {
	total := 0
	for first := "-"; ; {
		count := min(purgePiece, limit-total)
		n, next, err := c.piece(ctx, "purge", purgeLaneScript, []string{laneKey(l)}, []any{group, first, entriesBefore(before), count})
		if err != nil {
			return total, err
		}
		if total += n; total >= limit || next == "" {
			return total, nil
		}
		first = "(" + next
	}
}

// entriesBefore returns the end, as XRANGE wants it, of the entries added before t: all when it is zero.
func entriesBefore(t time.Time) string {
	switch {
	case t.IsZero():
		return "+"
	case t.UnixMilli() <= 0:
		return "(0-1" // none: the first entry that a stream can have
	}
	return "(" + strconv.FormatInt(t.UnixMilli(), 10)
}

// entryBefore reports whether an entry was added before t: always when it is zero.
func entryBefore(entry string, t time.Time) bool {
	text, _, _ := strings.Cut(entry, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	return t.IsZero() || err == nil && ms < t.UnixMilli()
}

func (c *Client) purgeParked(ctx context.Context, name string, lanes []any, before time.Time, limit int) (int, error) {
	until := int64(maxExact)
	if !before.IsZero() {
		until = before.UnixMilli()
	}
	total := 0
	for from := int64(0); from >= 0; {
		args := append([]any{prefix(name), from, parkedPiece, limit - total, until}, lanes...)
		got, err := c.ints(ctx, "purge", purgeParkedScript, 2, []string{dueKey(name), parkedKey(name)}, args)
		if err != nil {
			return total, err
		}
		if got[0] < 0 || got[0] > int64(limit-total) || got[1] > from+parkedPiece || got[0] == 0 && got[1] >= 0 && got[1] <= from {
			return total, damaged("purge", fmt.Errorf("script returned %d and %d", got[0], got[1]))
		}
		if total += int(got[0]); total >= limit {
			return total, nil
		}
		from = got[1]
	}
	return total, nil
}

// maxExact is the largest whole number that Lua keeps exactly.
const maxExact = 1<<53 - 1

// piece runs a script that returns how many it acted on and the last entry it looked at.
func (c *Client) piece(ctx context.Context, op string, s script, keys []string, args []any) (int, string, error) {
	var reply []any
	err := c.do(ctx, op, func(ctx context.Context) error {
		var err error
		reply, err = s.Run(ctx, c.rdb, keys, args...).Slice()
		return err
	})
	if err != nil {
		return 0, "", err
	}
	if len(reply) != 2 {
		return 0, "", damaged(op, fmt.Errorf("script returned %d values, want 2", len(reply)))
	}
	n, isNumber := reply[0].(int64)
	next, isText := reply[1].(string)
	if !isNumber || n < 0 || n > queue.BatchMax || !isText || next != "" && !entryID(next) {
		return 0, "", damaged(op, fmt.Errorf("script returned %v and %T", reply[0], reply[1]))
	}
	return int(n), next, nil
}

// Answer leaves a result where there is none, and tells whoever waits for it.
// Errors: as queue.Admin says.
func (c *Client) Answer(ctx context.Context, name, resultKeyOf, id string, result []byte, ttl time.Duration) error {
	if err := checkResult(name, resultKeyOf, id); err != nil {
		return err
	}
	if n := len(result); n == 0 || n > queue.ResultBytesMax {
		return &queue.FieldError{Field: "result", Text: fmt.Sprintf("has %d bytes, want 1 to %d", n, queue.ResultBytesMax)}
	}
	if ttl < time.Millisecond || ttl > queue.StateTTLMax {
		return &queue.FieldError{Field: "ttl", Text: fmt.Sprintf("%s is not within 1ms to %s", ttl, queue.StateTTLMax)}
	}
	return c.keepAndTell(ctx, "answer", func(ctx context.Context, pipe redis.Pipeliner) (spare redis.Cmder) {
		pipe.SetNX(ctx, resultKey(name, resultKeyOf, id), result, ttl)
		return nil
	}, channelPrefix(name)+resultKeyOf, id)
}
