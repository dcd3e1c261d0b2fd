package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/sdk/client"
)

// A statusError carries the exit status beside what went wrong.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// A hintError carries what to try, said on a line of its own.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// misuse is an error of the command line.
func misuse(format string, args ...any) *statusError {
	return &statusError{exitMisused, fmt.Errorf(format, args...)}
}

// refused is a refusal: final, and by rule rather than by accident.
func refused(err error) *statusError { return &statusError{exitRefused, err} }

func (e *statusError) withHint(format string, args ...any) error {
	return &hintError{e, fmt.Sprintf(format, args...)}
}

// statusOf returns the exit status for err.
func statusOf(err error) int {
	var s *statusError
	if errors.As(err, &s) {
		return s.status
	}
	var r *client.RefusedError
	if errors.As(err, &r) {
		return exitRefused
	}
	// Cobra's own complaints about arguments have no type.
	for _, start := range []string{"unknown command", "unknown flag", "accepts ", "requires ", "required flag", "if any flags", "at least one of the flags"} {
		if strings.HasPrefix(err.Error(), start) {
			return exitMisused
		}
	}
	return exitFailed
}

// hintOf returns what to try after err, "" when nobody knows.
func hintOf(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	var g interface{ Hint() string } // of the rooms, such as *gobuild.MissingError
	if errors.As(err, &g) {
		return g.Hint()
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return "caisson --help"
	}
	return ""
}

// textOf returns what is wrong, with the hint behind it: for a fault of a file, which has no line for a hint.
func textOf(err error) string {
	if hint := hintOf(err); hint != "" {
		return fmt.Sprintf("%v (%s)", err, hint)
	}
	return err.Error()
}

// linesOf returns what to say of err. Text that a task wrote stays within one line, or it could say things in our name.
func linesOf(err error) []string {
	var failed *client.FailedError
	var refused *client.RefusedError
	var ended *endedError
	if errors.As(err, &failed) || errors.As(err, &refused) || errors.As(err, &ended) {
		return []string{oneLine(err.Error())}
	}
	return strings.Split(someLines(strings.TrimRight(err.Error(), "\n")), "\n")
}

// each returns what errors.Join has joined, or err alone.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// shellWord is s as one word of a command that is shown for copying.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+:=@%,", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// exactly is cobra.ExactArgs with words for what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		what := strings.Join(names, " ")
		if what == "" {
			what = "no arguments"
		}
		return misuse("%s takes %s", c.CommandPath(), what).withHint("%s --help", c.CommandPath())
	}
}
