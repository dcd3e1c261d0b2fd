package manifest

import "fmt"

// The codes of a ReleaseError.
const (
	// CodeUnknown: the store has no release of the task, or none of the pinned module.
	CodeUnknown = "release.unknown"
	// CodeSignature: the publisher's signature does not hold over the bytes of the release.
	CodeSignature = "release.signature"
	// CodePublisher: the key is not an accepted publisher's, or may not publish this task.
	CodePublisher = "release.publisher"
	// CodeRollback: the release is older than one that was seen.
	CodeRollback = "release.rollback"
	// CodeDigest: the module's bytes are not those that were signed.
	CodeDigest = "release.digest"
	// CodeFormat: the bytes are not a release.
	CodeFormat = "release.format"
)

// A ReleaseError says why there is no release to run. It is final for these bytes.
type ReleaseError struct {
	code string
	Text string
	Err  error // what lies beneath, or nil
}

// NewReleaseError is for stores, which find more reasons than this package knows.
func NewReleaseError(code, text string) *ReleaseError { return &ReleaseError{code: code, Text: text} }

func (e *ReleaseError) Error() string {
	if e.Err == nil {
		return "release: " + e.Text
	}
	return fmt.Sprintf("release: %s: %v", e.Text, e.Err)
}

// Code names the refusal.
func (e *ReleaseError) Code() string { return e.code }

func (e *ReleaseError) Unwrap() error { return e.Err }

func refuse(code, text string, err error) error {
	return &ReleaseError{code: code, Text: text, Err: err}
}
