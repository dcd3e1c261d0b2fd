package queue

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Outcome is the kind of a Verdict.
type Outcome int

const (
	OutcomeDone Outcome = iota + 1
	OutcomeRetry
	OutcomePark
	OutcomeRelease
	OutcomeDead
	OutcomeDrop
)

// A Verdict says what is to become of a message. The zero value is none.
// It is made by Done, Retry, Crash, Park, Release, Dead or Drop.
type Verdict struct {
	outcome Outcome
	at      time.Time
	crash   bool
	code    string
	reason  string
}

// Done ends the message, whose task has succeeded.
func Done() Verdict { return Verdict{outcome: OutcomeDone} }

// Retry lets the message run again at or after at, at once if at is past. It counts a failed attempt, which is the task's.
func Retry(at time.Time) Verdict { return Verdict{outcome: OutcomeRetry, at: at} }

// Crash lets the message run again as Retry does. It counts a crash, which is the runner's, and no attempt.
func Crash(at time.Time) Verdict { return Verdict{outcome: OutcomeRetry, at: at, crash: true} }

// Park lets the message wait until the given time. No attempt is counted.
func Park(until time.Time) Verdict { return Verdict{outcome: OutcomePark, at: until} }

// Release puts the message back into its lane at once. No attempt is counted.
func Release() Verdict { return Verdict{outcome: OutcomeRelease} }

// Dead ends the message and keeps it as a dead letter. code is a refusal's code
// such as "policy.denied"; reason is for people, cut to ReasonBytesMax.
func Dead(code, reason string) Verdict {
	return Verdict{outcome: OutcomeDead, code: code, reason: cut(reason, ReasonBytesMax)}
}

// Drop deletes this copy of a message and leaves the message's state alone.
func Drop() Verdict { return Verdict{outcome: OutcomeDrop} }

// Outcome returns the kind of v, 0 for the zero value.
func (v Verdict) Outcome() Outcome { return v.outcome }

// At returns the time given to Retry, Crash or Park.
func (v Verdict) At() time.Time { return v.at }

// Crash reports whether v was made by Crash.
func (v Verdict) Crash() bool { return v.crash }

// Code returns the code given to Dead.
func (v Verdict) Code() string { return v.code }

// Reason returns the reason given to Dead, as it is kept.
func (v Verdict) Reason() string { return v.reason }

// String returns v as one lower-case word; Crash is "retry", too.
func (v Verdict) String() string {
	switch v.outcome {
	case OutcomeDone:
		return "done"
	case OutcomeRetry:
		return "retry"
	case OutcomePark:
		return "park"
	case OutcomeRelease:
		return "release"
	case OutcomeDead:
		return "dead"
	case OutcomeDrop:
		return "drop"
	}
	return "invalid"
}

// Settlement ends one lease.
type Settlement struct {
	Lease   Lease
	Verdict Verdict

	// Result, if not empty, is stored under ResultKey (the issuer's key id) and Lease.ID for ResultTTL (1 ms to StateTTLMax), and
	// waiters are told. At most ResultBytesMax bytes; not kept after the call. Only with Done or Dead, and a lease from Start.
	Result    []byte
	ResultKey string
	ResultTTL time.Duration

	// Wake wakes the messages that wait for this one's result (Start.After). For steps of plans, with Done and Dead.
	Wake bool
}

// Check reports what is wrong with s, nil if the verdict fits the lease and everything is within its bounds.
// Errors, final: *FieldError.
func (s Settlement) Check() error {
	if err := s.Lease.check(); err != nil {
		return err
	}
	v := s.Verdict
	started := s.Lease.Token != ""
	switch v.outcome {
	case OutcomeDone, OutcomeRetry, OutcomePark:
		if !started {
			return &FieldError{Field: "verdict", Text: v.String() + " needs a lease from Start"}
		}
	case OutcomeRelease, OutcomeDrop:
	case OutcomeDead:
		if v.code == "" || len(v.code) > CodeBytesMax {
			return &FieldError{Field: "code", Text: fmt.Sprintf("has %d bytes, want 1 to %d", len(v.code), CodeBytesMax)}
		}
	default:
		return &FieldError{Field: "verdict", Text: "none"}
	}
	return s.checkResult()
}

func (s Settlement) checkResult() error {
	if len(s.Result) == 0 {
		return nil
	}
	if o := s.Verdict.outcome; o != OutcomeDone && o != OutcomeDead {
		return &FieldError{Field: "result", Text: s.Verdict.String() + " leaves none"}
	}
	if s.Lease.Token == "" {
		return &FieldError{Field: "result", Text: "needs a lease from Start"}
	}
	if len(s.Result) > ResultBytesMax {
		return &FieldError{Field: "result", Text: fmt.Sprintf("has %d bytes, at most %d are kept", len(s.Result), ResultBytesMax)}
	}
	if err := CheckID("result key", s.ResultKey); err != nil {
		return err
	}
	if err := CheckID("id", s.Lease.ID); err != nil {
		return err
	}
	if s.ResultTTL < time.Millisecond || s.ResultTTL > StateTTLMax {
		return &FieldError{Field: "result ttl", Text: fmt.Sprintf("%s is not within 1ms to %s", s.ResultTTL, StateTTLMax)}
	}
	return nil
}

func (l Lease) check() error {
	if err := l.Lane.Check(); err != nil {
		return err
	}
	if l.Entry == "" || len(l.Entry) > IDBytesMax {
		return &FieldError{Field: "entry", Text: fmt.Sprintf("has %d bytes, want 1 to %d", len(l.Entry), IDBytesMax)}
	}
	if l.Token == "" {
		if l.Gates != "" {
			return &FieldError{Field: "gates", Text: "without a token"}
		}
		return nil
	}
	if err := CheckID("token", l.Token); err != nil {
		return err
	}
	if err := CheckID("id", l.ID); err != nil {
		return err
	}
	return l.checkGates()
}

func (l Lease) checkGates() error {
	if l.Gates == "" {
		return nil
	}
	names := strings.Split(l.Gates, " ")
	if len(names) > GatesMax {
		return &FieldError{Field: "gates", Text: fmt.Sprintf("%d, at most %d", len(names), GatesMax)}
	}
	for _, name := range names {
		if err := CheckID("gate", name); err != nil {
			return err
		}
	}
	return nil
}

// Check reports what is wrong with l, nil if it can be a lease.
// Errors, final: *FieldError.
func (l Lease) Check() error { return l.check() }

// Settled is the answer to a Settlement.
type Settled int

const (
	// Applied: the verdict stands.
	Applied Settled = iota + 1
	// LeaseLost: the message belongs to another worker by now, or has ended. Nothing was changed.
	LeaseLost
	// Vanished: the verdict needed the message, but somebody had deleted its entry. It became a dead letter without bytes, with
	// the code CodeVanished.
	Vanished
)

// CodeVanished is the code of a dead letter whose message was deleted from its
// lane while a worker held it, so that it could be neither retried nor kept.
const CodeVanished = "queue.vanished"

// String returns the word for s.
func (s Settled) String() string {
	switch s {
	case Applied:
		return "applied"
	case LeaseLost:
		return "lease lost"
	case Vanished:
		return "vanished"
	}
	return "invalid"
}

// cut returns at most max bytes of s, ending at a whole character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
