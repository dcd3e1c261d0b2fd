package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The names that make a release a release.
const (
	PayloadType   = "application/vnd.in-toto+json"
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://caisson.run/release/v1"
)

// A Digest is the SHA-256 of a module's bytes; the zero value is none.
type Digest [sha256.Size]byte

// ParseDigest reads "sha256:" and 64 lower-case hexadecimal digits.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	digits, ok := strings.CutPrefix(text, "sha256:")
	if !ok || len(digits) != hex.EncodedLen(len(d)) || strings.ToLower(digits) != digits {
		return Digest{}, errors.New("manifest: a digest is sha256: and 64 lower-case hexadecimal digits")
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, errors.New("manifest: a digest is sha256: and 64 lower-case hexadecimal digits")
	}
	return d, nil
}

// IsZero tells that there is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// String gives what ParseDigest reads; the zero value gives "".
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return "sha256:" + hex.EncodeToString(d[:])
}

// MarshalText gives String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// A Signer is a publisher's private key. Sign signs DSSE's pre-authentication encoding of its
// arguments, which the key makes itself, so that nothing else can ever be signed with it.
type Signer interface {
	KeyID() string
	Sign(payloadType string, body []byte) []byte
}

// Publishers knows whose releases are accepted: the policy.
type Publishers interface {
	// VerifyRelease tells who signed body: the holder of the publish key with this id. It is asked
	// before anything in body is read. Its error wraps ErrSignature when the signature does not
	// hold; any other error says why the key is none (unknown, revoked, not a publish key).
	VerifyRelease(keyID, payloadType string, body, sig []byte) (publisher string, err error)
	// MayPublish tells whether this publisher may publish releases of this task.
	MayPublish(publisher, task string) bool
}

// ErrSignature says that a signature does not hold; for Publishers to return.
var ErrSignature = errors.New("the signature does not hold")

// envelope is DSSE's envelope; its field order is the order in the bytes.
type envelope struct {
	Payload     string      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// statement is in-toto's Statement v1.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type predicate struct {
	Number   uint64 `json:"number"`
	Manifest string `json:"manifest"`
}

// SignRelease binds a manifest and a module under one signature. m must come from Parse; number is
// 1 to NumberMax and larger than that of every earlier release of the task.
// Errors, all final: *ReleaseError (CodeFormat).
func SignRelease(m Manifest, module []byte, number uint64, s Signer) ([]byte, error) {
	if again, err := Parse("task.toml", []byte(m.Text)); err != nil || again.Task != m.Task {
		return nil, refuse(CodeFormat, "the manifest is not one that Parse returned", err)
	}
	if number < 1 || number > NumberMax {
		return nil, refuse(CodeFormat, fmt.Sprintf("release number %d is not from 1 to %d", number, uint64(NumberMax)), nil)
	}
	if len(module) == 0 || len(module) > ModuleSizeMax {
		return nil, refuse(CodeFormat, fmt.Sprintf("the module has %d bytes, not from 1 to %d", len(module), ModuleSizeMax), nil)
	}
	digest := sha256.Sum256(module)
	body := encode(statement{
		Type:          StatementType,
		Subject:       []subject{{Name: m.Task, Digest: map[string]string{"sha256": hex.EncodeToString(digest[:])}}},
		PredicateType: PredicateType,
		Predicate:     predicate{Number: number, Manifest: m.Text},
	})
	return encode(envelope{
		Payload:     base64.StdEncoding.EncodeToString(body),
		PayloadType: PayloadType,
		Signatures:  []signature{{KeyID: s.KeyID(), Sig: base64.StdEncoding.EncodeToString(s.Sign(PayloadType, body))}},
	}), nil
}

// A Release is a verified one: a publisher who may has signed it. It is immutable.
type Release struct {
	manifest  Manifest
	digest    Digest
	number    uint64
	publisher string
	keyID     string
}

// OpenRelease verifies a release and returns what it says. b is not kept.
// Errors, all final: *ReleaseError with CodeFormat, CodeSignature or CodePublisher.
func OpenRelease(b []byte, p Publishers) (Release, error) {
	if len(b) > ReleaseSizeMax {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("it has %d bytes, more than %d", len(b), ReleaseSizeMax), nil)
	}
	var e envelope
	if err := decode(b, &e); err != nil {
		return Release{}, refuse(CodeFormat, "the envelope", err)
	}
	if len(e.Signatures) != 1 {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("it has %d signatures, not one", len(e.Signatures)), nil)
	}
	keyID := e.Signatures[0].KeyID
	body, err := decodeBase64(e.Payload)
	if err != nil {
		return Release{}, refuse(CodeFormat, "the payload", err)
	}
	sig, err := decodeBase64(e.Signatures[0].Sig)
	if err != nil || len(sig) > signatureSizeMax || len(keyID) > keyIDSizeMax {
		return Release{}, refuse(CodeFormat, "the signature's encoding", err)
	}
	// From here on the body is somebody's word, or it is not looked at.
	publisher, err := p.VerifyRelease(keyID, e.PayloadType, body, sig)
	switch {
	case errors.Is(err, ErrSignature):
		return Release{}, refuse(CodeSignature, fmt.Sprintf("key %q", keyID), err)
	case err != nil:
		return Release{}, refuse(CodePublisher, fmt.Sprintf("key %q", keyID), err)
	}
	r, err := readStatement(e.PayloadType, body)
	if err != nil {
		return Release{}, err
	}
	if !p.MayPublish(publisher, r.manifest.Task) {
		return Release{}, refuse(CodePublisher, fmt.Sprintf("%q may not publish %q", publisher, r.manifest.Task), nil)
	}
	r.publisher, r.keyID = publisher, keyID
	return r, nil
}

// readStatement reads a body whose signature holds. A publisher's key is no reason to be lax: what
// it signs is read by others too, and must mean one thing.
func readStatement(payloadType string, body []byte) (Release, error) {
	if payloadType != PayloadType {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("the payload is %q, not an in-toto statement", payloadType), nil)
	}
	var s statement
	if err := decode(body, &s); err != nil {
		return Release{}, refuse(CodeFormat, "the statement", err)
	}
	if s.Type != StatementType || s.PredicateType != PredicateType {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("statement %q with predicate %q is no release", s.Type, s.PredicateType), nil)
	}
	if len(s.Subject) != 1 || len(s.Subject[0].Digest) != 1 {
		return Release{}, refuse(CodeFormat, "it must have one subject with one digest", nil)
	}
	digest, err := ParseDigest("sha256:" + s.Subject[0].Digest["sha256"])
	if err != nil || digest.IsZero() {
		return Release{}, refuse(CodeFormat, "the subject's digest", err)
	}
	if s.Predicate.Number < 1 || s.Predicate.Number > NumberMax {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("release number %d is not from 1 to %d", s.Predicate.Number, uint64(NumberMax)), nil)
	}
	m, err := Parse("task.toml", []byte(s.Predicate.Manifest))
	if err != nil {
		return Release{}, refuse(CodeFormat, "the manifest", err)
	}
	if m.Task != s.Subject[0].Name {
		return Release{}, refuse(CodeFormat, fmt.Sprintf("the subject is %q, the manifest is of %q", s.Subject[0].Name, m.Task), nil)
	}
	return Release{manifest: m, digest: digest, number: s.Predicate.Number}, nil
}

// Manifest gives the manifest that was signed. Its slices are shared and read-only.
func (r Release) Manifest() Manifest { return r.manifest }

// Digest gives the digest of the module that was signed.
func (r Release) Digest() Digest { return r.digest }

// Number gives the release number, 1 or more.
func (r Release) Number() uint64 { return r.number }

// Publisher names who signed, as the policy knows them.
func (r Release) Publisher() string { return r.publisher }

// KeyID names the key that signed.
func (r Release) KeyID() string { return r.keyID }

// A Bound is a release together with the very bytes whose digest it signs.
type Bound struct {
	Release
	module []byte
}

// Bind hashes module and keeps that same buffer, which must not be changed afterwards.
// Errors, all final: *ReleaseError with CodeDigest.
func (r Release) Bind(module []byte) (Bound, error) {
	if got := Digest(sha256.Sum256(module)); got != r.digest {
		return Bound{}, refuse(CodeDigest, fmt.Sprintf("the module is %s, release %d of %q is of %s", got, r.number, r.manifest.Task, r.digest), nil)
	}
	return Bound{Release: r, module: module}, nil
}

// BindAs binds r to the bytes that other was bound to, which are not hashed again. It reports whether r is of that module.
func (r Release) BindAs(other Bound) (Bound, bool) {
	if other.module == nil || other.digest != r.digest {
		return Bound{}, false
	}
	return Bound{Release: r, module: other.module}, true
}

// Module gives the bytes that were hashed. They are shared and read-only.
func (b Bound) Module() []byte { return b.module }

// encode writes the one spelling of a structure of ours, which cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("internal error: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// decode reads only what encode writes. encoding/json alone takes keys in any case, twice, and bytes
// that are not UTF-8; encoding again shows all of that.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("it is not the JSON of a release")
	}
	if !bytes.Equal(encode(v), b) {
		return errors.New("it is not in its one spelling (white space, order, duplicates, case, escapes)")
	}
	return nil
}

// decodeBase64 reads standard base64 with padding, in its one spelling: the library alone skips
// line breaks and loose last bits.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, errors.New("it is not base64")
	}
	return b, nil
}
