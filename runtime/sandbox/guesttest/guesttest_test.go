package guesttest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

func TestNames(t *testing.T) {
	want := []string{"as/echo", "as/json", "as/tiny", "c/compute", "c/echo", "c/json", "c/tiny", "go/compute", "go/echo", "go/json", "go/tiny",
		"rust/compute", "rust/echo", "rust/json", "rust/tiny", "zig/echo", "zig/json", "zig/tiny", "zigcc/compute", "zigcc/echo", "zigcc/json", "zigcc/tiny"}
	if got := guesttest.Names(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, w := range guesttest.Works() {
		for _, name := range w.Guests {
			if !slices.Contains(want, name) {
				t.Errorf("%s: no guest %s", w.Name, name)
			}
		}
	}
}

// ownCache gives the test an empty cache, and the entries that builds leave in it.
func ownCache(t *testing.T) (built func() []string) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	return func() []string {
		cache, err := guesttest.Cache()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(cache, home) {
			t.Fatalf("the cache is %s, outside of %s", cache, home)
		}
		entries, _ := os.ReadDir(filepath.Join(cache, "built"))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
}

// TestBuiltOnce: many callers get one module of one build, and another source is another module.
func TestBuiltOnce(t *testing.T) {
	built := ownCache(t)
	var modules [4][]byte
	var wait sync.WaitGroup
	for i := range modules {
		wait.Go(func() {
			var err error
			if modules[i], err = guesttest.Wasm(t.Context(), "c/tiny"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, m := range modules {
		if !bytes.HasPrefix(m, []byte("\x00asm\x01\x00\x00\x00")) || !bytes.Equal(m, modules[0]) {
			t.Errorf("not the module: %.8q", m)
		}
	}
	before := built()
	if len(before) != 1 {
		t.Fatalf("the cache holds %q", before)
	}
	// What lies there is taken as it is: nothing is built again.
	cache, _ := guesttest.Cache()
	mark := []byte("built before")
	if err := os.WriteFile(filepath.Join(cache, "built", before[0]), mark, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := guesttest.Wasm(t.Context(), "c/tiny"); err != nil || !bytes.Equal(got, mark) {
		t.Errorf("%.20q, %v, want what the cache holds", got, err)
	}
	if got, err := guesttest.Source(t.Context(), "c", "tiny", false, []byte("int main(void) { return 7; }\n")); err != nil || bytes.Equal(got, mark) {
		t.Errorf("%.20q, %v for another source", got, err)
	}
	if after := built(); len(after) != 2 {
		t.Errorf("the cache holds %q", after)
	}
}

func TestDoesNotBuild(t *testing.T) {
	built := ownCache(t)
	_, err := guesttest.Source(t.Context(), "c", "wrong", false, []byte("int main(void) { return nothing; }\n"))
	if err == nil || !strings.Contains(err.Error(), "nothing") || !strings.Contains(err.Error(), "wrong.c") {
		t.Errorf("%v does not say what the compiler said", err)
	}
	if left := built(); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	for _, name := range []string{"c/nothing", "cobol/echo", "echo", "programs/nothing"} {
		if _, err := guesttest.Wasm(t.Context(), name); err == nil || !strings.Contains(err.Error(), "guesttest: no ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMissing: what is not installed is an error that says what to do.
func TestMissing(t *testing.T) {
	ownCache(t)
	t.Setenv("PATH", t.TempDir())
	for _, name := range []string{"c/echo", "go/echo", "as/echo", "zig/echo", "zigcc/echo", "programs/resvg", "programs/esbuild"} {
		_, err := guesttest.Wasm(t.Context(), name)
		if e := (*guesttest.MissingError)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), "make install-tools") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
