package host

import (
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// progressWrite implements progress_write(ptr, len): the bytes are a text that says how far the run is. Only the newest
// counts, so it is charged for its bytes and not against limits.calls: a task may report for each of ten thousand items.
func (r *Run) progressWrite(ptr, n uint32) abi.Code {
	if err := r.held.Check(capability.ReportProgress()); err != nil {
		r.note(abi.ProgressWrite, err)
		return abi.Denied
	}
	span, ok := r.view(ptr, n)
	switch {
	case !ok:
		return abi.Invalid
	case len(span) > abi.ProgressSizeMax:
		return abi.TooLarge
	}
	r.charge(len(span))
	text := Escape(span)
	if len(text) > abi.ProgressSizeMax {
		text = string(trimRune([]byte(text[:abi.ProgressSizeMax])))
	}
	if r.config.Progress != nil {
		r.config.Progress(text)
	}
	return 0
}
