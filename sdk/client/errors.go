package client

import (
	"errors"
	"fmt"

	"github.com/caisson-run/caisson/queue/envelope"
)

// A ConfigError reports a field of Config that is not usable. It is final.
type ConfigError struct{ Field, Text string }

func (e *ConfigError) Error() string { return "client: config: " + e.Field + ": " + e.Text }

// Code returns "client.config".
func (e *ConfigError) Code() string { return "client.config" }

// A TaskError reports a task that cannot be sent. Nothing of its batch was sent. It is final.
type TaskError struct {
	Index int    // in the batch
	Name  string // of the task
	Err   error
}

func (e *TaskError) Error() string {
	return fmt.Sprintf("client: task %d (%q): %v", e.Index, e.Name, e.Err)
}

// Code returns that of Err, such as "envelope.field", else "client.task".
func (e *TaskError) Code() string {
	var coded interface {
		error
		Code() string
	}
	if errors.As(e.Err, &coded) {
		return coded.Code()
	}
	return "client.task"
}

// Unwrap returns Err.
func (e *TaskError) Unwrap() error { return e.Err }

// A BatchError reports a batch that is too large for one call. Nothing of it was sent.
type BatchError struct{ Text string }

func (e *BatchError) Error() string { return "client: batch: " + e.Text }

// Code returns "client.batch".
func (e *BatchError) Code() string { return "client.batch" }

// A PlanError reports what is wrong with the shape of a plan. Nothing of it was sent. It is final.
type PlanError struct {
	Step string // its name, or its number where the name is what is wrong; "" when it is about the whole
	Text string
}

func (e *PlanError) Error() string {
	if e.Step == "" {
		return "client: plan: " + e.Text
	}
	return "client: plan: step " + e.Step + ": " + e.Text
}

// Code returns "client.plan".
func (e *PlanError) Code() string { return "client.plan" }

// A ReceiptError reports a receipt without what the call needs. It is final.
type ReceiptError struct {
	ID   envelope.MessageID
	Text string
}

func (e *ReceiptError) Error() string { return fmt.Sprintf("client: receipt %s: %s", e.ID, e.Text) }

// Code returns "client.receipt".
func (e *ReceiptError) Code() string { return "client.receipt" }

// A RejectedError reports bytes that the broker returned as the result of a message and that are not its result: forged, replayed, or
// another message's. The message itself may still end.
type RejectedError struct {
	ID  envelope.MessageID // of the message that was waited for
	Err error              // an error of envelope.OpenResult, *MismatchError, or the queue's: what is there cannot be read as a result
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("client: result of %s: rejected: %v", e.ID, e.Err)
}

// Code returns "client.rejected".
func (e *RejectedError) Code() string { return "client.rejected" }

// Unwrap returns Err.
func (e *RejectedError) Unwrap() error { return e.Err }

// A MismatchError reports a field of a signed result that differs from the message that was sent.
type MismatchError struct{ Field string }

func (e *MismatchError) Error() string {
	if e.Field == "message" {
		return "it is of another message that was sent under this id"
	}
	return e.Field + " is not that of the message sent"
}

// A RefusedError reports a message that was not run, or that the worker ended. It is final.
type RefusedError struct{ Result envelope.Result }

func (e *RefusedError) Error() string { return outcome(e.Result) }

// Code returns that of the result, such as "policy.denied".
func (e *RefusedError) Code() string { return e.Result.Code }

// A DuplicateError reports a message that was not run because another one holds its unique key. It is final, and a *RefusedError.
type DuplicateError struct {
	Result envelope.Result
	First  envelope.MessageID // the message that runs, or ran
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("client: task %s (%s): refused: %s: of %s", e.Result.Task, e.Result.ID, e.Result.Code, e.First)
}

// Code returns "task.duplicate".
func (e *DuplicateError) Code() string { return e.Result.Code }

// Unwrap returns the same as a *RefusedError.
func (e *DuplicateError) Unwrap() error { return &RefusedError{e.Result} }

// codeDuplicate is the code of a message whose unique key another message holds. Its result's output is the id of that message.
const codeDuplicate = "task.duplicate"

// refusal returns the error for the result of a refused message.
func refusal(r envelope.Result) error {
	if r.Code == codeDuplicate {
		if first, err := envelope.ParseMessageID(string(r.Output)); err == nil {
			return &DuplicateError{r, first}
		}
	}
	return &RefusedError{r}
}

// A FailedError reports a task that failed for good, or whose attempts or time ran out: Result.Status tells which.
type FailedError struct{ Result envelope.Result }

func (e *FailedError) Error() string { return outcome(e.Result) }

// Code returns that of the result, such as "task.failed".
func (e *FailedError) Code() string { return e.Result.Code }

func outcome(r envelope.Result) string {
	text := fmt.Sprintf("client: task %s (%s): %s: %s", r.Task, r.ID, r.Status, r.Code)
	if r.Error != "" {
		text += ": " + r.Error
	}
	return text
}
