package envelope

import (
	"fmt"
	"time"
)

// The codes of this room's refusals. All of them are final: the same bytes will be refused again.
// Source: docs/reference/refusals.md.
const (
	CodeEncoding    = "envelope.encoding"
	CodeSize        = "envelope.size"
	CodeVersion     = "envelope.version"
	CodeType        = "envelope.type"
	CodeKeyUnknown  = "envelope.key_unknown"
	CodeKeyPurpose  = "envelope.key_purpose"
	CodeSignature   = "envelope.signature"
	CodeField       = "envelope.field"
	CodeAudience    = "envelope.audience"
	CodeUnsupported = "envelope.unsupported"
	CodeTTL         = "envelope.ttl"
	CodeNotYet      = "envelope.not_yet"
	CodeExpired     = "envelope.expired"

	CodeKeyFormat = "key.format"
	CodeKeyWeak   = "key.weak"
	CodeKeyFile   = "key.file"
)

// A FormatError reports bytes that are not the encoding of any message. Detail is for the log; whoever sent the
// bytes is told the code only.
type FormatError struct {
	Part   string // "frame" or "body"
	Offset int    // in bytes from the start of Part, where the fault was seen; -1 where it is the whole of it
	Detail string
}

func (e *FormatError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("envelope: %s: %s", e.Part, e.Detail)
	}
	return fmt.Sprintf("envelope: %s: byte %d: %s", e.Part, e.Offset, e.Detail)
}

// Code returns CodeEncoding.
func (e *FormatError) Code() string { return CodeEncoding }

// A SizeError reports a message, or a part of one, that is longer than it may be.
type SizeError struct {
	What      string // "message", "result", "order", "payload" or "output"
	Size, Max int    // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("envelope: %s: %d bytes, at most %d", e.What, e.Size, e.Max)
}

// Code returns CodeSize.
func (e *SizeError) Code() string { return CodeSize }

// A VersionError reports a frame of another version of the format.
type VersionError struct{ Version int64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("envelope: version: %d, want %d", e.Version, frameVersion)
}

// Code returns CodeVersion.
func (e *VersionError) Code() string { return CodeVersion }

// A TypeError reports a frame that carries something else, such as a result where a task was wanted.
type TypeError struct{ Want string }

func (e *TypeError) Error() string { return fmt.Sprintf("envelope: type: not %q", e.Want) }

// Code returns CodeType.
func (e *TypeError) Code() string { return CodeType }

// An UnknownKeyError reports a signature by a key that the keyring does not know.
type UnknownKeyError struct{ Key KeyID }

func (e *UnknownKeyError) Error() string { return "envelope: key unknown: " + e.Key.String() }

// Code returns CodeKeyUnknown.
func (e *UnknownKeyError) Code() string { return CodeKeyUnknown }

// A PurposeError reports a key used for what it is not for.
type PurposeError struct {
	Key        KeyID
	Have, Want Purpose
}

func (e *PurposeError) Error() string {
	return fmt.Sprintf("envelope: key purpose: %s is for %q, want %q", e.Key, e.Have, e.Want)
}

// Code returns CodeKeyPurpose.
func (e *PurposeError) Code() string { return CodeKeyPurpose }

// A SignatureError reports a signature that does not hold under the key that it names.
type SignatureError struct{ Key KeyID }

func (e *SignatureError) Error() string {
	return "envelope: signature: does not hold under key " + e.Key.String()
}

// Code returns CodeSignature.
func (e *SignatureError) Code() string { return CodeSignature }

// A FieldError reports a field whose value is not allowed. It never quotes the value, which is the sender's.
type FieldError struct {
	Field string // as in docs/reference/envelope.md, such as "limits.memory"
	Text  string
}

func (e *FieldError) Error() string { return "envelope: " + e.Field + ": " + e.Text }

// Code returns CodeField.
func (e *FieldError) Code() string { return CodeField }

// An AudienceError reports a message for another deployment.
type AudienceError struct{ Have, Want string }

func (e *AudienceError) Error() string {
	return fmt.Sprintf("envelope: audience: message is for %q, this is %q", e.Have, e.Want)
}

// Code returns CodeAudience.
func (e *AudienceError) Code() string { return CodeAudience }

// An UnsupportedError reports a message that uses a feature of the format which this version does not have.
type UnsupportedError struct{ Feature string }

func (e *UnsupportedError) Error() string {
	return "envelope: " + e.Feature + ": not supported by this version"
}

// Code returns CodeUnsupported.
func (e *UnsupportedError) Code() string { return CodeUnsupported }

// A LifetimeError reports a message or an order that asks to live longer than it may.
type LifetimeError struct{ Lifetime, Max time.Duration }

func (e *LifetimeError) Error() string {
	return fmt.Sprintf("envelope: lifetime: %s, at most %s", e.Lifetime, e.Max)
}

// Code returns CodeTTL.
func (e *LifetimeError) Code() string { return CodeTTL }

// A NotYetError reports a message or an order issued in the reader's future.
type NotYetError struct{ Issued, Now time.Time }

func (e *NotYetError) Error() string {
	return fmt.Sprintf("envelope: issued: %s ahead of this clock, at most %s", e.Issued.Sub(e.Now), SkewMax)
}

// Code returns CodeNotYet.
func (e *NotYetError) Code() string { return CodeNotYet }

// An ExpiredError reports a message or an order that has expired. Everything else about it has been verified, so the sender of a message
// can be told: Task and Digest say which message it is.
type ExpiredError struct {
	Expires, Now time.Time
	Task         Task   // zero: it was an order
	Digest       Digest // of the whole message
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("envelope: expired: %s ago", e.Now.Sub(e.Expires))
}

// Code returns CodeExpired.
func (e *ExpiredError) Code() string { return CodeExpired }

// A KeyError reports the text of a key, a key or a key file that is refused. It never quotes the text, which may be a secret.
type KeyError struct {
	Reason string // CodeKeyFormat, CodeKeyWeak or CodeKeyFile
	Text   string
}

func (e *KeyError) Error() string { return "key: " + e.Text }

// Code returns e.Reason.
func (e *KeyError) Code() string { return e.Reason }
