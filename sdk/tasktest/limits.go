package tasktest

import "time"

const (
	// manifestSizeMax bounds what is read of a task.toml, in bytes; the manifest package has the lower, exact bound.
	manifestSizeMax = 1 << 20
	// logLinesMax bounds the log lines that a Task keeps of one run, so that a test of a flood stays small.
	logLinesMax = 1000
	// runTimeMax bounds one run, far above any wall limit of a manifest that a test would wait for: it is for a sandbox that
	// does not keep its own limits.
	runTimeMax = 2 * time.Minute
)
