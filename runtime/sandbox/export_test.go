package sandbox

import "time"

// BoundAdmission gives the admission processes of s other bounds.
func (s *Sandbox) BoundAdmission(memory uint64, cpu, wall time.Duration) {
	s.admissions.limits = func(int) admitLimits { return admitLimits{memory, cpu, wall} }
}
