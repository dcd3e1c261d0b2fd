package sandbox_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// peakMemory is the most memory that this process ever had, in bytes.
func peakMemory(t *testing.T) int64 {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return used.Maxrss << 10
}
