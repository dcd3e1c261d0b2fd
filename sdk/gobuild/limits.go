package gobuild

import "time"

const (
	// TimeMax bounds one build. With a cold cache the standard library is compiled too, which takes about a minute on
	// two slow cores; dependencies may have to be fetched.
	TimeMax = 10 * time.Minute
	// outputSizeMax bounds what is kept of the toolchain's output, in bytes. It is the beginning that is kept: the
	// first fault is the one to mend first.
	outputSizeMax = 64 << 10
	// listSizeMax bounds the list of sources, in bytes: ten thousand packages with long paths.
	listSizeMax = 2 << 20
	// stopMax is how long the go command gets to clean up after an interrupt before it is killed.
	stopMax = 5 * time.Second
)
