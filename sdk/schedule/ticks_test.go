package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/caisson-run/caisson/sdk/schedule"
)

// made makes a schedule of a task "a" with nothing but a rule.
func made(t *testing.T, e schedule.Entry) *schedule.Schedule {
	t.Helper()
	if e.Name == "" {
		e.Name = "s"
	}
	if e.Task == "" {
		e.Task = "a"
	}
	s, err := schedule.New(e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// following returns the n ticks after from, as the clock in the schedule's zone shows them.
func following(s *schedule.Schedule, from time.Time, n int) []string {
	var ticks []string
	for range n {
		from = s.Next(from)
		ticks = append(ticks, from.In(s.Zone()).Format("02T15:04:05-0700"))
	}
	return ticks
}

// A night in which clocks change, in zones that differ in hour, size and hemisphere.
func TestClocksThatChange(t *testing.T) {
	for _, c := range []struct{ name, zone, cron, from, want string }{
		{"a skipped time comes when it is skipped", "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z",
			"29T03:00:00+0200 30T02:30:00+0200"},
		{"a repeated time comes once", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z",
			"25T02:30:00+0200 26T02:30:00+0100"},
		{"times that are all skipped come as one", "Europe/Berlin", "0,30 2-3 * * *", "2026-03-29T00:00:00Z",
			"29T03:00:00+0200 29T03:30:00+0200 30T02:00:00+0200"},
		{"each hour, forward", "Europe/Berlin", "0 * * * *", "2026-03-28T23:30:00Z",
			"29T01:00:00+0100 29T03:00:00+0200 29T04:00:00+0200"},
		{"each hour, back", "Europe/Berlin", "0 * * * *", "2026-10-24T23:30:00Z",
			"25T02:00:00+0200 25T02:00:00+0100 25T03:00:00+0100"},
		{"each half hour, back", "America/New_York", "*/30 * * * *", "2026-11-01T04:59:00Z",
			"01T01:00:00-0400 01T01:30:00-0400 01T01:00:00-0500 01T01:30:00-0500 01T02:00:00-0500"},
		{"a skipped time, New York", "America/New_York", "15 2 * * *", "2026-03-07T12:00:00Z",
			"08T03:00:00-0400 09T02:15:00-0400"},
		{"a repeated time, New York", "America/New_York", "15 1 * * *", "2026-10-31T12:00:00Z",
			"01T01:15:00-0400 02T01:15:00-0500"},
		{"from within the second pass", "America/New_York", "15 1 * * *", "2026-11-01T06:05:00Z",
			"02T01:15:00-0500"},
		{"every second hour, forward", "America/New_York", "0 */2 * * *", "2026-03-08T04:30:00Z",
			"08T00:00:00-0500 08T03:00:00-0400 08T04:00:00-0400"},
		{"half an hour, Lord Howe", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
			"04T02:30:00+1100 05T02:15:00+1100"},
		{"midnight skipped, Beirut", "Asia/Beirut", "@daily", "2026-03-28T12:00:00Z",
			"29T01:00:00+0300 30T00:00:00+0300"},
		{"each hour of a day whose midnight is skipped, Beirut", "Asia/Beirut", "0 * * * sun", "2026-03-28T12:00:00Z",
			"29T01:00:00+0300 29T02:00:00+0300 29T03:00:00+0300"},
		{"each half hour of a day whose midnight is skipped, Cairo", "Africa/Cairo", "*/30 * * * fri", "2026-04-23T12:00:00Z",
			"24T01:00:00+0300 24T01:30:00+0300 24T02:00:00+0300"},
		{"each hour of a day whose midnight is repeated, Havana", "America/Havana", "0 * 1 * *", "2026-10-31T12:00:00Z",
			"01T00:00:00-0400 01T00:00:00-0500 01T01:00:00-0500"},
		{"a whole day skipped, Apia", "Pacific/Apia", "30 12 * * *", "2011-12-29T20:00:00Z",
			"29T12:30:00-1000 31T00:00:00+1400 31T12:30:00+1400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := made(t, schedule.Entry{Cron: c.cron, Zone: c.zone})
			want := strings.Fields(c.want)
			if got := following(s, at(t, c.from), len(want)); strings.Join(got, " ") != c.want {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

// Where no clock changes, robfig/cron is the measure; and whatever the zone, ticks only go forward.
func TestTicksAreCrons(t *testing.T) {
	for _, text := range []string{"* * * * *", "*/7 3-9 * * 1-5", "0 0 1 * *", "5 4 * * sun", "@hourly", "@weekly", "*/20 * * * * *", "0 30 2 29 2 *"} {
		s := made(t, schedule.Entry{Cron: text, Zone: "Asia/Kolkata"})
		theirs, err := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).
			Parse("CRON_TZ=Asia/Kolkata " + text)
		if err != nil {
			t.Fatal(err)
		}
		got, want := at(t, "2026-01-31T18:29:59Z"), at(t, "2026-01-31T18:29:59Z")
		for i := range 200 {
			got, want = s.Next(got), theirs.Next(want)
			if !got.Equal(want) {
				t.Fatalf("%s: tick %d is %v, want %v", text, i, got, want)
			}
		}
	}
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/St_Johns", "Pacific/Apia"} {
		s := made(t, schedule.Entry{Cron: "*/30 0-5 * * *", Zone: zone})
		last, start := at(t, "2026-01-01T00:00:00Z"), at(t, "2026-01-01T00:00:00Z")
		days := map[string]bool{}
		for last.Sub(start) < 370*24*time.Hour {
			next := s.Next(last)
			if !next.After(last) {
				t.Fatalf("%s: %v comes after %v", zone, next, last)
			}
			wall := next.In(s.Zone()).Format("2006-01-02T15:04")
			if days[wall] {
				t.Fatalf("%s: %s comes twice", zone, wall)
			}
			days[wall], last = true, next
		}
	}
}

func TestEvery(t *testing.T) {
	s := made(t, schedule.Entry{Every: 90 * time.Second})
	if got := s.Next(time.Unix(90, 0)); !got.Equal(time.Unix(180, 0)) {
		t.Errorf("after a tick: %v", got)
	}
	if got := s.Next(time.Unix(179, 999_999_999)); !got.Equal(time.Unix(180, 0)) {
		t.Errorf("just before a tick: %v", got)
	}
	if got := s.Next(time.Unix(-91, 0)); !got.Equal(time.Unix(-90, 0)) {
		t.Errorf("before 1970: %v", got)
	}
	if got := s.Next(time.Unix(-90, 0)); !got.Equal(time.Unix(0, 0)) {
		t.Errorf("at a tick before 1970: %v", got)
	}
}
