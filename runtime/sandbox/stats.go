package sandbox

import "time"

// Stats are counts since Open, for metrics.
type Stats struct {
	Modules      int   // kept now
	Compiles     int64 // done, refused ones included
	Costly       int64 // of these, refused with module.costly
	CacheHits    int64 // modules taken from CacheDir
	CacheRejects int64 // entries of CacheDir that were changed or could not be used, and so were compiled again
	Runs         int64 // begun

	Templates int64 // made
	Built     int64 // cells made
	Restored  int64 // cells made as good as new after a task
	Checked   int64 // cells compared with their image after it, as Config.CheckRate says
	// Dropped counts cells that were not, by cause: "ended" (by a limit, or cancelled), "trapped", "crashed", "not_resettable", "restore_failed",
	// "dirty" (a defect: the check found a difference), "fresh" (this machine cannot restore) and "idle" (more than Config.IdleMemory).
	Dropped     map[string]int64
	RestoreTime time.Duration // of Restored, all together
	Pages       int64         // pages of the system that tasks had changed and that were copied back
	Ticks       int64         // times that guests were looked at, tasks and modules that were initialised for a template, as the next two
	Fuel        int64         // spent by all of them
	CPU         time.Duration // as Usage has it, of all of them
	RunningSize int64         // what guests that run now may come to take, bytes
	IdleCells   int           // now
	IdleSize    int64         // what these take, estimated, bytes
	ImageSize   int64         // what templates take, bytes
	RestoredBy  string        // the way that was chosen at Open

	dropped [dropCauses]int64
}

// Stats returns the counts as they are now.
func (s *Sandbox) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Modules = len(s.modules)
	stats.Compiles, stats.Costly = s.admissions.admitted.Load(), s.admissions.costly.Load()
	stats.CacheHits, stats.CacheRejects = s.admissions.cacheHits.Load(), s.admissions.cacheRejects.Load()
	stats.IdleCells, stats.IdleSize, stats.ImageSize = s.idleCells, s.idleSize, s.imageSize
	stats.RunningSize = s.budget.used()
	stats.RestoredBy = s.restorer.name
	stats.Dropped = make(map[string]int64, dropCauses)
	for cause := dropNone + 1; cause < dropCauses; cause++ {
		stats.Dropped[dropNames[cause]] = stats.dropped[cause]
	}
	return stats
}

// count adds one run or initialisation, under Sandbox.mu.
func (s *Stats) count(m *meter, written int) {
	s.Pages += int64(written)
	s.Ticks += m.ticks
	s.Fuel += m.spent
	s.CPU += m.cpu
}
