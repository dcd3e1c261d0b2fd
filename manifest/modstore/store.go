package modstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/caisson-run/caisson/manifest"
)

// A Store keeps modules and releases. It is not trusted. Safe for concurrent use.
type Store interface {
	// Releases gives the releases of a task that are stored, the one under the largest number
	// first. They are not verified. Each is read when it is asked for, and not read nor given if skip, unless nil, says so of its number.
	// An error ends them: *UnavailableError, or the context's.
	Releases(ctx context.Context, task string, skip func(number uint64) bool) iter.Seq2[Stored, error]
	// Module gives the bytes stored under a digest. They are not verified, and are the caller's.
	// Errors: fs.ErrNotExist; *UnavailableError.
	Module(ctx context.Context, digest manifest.Digest) ([]byte, error)
	// PutModule stores a module under its digest.
	// Errors: *NameError (final), fs.ErrExist when other bytes stand there, *UnavailableError.
	PutModule(ctx context.Context, digest manifest.Digest, module []byte) error
	// PutRelease stores a release under its task and number.
	// Errors: as PutModule.
	PutRelease(ctx context.Context, task string, number uint64, release []byte) error
}

// Stored is what stands in a store under a task and a number.
type Stored struct {
	Number uint64 // as the name says
	Bytes  []byte // nil when what stands there cannot be a release; Fault says why
	Fault  string
}

// Blobs are named bytes. Names are ASCII, with "/" between parts. Safe for concurrent use.
type Blobs interface {
	// Get gives the bytes under name. Errors: fs.ErrNotExist; fs.ErrInvalid when they are more than
	// sizeMax, or are no plain bytes; anything else may pass by itself.
	Get(ctx context.Context, name string, sizeMax int64) ([]byte, error)
	// Put stores bytes under a name that is free; the same bytes again are no error.
	// Errors: fs.ErrExist when other bytes stand there.
	Put(ctx context.Context, name string, data []byte) error
	// List gives up to max names that begin with prefix, sorted by their bytes.
	List(ctx context.Context, prefix string, max int) ([]string, error)
}

// An UnavailableError reports that a store did not answer, or not with what was asked for. It is
// not final: the task it was asked for should wait.
type UnavailableError struct {
	Op  string
	Err error
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("modstore: %s: %v", e.Op, e.Err) }
func (e *UnavailableError) Unwrap() error { return e.Err }

// Code names the condition.
func (e *UnavailableError) Code() string { return "release.unavailable" }

// A NameError reports something that cannot be stored under the name it was given. It is final.
type NameError struct{ Text string }

func (e *NameError) Error() string { return "modstore: " + e.Text }

// A BlobStore is a Store over Blobs.
type BlobStore struct{ blobs Blobs }

var _ Store = (*BlobStore)(nil)

// Over keeps modules and releases as blobs.
func Over(b Blobs) *BlobStore { return &BlobStore{b} }

// ModuleName is the name of the blob with a module.
func ModuleName(d manifest.Digest) string {
	return "modules/sha256/" + strings.TrimPrefix(d.String(), "sha256:") + ".wasm"
}

// ReleaseName is the name of the blob with a release.
func ReleaseName(task string, number uint64) string {
	return fmt.Sprintf("%s%0*d.json", releasePrefix(task), numberDigits, number)
}

func releasePrefix(task string) string { return "releases/" + task + "/" }

// Releases implements Store.
func (s *BlobStore) Releases(ctx context.Context, task string, skip func(number uint64) bool) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		if manifest.CheckTask(task) != nil {
			return // no such name can have been stored, and none may become a path
		}
		names, err := s.blobs.List(ctx, releasePrefix(task), releasesMax)
		if err == nil && len(names) >= releasesMax {
			err = fmt.Errorf("task %q has %d releases or more; remove old ones", task, releasesMax)
		}
		if err != nil {
			yield(Stored{}, &UnavailableError{Op: "list releases", Err: err})
			return
		}
		for i := len(names) - 1; i >= 0; i-- {
			number, ok := numberOf(task, names[i])
			if !ok {
				continue // not a name of ours, such as a file that is still being written
			}
			if skip != nil && skip(number) {
				continue
			}
			stored, err := s.release(ctx, names[i], number)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed since it was listed
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
	}
}

// release reads one release; what can never be one is no error, or it would hide the others.
func (s *BlobStore) release(ctx context.Context, name string, number uint64) (Stored, error) {
	b, err := s.blobs.Get(ctx, name, manifest.ReleaseSizeMax)
	switch {
	case errors.Is(err, fs.ErrInvalid):
		return Stored{Number: number, Fault: err.Error()}, nil
	case err != nil:
		return Stored{}, &UnavailableError{Op: "read release", Err: err}
	}
	return Stored{Number: number, Bytes: b}, nil
}

// numberOf reads the number out of the one spelling of a release's name.
func numberOf(task, name string) (uint64, bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(name, releasePrefix(task)), ".json")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n < 1 || n > manifest.NumberMax || ReleaseName(task, n) != name {
		return 0, false
	}
	return n, true
}

// Module implements Store.
func (s *BlobStore) Module(ctx context.Context, digest manifest.Digest) ([]byte, error) {
	b, err := s.blobs.Get(ctx, ModuleName(digest), manifest.ModuleSizeMax)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return nil, fmt.Errorf("modstore: module %s: %w", digest, err)
	case err != nil:
		return nil, &UnavailableError{Op: "read module", Err: err}
	}
	return b, nil
}

// PutModule implements Store.
func (s *BlobStore) PutModule(ctx context.Context, digest manifest.Digest, module []byte) error {
	if len(module) == 0 || len(module) > manifest.ModuleSizeMax {
		return &NameError{fmt.Sprintf("a module has 1 to %d bytes, not %d", manifest.ModuleSizeMax, len(module))}
	}
	if got := manifest.Digest(sha256.Sum256(module)); got != digest {
		return &NameError{fmt.Sprintf("the module is %s, not %s", got, digest)}
	}
	return s.put(ctx, ModuleName(digest), module)
}

// PutRelease implements Store.
func (s *BlobStore) PutRelease(ctx context.Context, task string, number uint64, release []byte) error {
	if err := manifest.CheckTask(task); err != nil {
		return &NameError{err.Error()}
	}
	if number < 1 || number > manifest.NumberMax {
		return &NameError{fmt.Sprintf("release number %d is not from 1 to %d", number, uint64(manifest.NumberMax))}
	}
	if len(release) == 0 || len(release) > manifest.ReleaseSizeMax {
		return &NameError{fmt.Sprintf("a release has 1 to %d bytes, not %d", manifest.ReleaseSizeMax, len(release))}
	}
	return s.put(ctx, ReleaseName(task, number), release)
}

func (s *BlobStore) put(ctx context.Context, name string, data []byte) error {
	err := s.blobs.Put(ctx, name, data)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("modstore: other bytes are stored as %s: %w", name, err)
	case err != nil:
		return &UnavailableError{Op: "write", Err: err}
	}
	return nil
}

// Newest gives the largest number under which a release of the task is stored, 0 when there is
// none. It is not verified: it helps a publisher to choose the next number, and decides nothing.
// Errors: *UnavailableError.
func Newest(ctx context.Context, s Store, task string) (uint64, error) {
	for stored, err := range s.Releases(ctx, task, nil) {
		return stored.Number, err
	}
	return 0, nil
}
