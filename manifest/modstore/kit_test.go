package modstore_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
)

// key is a publisher's key for tests: DSSE over Ed25519, as the envelope's keys do it.
type key struct{ private ed25519.PrivateKey }

func newKey(name string) key {
	seed := sha256.Sum256([]byte(name))
	return key{ed25519.NewKeyFromSeed(seed[:])}
}

func (k key) KeyID() string { return hex.EncodeToString(k.public()[:16]) }

func (k key) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

func (k key) Sign(payloadType string, body []byte) []byte {
	return ed25519.Sign(k.private, pae(payloadType, body))
}

func pae(payloadType string, body []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(body), body)
}

// publishers is a policy of one line each: key id, name and prefix of tasks.
type publishers map[string]struct {
	key    key
	prefix string
}

func (p publishers) VerifyRelease(keyID, payloadType string, body, sig []byte) (string, error) {
	for name, who := range p {
		if who.key.KeyID() == keyID {
			if !ed25519.Verify(who.key.public(), pae(payloadType, body), sig) {
				return "", manifest.ErrSignature
			}
			return name, nil
		}
	}
	return "", errors.New("unknown")
}

func (p publishers) MayPublish(publisher, task string) bool {
	return strings.HasPrefix(task, p[publisher].prefix)
}

var (
	alice  = newKey("alice")
	bob    = newKey("bob")
	policy = publishers{"alice": {alice, "img."}, "bob": {bob, "csv."}}
)

// release signs one.
func release(t testing.TB, k key, task string, number uint64, module string) []byte {
	t.Helper()
	m, err := manifest.Parse("task.toml", fmt.Appendf(nil, "task = %q\nmodule = \"m.wasm\"\n", task))
	if err != nil {
		t.Fatal(err)
	}
	b, err := manifest.SignRelease(m, []byte(module), number, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memory is Blobs in a map; it can be made to fail and to be tampered with.
type memory struct {
	mu    sync.Mutex
	blobs map[string][]byte
	fail  error
}

var _ modstore.Blobs = (*memory)(nil)

func newMemory() *memory { return &memory{blobs: map[string][]byte{}} }

func (m *memory) Get(_ context.Context, name string, sizeMax int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[name]
	switch {
	case m.fail != nil:
		return nil, m.fail
	case !ok:
		return nil, fs.ErrNotExist
	case int64(len(b)) > sizeMax:
		return nil, fs.ErrInvalid
	}
	return append([]byte(nil), b...), nil
}

func (m *memory) Put(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if old, ok := m.blobs[name]; ok && string(old) != string(data) {
		return fs.ErrExist
	}
	m.blobs[name] = append([]byte(nil), data...)
	return nil
}

func (m *memory) List(_ context.Context, prefix string, most int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	var names []string
	for name := range m.blobs {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names[:min(most, len(names))], nil
}
