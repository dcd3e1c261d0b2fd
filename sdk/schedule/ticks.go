package schedule

import (
	"strings"
	"time"
	_ "time/tzdata" // for images without zone files: a schedule must not depend on what is installed

	"github.com/robfig/cron/v3"
)

// ticks is a rule for instants.
type ticks interface {
	// after returns the first tick after t, zero when none comes within five years.
	after(t time.Time) time.Time
}

// every ticks at the multiples of a duration since 1970, so that all schedulers agree whenever they were started.
type every time.Duration

func (e every) after(t time.Time) time.Time {
	step := time.Duration(e).Milliseconds()
	at := t.UnixMilli()
	next := at - at%step + step
	if at < 0 && at%step != 0 {
		next -= step
	}
	return time.UnixMilli(next).UTC()
}

// cronParser reads five fields, or six with seconds first, and names such as @daily.
var cronParser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// anyHour is the bit that robfig/cron sets in a field that is "*".
const anyHour = 1 << 63

// clockwise is a cron expression in a zone.
//
// An expression whose hour is "*" goes by time elapsed: where clocks go forward nothing is left out or added, and where
// they go back the repeated hour has its ticks twice. One that names hours goes by the clock on the wall, each
// time once a day: a time that clocks skip ticks at the instant they skip to, and of a time that they repeat only the first counts. So a
// nightly task runs each night once. Vixie's cron does the same; robfig/cron alone would leave out the one and repeat the other.
type clockwise struct {
	spec cron.SpecSchedule
	zone *time.Location
}

// parseCron reads an expression.
// Errors, final: *FieldError.
func parseCron(text string, zone *time.Location) (ticks, error) {
	bad := func(text string) error { return &FieldError{"cron", text} }
	switch {
	case len(text) > CronSizeMax:
		return nil, bad("is too long")
	case strings.Contains(text, "="): // robfig/cron takes a zone there, and panics when nothing follows it
		return nil, bad(`has a "=" in it; the time zone goes into zone`)
	case strings.HasPrefix(text, "@every"):
		return nil, bad("begins with @every; use every, whose ticks do not depend on when the scheduler started")
	case strings.TrimSpace(text) != text:
		return nil, bad("begins or ends with a space")
	}
	parsed, err := cronParser.Parse(text)
	if err != nil {
		return nil, bad(err.Error())
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, bad("is no expression of fields")
	}
	c := clockwise{*spec, zone}
	c.spec.Location = time.UTC
	return c, nil
}

func (c clockwise) after(t time.Time) time.Time {
	if c.spec.Hour&anyHour != 0 {
		return c.elapsed(t)
	}
	// wall is what the clock on the wall shows, as if it were UTC's. No time up to that maps to an instant after t.
	local := t.In(c.zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), time.UTC)
	for {
		wall = c.spec.Next(wall)
		if wall.IsZero() {
			return time.Time{}
		}
		if at := instant(wall, c.zone); at.After(t) {
			return at
		}
	}
}

// elapsed returns the first tick after t of an expression whose hour is "*". It looks from one change of clocks to the next, and so
// in places where clocks do not change: robfig/cron, in a zone whose clocks skip midnight, leaves out the whole day where days are named.
func (c clockwise) elapsed(t time.Time) time.Time {
	for in := t.In(c.zone); ; {
		_, offset := in.Zone()
		_, end := in.ZoneBounds()
		spec := c.spec
		spec.Location = time.FixedZone("", offset)
		next := spec.Next(t)
		if next.IsZero() || end.IsZero() || next.Before(end) {
			return inUTC(next)
		}
		t, in = end.Add(-time.Nanosecond), end
	}
}

// instant returns when clocks in zone first show wall, or, where they skip it, when they skip it.
func instant(wall time.Time, zone *time.Location) time.Time {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	start, end := near.ZoneBounds()
	around := []time.Time{near} // instants whose offsets from UTC may be that of wall
	if !start.IsZero() {
		around = append(around, start.Add(-time.Second))
	}
	if !end.IsZero() {
		around = append(around, end)
	}
	var first time.Time
	for _, a := range around {
		_, offset := a.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, have := at.In(zone).Zone(); have == offset && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return inUTC(first)
	}
	for _, skip := range []time.Time{start, end} {
		if skip.IsZero() {
			continue
		}
		_, before := skip.Add(-time.Second).Zone()
		_, after := skip.Zone()
		shown := wall.Sub(time.Unix(skip.Unix(), 0)) // of wall's clock, at the skip
		if shown >= time.Duration(before)*time.Second && shown < time.Duration(after)*time.Second {
			return inUTC(skip)
		}
	}
	return inUTC(near) // not reached for any zone there is; Date's answer is the next best
}

// inUTC keeps zero zero.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// openZone finds a zone by its IANA name; "" is UTC.
// Errors, final: *FieldError.
func openZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if name == "Local" || len(name) > ZoneSizeMax {
		return nil, &FieldError{"zone", `is no IANA name such as "Europe/Berlin"`}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, &FieldError{"zone", `is not a known time zone; want an IANA name such as "Europe/Berlin"`}
	}
	return zone, nil
}
