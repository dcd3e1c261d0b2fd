package redisqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// byQueue groups the places of a batch by queue, each in order, since one script
// works on the keys of one queue. Queues come in the order of their first place.
func byQueue(n int, name func(i int) string) (names []string, places map[string][]int) {
	places = map[string][]int{}
	for i := range n {
		k := name(i)
		if _, known := places[k]; !known {
			names = append(names, k)
		}
		places[k] = append(places[k], i)
	}
	return names, places
}

func checkBatch(n int) error {
	if n > queue.BatchMax {
		return &queue.FieldError{Field: "batch", Text: fmt.Sprintf("has %d, at most %d", n, queue.BatchMax)}
	}
	return nil
}

// Start grants each message to one worker: one script for each queue in the batch.
// Errors: as queue.Queue says.
func (q *Queue) Start(ctx context.Context, batch []queue.Start) ([]queue.Started, error) {
	if err := checkBatch(len(batch)); err != nil {
		return nil, err
	}
	for _, s := range batch {
		if err := checkStart(s); err != nil {
			return nil, err
		}
	}
	out := make([]queue.Started, len(batch))
	names, places := byQueue(len(batch), func(i int) string { return batch[i].Delivery.Lane.Queue })
	for _, name := range names {
		if err := q.start(ctx, name, batch, places[name], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func checkStart(s queue.Start) error {
	lease := s.Delivery.Unstarted()
	lease.Token, lease.ID = s.Delivery.Token, s.ID
	if err := lease.Check(); err != nil {
		return err
	}
	if s.Delivery.Token == "" {
		return &queue.FieldError{Field: "token", Text: "none; the delivery is not from Claim or Recover"}
	}
	if s.Delivery.Fault != "" {
		return &queue.FieldError{Field: "fault", Text: "a malformed entry cannot start: " + s.Delivery.Fault}
	}
	return queue.CheckDigest(s.Digest)
}

func (q *Queue) start(ctx context.Context, name string, batch []queue.Start, places []int, out []queue.Started) error {
	now := q.conf.Now()
	keys := make([]string, 0, 2*len(places))
	args := make([]any, 0, 4+5*len(places))
	args = append(args, group, q.consumer, parkedKey(name), lanePrefix(name))
	for _, i := range places {
		s, d := batch[i], batch[i].Delivery
		keys = append(keys, stateKey(d.Lane, s.ID), laneKey(d.Lane))
		args = append(args, d.Entry, d.Token, s.Digest, laneName(d.Lane), keep(s.Expires.Sub(now)).Milliseconds())
	}
	got, err := q.client.ints(ctx, "start", startScript, 3*len(places), keys, args)
	if err != nil {
		return err
	}
	for n, i := range places {
		d := batch[i].Delivery
		st := queue.Started{State: queue.State(got[3*n]), Lease: d.Unstarted()}
		st.Lease.ID = batch[i].ID
		switch st.State {
		case queue.Granted:
			st.Lease.Token = d.Token
			st.Attempt, st.Crashes = int(got[3*n+1]), int(got[3*n+2])
		case queue.Replayed, queue.Duplicate, queue.Conflict, queue.Lost:
		default:
			return damaged("start", fmt.Errorf("script returned state %d", got[3*n]))
		}
		out[i] = st
	}
	return nil
}

// keep returns how long the state of a message is kept that lives for left.
func keep(left time.Duration) time.Duration {
	return min(max(left, 0)+queue.StateGrace, queue.StateTTLMax)
}

// Renew lets leases last on: one script for each queue in the batch.
// Errors: as queue.Queue says.
func (q *Queue) Renew(ctx context.Context, batch []queue.Lease) ([]queue.Lease, error) {
	if err := checkBatch(len(batch)); err != nil {
		return nil, err
	}
	for _, l := range batch {
		if err := l.Check(); err != nil {
			return nil, err
		}
	}
	var lost []queue.Lease
	names, places := byQueue(len(batch), func(i int) string { return batch[i].Lane.Queue })
	for _, name := range names {
		keys := make([]string, 0, 2*len(batch))
		args := []any{group, q.consumer}
		for _, i := range places[name] {
			l := batch[i]
			state := laneKey(l.Lane) // stands in where no id is known
			if l.Token != "" {
				state = stateKey(l.Lane, l.ID)
			}
			keys = append(keys, state, laneKey(l.Lane))
			args = append(args, l.Entry, l.Token)
		}
		got, err := q.client.ints(ctx, "renew", renewScript, -1, keys, args)
		if err != nil {
			return nil, err
		}
		for _, n := range got {
			if n < 1 || int(n) > len(places[name]) {
				return nil, damaged("renew", fmt.Errorf("script returned number %d", n))
			}
			lost = append(lost, batch[places[name][n-1]])
		}
	}
	return lost, nil
}
