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
	places, keys, args := q.settleArgs(name, batch, places)
	reply, err := q.client.run(ctx, "settle", settleScript, keys, args)
	if err != nil {
		return err
	}
	codes, _ := reply.(string)
	if len(codes) != len(places) {
		return damaged("settle", fmt.Errorf("script returned %T of %d, want %d letters", reply, len(codes), len(places)))
	}
	for n, i := range places {
		out[i] = queue.Settled(codes[n] - 'a' + 1)
		if out[i] < queue.Applied || out[i] > queue.Vanished {
			return damaged("settle", fmt.Errorf("script returned %q", codes[n]))
		}
	}
	return nil
}

// kind is what the settlements of a batch mostly have in common.
type kind struct {
	lane    queue.Lane
	verdict string
	delay   int64 // milliseconds
	code    string
	reason  string
	issuer  string // "" when there is no result
	life    int64  // milliseconds
	gates   string
	wake    bool
}

func kindOf(s *queue.Settlement, now time.Time) kind {
	v := s.Verdict
	k := kind{
		lane: s.Lease.Lane, verdict: verdictWord(v), delay: delay(v.At(), now).Milliseconds(),
		code: v.Code(), reason: v.Reason(), gates: s.Lease.Gates,
	}
	if len(s.Result) > 0 {
		k.issuer, k.life, k.wake = s.ResultKey, s.ResultTTL.Milliseconds(), s.Wake
	}
	return k
}

func (k kind) args(items int) []any {
	return []any{laneName(k.lane), k.verdict, k.delay, k.code, k.reason, k.issuer, k.life, k.gates, bit(k.wake), items}
}

// settleArgs returns KEYS and ARGV of lua/finish.lua, and places in the order in which they stand there.
func (q *Queue) settleArgs(name string, batch []queue.Settlement, places []int) (order []int, keys []string, args []any) {
	now := q.conf.Now()
	known := map[kind]int{}
	var kinds []kind
	var members [][]int // places of each kind
	last := -1
	for _, i := range places {
		if k := kindOf(&batch[i], now); last < 0 || k != kinds[last] {
			var met bool
			if last, met = known[k]; !met {
				last = len(kinds)
				known[k] = last
				kinds, members = append(kinds, k), append(members, nil)
			}
		}
		members[last] = append(members[last], i)
	}
	order = make([]int, 0, len(places))
	keys = append(make([]string, 0, 1+2*len(kinds)), deadKey(name))
	args = append(make([]any, 0, 9+10*len(kinds)+4*len(places)),
		group, q.consumer, prefix(name), q.conf.Lease.Milliseconds(), q.conf.DeadMax, q.conf.DeadKeep.Milliseconds(),
		queue.MessageBytesMax, queue.StateTTLMax.Milliseconds(), len(kinds))
	for n, k := range kinds {
		keys = append(keys, laneKey(k.lane), statesKey(k.lane))
		args = append(args, k.args(len(members[n]))...)
		order = append(order, members[n]...)
	}
	for _, i := range order {
		s := &batch[i]
		args = append(args, &s.Lease.ID, &s.Lease.Entry, &s.Lease.Token, s.Result)
	}
	return order, keys, args
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
