package envelope

import (
	"bytes"
	"fmt"
	"time"
)

// Limits are tighter limits that the sender asks for. Zero: none asked for. The manifest's and the policy's limits apply in any case,
// and the smallest wins.
type Limits struct {
	Memory, Stack, Result int64         // bytes
	Wall, CPU             time.Duration // whole milliseconds, at most 24 h
	Calls                 int64         // host calls
}

// A Task is what a sender asks for. Fields whose comment does not mention zero, "" or nil must be set.
type Task struct {
	ID       MessageID
	Issuer   KeyID  // the signing key; Sign sets it
	Audience string // the deployment that may run it; a name, see CheckName
	Tenant   string // a name
	Queue    string // a name
	Task     string // a name
	Module   Digest // the only module that may run it; zero: the newest release

	// Times have millisecond resolution on the wire; Sign cuts off the rest.
	Issued    time.Time
	NotBefore time.Time // zero: at once; else before Expires. Until then the worker parks the task
	Expires   time.Time // after Issued, by LifetimeMax at most; from this instant on the message is refused

	Attempts int // most attempts wanted, 0: as the manifest says; at most AttemptsMax
	Limits   Limits

	// Narrowed says that the sender gives up every capability that is not in Caps. Without it Caps must be empty, and the task has
	// what manifest and policy grant. With it and no Caps the task has no capability.
	Narrowed bool
	Caps     []string // capability lines; runtime/policy checks their grammar, this package does not

	// Of all messages of one tenant and task with the same UniqueKey, only the first runs within UniqueWindow of its start; the others
	// are refused with its id. Set both or neither. The window is UniqueWindowMin to LifetimeMax; the key "" is none.
	UniqueKey    string
	UniqueWindow time.Duration

	Priority    int       // 0 high, 1 normal, 2 low, as queue.Priority
	ContentType string    // of Payload; "" is not stated
	Encryption  string    // this version refuses any but ""
	Payload     []byte    // at most PayloadSizeMax; nil and empty are the same
	ReplyKey    []byte    // this version refuses any but nil
	Trace       string    // W3C traceparent; "" is none
	Parent      MessageID // the message whose task sent this one; zero is none

	// Plan names the plan that this is a step of; zero: of none, and After must be empty. Steps of one plan have one
	// Plan and are sent together, see SignBatch.
	Plan MessageID

	// After are the messages whose results are this step's payload: at most AfterMax, none twice, all of the same audience, tenant and
	// queue; nil for none. With any, Payload and ContentType must be empty.
	After []MessageID

	// AfterBodies are the BodyDigests of After, in their order, or nil. With them, only results of these very messages are inputs, not
	// those of other messages that somebody sent under the same ids.
	AfterBodies []Digest
}

// taskArity is the number of values in a task's body.
const taskArity = 22

// limitsArity is the number of values in its limits.
const limitsArity = 6

// replyKeySizeMax, in bytes, has room for the public key of the hybrid with ML-KEM-768 (1,216).
const replyKeySizeMax = 2 << 10

// Sign returns the message for t, signed by key, which must be a submit key. The same t and key give the same bytes.
// t and its slices are not kept.
// Errors, final: *FieldError, *SizeError, *LifetimeError, *UnsupportedError for t; *PurposeError for key.
// Source: docs/reference/envelope.md, "Frame" and "Body of a task".
func Sign(t Task, key PrivateKey) ([]byte, error) {
	body, err := t.prepare(key)
	if err != nil {
		return nil, err
	}
	return seal("message", t.wireType(), body, key, Submit, MessageSizeMax)
}

// prepare sets the fields that signing sets, and returns the body that is to be signed.
func (t *Task) prepare(key PrivateKey) ([]byte, error) {
	t.Issuer = key.Public().ID()
	t.Issued, t.NotBefore, t.Expires = wireTime(t.Issued), wireTime(t.NotBefore), wireTime(t.Expires)
	if err := t.check(); err != nil {
		return nil, err
	}
	return t.encode(), nil
}

// wireType returns the type of t's frame.
func (t *Task) wireType() string {
	if t.Plan.IsZero() {
		return taskType
	}
	return stepType
}

// wireTime returns t cut to milliseconds, in UTC, as the wire has it.
func wireTime(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// check refuses what neither Sign may write nor Open accept, whoever asks and at whatever time.
func (t *Task) check() error {
	for _, part := range []func() error{t.checkNames, t.checkTimes, t.checkNumbers, t.checkTexts, t.checkCaps,
		t.checkUnique, t.checkStep, t.checkFeatures} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) checkNames() error {
	if t.ID.IsZero() {
		return &FieldError{"id", "is missing"}
	}
	for _, name := range [][2]string{
		{"audience", t.Audience}, {"tenant", t.Tenant}, {"queue", t.Queue}, {"task", t.Task},
	} {
		if err := CheckName(name[0], name[1]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) checkTimes() error {
	if t.Issued.IsZero() {
		return &FieldError{"issued", "is missing"}
	}
	if t.Expires.IsZero() {
		return &FieldError{"expires", "is missing"}
	}
	if err := checkTime("issued", t.Issued); err != nil {
		return err
	}
	if err := checkTime("not_before", t.NotBefore); err != nil {
		return err
	}
	if err := checkTime("expires", t.Expires); err != nil {
		return err
	}
	if !t.Expires.After(t.Issued) {
		return &FieldError{"expires", "is not after issued"}
	}
	if life := t.Expires.Sub(t.Issued); life > LifetimeMax {
		return &LifetimeError{life, LifetimeMax}
	}
	if !t.NotBefore.IsZero() && !t.NotBefore.Before(t.Expires) {
		return &FieldError{"not_before", "is not before expires"}
	}
	return nil
}

// checkTime refuses a time that is set but that the wire cannot represent, or would represent as not set.
func checkTime(what string, t time.Time) error {
	if ms := t.UnixMilli(); !t.IsZero() && (ms <= 0 || ms > timeMax) {
		return &FieldError{what, "is not between the years 1970 and 10000"}
	}
	return nil
}

func (t *Task) checkNumbers() error {
	if t.Attempts < 0 || t.Attempts > AttemptsMax {
		return &FieldError{"attempts", fmt.Sprintf("is not from 0 to %d", AttemptsMax)}
	}
	if t.Priority < 0 || t.Priority > PriorityMax {
		return &FieldError{"priority", fmt.Sprintf("is not from 0 to %d", PriorityMax)}
	}
	l := t.Limits
	names := [...]string{"limits.memory", "limits.stack", "limits.result", "limits.calls"}
	for i, n := range [...]int64{l.Memory, l.Stack, l.Result, l.Calls} {
		if n < 0 {
			return &FieldError{names[i], "is negative"}
		}
	}
	if err := checkDuration("limits.wall", l.Wall, limitDurationMax); err != nil {
		return err
	}
	return checkDuration("limits.cpu", l.CPU, limitDurationMax)
}

// checkUnique refuses a key without a window, and a window without a key.
func (t *Task) checkUnique() error {
	if err := checkLine("unique_key", t.UniqueKey, UniqueKeySizeMax); err != nil {
		return err
	}
	if err := checkDuration("unique_window", t.UniqueWindow, LifetimeMax); err != nil {
		return err
	}
	switch {
	case t.UniqueKey == "" && t.UniqueWindow != 0:
		return &FieldError{"unique_window", "is given, but unique_key is not"}
	case t.UniqueKey != "" && t.UniqueWindow == 0:
		return &FieldError{"unique_window", "is missing beside unique_key"}
	case t.UniqueKey != "" && t.UniqueWindow < UniqueWindowMin:
		return &FieldError{"unique_window", "is below " + UniqueWindowMin.String()}
	}
	return nil
}

func checkDuration(what string, d, most time.Duration) error {
	if d < 0 || d > most {
		return &FieldError{what, "is not from 0 to " + most.String()}
	}
	if d%time.Millisecond != 0 {
		return &FieldError{what, "is not a whole number of milliseconds"}
	}
	return nil
}

func (t *Task) checkTexts() error {
	if err := checkLine("content_type", t.ContentType, ContentTypeSizeMax); err != nil {
		return err
	}
	if err := checkTrace(t.Trace); err != nil {
		return err
	}
	if len(t.Payload) > PayloadSizeMax {
		return &SizeError{"payload", len(t.Payload), PayloadSizeMax}
	}
	return nil
}

func (t *Task) checkCaps() error {
	if !t.Narrowed && len(t.Caps) > 0 {
		return &FieldError{"caps", "are given, but the task is not narrowed to them"}
	}
	if len(t.Caps) > CapsMax {
		return &FieldError{"caps", fmt.Sprintf("are more than %d", CapsMax)}
	}
	total := 0
	for i, line := range t.Caps {
		if line == "" {
			return &FieldError{at("caps", i), "is empty"}
		}
		if checkLine("", line, CapSizeMax) != nil {
			return checkLine(at("caps", i), line, CapSizeMax)
		}
		if total += len(line); total > CapsSizeMax {
			return &FieldError{"caps", fmt.Sprintf("are longer than %d bytes together", CapsSizeMax)}
		}
	}
	return nil
}

// at names one value of a list, for errors.
func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// checkFeatures refuses fields that the format has and that this version would have to ignore: a task whose sender counts on an
// encrypted answer must not run without.
func (t *Task) checkFeatures() error {
	switch {
	case t.Encryption != "":
		return &UnsupportedError{"encryption"}
	case t.ReplyKey != nil:
		return &UnsupportedError{"reply key"}
	}
	return nil
}

// encode returns the one encoding of t's body.
func (t *Task) encode() []byte {
	e := newEncoder(len(t.Payload) + 512)
	t.write(e)
	return e.close()
}

func (t *Task) write(e *encoder) {
	if t.Plan.IsZero() {
		e.array(taskArity)
		t.writeTask(e)
		return
	}
	if len(t.AfterBodies) == 0 {
		e.array(stepArity)
	} else {
		e.array(stepArity + 1)
	}
	t.writeTask(e)
	t.writeStep(e)
}

// writeTask writes the fields that a task and a step have in common.
func (t *Task) writeTask(e *encoder) {
	e.id(t.ID[:])
	e.id(t.Issuer[:])
	e.str(t.Audience)
	e.str(t.Tenant)
	e.str(t.Queue)
	e.str(t.Task)
	e.orNil(t.Module[:])
	e.time(t.Issued)
	e.time(t.NotBefore)
	e.time(t.Expires)
	e.int(int64(t.Attempts))
	e.array(limitsArity)
	e.int(t.Limits.Memory)
	e.int(t.Limits.Stack)
	e.int(t.Limits.Result)
	e.duration(t.Limits.Wall)
	e.duration(t.Limits.CPU)
	e.int(t.Limits.Calls)
	if t.Narrowed {
		e.array(len(t.Caps))
		for _, line := range t.Caps {
			e.str(line)
		}
	} else {
		e.nil()
	}
	e.str(t.UniqueKey)
	e.duration(t.UniqueWindow)
	e.int(int64(t.Priority))
	e.str(t.ContentType)
	e.str(t.Encryption)
	e.bytes(t.Payload)
	if t.ReplyKey == nil {
		e.nil()
	} else {
		e.bytes(t.ReplyKey)
	}
	e.str(t.Trace)
	e.orNil(t.Parent[:])
}

// decodeTask reads a body of type typ. Nothing of the result is part of body.
// Errors, final: *FormatError, *FieldError, *SizeError.
func decodeTask(typ string, body []byte) (Task, error) {
	if err := walk("body", body); err != nil {
		return Task{}, err
	}
	d := newDecoder("body", body)
	defer d.close()
	var t Task
	if typ == stepType {
		more := d.arrayOr("body", stepArity)
		t.readTask(d)
		t.readStep(d, more)
	} else {
		d.arrayOf("body", taskArity)
		t.readTask(d)
	}
	if d.err != nil {
		return Task{}, d.err
	}
	e := newMatcher(body)
	t.write(e)
	if !e.matched() {
		return Task{}, &FormatError{"body", -1, "not the encoding of what it says"}
	}
	return t, nil
}

// readTask reads the fields that a task and a step have in common.
func (t *Task) readTask(d *decoder) {
	d.fixed("id", t.ID[:], false)
	d.fixed("issuer", t.Issuer[:], false)
	t.Audience = d.str("audience", NameSizeMax)
	t.Tenant = d.str("tenant", NameSizeMax)
	t.Queue = d.str("queue", NameSizeMax)
	t.Task = d.str("task", NameSizeMax)
	d.fixed("module", t.Module[:], true)
	t.Issued = d.time("issued")
	t.NotBefore = d.time("not_before")
	t.Expires = d.time("expires")
	t.Attempts = d.small("attempts", AttemptsMax)
	t.Limits = decodeLimits(d)
	t.Caps, t.Narrowed = decodeCaps(d)
	t.UniqueKey = d.str("unique_key", UniqueKeySizeMax)
	t.UniqueWindow = d.duration("unique_window", LifetimeMax)
	t.Priority = d.small("priority", PriorityMax)
	t.ContentType = d.str("content_type", ContentTypeSizeMax)
	t.Encryption = d.str("encryption", fieldSizeMax)
	t.Payload = d.bytes("payload", PayloadSizeMax)
	if key := d.view("reply_key"); len(key) > replyKeySizeMax {
		d.fail("reply_key", "too long")
	} else {
		t.ReplyKey = bytes.Clone(key)
	}
	t.Trace = d.str("trace", fieldSizeMax)
	d.fixed("parent", t.Parent[:], true)
}

func decodeLimits(d *decoder) Limits {
	d.arrayOf("limits", limitsArity)
	var l Limits
	l.Memory = d.int("limits.memory")
	l.Stack = d.int("limits.stack")
	l.Result = d.int("limits.result")
	l.Wall = d.duration("limits.wall", limitDurationMax)
	l.CPU = d.duration("limits.cpu", limitDurationMax)
	l.Calls = d.int("limits.calls")
	return l
}

// decodeCaps reads nil as not narrowed, and an array, empty or not, as narrowed.
func decodeCaps(d *decoder) (caps []string, narrowed bool) {
	n := d.array("caps")
	if d.err != nil || n < 0 {
		return nil, false
	}
	if n > CapsMax {
		d.err = &FieldError{"caps", fmt.Sprintf("are more than %d", CapsMax)}
		return nil, false
	}
	if d.err == nil && n > 0 {
		caps = make([]string, 0, n)
	}
	for range n {
		caps = append(caps, d.str("caps", CapSizeMax))
	}
	return caps, true
}
