package queue

import (
	"errors"
	"fmt"
)

// ErrNoResult reports that no result is kept for a message: it has not ended,
// it was settled without one, or the result's time to live has passed.
var ErrNoResult = errors.New("queue: no result")

// ErrClosed reports a call on something that is closed, or was closed during the call. It is final. What the call had already
// sent may have been done, as with *UnavailableError.
var ErrClosed = errors.New("queue: closed")

// Reason says why a broker could not serve. Values are stable: they go to logs,
// metrics and /readyz.
type Reason string

const (
	ReasonConnection Reason = "connection"  // unreachable, reset, or the reply did not come
	ReasonTimeout    Reason = "timeout"     // no free connection, or no reply in time
	ReasonLoading    Reason = "loading"     // it is reading its data after a start
	ReasonReadOnly   Reason = "readonly"    // a replica, or writes are stopped after a disk error
	ReasonMemory     Reason = "memory"      // full: it refuses writes but still hands out work
	ReasonAuth       Reason = "auth"        // it did not accept who we are, TLS included
	ReasonPermission Reason = "permission"  // it knows us and forbids this
	ReasonCluster    Reason = "cluster"     // the cluster moves the keys, or has no owner for them, at this moment
	ReasonMasterDown Reason = "master_down" // a replica that lost its master
	ReasonBusy       Reason = "busy"        // a script runs for too long
	ReasonData       Reason = "data"        // a key holds something that this room did not write
)

// UnavailableError reports that the broker did not do what was asked, or that it is not known whether it did. It is never final:
// every call of this room can be made again. Some messages of a Send that failed may have arrived; sending the same bytes again is
// safe, for a second copy never runs.
type UnavailableError struct {
	Op     string // "claim", "settle", ...
	Reason Reason
	Err    error // what the client library said
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("queue: %s: unavailable: %s: %v", e.Op, e.Reason, e.Err)
}

// Code returns "queue.unavailable".
func (e *UnavailableError) Code() string { return "queue.unavailable" }

// Unwrap returns what the client library said.
func (e *UnavailableError) Unwrap() error { return e.Err }

// FieldError reports an argument that is refused. It is final: the caller's mistake, not the broker's.
type FieldError struct {
	Field string // the argument, such as "tenant"
	Text  string // what is wrong, and what is wanted
}

func (e *FieldError) Error() string { return "queue: " + e.Field + ": " + e.Text }

// Code returns "queue.field".
func (e *FieldError) Code() string { return "queue.field" }
