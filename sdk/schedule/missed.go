package schedule

import (
	"slices"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// judgement is what becomes of the ticks after one instant, up to another.
type judgement struct {
	send   []time.Time // oldest first
	passed []time.Time // the first and the last of the ticks that are not sent; none when all are
}

// judge applies the rule for missed ticks to those after until, up to now.
func (s *Schedule) judge(until, now time.Time) judgement {
	if oldest := now.Add(-envelope.LifetimeMax); until.Before(oldest) {
		until = oldest // whatever ticked before has expired
	}
	keep := 1
	if s.entry.Missed == All {
		keep = MissedMax
	}
	var j judgement
	newest, before := s.newest(until, now, keep)
	if !before.IsZero() {
		j.passed = []time.Time{s.Next(until), before}
	}
	for _, tick := range newest {
		expired := !tick.Add(s.Within(tick)).After(now)
		late := s.entry.Missed == Skip && now.Sub(tick) > OnTime
		switch {
		case !expired && !late:
			j.send = append(j.send, tick)
		case j.passed == nil:
			j.passed = []time.Time{tick, tick}
		default:
			j.passed[1] = tick
		}
	}
	return j
}

// newest returns the n newest ticks after since, up to now, oldest first, and the one before them, zero when there is none. A rule only tells the
// next tick, so it looks at stretches from the end: of a day with a tick each second it takes a few minutes' worth, and not all 86,400.
func (s *Schedule) newest(since, now time.Time, n int) (newest []time.Time, before time.Time) {
	for end := now; len(newest) <= n && end.After(since); {
		start := end.Add(-stretch)
		if start.Before(since) {
			start = since
		}
		var found []time.Time
		for tick := s.Next(start); !tick.IsZero() && !tick.After(end); tick = s.Next(tick) {
			found = append(found, tick)
		}
		newest, end = append(found, newest...), start
	}
	if more := len(newest) - n; more > 0 {
		newest, before = slices.Clone(newest[more:]), newest[more-1]
	}
	return newest, before
}
