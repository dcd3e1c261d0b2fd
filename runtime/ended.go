package runtime

import (
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// ended remembers which messages this worker has settled, until they expire, so that one whose state somebody deleted
// from the broker does not run on this worker again. It has a fixed size: endedSets sets of endedWays entries. A full
// set forgets what expires first.
//
// An entry is 10 bytes of the message's SHA-256, the second after which it may be forgotten, and how it ended.
type ended struct {
	seed  maphash.Seed
	mu    sync.Mutex
	start time.Time  // what times of deaths are counted from
	sets  []endedSet // made at the first add
}

type endedSet [endedWays]endedEntry

type endedEntry struct {
	digest [10]byte
	code   uint16 // codeSum of its code, of a dead letter
	until  uint32 // seconds since 1970; 0: free
	died   uint32 // deathUnits since ended.start; 0: it is no dead letter
	doubt  bool   // a dead letter that came again, and there was no order that requeued it yet
}

// deathUnit is what times of deaths are kept in. They wrap after five days, when whatever has died before has long
// expired.
const deathUnit = 100 * time.Microsecond

// A death is when and by which code a message became a dead letter; of what did not, the zero death.
type death struct {
	at   time.Time
	code uint16
}

// codeSum is what is remembered of a code.
func codeSum(code string) uint16 { return uint16(crc32.ChecksumIEEE([]byte(code))) }

// coded reports whether d was by that code, or one that looks the same.
func (d death) coded(code string) bool { return d.code == codeSum(code) }

// add remembers the message of digest until it expires. d is zero if it is no dead letter.
func (e *ended) add(digest envelope.Digest, expires time.Time, d death) {
	entry := endedEntry{digest: [10]byte(digest[:10]), code: d.code, until: uint32(max(expires.Unix(), 0)) + 1}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sets == nil {
		e.seed, e.sets, e.start = maphash.MakeSeed(), make([]endedSet, endedSets), time.Now().Add(-time.Hour)
	}
	if !d.at.IsZero() {
		entry.died = max(uint32(d.at.Sub(e.start)/deathUnit), 1)
	}
	set := e.set(digest)
	at := 0
	for i := range set {
		if set[i].digest == entry.digest {
			at = i
			break
		}
		if set[i].until < set[at].until {
			at = i
		}
	}
	set[at] = entry
}

// has reports whether the message of digest was settled here, and, if as a dead letter, its death.
func (e *ended) has(digest envelope.Digest) (known bool, d death) {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry := e.find(digest)
	if entry == nil || entry.died == 0 {
		return entry != nil, death{}
	}
	now := time.Since(e.start) / deathUnit
	ago := uint32(now) - entry.died
	return true, death{e.start.Add((now - time.Duration(ago)) * deathUnit), entry.code}
}

// forget lets the message of digest be new.
func (e *ended) forget(digest envelope.Digest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if entry := e.find(digest); entry != nil {
		*entry = endedEntry{}
	}
}

// doubt reports whether the message of digest, which is known, came again for the first time.
func (e *ended) doubt(digest envelope.Digest) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	entry := e.find(digest)
	if entry == nil || entry.doubt {
		return false
	}
	entry.doubt = true
	return true
}

// find returns the entry of digest, nil when there is none. e.mu is held.
func (e *ended) find(digest envelope.Digest) *endedEntry {
	if e.sets == nil {
		return nil
	}
	set := e.set(digest)
	for i := range set {
		if set[i].until != 0 && set[i].digest == [10]byte(digest[:10]) {
			return &set[i]
		}
	}
	return nil
}

// set returns the place of digest. The seed keeps senders from choosing messages for one set.
func (e *ended) set(digest envelope.Digest) *endedSet {
	return &e.sets[maphash.Comparable(e.seed, binary.LittleEndian.Uint64(digest[:]))%endedSets]
}
