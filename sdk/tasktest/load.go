package tasktest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

// A module is what was built from one folder.
type module struct {
	once   sync.Once
	bytes  []byte
	digest [32]byte
	err    error
}

// built holds what this test binary has built, by absolute folder: the source does not change while it runs.
var built sync.Map // string -> *module

// load reads the manifest of dir and builds its module.
func load(t testing.TB, dir string) (manifest.Manifest, *module) {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatalf("tasktest: %v", err)
	}
	path := filepath.Join(dir, "task.toml")
	text, err := readBounded(path)
	if err != nil {
		t.Fatalf("tasktest: %v", err)
	}
	m, err := manifest.Parse(path, text)
	if err != nil {
		t.Fatalf("tasktest: the manifest has faults:\n%v", err)
	}
	entry, _ := built.LoadOrStore(dir, &module{})
	mod := entry.(*module)
	// Not the test's context: the module is for other tests too, and gobuild has a bound of its own.
	mod.once.Do(func() {
		mod.bytes, mod.err = build(context.Background(), dir)
		mod.digest = sha256.Sum256(mod.bytes)
	})
	if mod.err != nil {
		t.Fatalf("tasktest: %v", mod.err)
	}
	return m, mod
}

// build compiles dir, shows the test cache what it was made of, and keeps the module in memory, so that no file outlives the tests.
func build(ctx context.Context, dir string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "tasktest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	out := filepath.Join(folder, "task.wasm")
	if err := gobuild.Build(ctx, dir, out); err != nil {
		return nil, err
	}
	if err := witness(ctx, dir); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// witness opens what the module was made of. go test keeps the result of a test until a file changes that the test's own process
// has opened, and does not see what the go command opens for it: without this, a change for wasip1 only, or in
// a folder that the test does not import, would go untested.
// Source: go help test, on cached results.
func witness(ctx context.Context, dir string) error {
	sources, err := gobuild.Sources(ctx, dir)
	if err != nil {
		return err
	}
	for _, path := range sources {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, manifestSizeMax+1))
	if err == nil && len(text) > manifestSizeMax {
		err = fmt.Errorf("%s: more than %d bytes", path, manifestSizeMax)
	}
	return text, err
}
