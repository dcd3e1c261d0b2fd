package sandbox_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if status, asked := asOtherProcess(); asked {
		os.Exit(status)
	}
	status := m.Run()
	_ = os.RemoveAll(unracedFolder)
	if shared.sandbox != nil {
		if err := shared.sandbox.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		shared.host.Close()
	}
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// guests builds each Go guest once for all tests.
var guests = struct {
	mu    sync.Mutex
	bytes map[string][]byte
}{bytes: map[string][]byte{}}

// goGuest builds testdata/name with the Go toolchain.
func goGuest(tb testing.TB, name string, flags ...string) []byte {
	tb.Helper()
	guests.mu.Lock()
	defer guests.mu.Unlock()
	key := fmt.Sprint(name, flags)
	if b := guests.bytes[key]; b != nil {
		return b
	}
	out := filepath.Join(tb.TempDir(), name+".wasm")
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", out}
	if name != "command" {
		args = append(args, "-buildmode=c-shared")
	}
	cmd := exec.Command("go", append(append(args, flags...), "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build %s: %v\n%s", name, err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	guests.bytes[key] = b
	return b
}

// A kvMap is a host.KV in memory.
type kvMap struct {
	mu   sync.Mutex
	keys map[string]string // tenant + "\x00" + key
}

func (k *kvMap) Get(_ context.Context, tenant, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.keys[tenant+"\x00"+key]
	return []byte(v), ok, nil
}
func (k *kvMap) Put(context.Context, string, string, []byte, time.Duration) error { return nil }
func (k *kvMap) Delete(context.Context, string, string) error                     { return nil }
func (k *kvMap) List(context.Context, string, string, string, int) ([]string, error) {
	return nil, nil
}

// shared is the sandbox of all tests that need nothing special, because compiling a Go guest takes 10 s under the race detector.
var shared struct {
	once    sync.Once
	host    *host.Host
	sandbox *sandbox.Sandbox
}

func sharedSandbox(tb testing.TB) *sandbox.Sandbox {
	tb.Helper()
	shared.once.Do(func() {
		var err error
		if shared.host, err = host.New(host.Config{KV: newKV()}); err != nil {
			tb.Fatal(err)
		}
		cache, err := guesttest.Compiled()
		if err != nil {
			tb.Fatal(err)
		}
		if shared.sandbox, err = sandbox.Open(context.Background(), sandbox.Config{Host: shared.host, CheckRate: 1, CacheDir: cache}); err != nil {
			tb.Fatal(err)
		}
	})
	return shared.sandbox
}

func newKV() *kvMap {
	return &kvMap{keys: map[string]string{"acme\x00a/b": "value of acme", "other\x00a/b": "value of other"}}
}

// openSandbox opens a sandbox that is closed with the test, and checks every restore.
func openSandbox(tb testing.TB, c host.Config) *sandbox.Sandbox {
	tb.Helper()
	cache, err := guesttest.Compiled()
	if err != nil {
		tb.Fatal(err)
	}
	return openConfig(tb, c, sandbox.Config{CheckRate: 1, CacheDir: cache})
}

// openConfig is openSandbox with a configuration of the sandbox's own.
func openConfig(tb testing.TB, c host.Config, sc sandbox.Config) *sandbox.Sandbox {
	tb.Helper()
	if c.KV == nil {
		c.KV = newKV()
	}
	h, err := host.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	sc.Host = h
	s, err := sandbox.Open(context.Background(), sc)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		h.Close()
	})
	return s
}

func module(wasm []byte, needs ...string) sandbox.Module {
	set, err := capability.ParseSet(needs)
	if err != nil {
		panic(err)
	}
	return sandbox.Module{Digest: sha256.Sum256(wasm), Bytes: wasm, Needs: set}
}

func hold(tb testing.TB, lines ...string) capability.Held {
	tb.Helper()
	set, err := capability.ParseSet(lines)
	if err != nil {
		tb.Fatal(err)
	}
	held, err := capability.Hold(set, set, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return held
}

func load(tb testing.TB, s *sandbox.Sandbox, m sandbox.Module) *sandbox.Program {
	tb.Helper()
	p, err := s.Load(context.Background(), m)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// reactorNeeds is what the imports of testdata/reactor need.
var reactorNeeds = []string{"http GET https://127.0.0.1/*", "kv ro a/*"}
