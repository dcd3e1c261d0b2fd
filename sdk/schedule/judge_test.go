package schedule

import (
	"slices"
	"testing"
	"time"
)

// counted counts how often a rule is asked.
type counted struct {
	ticks
	asked *int
}

func (c counted) after(t time.Time) time.Time {
	*c.asked++
	return c.ticks.after(t)
}

// A day without a scheduler is judged as if each of its ticks had been looked at, by looking at few: a thousand schedules with a tick each second
// took a minute and more before the first of them was sent.
func TestJudgeLooksAtFew(t *testing.T) {
	day := time.Date(2026, 10, 25, 15, 4, 5, 600, time.UTC) // clocks went back in Berlin
	for _, c := range []struct {
		name  string
		entry Entry
		since time.Duration
		most  int // calls of the rule
	}{
		{"each second", Entry{Cron: "* * * * * *"}, 24 * time.Hour, 310},
		{"each second, long ago", Entry{Cron: "* * * * * *"}, 2400 * time.Hour, 310},
		{"each second, all", Entry{Cron: "* * * * * *", Missed: All, Within: time.Hour}, 24 * time.Hour, 1510},
		{"each second of half a day", Entry{Cron: "* * 0-11 * * *", Zone: "Europe/Berlin", Missed: Skip}, 24 * time.Hour, 400},
		{"each minute, all", Entry{Cron: "* * * * *", Missed: All, Within: 24 * time.Hour}, 24 * time.Hour, 1800},
		{"each hour, all", Entry{Cron: "0 * * * *", Zone: "Europe/Berlin", Missed: All, Within: 5 * time.Hour}, 24 * time.Hour, 330},
		{"all, by the time until the next", Entry{Cron: "0,10 3,14 * * *", Missed: All}, 24 * time.Hour, 330},
		{"nightly", Entry{Cron: "30 2 * * *", Zone: "Europe/Berlin"}, 24 * time.Hour, 330},
		{"a minute's", Entry{Cron: "* * * * * *", Missed: All}, time.Minute, 180},
		{"nothing", Entry{Cron: "@monthly"}, 24 * time.Hour, 330},
		{"every second", Entry{Every: time.Second}, 24 * time.Hour, 310},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.entry.Name, c.entry.Task = "s", "a"
			s, err := New(c.entry)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			s.ticks = counted{s.ticks, &asked}
			got := s.judge(day.Add(-c.since), day)
			if asked > c.most {
				t.Errorf("the rule was asked %d times, at most %d are needed", asked, c.most)
			}
			if want := judgeAll(s, day.Add(-c.since), day); !slices.Equal(got.send, want.send) || !slices.Equal(got.passed, want.passed) {
				t.Errorf("%d are sent, want %d; passed over %v, want %v", len(got.send), len(want.send), got.passed, want.passed)
			}
		})
	}
}

// judgeAll is judge by the words of docs/reference/schedule.md, over each tick of the last day.
func judgeAll(s *Schedule, until, now time.Time) judgement {
	until = slices.MaxFunc([]time.Time{until, now.Add(-24 * time.Hour)}, time.Time.Compare)
	var all []time.Time
	for tick := s.Next(until); !tick.After(now); tick = s.Next(tick) {
		all = append(all, tick)
	}
	var j judgement
	for i, tick := range all {
		current := i == len(all)-1
		sent := false
		switch s.entry.Missed {
		case Skip:
			sent = current && now.Sub(tick) <= OnTime
		case One:
			sent = current
		case All:
			sent = i >= len(all)-MissedMax
		}
		if sent && tick.Add(s.Within(tick)).After(now) {
			j.send = append(j.send, tick)
			continue
		}
		if j.passed == nil {
			j.passed = []time.Time{tick, tick}
		}
		j.passed[1] = tick
	}
	return j
}
