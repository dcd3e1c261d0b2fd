package redisqueue

import (
	"cmp"
	"slices"

	"github.com/caisson-run/caisson/queue"
)

// A plan is one read: at most count entries from each lane, and at most most in all.
type plan struct {
	lanes []queue.Lane
	count int
	most  int
}

// bounded says whether XREADGROUP alone keeps within most; else lua/look.lua does.
func (p plan) bounded() bool { return len(p.lanes)*p.count <= p.most }

// weights of the priorities, in turns of ten: busy high lanes get six tenths of what a worker
// reads, normal ones three and low ones one, so that urgent work comes soon and no lane
// starves. Lanes of one priority get equal shares.
var weights = map[queue.Priority]int{queue.PriorityHigh: 6, queue.PriorityNormal: 3, queue.PriorityLow: 1}

// turnOf returns which priority is first at a turn: each as often in ten turns as its
// weight, spread out.
var turnOf = [10]queue.Priority{
	queue.PriorityHigh, queue.PriorityNormal, queue.PriorityHigh, queue.PriorityHigh, queue.PriorityNormal,
	queue.PriorityHigh, queue.PriorityLow, queue.PriorityHigh, queue.PriorityNormal, queue.PriorityHigh,
}

// rounds returns the reads that go before waiting, those of a round in one trip, until
// one brings something: none in the simple case that one waiting read can serve
// everybody, i.e. no lane had more than its share the last time, and no more lanes than
// Max or nothing there the last time.
//
// Each cold lane is looked at for one entry before hot lanes, which had more than that,
// get the rest; so the many messages of one lane never hold up the few of another.
func (q *Queue) rounds(lanes []queue.Lane, limit int) [][]plan {
	q.mu.Lock()
	defer q.mu.Unlock()
	var hot, cold []queue.Lane
	for _, l := range lanes {
		if q.hot[l] {
			hot = append(hot, l)
		} else {
			cold = append(cold, l)
		}
	}
	if len(lanes) == 1 || len(hot) == 0 && (len(lanes) <= limit || q.quiet[lanes[0].Queue]) {
		return nil
	}
	q.turn++
	if len(hot) == 0 {
		return q.sweep(cold, limit)
	}
	if len(cold) == 0 {
		return [][]plan{q.share(hot, limit)}
	}
	coldMax := min(len(cold), max(1, limit/coldPart))
	look := plan{q.inOrder(cold), 1, coldMax}
	if limit == 1 {
		both := [][]plan{{look}, q.share(hot, 1)}
		if q.turn%2 == 0 {
			slices.Reverse(both)
		}
		return both
	}
	return [][]plan{append([]plan{look}, q.share(hot, limit-coldMax)...)}
}

// sweep returns reads of all cold lanes, a part of them in each round. q.mu is held.
func (q *Queue) sweep(cold []queue.Lane, limit int) (out [][]plan) {
	for from := 0; from < len(cold); from += lookMax {
		piece := cold[from:min(from+lookMax, len(cold))]
		out = append(out, []plan{{q.inOrder(piece), 1, limit}})
	}
	return out
}

// inOrder returns lookMax of lanes, other ones each turn, those of the priority whose
// turn it is first. q.mu is held.
func (q *Queue) inOrder(lanes []queue.Lane) []queue.Lane {
	out := q.window(lanes, lookMax)
	first := turnOf[q.turn%len(turnOf)]
	slices.SortStableFunc(out, func(a, b queue.Lane) int { return cmp.Compare(rank(a, first), rank(b, first)) })
	return out
}

func rank(l queue.Lane, first queue.Priority) int {
	if l.Priority == first {
		return -1
	}
	return int(l.Priority)
}

// share divides limit between hot lanes: by weight between priorities, alike within
// one. Where limit is too small for that, the priority whose turn it is comes first.
// q.mu is held.
func (q *Queue) share(hot []queue.Lane, limit int) (out []plan) {
	byPriority := map[queue.Priority][]queue.Lane{}
	total := 0
	for _, l := range hot {
		if len(byPriority[l.Priority]) == 0 {
			total += weights[l.Priority]
		}
		byPriority[l.Priority] = append(byPriority[l.Priority], l)
	}
	order := queue.Priorities()
	first := turnOf[q.turn%len(turnOf)]
	slices.SortStableFunc(order, func(a, b queue.Priority) int {
		return cmp.Compare(rank(queue.Lane{Priority: a}, first), rank(queue.Lane{Priority: b}, first))
	})
	left := limit
	for _, p := range order {
		lanes := byPriority[p]
		if len(lanes) == 0 || left == 0 {
			continue
		}
		part := min(left, max(1, limit*weights[p]/total))
		lanes = q.window(lanes, part)
		out = append(out, plan{lanes, part / len(lanes), part})
		left -= part / len(lanes) * len(lanes)
	}
	if left > 0 && len(out) > 0 { // what did not divide goes to whoever is first
		p := &out[0]
		p.most += left
		p.count = p.most / len(p.lanes)
	}
	return out
}

// window returns n of lanes, other ones each turn, in a slice of its own. q.mu is held.
func (q *Queue) window(lanes []queue.Lane, n int) []queue.Lane {
	n = min(n, len(lanes))
	out := make([]queue.Lane, n)
	for i := range out {
		out[i] = lanes[(q.turn*n+i)%len(lanes)]
	}
	return out
}
