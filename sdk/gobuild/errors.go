package gobuild

import (
	"fmt"
	"strings"
)

// A MissingError reports that there is no go command.
type MissingError struct {
	Looked []string // where it was looked for, besides PATH
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("gobuild: no go command on PATH or in %s", strings.Join(e.Looked, ", "))
}

// Code names the fault.
func (e *MissingError) Code() string { return "build.go_missing" }

// Hint says what to try.
func (e *MissingError) Hint() string {
	return "install Go from https://go.dev/dl/ and put its bin folder on PATH"
}

// A DirError reports that there is nothing to build.
type DirError struct{ Dir, Text string }

func (e *DirError) Error() string { return fmt.Sprintf("gobuild: %s: %s", e.Dir, e.Text) }

// Code names the fault.
func (e *DirError) Code() string { return "build.folder" }

// A BuildError reports that the toolchain did not build the task.
type BuildError struct {
	Dir    string
	Output string // what the toolchain said, at most 64 KiB of it
	Err    error  // how the go command ended
}

func (e *BuildError) Error() string {
	said := e.Output
	if said == "" {
		said = fmt.Sprint(e.Err)
	}
	return fmt.Sprintf("gobuild: %s:\n%s", e.Dir, said)
}

func (e *BuildError) Unwrap() error { return e.Err }

// Code names the fault.
func (e *BuildError) Code() string { return "build.failed" }

// A TimeError reports that the build took more than TimeMax.
type TimeError struct{ Dir string }

func (e *TimeError) Error() string {
	return fmt.Sprintf("gobuild: %s: not done within %s", e.Dir, TimeMax)
}

// Code names the fault.
func (e *TimeError) Code() string { return "build.time" }
