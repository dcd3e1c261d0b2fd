package sandbox

import "time"

// ReadLayout lets a fuzz target at the reader.
func ReadLayout(module []byte) (code []byte, err error) {
	l, err := readLayout(module)
	if err != nil {
		return nil, err
	}
	return l.code, nil
}

// BoundAdmission gives the admission processes of s other bounds.
func (s *Sandbox) BoundAdmission(memory uint64, cpu, wall time.Duration) {
	s.admissions.limits = func(int) admitLimits { return admitLimits{memory, cpu, wall} }
}
