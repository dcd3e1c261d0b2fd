package redisqueue

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

var _ queue.Inspector = (*Client)(nil)

// DeadLetters returns a page of dead letters, oldest first. It reads few at a time, since all of a page may not arrive within one Timeout: more
// when they turn out to be small, fewer when even these take too long or are too large for a reply.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) DeadLetters(ctx context.Context, name, after string, n int) ([]queue.DeadLetter, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return nil, err
	}
	if n < 1 || n > queue.PageMax {
		return nil, &queue.FieldError{Field: "n", Text: fmt.Sprintf("%d, want 1 to %d", n, queue.PageMax)}
	}
	if after != "" && !entryID(after) {
		return nil, &queue.FieldError{Field: "after", Text: "is no entry"}
	}
	var out []queue.DeadLetter
	for size, few := 0, deadFew; len(out) < n && size < deadPageBytes; {
		few = min(few, n-len(out))
		entries, err := c.lettersAfter(ctx, name, after, few)
		switch {
		case few > 1 && tooMuch(err):
			few /= 2
			continue
		case err != nil && len(out) == 0:
			return nil, err
		case err != nil:
			return out, nil // the next page begins with the error
		}
		read := 0
		for _, e := range entries {
			out, after = append(out, deadLetter(name, e)), e.ID
			read += len(out[len(out)-1].Message)
		}
		if size += read; len(entries) < few {
			break
		}
		if read < deadFewBytes {
			few *= 2
		}
	}
	return out, nil
}

// lettersAfter returns the first n entries after one, or of all.
func (c *Client) lettersAfter(ctx context.Context, name, after string, n int) ([]redis.XMessage, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	var entries []redis.XMessage
	err := c.do(ctx, "dead letters", func(ctx context.Context) error {
		var err error
		entries, err = c.rdb.XRangeN(ctx, deadKey(name), from, "+", int64(n)).Result()
		return err
	})
	return entries, err
}

// tooMuch says whether less of the same may come: the reply was too large, or took too long.
func tooMuch(err error) bool {
	var large *largeReplyError
	var away *queue.UnavailableError
	return errors.As(err, &large) || errors.As(err, &away) && away.Reason == queue.ReasonTimeout
}

// DeadLetter returns the letter of that entry, the zero DeadLetter when there is none.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) DeadLetter(ctx context.Context, name, entry string) (queue.DeadLetter, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return queue.DeadLetter{}, err
	}
	if !entryID(entry) {
		return queue.DeadLetter{}, &queue.FieldError{Field: "entry", Text: "is no entry"}
	}
	var found []redis.XMessage
	err := c.do(ctx, "dead letter", func(ctx context.Context) error {
		var err error
		found, err = c.rdb.XRange(ctx, deadKey(name), entry, entry).Result()
		return err
	})
	if err != nil || len(found) != 1 {
		return queue.DeadLetter{}, err
	}
	return deadLetter(name, found[0]), nil
}

// entryID says whether s is <digits>-<digits>.
func entryID(s string) bool {
	ms, seq, ok := strings.Cut(s, "-")
	_, err1 := strconv.ParseUint(ms, 10, 64)
	_, err2 := strconv.ParseUint(seq, 10, 64)
	return ok && err1 == nil && err2 == nil
}

func deadLetter(name string, e redis.XMessage) queue.DeadLetter {
	text := func(field string) string {
		s, _ := e.Values[field].(string)
		return s
	}
	d := queue.DeadLetter{
		Entry:  e.ID,
		Code:   text("code"),
		Reason: text("reason"),
		Lane:   parseLane(name, text("lane")),
		Worker: text("worker"),
	}
	if _, id, found := strings.Cut(text("member"), ":"); found {
		d.ID = id
	}
	if ms, err := strconv.ParseInt(text("at"), 10, 64); err == nil {
		d.At = time.UnixMilli(ms)
	}
	if m, there := e.Values["e"].(string); there {
		d.Message = []byte(m)
	}
	return d
}

// State returns what is kept about a message.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) State(ctx context.Context, lane queue.Lane, id string) (queue.TaskState, error) {
	if err := lane.Check(); err != nil {
		return queue.TaskState{}, err
	}
	if err := queue.CheckID("id", id); err != nil {
		return queue.TaskState{}, err
	}
	var text string
	err := c.do(ctx, "state", func(ctx context.Context) error {
		var err error
		text, err = c.rdb.HGet(ctx, statesKey(lane), id).Result()
		return err
	})
	if err != nil && err != redis.Nil {
		return queue.TaskState{}, err
	}
	return parseState(lane.Queue, text), nil
}

// parseState reads what lua/state.lua writes; other text is no state.
func parseState(name, text string) queue.TaskState {
	f := strings.Split(text, "|")
	if len(f) != 9 || len(text) > stateBytesMax {
		return queue.TaskState{}
	}
	phase, known := phases[f[8]]
	fails, err1 := strconv.Atoi(f[4])
	crashes, err2 := strconv.Atoi(f[5])
	if !known || err1 != nil || err2 != nil {
		return queue.TaskState{}
	}
	return queue.TaskState{
		Phase: phase, Lane: parseLane(name, f[3]), Attempt: fails + 1, Crashes: crashes, Worker: f[6], Digest: longDigest(f[7]),
	}
}

// phases are the last fields of states.
var phases = map[string]queue.Phase{
	"r": queue.PhaseRunning, "w": queue.PhaseWaiting, "d": queue.PhaseDone, "rd": queue.PhaseDone, "x": queue.PhaseDead,
}

// sha256Prefix begins the digests that states hold in a short form: a full stop, and base64 of the 32 bytes.
const sha256Prefix = "sha256:"

// shortDigest returns the form of a digest in states.
func shortDigest(digest string) string {
	text, ok := strings.CutPrefix(digest, sha256Prefix)
	if !ok || len(text) != 64 || strings.ContainsAny(text, "ABCDEF") {
		return digest
	}
	var sum [32]byte
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return digest
	}
	short := [44]byte{'.'}
	base64.RawURLEncoding.Encode(short[1:], sum[:])
	return string(short[:])
}

// longDigest undoes shortDigest.
func longDigest(text string) string {
	short, ok := strings.CutPrefix(text, ".")
	if !ok {
		return text
	}
	sum, err := base64.RawURLEncoding.DecodeString(short)
	if err != nil || len(sum) != 32 {
		return ""
	}
	return sha256Prefix + hex.EncodeToString(sum)
}

// Depth counts lanes and the sets of their queues, in one trip.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Depth(ctx context.Context, lanes []queue.Lane) (queue.Depths, error) {
	if err := checkLanes(lanes, 1); err != nil {
		return queue.Depths{}, err
	}
	names, _ := byQueue(len(lanes), func(i int) string { return lanes[i].Queue })
	lengths := make([]*redis.IntCmd, len(lanes))
	pending := make([]*redis.XPendingCmd, len(lanes))
	due, dead := make([]*redis.IntCmd, len(names)), make([]*redis.IntCmd, len(names))
	err := c.do(ctx, "depth", func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		for i, l := range lanes {
			lengths[i] = pipe.XLen(ctx, laneKey(l))
			pending[i] = pipe.XPending(ctx, laneKey(l), group)
		}
		for i, name := range names {
			due[i] = pipe.ZCard(ctx, dueKey(name))
			dead[i] = pipe.XLen(ctx, deadKey(name))
		}
		_, err := exec(ctx, pipe) // replies are looked at one by one below
		return err
	})
	if err != nil {
		return queue.Depths{}, err
	}
	out := queue.Depths{Lanes: make([]queue.Depth, len(lanes)), Due: map[string]int64{}, Dead: map[string]int64{}}
	var fault error // the first, with the key that somebody spoilt or that this user may not look at
	note := func(key string, err error) {
		if err != nil && fault == nil {
			fault = fmt.Errorf("%s: %w", key, err)
		}
	}
	for i, l := range lanes {
		d := queue.Depth{Lane: l}
		// A lane that nobody has claimed from yet has no group.
		if p, err := pending[i].Result(); err == nil {
			d.Running = p.Count
		} else if !strings.HasPrefix(err.Error(), "NOGROUP") {
			note(laneKey(l), err)
		}
		// What is settled is deleted, so a lane holds what waits and what runs.
		d.Waiting = max(0, lengths[i].Val()-d.Running)
		note(laneKey(l), lengths[i].Err())
		out.Lanes[i] = d
	}
	for i, name := range names {
		out.Due[name], out.Dead[name] = due[i].Val(), dead[i].Val()
		note(dueKey(name), due[i].Err())
		note(deadKey(name), dead[i].Err())
	}
	if fault != nil {
		return queue.Depths{}, unavailable("depth", fault)
	}
	return out, nil
}
