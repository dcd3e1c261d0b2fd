package modstore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
)

func TestDirRefusesUnsafeFolders(t *testing.T) {
	base := t.TempDir()
	var bad *modstore.DirError
	if _, err := modstore.OpenDir(filepath.Join(base, "absent")); !errors.As(err, &bad) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := modstore.Dir(filepath.Join(base, "absent", "below")); !errors.As(err, &bad) {
		t.Errorf("absent parent: %v", err)
	}
	file := filepath.Join(base, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	if _, err := modstore.Dir(file); !errors.As(err, &bad) {
		t.Errorf("a file: %v", err)
	}
	for _, mode := range []fs.FileMode{0o775, 0o757, 0o777} {
		open := filepath.Join(base, "open")
		check(t, os.MkdirAll(open, 0o755))
		check(t, os.Chmod(open, mode))
		if _, err := modstore.OpenDir(open); !errors.As(err, &bad) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	s, err := modstore.Dir(filepath.Join(base, "new"))
	check(t, err)
	put(t, s, alice, "img.a", 1, "one")
	if again, err := modstore.OpenDir(filepath.Join(base, "new")); err != nil {
		t.Error(err)
	} else if _, err := modstore.Find(ctx, again, modstore.Query{Task: "img.a", Publishers: policy, Floor: 1}); err != nil {
		t.Errorf("what was put is not there after opening again: %v", err)
	}
}

// One name must never stand for another: links within the store are refused, also to good bytes.
func TestDirRefusesLinks(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	s, err := modstore.Dir(root)
	check(t, err)
	put(t, s, alice, "img.a", 1, "one")
	outside := filepath.Join(t.TempDir(), "outside")
	check(t, os.WriteFile(outside, release(t, alice, "img.a", 9, "one"), 0o600))
	check(t, os.Symlink(outside, filepath.Join(root, modstore.ReleaseName("img.a", 9))))
	check(t, os.Symlink(filepath.Base(modstore.ReleaseName("img.a", 1)), filepath.Join(root, modstore.ReleaseName("img.a", 8))))
	check(t, os.Mkdir(filepath.Join(root, modstore.ReleaseName("img.a", 7)), 0o755))
	rejected := 0
	bound, err := modstore.Find(ctx, s, modstore.Query{Task: "img.a", Publishers: policy, Rejected: func(r modstore.Rejected) {
		rejected++
		if r.Err.Code() != manifest.CodeFormat {
			t.Errorf("%d: %v", r.Number, r.Err)
		}
	}})
	if err != nil || bound.Number() != 1 || rejected != 3 {
		t.Errorf("got %d, %v, %d rejected", bound.Number(), err, rejected)
	}
	// A linked module, a linked folder of releases.
	module := filepath.Join(root, modstore.ModuleName(digestOf("one")))
	check(t, os.Rename(module, module+".moved"))
	check(t, os.Symlink(module+".moved", module))
	if _, err := modstore.Find(ctx, s, modstore.Query{Task: "img.a", Publishers: policy}); code(err) != manifest.CodeDigest {
		t.Errorf("linked module: %v", err)
	}
	check(t, os.Symlink("img.a", filepath.Join(root, "releases", "img.b")))
	var down *modstore.UnavailableError
	if _, err := modstore.Find(ctx, s, modstore.Query{Task: "img.b", Publishers: policy}); !errors.As(err, &down) {
		t.Errorf("linked folder: %v", err)
	}
	if err := s.PutRelease(ctx, "img.b", 5, []byte("x")); !errors.As(err, &down) {
		t.Errorf("put through a linked folder: %v", err)
	}
	check(t, os.Rename(filepath.Join(root, "modules"), filepath.Join(root, "moved")))
	check(t, os.Symlink("moved", filepath.Join(root, "modules")))
	if _, err := s.Module(ctx, digestOf("one")); !errors.As(err, &down) {
		t.Errorf("module through a linked folder: %v", err)
	}
}

// A crash between writing and naming leaves a file that nobody takes for a release; after a put
// there is nothing but what was put, readable by all and writable by the owner.
func TestDirLeavesNothingBehind(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	s, err := modstore.Dir(root)
	check(t, err)
	put(t, s, alice, "img.a", 1, "one")
	put(t, s, alice, "img.a", 1, "one")
	if err := s.PutRelease(ctx, "img.a", 1, []byte("other")); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	check(t, os.WriteFile(filepath.Join(root, "releases/img.a/.new-crashed"), []byte("half"), 0o644))
	files := 0
	check(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if files++; err != nil || info.Mode().Perm()&0o133 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	}))
	if files != 3 {
		t.Errorf("%d files", files)
	}
	if n, err := modstore.Newest(ctx, s, "img.a"); n != 1 || err != nil {
		t.Errorf("newest %d, %v", n, err)
	}
}

func TestDirHonoursContext(t *testing.T) {
	s, err := modstore.Dir(filepath.Join(t.TempDir(), "store"))
	check(t, err)
	put(t, s, alice, "img.a", 1, "one")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := modstore.Find(ended, s, modstore.Query{Task: "img.a", Publishers: policy}); !errors.Is(err, context.Canceled) || code(err) != "" {
		t.Errorf("got %v", err)
	}
	if err := s.PutRelease(ended, "img.a", 2, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
