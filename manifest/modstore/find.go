package modstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caisson-run/caisson/manifest"
)

// A Query says which release is wanted.
type Query struct {
	Task       string
	Pin        manifest.Digest // of the module; zero is the newest release whatever its module
	Publishers manifest.Publishers
	Floor      uint64 // the largest number seen; a smaller one is refused. 0 is none
	// Rejected, if set, is told of each stored release that does not hold and was passed over. It
	// is for the log: someone has written to the store who should not, or a key was revoked.
	Rejected func(Rejected)
	// Held, if set, returns what was found before and is of that module, or the zero Bound. The bytes of such a module are neither
	// read nor hashed again.
	Held func(manifest.Digest) manifest.Bound
	// Seen, if set, remembers between queries of this task with a Pin, for the same Publishers, what its releases are.
	Seen *Seen
}

// Rejected is a stored release that does not hold.
type Rejected struct {
	Task   string
	Number uint64 // that it is stored under
	Err    *manifest.ReleaseError
}

// Find gives the release to run and the bytes of its module, both verified.
// Errors: *manifest.ReleaseError (final); *UnavailableError and the context's (not final).
func Find(ctx context.Context, s Store, q Query) (manifest.Bound, error) {
	release, err := newest(ctx, s, q)
	if err != nil {
		return manifest.Bound{}, err
	}
	if release.Number() < q.Floor {
		return manifest.Bound{}, manifest.NewReleaseError(manifest.CodeRollback,
			fmt.Sprintf("release %d of %q is older than %d, which was seen", release.Number(), q.Task, q.Floor))
	}
	if q.Held != nil {
		if bound, ok := release.BindAs(q.Held(release.Digest())); ok {
			return bound, nil
		}
	}
	module, err := s.Module(ctx, release.Digest())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return manifest.Bound{}, manifest.NewReleaseError(manifest.CodeUnknown,
			fmt.Sprintf("module %s of release %d of %q is not in the store", release.Digest(), release.Number(), q.Task))
	case errors.Is(err, fs.ErrInvalid):
		return manifest.Bound{}, manifest.NewReleaseError(manifest.CodeDigest,
			fmt.Sprintf("module %s of release %d of %q cannot be what was signed: %v", release.Digest(), release.Number(), q.Task, err))
	case err != nil:
		return manifest.Bound{}, err
	}
	return release.Bind(module)
}

// newest gives the newest release that holds and is of the pinned module, if one is pinned.
func newest(ctx context.Context, s Store, q Query) (manifest.Release, error) {
	var first *manifest.ReleaseError // why the newest release does not hold
	sound := 0
	judge := func(module manifest.Digest, err *manifest.ReleaseError) (wanted bool) {
		switch {
		case err == nil:
			sound++
		case first == nil:
			first = err
		}
		return err == nil && (q.Pin.IsZero() || module == q.Pin)
	}
	seen := q.Seen
	if q.Pin.IsZero() || seen == nil {
		seen = NewSeen(0, time.Now) // which remembers nothing
	}
	if err := seen.begin(ctx); err != nil {
		return manifest.Release{}, err
	}
	defer seen.end()
	skip := func(number uint64) bool {
		known, ok := seen.recall(number)
		return ok && !judge(known.module, known.err)
	}
	for stored, err := range s.Releases(ctx, q.Task, skip) {
		if err != nil {
			return manifest.Release{}, err
		}
		release, err := open(stored, q)
		seen.note(stored.Number, release.Digest(), err)
		if wanted := judge(release.Digest(), err); wanted {
			return release, nil
		}
		if err != nil {
			if q.Rejected != nil {
				q.Rejected(Rejected{Task: q.Task, Number: stored.Number, Err: err})
			}
		}
	}
	switch {
	case sound > 0:
		return manifest.Release{}, manifest.NewReleaseError(manifest.CodeUnknown, fmt.Sprintf("no release of %q is of module %s", q.Task, q.Pin))
	case first != nil:
		return manifest.Release{}, first
	}
	return manifest.Release{}, manifest.NewReleaseError(manifest.CodeUnknown, fmt.Sprintf("there is no release of %q", q.Task))
}

// open verifies one stored release, and that it is what its name says: a release of another task,
// or an old one under a new number, is good elsewhere and not here.
func open(stored Stored, q Query) (manifest.Release, *manifest.ReleaseError) {
	if stored.Fault != "" {
		return manifest.Release{}, manifest.NewReleaseError(manifest.CodeFormat, stored.Fault)
	}
	release, err := manifest.OpenRelease(stored.Bytes, q.Publishers)
	if err != nil {
		var refused *manifest.ReleaseError
		if errors.As(err, &refused) {
			return manifest.Release{}, refused
		}
		return manifest.Release{}, manifest.NewReleaseError(manifest.CodeFormat, err.Error())
	}
	if task := release.Manifest().Task; task != q.Task || release.Number() != stored.Number {
		return manifest.Release{}, manifest.NewReleaseError(manifest.CodeFormat,
			fmt.Sprintf("release %d of %q is stored as release %d of %q", release.Number(), task, stored.Number, q.Task))
	}
	return release, nil
}
