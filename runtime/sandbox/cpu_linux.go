package sandbox

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadClock returns a clock of the CPU time of the calling thread, which other threads may read as long as that thread lives.
// Source: CPUCLOCK_PERTHREAD and CPUCLOCK_SCHED in Linux, include/linux/posix-timers_types.h: the id is ^tid<<3 | 4 | 2.
func threadClock() func() time.Duration {
	id := int32(^unix.Gettid()<<3 | 6)
	return func() time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(id, &t) != nil {
			return 0
		}
		return time.Duration(t.Nano())
	}
}
