package modstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
)

// Dir keeps modules and releases in a directory, which it makes when it is missing (its parent must
// be there). For a publisher; a worker opens what is there with OpenDir.
// Errors: *DirError.
func Dir(path string) (*BlobStore, error) {
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &DirError{Path: path, Err: err}
	}
	return OpenDir(path)
}

// OpenDir keeps modules and releases in a directory that is there: a worker with a mistyped path
// must not begin with an empty store. The directory may be a symbolic link; nothing in it may.
// Errors: *DirError, also when group or others can write to the directory.
func OpenDir(path string) (*BlobStore, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &DirError{Path: path, Err: err}
	}
	if !info.IsDir() {
		return nil, &DirError{Path: path, Err: errors.New("it is not a directory")}
	}
	if info.Mode().Perm()&writeBits != 0 {
		return nil, &DirError{Path: path, Err: fmt.Errorf("group or others can write to it (mode %04o); chmod go-w", info.Mode().Perm())}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &DirError{Path: path, Err: err}
	}
	return Over(&dirBlobs{root}), nil
}

// A DirError reports a directory that cannot be a store. It is final until someone changes it.
type DirError struct {
	Path string
	Err  error
}

func (e *DirError) Error() string { return fmt.Sprintf("modstore: %s: %v", e.Path, e.Err) }
func (e *DirError) Unwrap() error { return e.Err }

// dirBlobs are files below root. os.Root lets no name leave it; symbolic links within it are
// refused too, because they would let one name stand for another.
type dirBlobs struct{ root *os.Root }

var _ Blobs = (*dirBlobs)(nil)

// Get implements Blobs. It reads from the file it has opened and checked, whatever happens to the
// name meanwhile.
func (d *dirBlobs) Get(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.checkFolders(path.Dir(name)); err != nil {
		return nil, err
	}
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, invalid(name, "is not a plain file")
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(before, opened) {
		return nil, fmt.Errorf("%s was replaced while it was opened", name)
	}
	// With room for what bytes.Buffer wants to be free at its end: a module has megabytes, and growing would copy it several times.
	b := bytes.NewBuffer(make([]byte, 0, min(opened.Size(), sizeMax)+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(f, sizeMax+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > sizeMax {
		return nil, invalid(name, fmt.Sprintf("has more than %d bytes", sizeMax))
	}
	return b.Bytes(), nil
}

// Put implements Blobs: a temporary file is written and synced, then linked to its name, which
// fails when the name is taken. A crash leaves the whole file or none, and at most a temporary one.
func (d *dirBlobs) Put(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	folder := path.Dir(name)
	if err := d.root.MkdirAll(folder, dirMode); err != nil {
		return err
	}
	if err := d.checkFolders(folder); err != nil {
		return err
	}
	temp, err := d.writeTemp(folder, data)
	if err != nil {
		return err
	}
	err = d.root.Link(temp, name)
	if removed := d.root.Remove(temp); err == nil {
		err = removed
	}
	if errors.Is(err, fs.ErrExist) {
		return d.same(ctx, name, data)
	}
	if err != nil {
		return err
	}
	return d.syncFolders(folder)
}

// same tells whether the bytes under a taken name are these.
func (d *dirBlobs) same(ctx context.Context, name string, data []byte) error {
	old, err := d.Get(ctx, name, int64(len(data)))
	if err != nil && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	if err != nil || !bytes.Equal(old, data) {
		return &fs.PathError{Op: "put", Path: name, Err: fs.ErrExist}
	}
	return nil
}

func (d *dirBlobs) writeTemp(folder string, data []byte) (string, error) {
	var last error
	for range tempTries {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			return "", err
		}
		temp := fmt.Sprintf("%s/.new-%x", folder, random)
		f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrExist) {
			last = err
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(data)
		if err == nil {
			err = f.Sync()
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = d.root.Remove(temp) // the write's error is what matters
			return "", err
		}
		return temp, nil
	}
	return "", last
}

// List implements Blobs for a prefix that is a folder, which is all that the store asks for.
func (d *dirBlobs) List(ctx context.Context, prefix string, most int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return nil, fmt.Errorf("%q is no folder", prefix)
	}
	err := d.checkFolders(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.Readdirnames(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = prefix + entry
	}
	sort.Strings(names)
	return names, nil
}

// checkFolders refuses a folder, or one above it, that is a link or not a folder.
func (d *dirBlobs) checkFolders(folder string) error {
	for i := 0; i <= len(folder); i++ {
		if i < len(folder) && folder[i] != '/' {
			continue
		}
		info, err := d.root.Lstat(folder[:i])
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a plain folder", folder[:i])
		}
	}
	return nil
}

// syncFolders makes the new names durable, from the file's folder up to the root: any of them may
// be new.
func (d *dirBlobs) syncFolders(folder string) error {
	for {
		f, err := d.root.Open(folder)
		if err != nil {
			return err
		}
		err = f.Sync()
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil || folder == "." {
			return err
		}
		folder = path.Dir(folder)
	}
}

func invalid(name, text string) error {
	return &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%s: %w", text, fs.ErrInvalid)}
}
