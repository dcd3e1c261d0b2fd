package guest

import (
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/host/abi"
)

// What the host answers instead of doing what was asked. Compare with errors.Is; the error that a call returns is a
// *[CallError] which says what was asked.
var (
	ErrDenied      = errors.New("denied")              // the manifest, the policy or the sender does not allow it
	ErrNotFound    = errors.New("not found")           // there is no such key
	ErrInvalid     = errors.New("not acceptable")      // a key, a URL, a header or another field is malformed
	ErrTooLarge    = errors.New("too large")           // the request, the value or the answer is above its limit
	ErrLimit       = errors.New("limit spent")         // a limit of this run is used up; the run is ending
	ErrUnavailable = errors.New("unavailable")         // the other side failed or could not be reached; may work later
	ErrTimeout     = errors.New("timed out")           // the other side took too long
	ErrQuota       = errors.New("quota full")          // the tenant's quota in the store is used up
	ErrOutside     = errors.New("runs only as a task") // the program does not run in Caisson's sandbox
	errUnknownCode = errors.New("unknown answer")      // the host is newer than this package
)

// codeOutside is what the stand-ins for host functions answer outside the sandbox. No abi.Code is that low.
const codeOutside abi.Code = -1 << 31

// A CallError reports that the host did not do what the task asked of it. It unwraps to one of the Err values.
type CallError struct {
	Call string // what was asked, such as "kv get"
	On   string // the key, or method and URL without its query; "" when the call has no object
	Err  error  // ErrDenied, ErrNotFound, ...
}

func (e *CallError) Error() string {
	if e.On == "" {
		return fmt.Sprintf("guest: %s: %v", e.Call, e.Err)
	}
	return fmt.Sprintf("guest: %s %q: %v", e.Call, e.On, e.Err)
}

func (e *CallError) Unwrap() error { return e.Err }

// A RetryError is a failure that is worth another attempt. Make one with [Retry].
type RetryError struct {
	Err   error
	After time.Duration // not before this much later; 0 leaves it to the manifest
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }
func (*RetryError) isWord()         {}

// A FailError is a failure that no further attempt would mend. Make one with [Fail].
type FailError struct{ Err error }

func (e *FailError) Error() string { return e.Err.Error() }
func (e *FailError) Unwrap() error { return e.Err }
func (*FailError) isWord()         {}

// word is what a task can say of its failure: [RetryError] or [FailError]. Of several around one error the outermost counts, which
// was said last and knows of the others.
type word interface {
	error
	isWord()
}

// Retry says that err is worth another attempt, not before after (0 or less: when the manifest says; 30 days at most). It is nil when
// err is. The number of attempts is still bounded by the manifest and the sender.
func Retry(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &RetryError{Err: err, After: max(after, 0)}
}

// Fail says that err is final: the task is not tried again. It is nil when err is.
func Fail(err error) error {
	if err == nil {
		return nil
	}
	return &FailError{Err: err}
}

// errorOf is the sentinel for a code that is below zero.
func errorOf(c abi.Code) error {
	switch c {
	case abi.Denied:
		return ErrDenied
	case abi.NotFound:
		return ErrNotFound
	case abi.Invalid:
		return ErrInvalid
	case abi.TooLarge, abi.TooSmall:
		return ErrTooLarge
	case abi.Limit:
		return ErrLimit
	case abi.Unavailable:
		return ErrUnavailable
	case abi.Timeout:
		return ErrTimeout
	case abi.Quota:
		return ErrQuota
	case codeOutside:
		return ErrOutside
	}
	return fmt.Errorf("%w %d", errUnknownCode, c)
}
