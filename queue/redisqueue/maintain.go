package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// Promote moves due messages back into their lanes.
// Errors: as queue.Maintainer says.
func (q *Queue) Promote(ctx context.Context, name string, limit int) (int, time.Time, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return 0, time.Time{}, err
	}
	if err := checkMax(limit); err != nil {
		return 0, time.Time{}, err
	}
	got, err := q.client.ints(ctx, "promote", promoteScript, 3,
		[]string{dueKey(name), deadKey(name)},
		[]any{prefix(name), limit, q.conf.DeadKeep.Milliseconds()})
	if err != nil {
		return 0, time.Time{}, err
	}
	if got[2] != 0 {
		if err := q.sweepStates(ctx, name); err != nil {
			return int(got[0]), time.Time{}, err
		}
	}
	var next time.Time
	if got[1] >= 0 {
		// Redis tells how long, and our own clock from when. Bounded before it is multiplied: anybody can have put any time there.
		wait := min(got[1], queue.DelayMax.Milliseconds())
		next = q.conf.Now().Add(time.Duration(wait) * time.Millisecond)
	}
	return int(got[0]), next, nil
}

// sweepStates removes the states of a queue that have ended, a piece at a time; what is left then, the next Promote finds.
func (q *Queue) sweepStates(ctx context.Context, name string) error {
	for range sweepRounds {
		n, err := q.client.ints(ctx, "promote", sweepScript, 1, []string{endsKey(name)}, []any{prefix(name), sweepPiece})
		if err != nil || n[0] < sweepPiece {
			return err
		}
	}
	return nil
}

// Recover takes over deliveries whose lease has run out, and now and then removes
// the names of dead workers.
// Errors: as queue.Maintainer says.
func (q *Queue) Recover(ctx context.Context, lanes []queue.Lane, limit int) (queue.Recovered, error) {
	if err := checkLanes(lanes, limit); err != nil {
		return queue.Recovered{}, err
	}
	lanes = q.serviceable(lanes)
	var out queue.Recovered
	for rest := lanes; len(rest) > 0 && len(out.Deliveries) < limit; {
		// Each lane of a piece may give at least one, so no piece is larger than
		// what is still wanted.
		n := min(len(rest), limit-len(out.Deliveries))
		if err := q.recoverFrom(ctx, rest[:n], limit-len(out.Deliveries), &out); err != nil {
			if len(out.Deliveries) > 0 {
				return out, nil // these are ours now and must be handed out; the fault will show again
			}
			return out, err
		}
		rest = rest[n:]
	}
	retired, err := q.retire(ctx, lanes, max(retireAfter, 10*q.conf.Lease))
	out.Retired = retired
	if err != nil && len(out.Deliveries) == 0 {
		return out, err
	}
	return out, nil
}

// recoverFrom asks lanes, at most limit of them, until there is nothing more to
// recover, limit is reached or its rounds are over.
func (q *Queue) recoverFrom(ctx context.Context, lanes []queue.Lane, limit int, out *queue.Recovered) error {
	first := len(out.Deliveries)
	for range recoverRounds {
		left := limit - (len(out.Deliveries) - first)
		if left < len(lanes) {
			return nil
		}
		cmds, leased, err := q.autoclaim(ctx, lanes, left/len(lanes))
		if err != nil {
			return err
		}
		var again []queue.Lane
		for i, cmd := range cmds {
			more, err := q.recovered(lanes[i], cmd, leased, out)
			if err != nil {
				return err
			}
			if more {
				again = append(again, lanes[i])
			}
		}
		if lanes = again; len(lanes) == 0 {
			return nil
		}
	}
	return nil
}

// autoclaim also returns a time, by Redis's clock, before it was carried out; the zero time where nobody says.
func (q *Queue) autoclaim(ctx context.Context, lanes []queue.Lane, count int) ([]*redis.Cmd, time.Time, error) {
	cursors := make([]string, len(lanes))
	q.mu.Lock()
	for i, l := range lanes {
		if cursors[i] = q.cursors[l]; cursors[i] == "" {
			cursors[i] = "0-0"
		}
	}
	q.mu.Unlock()
	cmds := make([]*redis.Cmd, len(lanes))
	var clock *redis.TimeCmd
	err := q.client.do(ctx, "recover", func(ctx context.Context) error {
		pipe := q.client.rdb.Pipeline()
		clock = q.client.clock(ctx, pipe)
		for i, l := range lanes {
			cmds[i] = takeOverScript.EvalSha(ctx, pipe, []string{laneKey(l)}, q.takeOverArgs(cursors[i], count)...)
		}
		_, err := exec(ctx, pipe) // replies are looked at one by one below
		return err
	})
	for i, cmd := range cmds {
		if err == nil && cmd.Err() != nil && strings.HasPrefix(cmd.Err().Error(), "NOSCRIPT") {
			cmds[i] = takeOverScript.Eval(ctx, q.client.rdb, []string{laneKey(lanes[i])}, q.takeOverArgs(cursors[i], count)...)
		}
	}
	return cmds, readClock(clock), err
}

func (q *Queue) takeOverArgs(cursor string, count int) []any {
	return []any{group, q.consumer, q.conf.Lease.Milliseconds(), cursor, count, queue.MessageBytesMax, elementBytes}
}

// recovered reads one reply of lua/take_over.lua, [cursor, entries, ids deleted], into
// out, and says whether the lane's pending list goes on.
func (q *Queue) recovered(lane queue.Lane, cmd *redis.Cmd, leased time.Time, out *queue.Recovered) (bool, error) {
	reply, err := cmd.Slice()
	if err != nil {
		// A lane that nobody has claimed from has no group, hence nothing to recover.
		if strings.HasPrefix(err.Error(), "NOGROUP") {
			return false, nil
		}
		if fromServer(err) && reason(err) == queue.ReasonData {
			q.leaveOut(lane, err)
			return false, nil
		}
		return false, unavailable("recover", err)
	}
	if len(reply) < 2 {
		return false, damaged("recover", fmt.Errorf("reply has %d parts, want 3", len(reply)))
	}
	cursor, ok := reply[0].(string)
	if !ok || len(cursor) > queue.IDBytesMax {
		return false, damaged("recover", errors.New("cursor is no id"))
	}
	ds, gone, err := entriesOf(lane, reply[1])
	if err != nil {
		return false, damaged("recover", err)
	}
	for i := range ds {
		ds[i].Token, ds[i].Redelivered, ds[i].Leased = q.token(), true, leased
	}
	out.Deliveries = append(out.Deliveries, ds...)
	out.Vanished += len(gone)
	if len(reply) > 2 {
		if ids, ok := reply[2].([]any); ok {
			out.Vanished += len(ids)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if cursor == "0-0" {
		delete(q.cursors, lane)
		return false, nil
	}
	q.cursors[lane] = cursor
	return true, nil
}

// retire removes from some of lanes the names of workers that have been idle for
// so long, and has given out again what nobody holds though it was given out, once in
// retireEvery. In a queue of many lanes it takes other ones each time.
func (q *Queue) retire(ctx context.Context, lanes []queue.Lane, idle time.Duration) (int, error) {
	now := q.conf.Now()
	q.mu.Lock()
	if now.Before(q.retireNext) || len(lanes) == 0 {
		q.mu.Unlock()
		return 0, nil
	}
	q.retireNext = now.Add(retireEvery)
	from := q.retireTurn % len(lanes)
	to := min(from+retireLanesMax, len(lanes))
	q.retireTurn = to
	q.mu.Unlock()

	total := 0
	part := lanes[from:to]
	names, places := byQueue(len(part), func(i int) string { return part[i].Queue })
	for _, name := range names {
		keys := make([]string, 0, len(part))
		for _, i := range places[name] {
			keys = append(keys, laneKey(part[i]))
		}
		var n int
		err := q.client.do(ctx, "retire", func(ctx context.Context) error {
			var err error
			n, err = retireScript.Run(ctx, q.client.rdb, keys, group, q.consumer, idle.Milliseconds(), retireMax).Int()
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if err := q.regain(ctx, name, keys); err != nil {
			return total, err
		}
	}
	return total, nil
}

// regain has entries of lanes of one queue given out again that nobody holds and that their groups would give out no more: somebody
// else has acknowledged them, removed their worker's name, or set the group to a later place.
func (q *Queue) regain(ctx context.Context, name string, lanes []string) error {
	for range regainRounds {
		var n int
		err := q.client.do(ctx, "recover", func(ctx context.Context) error {
			var err error
			n, err = straysScript.Run(ctx, q.client.rdb, lanes, group, regainMax).Int()
			return err
		})
		if err != nil {
			return err
		}
		if n > 0 {
			q.conf.Logger.Warn("entries that nobody held are given out again", "queue", name, "entries_or_more", n)
		}
		if n < regainMax {
			return nil
		}
	}
	return nil
}
