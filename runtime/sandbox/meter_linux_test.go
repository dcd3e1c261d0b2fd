package sandbox

import (
	"context"
	goruntime "runtime"
	"testing"
	"time"
)

// A guest that has not come to its first tick is charged what its thread used, not the time that others had the processor.
func TestFirstSegmentIsCPUTime(t *testing.T) {
	goruntime.LockOSThread() // a goroutine that wakes on another thread is charged by the clock on the wall
	defer goruntime.UnlockOSThread()
	var m meter
	m.begin(context.Background(), context.Background(), withDefaults(limitsDefault), pace{slice: sliceStart}, nil, ownTurn())
	const away = 50 * time.Millisecond
	<-time.After(away)
	m.finish(m.grant())
	if m.cpu >= away/2 {
		t.Errorf("%v of CPU for a guest that did nothing for %v", m.cpu, away)
	}
}
