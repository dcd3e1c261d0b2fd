package sandbox

import (
	"fmt"
	"testing"
	"time"
)

// BoundAdmission gives the admission processes of s other bounds.
func (s *Sandbox) BoundAdmission(memory uint64, cpu, wall time.Duration) {
	s.admissions.limits = func(int) admitLimits { return admitLimits{memory, cpu, wall} }
}

// AdmissionStarts has f called when the next process that admits is about to begin.
func (s *Sandbox) AdmissionStarts(f func()) {
	limits := s.admissions.limits
	s.admissions.limits = func(size int) admitLimits {
		f()
		return limits(size)
	}
}

// AdmitRequest is what a worker sends to a process that admits.
func AdmitRequest(memory uint64, cpu time.Duration, dir string, code []byte) []byte {
	return (&admitRequest{limits: admitLimits{memory: memory, cpu: cpu}, dir: dir, code: code}).encode()
}

// LockCache holds every lock of the cache in dir until release is called.
func LockCache(t *testing.T, dir string) (release func()) {
	t.Helper()
	c, err := openDiskCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	var unlocks []func()
	for i := range cacheLocks {
		unlock, err := c.lock(t.Context(), fmt.Sprintf("%02x", i))
		if err != nil {
			t.Fatal(err)
		}
		unlocks = append(unlocks, unlock)
	}
	return func() {
		for _, unlock := range unlocks {
			unlock()
		}
	}
}
