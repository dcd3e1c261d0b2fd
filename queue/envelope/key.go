package envelope

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Purpose is the one thing that a key is for. It is part of the key's text and of its id, so the same 32 bytes
// under another purpose are another key.
type Purpose string

// The purposes.
const (
	Submit  Purpose = "submit"  // signs tasks
	Publish Purpose = "publish" // signs releases
	Worker  Purpose = "worker"  // signs results
	Operate Purpose = "operate" // signs operators' orders
)

// Purposes returns all purposes, in the order above.
func Purposes() []Purpose { return []Purpose{Submit, Publish, Worker, Operate} }

func (p Purpose) publicPrefix() string { return "caisson-" + string(p) + "-public-" }
func (p Purpose) secretPrefix() string { return "CAISSON-" + strings.ToUpper(string(p)) + "-SECRET-" }

const (
	checksumSize = 4                              // bytes; finds all but one typo in 2^32
	keyTextSize  = (32 + checksumSize) / 3 * 4    // characters of base64url after the prefix; no padding, no spare bits
	checksumTag  = "caisson-key-checksum-v1:"     // keeps a checksum from being any other hash of a key
	keyIDTag     = "caisson-key-id-v1:"           // likewise
	hiddenFormat = "%s(hidden; public key is %s)" // what every way of printing a PrivateKey gives
)

// A PublicKey verifies what the PrivateKey of the same purpose signed. It can be compared with == and is safe to print.
// The zero PublicKey verifies nothing.
type PublicKey struct {
	purpose Purpose
	key     [ed25519.PublicKeySize]byte
	id      KeyID // made of the two above; kept because every message asks for it
}

func newPublicKey(p Purpose, key [ed25519.PublicKeySize]byte) PublicKey {
	b := make([]byte, 0, 96)
	b = append(b, keyIDTag...)
	b = append(b, p...)
	b = append(b, ':')
	sum := sha256.Sum256(append(b, key[:]...))
	return PublicKey{purpose: p, key: key, id: KeyID(sum[:len(KeyID{})])}
}

// ParsePublicKey reads what PublicKey.String prints, and nothing else: no space, no newline.
// Errors, final: *KeyError, CodeKeyFormat for text that is not a public key, CodeKeyWeak for one under which a
// signature would prove nothing: all zero, of small order, not a point of the curve, or not in its canonical form.
// Source: docs/reference/envelope.md, "Keys".
func ParsePublicKey(text string) (PublicKey, error) {
	for _, p := range Purposes() {
		digits, ok := strings.CutPrefix(text, p.publicPrefix())
		if !ok {
			if strings.HasPrefix(text, p.secretPrefix()) {
				return PublicKey{}, &KeyError{CodeKeyFormat, "this is a secret key where a public key was wanted"}
			}
			continue
		}
		var key [ed25519.PublicKeySize]byte
		if err := parseKeyDigits(key[:], p.publicPrefix(), digits); err != nil {
			return PublicKey{}, err
		}
		if reason := weakPoint(key); reason != "" {
			return PublicKey{}, &KeyError{CodeKeyWeak, "the public key is refused: " + reason}
		}
		return newPublicKey(p, key), nil
	}
	return PublicKey{}, &KeyError{CodeKeyFormat, `not a public key: want "caisson-PURPOSE-public-…"`}
}

// Purpose returns what k is for, "" for the zero PublicKey.
func (k PublicKey) Purpose() Purpose { return k.purpose }

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// ID returns the name of k: SHA-256("caisson-key-id-v1:" PURPOSE ":" KEY), cut to 16 bytes. It is zero for the zero
// PublicKey.
func (k PublicKey) ID() KeyID { return k.id }

// String returns k as one line of text, "" for the zero PublicKey.
func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	return keyText(k.purpose.publicPrefix(), k.key[:])
}

// MarshalText returns k as String does.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads k as ParsePublicKey does.
func (k *PublicKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePublicKey(string(text))
	return err
}

// Verify reports whether sig is k's signature over PAE(payloadType, body).
// Source: DSSE v1, protocol.md; RFC 8032, Ed25519.
func (k PublicKey) Verify(payloadType string, body, sig []byte) bool {
	if k.IsZero() || len(sig) != ed25519.SignatureSize {
		return false
	}
	b := paeBuffers.Get().(*[]byte)
	*b = append(appendPAEHead((*b)[:0], payloadType, len(body)), body...)
	ok := ed25519.Verify(k.key[:], *b, sig)
	if cap(*b) <= paeBufferKept {
		paeBuffers.Put(b)
	}
	return ok
}

// paeBuffers spare a copy of each message that is verified; those above paeBufferKept, in bytes, are large results and rare.
var paeBuffers = sync.Pool{New: func() any { return new([]byte) }}

const paeBufferKept = 2 * MessageSizeMax

// A PrivateKey signs. No way of printing it shows the secret, with any verb, in any struct, or as JSON; only Text does.
// The zero PrivateKey signs nothing.
type PrivateKey struct {
	public PublicKey
	// secret is behind a function because fmt reads the unexported fields of a struct that holds a PrivateKey without
	// calling its methods. Of a function it can print the address only; a pointer it follows for verbs like %s.
	secret func() ed25519.PrivateKey
}

// GenerateKey makes a key from 32 bytes of random; nil means crypto/rand.
// Errors: *KeyError for a purpose that does not exist, else that of random.
func GenerateKey(p Purpose, random io.Reader) (PrivateKey, error) {
	if !slices.Contains(Purposes(), p) {
		return PrivateKey{}, &KeyError{CodeKeyFormat, "no such purpose"}
	}
	if random == nil {
		random = rand.Reader
	}
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("key: random bytes: %w", err)
	}
	return newPrivateKey(p, seed), nil
}

// ParsePrivateKey reads what PrivateKey.Text returns, and nothing else: no space, no newline.
// Errors, final: *KeyError.
// Source: docs/reference/envelope.md, "Keys".
func ParsePrivateKey(text string) (PrivateKey, error) {
	for _, p := range Purposes() {
		digits, ok := strings.CutPrefix(text, p.secretPrefix())
		if !ok {
			if strings.HasPrefix(text, p.publicPrefix()) {
				return PrivateKey{}, &KeyError{CodeKeyFormat, "this is a public key where a secret key was wanted"}
			}
			continue
		}
		var seed [ed25519.SeedSize]byte
		if err := parseKeyDigits(seed[:], p.secretPrefix(), digits); err != nil {
			return PrivateKey{}, err
		}
		return newPrivateKey(p, seed), nil
	}
	return PrivateKey{}, &KeyError{CodeKeyFormat, `not a secret key: want "CAISSON-PURPOSE-SECRET-…"`}
}

func newPrivateKey(p Purpose, seed [ed25519.SeedSize]byte) PrivateKey {
	secret := ed25519.NewKeyFromSeed(seed[:])
	return PrivateKey{
		public: newPublicKey(p, [ed25519.PublicKeySize]byte(secret[ed25519.SeedSize:])),
		secret: func() ed25519.PrivateKey { return secret },
	}
}

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k.secret == nil }

// Public returns the key that verifies what k signs.
func (k PrivateKey) Public() PublicKey { return k.public }

// KeyID returns the text of the public key's id.
func (k PrivateKey) KeyID() string { return k.public.ID().String() }

// Purpose returns what k is for.
func (k PrivateKey) Purpose() Purpose { return k.public.purpose }

// Sign returns the 64-byte signature over PAE(payloadType, body), nil for the zero PrivateKey. Nothing else is ever
// signed with k, and equal input gives equal bytes.
// Source: DSSE v1, protocol.md; RFC 8032, Ed25519.
func (k PrivateKey) Sign(payloadType string, body []byte) []byte {
	if k.secret == nil {
		return nil
	}
	return ed25519.Sign(k.secret(), pae(payloadType, body))
}

// Text returns the secret itself, as one line: for a file that nobody else can read, and for nothing else.
// It is "" for the zero PrivateKey.
func (k PrivateKey) Text() string {
	if k.secret == nil {
		return ""
	}
	return keyText(k.public.purpose.secretPrefix(), k.secret().Seed())
}

// String says which key k is, without the secret.
func (k PrivateKey) String() string {
	if k.secret == nil {
		return ""
	}
	return fmt.Sprintf(hiddenFormat, k.public.purpose.secretPrefix(), k.public)
}

// GoString returns k as String does.
func (k PrivateKey) GoString() string { return k.String() }

// Format writes k as String does, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns k as String does, so JSON and logs get no secret. There is no UnmarshalText on purpose.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// CheckPrivateFile refuses a file for a private key, by its mode, that is not a plain file or that anyone but its
// owner has any right to. Judge the mode of the opened file, not of its name.
// Errors, final: *KeyError, CodeKeyFile.
func CheckPrivateFile(mode fs.FileMode) error {
	if !mode.IsRegular() {
		return &KeyError{CodeKeyFile, "the key is not in a plain file"}
	}
	if mode.Perm()&0o077 != 0 {
		return &KeyError{CodeKeyFile, "the file's mode is 0" + strconv.FormatUint(uint64(mode.Perm()), 8) +
			": group and others must have no right to a secret key; want 0600"}
	}
	return nil
}

// pae returns DSSE's pre-authentication encoding. It is the only thing that keys of this package sign, and it stays
// unexported so that no caller can have other bytes signed.
// Source: DSSE v1, protocol.md, "Signature Definition".
func pae(payloadType string, body []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+2*(2+20)+len(payloadType)+len(body))
	return append(appendPAEHead(b, payloadType, len(body)), body...)
}

// appendPAEHead appends what stands before the body.
func appendPAEHead(b []byte, payloadType string, bodySize int) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(bodySize), 10)
	return append(b, ' ')
}

func keyText(prefix string, key []byte) string {
	sum := keyChecksum(prefix, key)
	b := make([]byte, 0, 32+checksumSize)
	b = append(b, key...)
	return prefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:]...))
}

// parseKeyDigits fills dst, 32 bytes, from the text after prefix.
func parseKeyDigits(dst []byte, prefix, digits string) error {
	if len(digits) != keyTextSize {
		return &KeyError{CodeKeyFormat, fmt.Sprintf("%s…: %d characters follow, want %d", prefix, len(digits), keyTextSize)}
	}
	// The decoder skips line ends, which would make two texts of one key; they leave too few bytes here.
	b, err := base64.RawURLEncoding.Strict().DecodeString(digits)
	if err != nil || len(b) != 32+checksumSize {
		return &KeyError{CodeKeyFormat, prefix + "…: a character is not base64url"}
	}
	if keyChecksum(prefix, b[:32]) != [checksumSize]byte(b[32:]) {
		return &KeyError{CodeKeyFormat, prefix + "…: the checksum does not match: a typo, or part of the key is missing"}
	}
	copy(dst, b[:32])
	return nil
}

// keyChecksum returns the first bytes of SHA-256("caisson-key-checksum-v1:" prefix key).
func keyChecksum(prefix string, key []byte) [checksumSize]byte {
	b := make([]byte, 0, 96)
	b = append(b, checksumTag...)
	b = append(b, prefix...)
	sum := sha256.Sum256(append(b, key...))
	return [checksumSize]byte(sum[:checksumSize])
}
