// Command hostile is a task that does what a task must not: it is how Caisson shows that its limits hold.
//
// It needs no capability. Input is JSON: {"mode": "loop"}; [Request] lists the modes. None of them ends well: a mode that was not
// stopped from outside ends by saying what it could not do, as a failure for good; only a hole in the wall would be
// a result.
package main
