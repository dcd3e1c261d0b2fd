package schedule

import (
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// judgement is what becomes of the ticks after one instant, up to another.
type judgement struct {
	send   []time.Time // oldest first
	passed int         // ticks that are not sent; of those within the last 24 h, since older ones could not be
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
	for tick := s.Next(until); !tick.IsZero() && !tick.After(now); tick = s.Next(tick) {
		if len(j.send) == keep {
			j.send = j.send[1:]
			j.passed++
		}
		j.send = append(j.send, tick)
	}
	live := j.send[:0:0]
	for _, tick := range j.send {
		expired := !tick.Add(s.Within(tick)).After(now)
		late := s.entry.Missed == Skip && now.Sub(tick) > OnTime
		if expired || late {
			j.passed++
			continue
		}
		live = append(live, tick)
	}
	j.send = live
	return j
}
