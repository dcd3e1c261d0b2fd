package main

import (
	"errors"
	"fmt"
	"strings"

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

// A quietError has already been said.
type quietError struct{ err error }

func (e *quietError) Error() string { return e.err.Error() }
func (e *quietError) Unwrap() error { return e.err }

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
	for _, start := range []string{"unknown command", "unknown flag", "accepts ", "requires ", "required flag", "if any flags"} {
		if strings.HasPrefix(err.Error(), start) {
			return exitMisused
		}
	}
	return exitFailed
}

// exactly is cobra.ExactArgs with words for what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return misuse("%s takes %s", c.CommandPath(), strings.Join(names, " ")).withHint("%s --help", c.CommandPath())
	}
}
