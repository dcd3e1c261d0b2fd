package envelope

import (
	"fmt"
	"slices"
	"time"
)

// A Status says how a message ended.
type Status string

// The statuses. Exactly one of them is settled for a message.
const (
	StatusDone    Status = "done"    // the task ran and gave Output
	StatusFailed  Status = "failed"  // the task said that it failed for good
	StatusRefused Status = "refused" // it was not run, or ended by us, for the reason in Code
	StatusDead    Status = "dead"    // its attempts are used up, or it expired before one succeeded
)

// A Result says how a message ended. The worker that ended it signs it. Fields whose comment does not mention zero, "" or nil must be
// set.
type Result struct {
	ID      MessageID // of the message
	Message Digest    // of the whole message: the result is for these bytes, not for others with the same id
	Worker  KeyID     // the signing key; SignResult sets it

	Audience, Tenant, Queue, Task string // as in the message
	Module                        Digest // what ran; zero: nothing did

	Status  Status
	Code    string // why, such as "policy.denied"; "" if and only if Status is StatusDone
	Attempt int    // the attempt that ended it, from 1; 0: none began

	Started  time.Time // of that attempt; zero: none began
	Finished time.Time

	ContentType string // of Output; "" is not stated
	Encryption  string // this version refuses any but ""
	Output      []byte // at most OutputSizeMax; nil and empty are the same
	Error       string // for a person, at most ErrorSizeMax; ErrorText makes any text fit

	Body Digest // of the message, a step of a plan, as BodyDigest says; zero: not stated
}

// resultArity is the number of values in a result's body. One with Body has one more.
const resultArity = 17

// A WorkerKeyring finds the keys that may have signed a result. It may return keys of any purpose: ResultReader.Open refuses those that
// are not for workers.
type WorkerKeyring interface {
	WorkerKey(id KeyID) (PublicKey, bool)
}

// SignResult returns r as signed bytes; key must be a worker key. The same r and key give the same bytes.
// r and its slices are not kept.
// Errors, final: *FieldError, *SizeError, *UnsupportedError for r; *PurposeError for key.
// Source: docs/reference/envelope.md, "Body of a result".
func SignResult(r Result, key PrivateKey) ([]byte, error) {
	body, err := r.prepare(nil, key)
	if err != nil {
		return nil, err
	}
	return seal("result", resultType, body, key, Worker, ResultSizeMax)
}

// prepare sets the fields that signing sets, and returns b with the body that is to be signed appended.
func (r *Result) prepare(b []byte, key PrivateKey) ([]byte, error) {
	r.Worker = key.Public().ID()
	r.Started, r.Finished = wireTime(r.Started), wireTime(r.Finished)
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.appendTo(b), nil
}

// A ResultReader opens results. It may be used by any number of goroutines.
type ResultReader struct {
	Keys  WorkerKeyring // nil knows no key
	Roots *Roots        // of batches that were verified before; nil: each signature is verified anew
}

// Open verifies b and returns the result inside, which shares no memory with b. It proves that a known worker signed the result, not
// for which message: compare ID and Message with what was sent.
// Errors, all final: *SizeError, *FormatError, *VersionError, *TypeError, *UnknownKeyError, *PurposeError,
// *SignatureError, *FieldError, *UnsupportedError.
// Source: docs/reference/envelope.md, "Reading a result".
func (r ResultReader) Open(b []byte) (Result, error) {
	if len(b) > ResultSizeMax {
		return Result{}, &SizeError{"result", len(b), ResultSizeMax}
	}
	f, err := openFrame(b, resultType, "")
	if err != nil {
		return Result{}, err
	}
	if _, err := f.verify(r.find, r.Roots, Worker, ""); err != nil {
		return Result{}, err
	}
	result, err := decodeResult(f.body)
	if err != nil {
		return Result{}, err
	}
	if err := result.check(); err != nil {
		return Result{}, err
	}
	if result.Worker != f.key {
		return Result{}, &FieldError{"worker", "is not the key that signed"}
	}
	return result, nil
}

func (r ResultReader) find(id KeyID) (PublicKey, bool) {
	if r.Keys == nil {
		return PublicKey{}, false
	}
	return r.Keys.WorkerKey(id)
}

// OpenResult opens b as a ResultReader without Roots does.
// Errors: as ResultReader.Open's.
func OpenResult(b []byte, keys WorkerKeyring) (Result, error) {
	return ResultReader{Keys: keys}.Open(b)
}

// check refuses what neither SignResult may write nor OpenResult accept.
func (r *Result) check() error {
	for _, part := range []func() error{r.checkNames, r.checkOutcome, r.checkTexts} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Result) checkNames() error {
	if r.ID.IsZero() {
		return &FieldError{"id", "is missing"}
	}
	if r.Message.IsZero() {
		return &FieldError{"message", "is missing"}
	}
	for _, name := range [][2]string{
		{"audience", r.Audience}, {"tenant", r.Tenant}, {"queue", r.Queue}, {"task", r.Task},
	} {
		if err := CheckName(name[0], name[1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Result) checkOutcome() error {
	switch r.Status {
	case StatusDone:
		if r.Code != "" {
			return &FieldError{"code", "is given, but the task is done"}
		}
	case StatusFailed, StatusRefused, StatusDead:
		if r.Code == "" {
			return &FieldError{"code", "is missing"}
		}
	default:
		return &FieldError{"status", "is not done, failed, refused or dead"}
	}
	if err := checkCode(r.Code); err != nil {
		return err
	}
	if r.Attempt < 0 || r.Attempt > AttemptsMax {
		return &FieldError{"attempt", fmt.Sprintf("is not from 0 to %d", AttemptsMax)}
	}
	if r.Finished.IsZero() {
		return &FieldError{"finished", "is missing"}
	}
	if err := checkTime("started", r.Started); err != nil {
		return err
	}
	return checkTime("finished", r.Finished)
}

func (r *Result) checkTexts() error {
	if err := checkLine("content_type", r.ContentType, ContentTypeSizeMax); err != nil {
		return err
	}
	if r.Encryption != "" {
		return &UnsupportedError{"encryption"}
	}
	if len(r.Output) > OutputSizeMax {
		return &SizeError{"output", len(r.Output), OutputSizeMax}
	}
	return checkText("error", r.Error, ErrorSizeMax)
}

// appendTo appends the one encoding of r's body to b.
func (r *Result) appendTo(b []byte) []byte {
	e := newAppender(slices.Grow(b, len(r.Output)+len(r.Error)+512))
	r.write(e)
	return e.close()
}

func (r *Result) write(e *encoder) {
	if r.Body.IsZero() {
		e.array(resultArity)
	} else {
		e.array(resultArity + 1)
	}
	e.id(r.ID[:])
	e.id(r.Message[:])
	e.id(r.Worker[:])
	e.str(r.Audience)
	e.str(r.Tenant)
	e.str(r.Queue)
	e.str(r.Task)
	e.orNil(r.Module[:])
	e.str(string(r.Status))
	e.str(r.Code)
	e.int(int64(r.Attempt))
	e.time(r.Started)
	e.time(r.Finished)
	e.str(r.ContentType)
	e.str(r.Encryption)
	e.bytes(r.Output)
	e.str(r.Error)
	if !r.Body.IsZero() {
		e.id(r.Body[:])
	}
}

// decodeResult reads a body. Nothing of the result is part of body.
// Errors, final: *FormatError, *FieldError, *SizeError.
func decodeResult(body []byte) (Result, error) {
	if err := walk("body", body); err != nil {
		return Result{}, err
	}
	d := newDecoder("body", body)
	defer d.close()
	var r Result
	more := d.arrayOr("body", resultArity)
	d.fixed("id", r.ID[:], false)
	d.fixed("message", r.Message[:], false)
	d.fixed("worker", r.Worker[:], false)
	r.Audience = d.str("audience", NameSizeMax)
	r.Tenant = d.str("tenant", NameSizeMax)
	r.Queue = d.str("queue", NameSizeMax)
	r.Task = d.str("task", NameSizeMax)
	d.fixed("module", r.Module[:], true)
	r.Status = Status(d.str("status", fieldSizeMax))
	r.Code = d.str("code", CodeSizeMax)
	r.Attempt = d.small("attempt", AttemptsMax)
	r.Started = d.time("started")
	r.Finished = d.time("finished")
	r.ContentType = d.str("content_type", ContentTypeSizeMax)
	r.Encryption = d.str("encryption", fieldSizeMax)
	r.Output = d.bytes("output", OutputSizeMax)
	r.Error = d.str("error", ErrorSizeMax)
	if more {
		d.fixed("body", r.Body[:], false)
	}
	if d.err != nil {
		return Result{}, d.err
	}
	e := newMatcher(body)
	r.write(e)
	if !e.matched() {
		return Result{}, &FormatError{"body", -1, "not the encoding of what it says"}
	}
	return r, nil
}
