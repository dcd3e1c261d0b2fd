package sandbox

import (
	"testing"
	"time"
)

// BoundAdmission gives the admission processes of s other bounds.
func (s *Sandbox) BoundAdmission(memory uint64, cpu, wall time.Duration) {
	s.admissions.limits = func(int) admitLimits { return admitLimits{memory, cpu, wall} }
}

// AdmissionStarts has f called when a process that admits is about to begin.
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

// PatientWithLocks makes s wait no longer than d for an entry of the cache that another process admits.
func (s *Sandbox) PatientWithLocks(d time.Duration) { s.admissions.patient = d }

// LockEntry holds the lock of the cache's entry for a module until unlock is called.
func (s *Sandbox) LockEntry(t *testing.T, digest [32]byte) (unlock func()) {
	t.Helper()
	unlock, err := s.admissions.disk.lock(t.Context(), entryName(s.admissions.engine, digest))
	if err != nil {
		t.Fatal(err)
	}
	return unlock
}
