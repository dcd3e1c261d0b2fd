package envelope

import (
	"errors"
	"time"
)

// A Keyring finds the keys that may have signed a task. It may return keys of any purpose: Open refuses those that are not for
// submitting with a *PurposeError. Whether a key is revoked is for the policy to say, after the signature has been verified.
type Keyring interface {
	SubmitKey(id KeyID) (PublicKey, bool)
}

// A Reader opens messages that are meant for one deployment.
// It may be used by any number of goroutines.
type Reader struct {
	Keys     Keyring // nil knows no key
	Audience string  // "" is nobody: every message is refused
	Roots    *Roots  // of batches that were verified before; nil: each signature is verified anew
}

// A Verified is a task whose signature holds, which is meant for this deployment and has not expired. Only Open makes one. The zero
// Verified has the zero PublicKey, and policy refuses it.
type Verified struct {
	facts *verified // shared by copies, never changed; nil in the zero Verified
}

type verified struct {
	task   Task
	key    PublicKey
	digest Digest
	body   Digest
}

// none has the facts of the zero Verified.
var none verified

func (v Verified) of() *verified {
	if v.facts == nil {
		return &none
	}
	return v.facts
}

// Task returns the task. Its slices are shared with v and must not be changed; they are not parts of the message.
func (v Verified) Task() Task { return v.of().task }

// Key returns the key that signed.
func (v Verified) Key() PublicKey { return v.of().key }

// Digest returns the SHA-256 of the whole message. Messages with one id but different digests are different messages.
func (v Verified) Digest() Digest { return v.of().digest }

// Body returns the BodyDigest of a step, zero for a task that is no step.
func (v Verified) Body() Digest { return v.of().body }

// Open verifies msg and returns the task inside. msg is not kept. now is the instant by which Issued and Expires are
// judged; call Open again, or compare Expires, before a later attempt.
// Errors, all final: *SizeError, *FormatError, *VersionError, *TypeError, *UnknownKeyError, *PurposeError,
// *SignatureError, *FieldError, *UnsupportedError, *AudienceError, *LifetimeError, *NotYetError, *ExpiredError.
// Source: docs/reference/envelope.md, "Reading a message".
func (r Reader) Open(msg []byte, now time.Time) (Verified, error) {
	if len(msg) > MessageSizeMax {
		return Verified{}, &SizeError{"message", len(msg), MessageSizeMax}
	}
	f, err := openFrame(msg, taskType, stepType)
	if err != nil {
		return Verified{}, err
	}
	key, err := f.verify(r.find, r.Roots, Submit, "")
	if err != nil {
		return Verified{}, err
	}
	t, err := decodeTask(f.typ, f.body)
	if err != nil {
		return Verified{}, err
	}
	if err := r.judge(&t, f.key, now); err != nil {
		return Verified{}, err
	}
	digest := DigestOf(msg)
	if !now.Before(t.Expires) {
		return Verified{}, &ExpiredError{t.Expires, now, t, digest}
	}
	v := &verified{task: t, key: key, digest: digest}
	if f.typ == stepType {
		v.body = Digest(leafHash(f.typ, f.body))
	}
	return Verified{v}, nil
}

func (r Reader) find(id KeyID) (PublicKey, bool) {
	if r.Keys == nil {
		return PublicKey{}, false
	}
	return r.Keys.SubmitKey(id)
}

// judge refuses a task that is well formed but not meant for this reader, or issued in the future.
func (r Reader) judge(t *Task, signer KeyID, now time.Time) error {
	if err := t.check(); err != nil {
		return err
	}
	// The frame's key id is not signed. It must be the issuer that is, or one message would have two issuers.
	if t.Issuer != signer {
		return &FieldError{"issuer", "is not the key that signed"}
	}
	if t.Audience != r.Audience {
		return &AudienceError{t.Audience, r.Audience}
	}
	if t.Issued.Sub(now) > SkewMax {
		return &NotYetError{t.Issued, now}
	}
	return nil
}

// An Unverified describes a message for a person. Unless Fault is nil nothing in it is proved, not even that Key signed it. Never
// decide anything by it.
type Unverified struct {
	Size   int    // bytes
	Digest Digest // of the bytes as they are
	Fault  error  // what Open refuses them for; nil if it does not

	FrameRead bool  // Key is what the frame claims
	Key       KeyID // the key that is claimed to have signed
	KeyKnown  bool  // the reader has Key, for submitting
	Signed    bool  // the signature holds under Key

	BodyRead bool // Task is what the body claims
	Task     Task
}

// Inspect describes any bytes as far as they can be read, within the same bounds as Open. Unlike Open it also parses a body whose
// signature does not hold, after walk has checked it like any other.
func (r Reader) Inspect(msg []byte, now time.Time) Unverified {
	u := Unverified{Size: len(msg), Digest: DigestOf(msg)}
	_, u.Fault = r.Open(msg, now)
	if len(msg) > MessageSizeMax {
		return u
	}
	f, err := openFrame(msg, taskType, stepType)
	if err != nil {
		return u
	}
	u.FrameRead, u.Key = true, f.key
	_, err = f.verify(r.find, nil, Submit, "")
	var forged *SignatureError
	u.KeyKnown, u.Signed = err == nil || errors.As(err, &forged), err == nil
	if t, err := decodeTask(f.typ, f.body); err == nil {
		u.BodyRead, u.Task = true, t
	}
	return u
}
