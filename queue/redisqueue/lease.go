package redisqueue

import (
	"context"
	"fmt"

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
		keys := make([]string, 0, len(batch))
		args := []any{group, q.consumer, prefix(name), q.conf.Lease.Milliseconds()}
		for _, i := range places[name] {
			l := batch[i]
			keys = append(keys, laneKey(l.Lane))
			args = append(args, member(l.Lane, l.ID), l.Entry, l.Token, l.Gates)
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
