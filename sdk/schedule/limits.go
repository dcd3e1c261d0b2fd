package schedule

import "time"

const (
	// SchedulesMax bounds the schedules of one scheduler: all may come due at once, at midnight.
	SchedulesMax = 1000

	// CronSizeMax bounds a cron expression, in bytes: the longest sensible one is a quarter of that.
	CronSizeMax = 256

	// ZoneSizeMax bounds a time zone's name, in bytes; the longest of IANA's has 30.
	ZoneSizeMax = 64

	// EveryMin and EveryMax bound Entry.Every. A queue of tasks is no metronome, and what comes less often than monthly
	// is better said as a day of the year.
	EveryMin = time.Second
	EveryMax = 31 * 24 * time.Hour

	// MissedMax bounds how many missed ticks of one schedule All makes up, the newest: a day of minutes.
	MissedMax = 1440

	// OnTime is how late a tick may be sent and not count as missed: restarts and short outages take less.
	OnTime = time.Minute

	// withinLeast is the least default of Entry.Within: a task that runs every ten seconds may still take longer than that.
	withinLeast = time.Hour
)

const (
	// stretch is how far back the ticks of a schedule are looked at together: the longer, the fewer steps through a day without ticks, and the more ticks
	// of one that is full of them for nothing.
	stretch = 5 * time.Minute

	// lookEvery bounds how long the scheduler sleeps, so that a clock that was set is noticed soon: timers do not follow it.
	lookEvery = time.Second

	// roundMax and roundSizeMax bound what is signed before it is sent, in messages and bytes: it is in memory at once.
	roundMax     = 1024
	roundSizeMax = 16 << 20

	// againMin and againMax bound the pause before what could not be sent is sent again.
	againMin = 200 * time.Millisecond
	againMax = 5 * time.Second

	// sendTimeout bounds one write to one queue, so that a queue that hangs does not hold up the others for ever.
	sendTimeout = 10 * time.Second

	// stateSizeMax bounds the state file, in bytes: some 400 for each schedule.
	stateSizeMax = 1 << 20
)
