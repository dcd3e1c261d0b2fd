package host

import (
	"context"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// An EndingKind says who ended a guest before it returned by itself.
type EndingKind int

const (
	EndingNone        EndingKind = iota // nobody: it returned, or trapped
	EndingExit                          // the guest, by proc_exit
	EndingLimit                         // a limit of the host that was spent
	EndingInterrupted                   // the context of the run; its cause says why
	EndingCrash                         // a defect in a host function
)

// An Ending is how a guest was ended by a host function.
type Ending struct {
	Kind   EndingKind
	Code   string     // EndingLimit: "limit.result", "limit.log" or "limit.calls"; EndingCrash: "sandbox.crash"
	Status abi.Status // EndingExit
	Text   string     // EndingLimit, EndingCrash: what happened, without paths or guest data
}

// RunConfig is what one run of a guest starts with. The slices are not changed and must not change while it runs.
type RunConfig struct {
	Tenant string          // whose keys and connections are used
	Held   capability.Held // what the run may do; the zero value holds nothing
	// Limits: Result, Log, LogLines and Calls are judged here; a field that is 0 means the default of limits.go. The others are the sandbox's.
	Limits capability.Limits
	Input  []byte   // the payload, read from fd 0
	Args   []string // constants of the manifest, argv; no NUL
	Env    []string // constants of the manifest, "NAME=value"; no NUL
	// Meter is told what the calls cost and when the run waits; nil: nobody is.
	Meter Meter
	// StdoutLogs makes fd 1 a log: the module imports result_write.
	StdoutLogs bool
	// Log takes one line at a time, escaped and at most abi.LogLineSizeMax bytes before escaping. It is called on the run's goroutine.
	// level is "debug", "info", "warn" or "error". nil drops the lines.
	Log func(level, line string)
	// Progress takes what the guest says of how far it is, escaped and at most abi.ProgressSizeMax bytes. It is called on the run's goroutine, as often
	// as the limit of calls lets the guest, and must not wait. nil drops it.
	Progress func(text string)
}

// A Meter counts what a guest computes, its calls included. The time that a call waits for the world is not that.
type Meter interface {
	// Charge takes units of fuel, one of which is about one instruction of a guest. It returns: that they were too many is seen at the next look
	// at the context of the run.
	Charge(units int64)
	// Leave is called before a call that may wait. The context that it returns ends with the run, and carries the values of the context that the
	// run was started with; it may be used by any number of goroutines, also after the run.
	Leave() context.Context
	// Return is called after it, on the same goroutine.
	Return()
}

// A Run is everything that belongs to one run of one guest. It dies with it.
// It is used by one goroutine, the one that runs the guest.
type Run struct {
	host    *Host
	config  RunConfig
	context runContext
	held    capability.Held // nothing until Enter
	clocks  clocks

	memory  api.Memory // the guest's, found at its first call that needs one
	unread  []byte     // the rest of the payload
	closed  [3]bool    // fd 0-2, by fd_close
	result  []byte
	answer  []byte
	waiting bool // answer holds one that was not read

	errorKind  string
	errorText  string
	retryAfter time.Duration

	calls      int64
	randomSize int64
	logSize    int64
	logLines   int64
	stdout     lineSplitter
	stderr     lineSplitter

	ending Ending
}

// Begin starts the record of one run.
func (h *Host) Begin(c RunConfig) *Run {
	r := new(Run)
	h.BeginAt(r, c)
	return r
}

// BeginAt is Begin with the record at r, which holds none, or one whose run is over. It is overwritten whole: what that run gave away, such as its Result, is not
// touched, and nothing else is left of it. A record takes longer to allocate than a small task to run.
func (h *Host) BeginAt(r *Run, c RunConfig) {
	c.Limits.Result = orDefault(c.Limits.Result, resultSizeDefault)
	c.Limits.Log = orDefault(c.Limits.Log, logSizeDefault)
	c.Limits.LogLines = orDefault(c.Limits.LogLines, logLinesDefault)
	c.Limits.Calls = orDefault(c.Limits.Calls, callsDefault)
	*r = Run{host: h, config: c}
}

// Enter lets the task begin. Until it is called the guest holds no capability and reads an empty input, so that a start
// section and _initialize do the same whether they run for one task or into a template for many; what they gave as a
// result or an error is dropped.
func (r *Run) Enter() {
	r.held = r.config.Held
	r.clocks.asked = false
	r.unread = r.config.Input
	r.closed = [3]bool{}
	r.result, r.answer, r.waiting = nil, nil, false
	r.errorKind, r.errorText, r.retryAfter = "", "", 0
}

func orDefault(v, d int64) int64 {
	if v <= 0 {
		return d
	}
	return v
}

// A runContext is a context that carries a run.
type runContext struct {
	context.Context
	run *Run
}

type runKey struct{}

// Value implements context.Context.
func (c *runContext) Value(key any) any {
	if key == (runKey{}) {
		return c.run
	}
	return c.Context.Value(key)
}

// Context returns ctx carrying the run; every call of the guest must be made with it, InstantiateModule included. It is part of the record, and there is one at a
// time: a second call takes the place of the first.
func (r *Run) Context(ctx context.Context) context.Context {
	r.context = runContext{ctx, r}
	return &r.context
}

// Finish writes out the log lines that have no newline yet. It is called once, when the guest has ended.
func (r *Run) Finish() {
	r.flush(&r.stdout)
	r.flush(&r.stderr)
}

// Ending says how a host function ended the guest; its Kind is EndingNone when none did.
func (r *Run) Ending() Ending { return r.ending }

// Result returns the bytes that the guest gave as its result. The caller owns them once the guest has ended.
func (r *Run) Result() []byte { return r.result }

// Error returns what error_write said last: kind is abi.ErrorRetry, abi.ErrorFail, or "" when it was not called.
// text is escaped and bounded; after is the delay asked for, 0 for none.
func (r *Run) Error() (kind, text string, after time.Duration) {
	return r.errorKind, r.errorText, r.retryAfter
}

// Calls returns how many host calls were counted against limits.calls.
func (r *Run) Calls() int64 { return r.calls }

// LogSize returns how many bytes of log the guest wrote.
func (r *Run) LogSize() int64 { return r.logSize }

// view returns the n bytes at ptr of the guest's memory, shared with it.
// ok is false when they are not all inside, or when the module has no memory exported as abi.ExportMemory.
func (r *Run) view(ptr, n uint32) (span []byte, ok bool) {
	if r.memory == nil {
		return nil, false
	}
	return r.memory.Read(ptr, n)
}

// stop ends the guest: the panic unwinds its stack and comes out of the wazero call as an error.
// The first ending stands. An ExitError is used because wazero builds no stack trace for it.
func (r *Run) stop(e Ending) {
	if r.ending.Kind == EndingNone {
		r.ending = e
	}
	panic(sys.NewExitError(uint32(e.Status)))
}

func (r *Run) stopLimit(code, text string) {
	r.stop(Ending{Kind: EndingLimit, Code: code, Text: text, Status: 1})
}

// charge takes the fuel for n bytes that a call reads or writes.
func (r *Run) charge(n int) {
	if r.config.Meter != nil {
		r.config.Meter.Charge(int64(n) / bytesPerUnit)
	}
}

// wait calls do, which may wait for the world, with a context that ends with the run.
func (r *Run) wait(ctx context.Context, do func(ctx context.Context)) {
	if r.config.Meter == nil {
		do(ctx)
		return
	}
	ctx = r.config.Meter.Leave()
	defer r.config.Meter.Return()
	do(ctx)
}

// checkContext ends the guest when the run's time or its right to run is over.
func (r *Run) checkContext(ctx context.Context) {
	if ctx.Err() != nil {
		r.stop(Ending{Kind: EndingInterrupted, Status: 1})
	}
}

// countCall charges one host call.
func (r *Run) countCall() {
	if r.calls >= r.config.Limits.Calls {
		r.stopLimit("limit.calls", "more host calls than allowed")
	}
	r.calls++
}

// writeResult appends p, which is guest memory, to the result.
func (r *Run) writeResult(p []byte) {
	if int64(len(p)) > r.config.Limits.Result-int64(len(r.result)) {
		r.stopLimit("limit.result", "result larger than allowed")
	}
	r.result = append(r.result, p...)
}
