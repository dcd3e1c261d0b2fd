package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/host/abi"
)

// statusRetry is the status of a failure that may be tried again. Every status but abi.StatusDone and
// abi.StatusFailed means that; 1 is what a Go command would exit with.
const statusRetry abi.Status = 1

// handler is the function of this task, with its codec. Nil until Handle is called.
var handler func(ctx context.Context, input []byte) (output []byte, err error)

// Handle makes f the function of this task. Call it once, from init: the module is a reactor, whose main does not run.
// The input is decoded from JSON into In and f's answer is encoded as JSON; where In or Out is []byte, the bytes pass
// as they are and belong to whoever receives them. An empty input is the zero In when In is struct{}, else a fault.
// f's context does not end by itself: the host ends the whole guest at its limit.
//
// In the sandbox, Handle also takes an empty In and an empty Out through encoding/json, so that tasks which begin from the image of
// this moment find its caches filled. Methods such as UnmarshalJSON of those types run then, with nothing behind them but empty
// values: let them be without effects.
// A second call panics, which stops the module at its start with the reason in the log.
func Handle[In, Out any](f func(context.Context, In) (Out, error)) {
	if handler != nil {
		panic("guest: Handle: called twice; a module is one task")
	}
	if f == nil {
		panic("guest: Handle: the function is nil")
	}
	handler = func(ctx context.Context, input []byte) ([]byte, error) {
		in, err := decode[In](input)
		if err != nil {
			return nil, Fail(err)
		}
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}
	if inSandbox {
		warm[In, Out]()
	}
}

// Main is for the body of main, which a reactor never runs. Where the program is started on its own, Main says on
// standard error that it runs only as a task, and exits with status 1.
func Main() { os.Exit(int(run())) }

// run is one run of the task, from input to status.
func run() abi.Status {
	output, err := perform()
	if err == nil {
		if code := resultWrite(span(output)); code < 0 {
			err = Fail(fmt.Errorf("guest: result: %w", errorOf(code)))
		}
	}
	status, report := verdict(err)
	if report != nil {
		errorWrite(span(report))
	}
	return status
}

// perform reads the input and calls the handler. A panic becomes an error.
func perform() (output []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			// As lines of its own, which the host cuts one by one: as one value the stack would lose its end.
			ptr, size := span(debug.Stack())
			logWrite(abi.LevelError, ptr, size)
			output, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	if handler == nil {
		return nil, Fail(errors.New("guest: the task has no function: call guest.Handle from init"))
	}
	input, err := readInput()
	if err != nil {
		return nil, err
	}
	return handler(context.Background(), input)
}

// inputFirst is the first buffer for the input. It is the module's own and not made anew, since an instance runs one task.
var inputFirst [inputSizeFirst]byte

// readInput reads fd 0 to its end.
func readInput() ([]byte, error) {
	buf := inputFirst[:0]
	for {
		n, err := inputRead(buf[len(buf):cap(buf)])
		if err != nil {
			return nil, fmt.Errorf("guest: input: %w", err)
		}
		if n <= 0 {
			return buf, nil
		}
		buf = buf[:len(buf)+n]
		if len(buf) > inputSizeMax {
			return nil, Fail(fmt.Errorf("guest: input: %w", ErrTooLarge))
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// verdict is the status for what the handler returned, and the frame for error_write that goes with it.
func verdict(err error) (abi.Status, []byte) {
	if err == nil {
		return abi.StatusDone, nil
	}
	status, kind, after := statusRetry, abi.ErrorRetry, int64(0)
	final := errors.Is(err, ErrDenied)
	var said word
	if errors.As(err, &said) {
		retry, again := said.(*RetryError)
		if final = !again; again {
			after = retryAfter(retry.After)
		}
	}
	if final {
		status, kind = abi.StatusFailed, abi.ErrorFail
	}
	report, _ := frame([]byte(kind), strconv.AppendInt(nil, after, 10), []byte(cut(err.Error(), abi.ErrorSizeMax)))
	return status, report
}

// retryAfter is d as error_write takes it, in milliseconds. It is rounded up, so that less than one is not taken for no wait, and
// held within what the host takes: it would drop the report whole, and the error's text with it.
func retryAfter(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return min(max(ms, 0), abi.RetryAfterMax)
}

// decode turns the input into In.
// Errors: *InputError.
func decode[In any](input []byte) (In, error) {
	var in In
	switch p := any(&in).(type) {
	case *[]byte:
		*p = input
		return in, nil
	case *struct{}:
		if len(input) == 0 {
			return in, nil
		}
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return in, inputFault(err)
	}
	return in, nil
}

// encode turns the handler's answer into the result.
func encode[Out any](out Out) ([]byte, error) {
	if raw, ok := any(out).([]byte); ok {
		return raw, nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil, Fail(fmt.Errorf("guest: result: %w", err))
	}
	return b, nil
}

// An InputError reports that the input is not the JSON that the task takes. It is final, and does not repeat the input.
type InputError struct {
	Field  string // the field, as "size.width"; "" when the fault has no field
	Offset int64  // bytes read before the fault; 0 when not known
	Text   string
}

func (e *InputError) Error() string {
	text := "guest: input: "
	if e.Field != "" {
		text += "field " + e.Field + ": "
	}
	text += e.Text
	if e.Offset > 0 {
		text += " (at byte " + strconv.FormatInt(e.Offset, 10) + ")"
	}
	return text
}

// inputFault says what is wrong without what the input held: the message of encoding/json quotes numbers and characters.
func inputFault(err error) *InputError {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &InputError{Offset: syntax.Offset, Text: "not valid JSON"}
	case errors.As(err, &kind):
		value, _, _ := strings.Cut(kind.Value, " ") // "number 300" holds the number
		return &InputError{Field: kind.Field, Offset: kind.Offset, Text: fmt.Sprintf("a JSON %s does not fit %s", value, kind.Type)}
	}
	return &InputError{Text: "not acceptable: " + err.Error()}
}

// cut shortens s to at most size bytes, at the border of a character.
func cut(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}
