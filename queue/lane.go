package queue

import (
	"fmt"
	"strings"
)

// Priority orders the lanes of a tenant. Lower is sooner.
// The numbers are part of the wire format (envelope.Task.Priority) and of broker keys.
type Priority int

const (
	PriorityHigh   Priority = 0
	PriorityNormal Priority = 1
	PriorityLow    Priority = 2
)

// Priorities returns the three, highest first.
func Priorities() []Priority { return []Priority{PriorityHigh, PriorityNormal, PriorityLow} }

// Valid reports whether p is one of the three priorities.
func (p Priority) Valid() bool { return p >= PriorityHigh && p <= PriorityLow }

// String returns "high", "normal", "low", or the number of an invalid priority.
func (p Priority) String() string {
	switch p {
	case PriorityHigh:
		return "high"
	case PriorityNormal:
		return "normal"
	case PriorityLow:
		return "low"
	}
	return fmt.Sprintf("priority(%d)", int(p))
}

// A Lane is one ordered stream of messages: those of one tenant, at one
// priority, in one queue. Lanes are the unit of fairness.
type Lane struct {
	Queue    string
	Tenant   string
	Priority Priority
}

// String returns "queue/tenant/priority".
func (l Lane) String() string {
	return l.Queue + "/" + l.Tenant + "/" + l.Priority.String()
}

// Check reports what is wrong with l, nil if it can be a lane.
// Errors, final: *FieldError.
func (l Lane) Check() error {
	if err := CheckName("queue", l.Queue); err != nil {
		return err
	}
	if err := CheckName("tenant", l.Tenant); err != nil {
		return err
	}
	if !l.Priority.Valid() {
		return &FieldError{Field: "priority", Text: l.Priority.String() + " is not 0, 1 or 2"}
	}
	return nil
}

// CheckName refuses s unless it can name a queue or a tenant: [a-z0-9][a-z0-9._-]{0,63}
// without "..". The grammar keeps names from being more than a part of a key:
// no colon, no brace, no glob. field is used in the error only.
// Errors, final: *FieldError.
func CheckName(field, s string) error {
	if s == "" || len(s) > NameBytesMax {
		return &FieldError{Field: field, Text: fmt.Sprintf("a name has 1 to %d bytes, this has %d", NameBytesMax, len(s))}
	}
	for i := range len(s) {
		c := s[i]
		inner := c == '.' || c == '_' || c == '-'
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && inner) {
			return &FieldError{Field: field, Text: fmt.Sprintf("%q at byte %d", c, i)}
		}
	}
	if strings.Contains(s, "..") {
		return &FieldError{Field: field, Text: `".."`}
	}
	return nil
}

// CheckID refuses s unless it can be a message id, a result key or a token:
// [A-Za-z0-9_-]{1,64}. field is used in the error only.
// Errors, final: *FieldError.
func CheckID(field, s string) error {
	if s == "" || len(s) > IDBytesMax {
		return &FieldError{Field: field, Text: fmt.Sprintf("an id has 1 to %d bytes, this has %d", IDBytesMax, len(s))}
	}
	for i := range len(s) {
		if !idBytes[s[i]] {
			return &FieldError{Field: field, Text: fmt.Sprintf("%q at byte %d", s[i], i)}
		}
	}
	return nil
}

// idBytes are those that an id may have. A worker looks at some 200 of them for each task.
var idBytes = func() (ok [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-" {
		ok[c] = true
	}
	return ok
}()

// CheckDigest refuses s unless it can be a digest: 1 to DigestBytesMax (128) bytes of printable ASCII
// without a space or a bar.
// Errors, final: *FieldError.
func CheckDigest(s string) error {
	if s == "" || len(s) > DigestBytesMax {
		return &FieldError{Field: "digest", Text: fmt.Sprintf("has %d bytes, want 1 to %d", len(s), DigestBytesMax)}
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '|' {
			return &FieldError{Field: "digest", Text: fmt.Sprintf("%q at byte %d", c, i)}
		}
	}
	return nil
}
