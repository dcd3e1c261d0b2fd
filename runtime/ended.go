package runtime

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// ended remembers which messages this worker has settled, until they expire, so that one whose state somebody deleted
// from the broker does not run on this worker again. It has a fixed size: endedSets sets of endedWays entries. A full
// set forgets what expires first.
//
// An entry is 12 bytes of the message's SHA-256 and the second after which it may be forgotten, of which the two lowest
// bits say more: see endedDead and endedDoubt.
type ended struct {
	seed maphash.Seed
	mu   sync.Mutex
	sets []endedSet // made at the first add
}

type endedSet [endedWays]struct {
	digest [12]byte
	until  uint32 // 0: free
}

const (
	endedDead  = 1 // it became a dead letter, which an order may requeue
	endedDoubt = 2 // it came again, and there was no such order yet
)

// add remembers the message of digest until it expires.
func (e *ended) add(digest envelope.Digest, expires time.Time, dead bool) {
	until := uint32(max(expires.Unix(), 0))&^3 + 4 // up to four seconds more
	if dead {
		until |= endedDead
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sets == nil {
		e.seed, e.sets = maphash.MakeSeed(), make([]endedSet, endedSets)
	}
	set := e.set(digest)
	at := 0
	for i := range set {
		if set[i].digest == [12]byte(digest[:12]) {
			at = i
			break
		}
		if set[i].until < set[at].until {
			at = i
		}
	}
	set[at].digest, set[at].until = [12]byte(digest[:12]), until
}

// has reports whether the message of digest was settled here, and whether as a dead letter.
func (e *ended) has(digest envelope.Digest) (known, dead bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	until := e.find(digest)
	return until != nil, until != nil && *until&endedDead != 0
}

// doubt reports whether the message of digest, which is known, came again for the first time.
func (e *ended) doubt(digest envelope.Digest) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	until := e.find(digest)
	if until == nil || *until&endedDoubt != 0 {
		return false
	}
	*until |= endedDoubt
	return true
}

// find returns the entry of digest, nil when there is none. e.mu is held.
func (e *ended) find(digest envelope.Digest) *uint32 {
	if e.sets == nil {
		return nil
	}
	set := e.set(digest)
	for i := range set {
		if set[i].until != 0 && set[i].digest == [12]byte(digest[:12]) {
			return &set[i].until
		}
	}
	return nil
}

// set returns the place of digest. The seed keeps senders from choosing messages for one set.
func (e *ended) set(digest envelope.Digest) *endedSet {
	return &e.sets[maphash.Comparable(e.seed, binary.LittleEndian.Uint64(digest[:]))%endedSets]
}
