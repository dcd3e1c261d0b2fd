package host

import (
	"context"
	"errors"
	goruntime "runtime"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// An Act is one thing that a guest may ask the host to do, under a capability.
// Read and Want are pure; Do is the only part that touches the world, and runs only for a request that was allowed.
type Act[Req, Resp any] struct {
	Name string          // of the import
	Kind capability.Kind // of every capability that Want returns
	// Read makes a request from the fields of a frame, which it may keep: they are a copy.
	// Errors: *ActError, or any other for abi.Invalid.
	Read func(fields [][]byte) (Req, error)
	// Want names the capability that the request needs.
	Want func(Req) capability.Capability
	// Instant says that Do never waits: its time is the guest's own.
	Instant bool
	// Do performs the request. ctx ends with the run.
	// Errors: *ActError, or any other for abi.Unavailable.
	Do func(ctx context.Context, ask Ask, req Req) (Resp, error)
	// Write makes the fields of the answer.
	Write func(Resp) [][]byte
}

// An Ask says on whose behalf an act is done.
type Ask struct {
	Tenant string
}

// An ActError is a refusal or fault of an act that the guest sees as Code. Text goes to the task's log.
type ActError struct {
	Code abi.Code
	Text string
}

func (e *ActError) Error() string { return e.Text }

// An act is an Act whose types are forgotten: a request frame in, an answer frame out.
type act struct {
	name    string
	kind    capability.Kind
	instant bool
	do      func(ctx context.Context, ask Ask, held capability.Held, request []byte) (answer []byte, err error)
}

var (
	errFrame  = &ActError{abi.Invalid, "the request frame is not well formed"}
	errAnswer = &ActError{abi.TooLarge, "the answer is larger than allowed"}
)

// register joins the parts of an Act in the only order there is: read, ask for authority, do, write.
func register[Req, Resp any](a Act[Req, Resp]) act {
	do := func(ctx context.Context, ask Ask, held capability.Held, request []byte) ([]byte, error) {
		fields, ok := readFrame(request)
		if !ok {
			return nil, errFrame
		}
		req, err := a.Read(fields)
		if err != nil {
			return nil, invalid(err)
		}
		if err := held.Check(a.Want(req)); err != nil {
			return nil, &ActError{abi.Denied, err.Error()}
		}
		resp, err := a.Do(ctx, ask, req)
		if err != nil {
			return nil, err
		}
		out := a.Write(resp)
		if frameSize(out) > abi.AnswerSizeMax {
			return nil, errAnswer
		}
		return appendFrame(nil, out), nil
	}
	return act{name: a.Name, kind: a.Kind, instant: a.Instant, do: do}
}

// invalid keeps an *ActError and makes any other error one with abi.Invalid.
func invalid(err error) error {
	if e := (*ActError)(nil); errors.As(err, &e) {
		return e
	}
	return &ActError{abi.Invalid, err.Error()}
}

// perform does one capability call of a guest: request frame at (ptr, n) -> the length of the answer that waits, or a Code.
func (r *Run) perform(ctx context.Context, a *act, ptr, n uint32) abi.Code {
	r.answer, r.waiting = nil, false
	r.countCall()
	span, ok := r.view(ptr, n)
	switch {
	case !ok:
		return abi.Invalid
	case len(span) > abi.RequestSizeMax:
		return abi.TooLarge
	}
	r.charge(len(span))
	// A copy, because what an act starts (a connection's writer, say) may read it after the call.
	request := append([]byte(nil), span...)
	var answer []byte
	var err error
	do := func(ctx context.Context) { answer, err = a.do(ctx, Ask{Tenant: r.config.Tenant}, r.held, request) }
	if a.instant {
		do(ctx)
	} else {
		r.wait(ctx, do)
	}
	r.checkContext(ctx)
	if err != nil {
		r.note(a.name, err)
		return codeOf(err)
	}
	r.answer, r.waiting = answer, len(answer) > 0
	return abi.Code(len(answer))
}

func codeOf(err error) abi.Code {
	if e := (*ActError)(nil); errors.As(err, &e) {
		return e.Code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return abi.Timeout
	}
	return abi.Unavailable
}

// stack returns the stack of the calling goroutine, bounded.
func stack() []byte {
	b := make([]byte, 16<<10)
	return b[:goruntime.Stack(b, false)]
}
