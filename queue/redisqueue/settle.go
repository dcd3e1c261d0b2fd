package redisqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Settle ends leases: one script for each queue in the batch (several where the
// results are large).
// Errors: as queue.Queue says; after one, some may have been settled. Settle them
// all again: what has been settled stays as it is.
func (q *Queue) Settle(ctx context.Context, batch []queue.Settlement) ([]queue.Settled, error) {
	if err := checkBatch(len(batch)); err != nil {
		return nil, err
	}
	for _, s := range batch {
		if err := s.Check(); err != nil {
			return nil, err
		}
		if s.Lease.ID != "" {
			if err := queue.CheckID("id", s.Lease.ID); err != nil {
				return nil, err
			}
		}
	}
	out := make([]queue.Settled, len(batch))
	names, places := byQueue(len(batch), func(i int) string { return batch[i].Lease.Lane.Queue })
	for _, name := range names {
		for rest := places[name]; len(rest) > 0; {
			n := piece(batch, rest)
			if err := q.settle(ctx, name, batch, rest[:n], out); err != nil {
				return nil, err
			}
			rest = rest[n:]
		}
	}
	return out, nil
}

// piece returns how many of places go into one script call.
func piece(batch []queue.Settlement, places []int) int {
	size := 0
	for n, i := range places {
		size += len(batch[i].Result)
		if n > 0 && size > settleBytesMax {
			return n
		}
	}
	return len(places)
}

func (q *Queue) settle(ctx context.Context, name string, batch []queue.Settlement, places []int, out []queue.Settled) error {
	now := q.conf.Now()
	keys := make([]string, 0, 3+3*len(places))
	keys = append(keys, dueKey(name), parkedKey(name), deadKey(name))
	args := make([]any, 0, 6+11*len(places))
	args = append(args, group, q.consumer, q.conf.DeadMax, queue.MessageBytesMax,
		queue.StateTTLMax.Milliseconds(), channelPrefix(name))
	for _, i := range places {
		keys, args = appendSettlement(keys, args, batch[i], now)
	}
	got, err := q.client.ints(ctx, "settle", settleScript, len(places), keys, args)
	if err != nil {
		return err
	}
	for n, i := range places {
		out[i] = queue.Settled(got[n])
		if out[i] < queue.Applied || out[i] > queue.Vanished {
			return damaged("settle", fmt.Errorf("script returned %d", got[n]))
		}
	}
	return nil
}

// appendSettlement appends what lua/settle.lua wants for one item.
func appendSettlement(keys []string, args []any, s queue.Settlement, now time.Time) ([]string, []any) {
	l, v := s.Lease, s.Verdict
	lane := laneKey(l.Lane)
	state, result, who := lane, lane, "" // the lane stands in where there is no key
	if l.ID != "" {
		who = member(l.Lane, l.ID)
	}
	if l.Token != "" {
		state = stateKey(l.Lane, l.ID)
	}
	issuer, life := "", int64(0)
	if len(s.Result) > 0 {
		result, issuer, life = resultKey(l.Lane.Queue, s.ResultKey, l.ID), s.ResultKey, s.ResultTTL.Milliseconds()
	}
	keys = append(keys, state, lane, result)
	args = append(args, l.Entry, l.Token, who, laneName(l.Lane), verdictWord(v), delay(v.At(), now).Milliseconds(),
		v.Code(), v.Reason(), s.Result, issuer, life)
	return keys, args
}

// verdictWord names v as the script does, which tells a crash from a failure.
func verdictWord(v queue.Verdict) string {
	if v.Outcome() == queue.OutcomeRetry && v.Crash() {
		return "crash"
	}
	return v.String()
}

// delay returns how far at lies ahead of now.
func delay(at, now time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return min(max(at.Sub(now), 0), queue.DelayMax)
}
