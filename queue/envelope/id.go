package envelope

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A KeyID names a public key and its purpose: the first 16 bytes of a SHA-256 over both. The zero KeyID is no key.
type KeyID [16]byte

// ParseKeyID reads what KeyID.String prints: 32 lower-case hexadecimal digits.
// Errors, final: *FieldError.
func ParseKeyID(text string) (KeyID, error) {
	var id KeyID
	if err := parseHex("key id", id[:], text); err != nil {
		return KeyID{}, err
	}
	return id, nil
}

// String returns 32 lower-case hexadecimal digits.
func (id KeyID) String() string { return idText(id) }

// IsZero reports whether id is no key's.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// MarshalText returns id as String does.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads id as ParseKeyID does.
func (id *KeyID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseKeyID(string(text))
	return err
}

// A MessageID names a message. Its sender draws it at random, so it says nothing of order. The zero MessageID is none.
type MessageID [16]byte

// NewMessageID returns 16 random bytes.
func NewMessageID() MessageID {
	var id MessageID
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails: it ends the program instead.
	return id
}

// ParseMessageID reads what MessageID.String prints: 32 lower-case hexadecimal digits.
// Errors, final: *FieldError.
func ParseMessageID(text string) (MessageID, error) {
	var id MessageID
	if err := parseHex("id", id[:], text); err != nil {
		return MessageID{}, err
	}
	return id, nil
}

// String returns 32 lower-case hexadecimal digits.
func (id MessageID) String() string { return idText(id) }

// IsZero reports whether id is none.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// MarshalText returns id as String does.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads id as ParseMessageID does.
func (id *MessageID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseMessageID(string(text))
	return err
}

// idText returns an id in hexadecimal digits with one allocation, where hex.EncodeToString needs two: the worker asks for
// several of each task.
func idText(id [16]byte) string {
	var text [2 * len(id)]byte
	hex.Encode(text[:], id[:])
	return string(text[:])
}

const digestPrefix = "sha256:"

// A Digest is a SHA-256 of a message or of a module. The zero Digest is none.
type Digest [32]byte

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads "sha256:" and 64 lower-case hexadecimal digits. The text of no digest, "", is refused, and so are
// 64 zeros, which would mean the same in another form.
// Errors, final: *FieldError.
func ParseDigest(text string) (Digest, error) {
	digits, ok := strings.CutPrefix(text, digestPrefix)
	if !ok {
		return Digest{}, &FieldError{"digest", `does not begin with "sha256:"`}
	}
	var d Digest
	if err := parseHex("digest", d[:], digits); err != nil {
		return Digest{}, err
	}
	if d.IsZero() {
		return Digest{}, &FieldError{"digest", "is all zero"}
	}
	return d, nil
}

// String returns "sha256:" and 64 lower-case hexadecimal digits, or "" for the zero Digest.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	var text [len(digestPrefix) + 2*len(d)]byte
	hex.Encode(text[copy(text[:], digestPrefix):], d[:])
	return string(text[:])
}

// IsZero reports whether d is none.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns d as String does.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads d as ParseDigest does, and "" as none.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*d = Digest{}
		return nil
	}
	*d, err = ParseDigest(string(text))
	return err
}

// parseHex fills dst from text, which must be exactly that many lower-case hexadecimal digits.
func parseHex(what string, dst []byte, text string) error {
	if len(text) != 2*len(dst) {
		return &FieldError{what, fmt.Sprintf("has %d characters, want %d hexadecimal digits", len(text), 2*len(dst))}
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return &FieldError{what, "has a character that is not a lower-case hexadecimal digit"}
		}
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}
