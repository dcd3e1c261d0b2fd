package modstore

import (
	"context"
	"time"

	"github.com/caisson-run/caisson/manifest"
)

// Seen is what the stored releases of one task were found to be, for queries that pin a module: whoever pins modules that there are not would
// otherwise have each release read for each. A release that has come since is always read. Safe for concurrent use.
type Seen struct {
	fresh time.Duration
	clock func() time.Time

	turn     chan struct{} // one token, held while releases are looked through
	releases map[uint64]sight
}

// sight is what a release was found to be: of a module, or why it does not hold.
type sight struct {
	at     time.Time
	module manifest.Digest
	err    *manifest.ReleaseError
}

// NewSeen makes a Seen that believes for fresh what it saw: so long a name in the store that was given to another release is taken for the old one.
func NewSeen(fresh time.Duration, clock func() time.Time) *Seen {
	s := &Seen{fresh: fresh, clock: clock, turn: make(chan struct{}, 1), releases: map[uint64]sight{}}
	s.turn <- struct{}{}
	return s
}

// begin waits until nobody else looks through the releases. Who begins ends.
// Errors: ctx's.
func (s *Seen) begin(ctx context.Context) error {
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Seen) end() { s.turn <- struct{}{} }

// recall returns what the release of that number was found to be.
func (s *Seen) recall(number uint64) (sight, bool) {
	seen, ok := s.releases[number]
	return seen, ok && s.clock().Sub(seen.at) < s.fresh
}

// note remembers what a release is.
func (s *Seen) note(number uint64, module manifest.Digest, err *manifest.ReleaseError) {
	if len(s.releases) >= releasesMax {
		clear(s.releases) // numbers that are gone from the store
	}
	s.releases[number] = sight{s.clock(), module, err}
}
