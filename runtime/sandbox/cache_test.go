package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openCache(t *testing.T, dir string) *diskCache {
	t.Helper()
	c, err := openDiskCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nameOf is a name as entries have.
func nameOf(s string) string { return entryName(sha256.Sum256([]byte(s)), [32]byte{}) }

func TestCacheKeepsWhatWasPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	c := openCache(t, dir)
	name := nameOf("a")
	if _, err := c.get(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty cache has %v", err)
	}
	for _, payload := range []string{"first", "second", ""} {
		if err := c.put(name, []byte(payload)); err != nil {
			t.Fatal(err)
		}
		// Another process, later.
		if got, err := openCache(t, dir).get(name); err != nil || string(got) != payload {
			t.Errorf("%q, %v, want %q", got, err, payload)
		}
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, c.path(name): 0o600, filepath.Join(dir, keyFile): 0o600} {
		if info, err := os.Stat(path); err != nil || modesMean && info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// TestCacheSeal: an entry that was changed anywhere, or is another's, does not open.
func TestCacheSeal(t *testing.T) {
	c := openCache(t, t.TempDir())
	a, b := nameOf("a"), nameOf("b")
	if err := errors.Join(c.put(a, []byte("payload of a")), c.put(b, []byte("payload of b"))); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(c.path(a))
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(c.path(a), data, cacheFileMode); err != nil {
			t.Fatal(err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(bad)
		if _, err := c.get(a); !errors.Is(err, errSeal) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, good[:sealSize-1], good[:sealSize], good[:len(good)-1], append(bytes.Clone(good), 0)} {
		write(bad)
		if _, err := c.get(a); !errors.Is(err, errSeal) {
			t.Errorf("%d bytes of %d: %v", len(bad), len(good), err)
		}
	}
	other, err := os.ReadFile(c.path(b))
	if err != nil {
		t.Fatal(err)
	}
	write(other)
	if _, err := c.get(a); !errors.Is(err, errSeal) {
		t.Errorf("the entry of another module: %v", err)
	}
	write(good)
	foreign := openCache(t, t.TempDir())
	foreign.dir = c.dir
	if _, err := foreign.get(a); !errors.Is(err, errSeal) {
		t.Errorf("the entry of another key: %v", err)
	}
	if _, err := c.get(a); err != nil {
		t.Errorf("the entry itself: %v", err)
	}
}

// TestCacheRefuses: a folder or key that others can get at is no cache.
func TestCacheRefuses(t *testing.T) {
	if !modesMean {
		t.Log("modes mean nothing on this system; only the key's size is tried")
	}
	tests := []struct {
		name, want string
		spoil      func(dir, key string) error
		modes      bool
	}{
		{"key for the group", "others can use it", func(_, key string) error { return os.Chmod(key, 0o640) }, true},
		{"key for all", "others can use it", func(_, key string) error { return os.Chmod(key, 0o604) }, true},
		{"folder for the group", "others can write to it", func(dir, _ string) error { return os.Chmod(dir, 0o770) }, true},
		{"key too short", "no key of this cache", func(_, key string) error { return os.Truncate(key, 31) }, false},
		{"key too long", "not a file of at most 32 bytes", func(_, key string) error { return os.WriteFile(key, make([]byte, 33), 0o600) }, false},
		{"key is a link", "remove it and the entries beside it", func(dir, key string) error {
			return errors.Join(os.Rename(key, dir+".moved"), os.Symlink(dir+".moved", key))
		}, true},
		{"key is empty", "remove it and the entries beside it", func(_, key string) error { return os.Truncate(key, 0) }, false},
		{"key is a folder", "not a file", func(_, key string) error { return errors.Join(os.Remove(key), os.Mkdir(key, 0o700)) }, false},
		{"folder is a file", "not a directory", func(dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			openCache(t, dir)
			if err := tt.spoil(dir, filepath.Join(dir, keyFile)); err != nil {
				t.Fatal(err)
			}
			if _, err := openDiskCache(dir); (modesMean || !tt.modes) && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestCacheKeyIsOne: of many who open a new folder at once, all have the same key.
func TestCacheKeyIsOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	keys := make([][]byte, 16)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			if c, err := openDiskCache(dir); err != nil {
				t.Error(err)
			} else {
				keys[i] = c.key
			}
		})
	}
	all.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) {
			t.Fatalf("%x and %x", k, keys[0])
		}
	}
	if bytes.Equal(keys[0], make([]byte, len(keys[0]))) {
		t.Error("the key is zero")
	}
}

// TestCacheEvicts the least recently used entries, and what was left unfinished long ago.
func TestCacheEvicts(t *testing.T) {
	c := openCache(t, t.TempDir())
	payload := make([]byte, 1000)
	entry := int64(len(payload) + sealSize)
	c.max = 3 * entry
	age := func(path string, hours time.Duration) {
		t.Helper()
		at := time.Now().Add(-hours * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range []string{"a", "b", "c"} {
		if err := c.put(nameOf(s), payload); err != nil {
			t.Fatal(err)
		}
		age(c.path(nameOf(s)), time.Duration(10-i))
	}
	old, young := filepath.Join(c.dir, "1"+unfinished), filepath.Join(c.dir, "2"+unfinished)
	if err := errors.Join(os.WriteFile(old, nil, 0o600), os.WriteFile(young, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	age(old, 2)
	if _, err := c.get(nameOf("a")); err != nil { // which was the oldest
		t.Fatal(err)
	}
	if err := c.put(nameOf("d"), payload); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, err := c.get(nameOf(s)); (err == nil) != want {
			t.Errorf("%s: %v, want kept %v", s, err, want)
		}
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old unfinished file: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("a young unfinished file: %v", err)
	}
}

// TestCacheLock: one at a time has it, and waiting ends with the context.
func TestCacheLock(t *testing.T) {
	dir := t.TempDir()
	c, other := openCache(t, dir), openCache(t, dir)
	unlock, err := c.lock(context.Background(), nameOf("a"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("gone")
	cancel(gone)
	if _, err := other.lock(ctx, nameOf("a")); !errors.Is(err, gone) {
		t.Errorf("while it is locked: %v", err)
	}
	got := make(chan error)
	go func() {
		again, err := other.lock(context.Background(), nameOf("a"))
		if err == nil {
			again()
		}
		got <- err
	}()
	unlock()
	if err := <-got; err != nil {
		t.Error(err)
	}
}
