package guest

import "github.com/caisson-run/caisson/host/abi"

// Progress says how far the task is, to whoever follows it: a few words, a number, or JSON for a program. It needs the
// capability "progress". The newest report counts; the worker passes on a few in a second, so report as often as is natural.
// What is longer than abi.ProgressSizeMax is cut.
//
//	guest.Progress(fmt.Sprintf("%d of %d pictures", done, all))
//
// Errors: *[CallError], which unwraps to ErrDenied without the capability, and to ErrOutside in a program that is no task.
// A task may ignore them: nothing depends on its progress.
func Progress(text string) error {
	code := progressWrite(span([]byte(cut(text, abi.ProgressSizeMax))))
	if code < 0 {
		return callFault("progress", "", errorOf(code))
	}
	return nil
}
