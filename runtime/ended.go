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
// from the broker does not run on this worker again.
//
// It takes memory for what it remembers and no more: it is made of endedShards tables, each of sets of endedWays entries. When
// all of a set are in use its table doubles, up to endedSets; a full set of such a table forgets what expires first.
//
// An entry is 10 bytes of the message's SHA-256, the second after which it may be forgotten, and how it ended.
type ended struct {
	seed   maphash.Seed
	mu     sync.Mutex
	start  time.Time // what times of deaths are counted from; zero until the first add
	shards [endedShards][]endedSet
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

// add remembers the message of digest until it expires; now is the instant that others have expired by. d is zero if it is
// no dead letter.
func (e *ended) add(digest envelope.Digest, now, expires time.Time, d death) {
	entry := endedEntry{digest: [10]byte(digest[:10]), code: d.code, until: seconds(expires) + 1}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.start.IsZero() {
		e.seed, e.start = maphash.MakeSeed(), time.Now().Add(-time.Hour)
	}
	if !d.at.IsZero() {
		entry.died = max(uint32(d.at.Sub(e.start)/deathUnit), 1)
	}
	shard, at := e.place(entry.digest)
	if *shard == nil {
		*shard = make([]endedSet, 1)
	}
	if known := e.find(digest); known != nil {
		*known = entry
		return
	}
	for len(*shard) < endedSets && (*shard)[at%len(*shard)].first().until > seconds(now) {
		e.double(shard, seconds(now))
	}
	*(*shard)[at%len(*shard)].first() = entry
}

// seconds is t as entries keep it.
func seconds(t time.Time) uint32 { return uint32(max(t.Unix(), 0)) }

// first returns what of s is free or expires first.
func (s *endedSet) first() *endedEntry {
	at := 0
	for i := range s {
		if s[i].until < s[at].until {
			at = i
		}
	}
	return &s[at]
}

// double makes a shard's table one of twice as many sets, without what has expired by now. What was in a set comes into one of
// two, so that there is room for it.
func (e *ended) double(shard *[]endedSet, now uint32) {
	more := make([]endedSet, 2*len(*shard))
	for i := range *shard {
		for _, entry := range (*shard)[i] {
			if entry.until > now {
				_, at := e.place(entry.digest)
				*more[at%len(more)].first() = entry
			}
		}
	}
	*shard = more
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
	if e.start.IsZero() {
		return nil
	}
	shard, at := e.place([10]byte(digest[:10]))
	if *shard == nil {
		return nil
	}
	set := &(*shard)[at%len(*shard)]
	for i := range set {
		if set[i].until != 0 && set[i].digest == [10]byte(digest[:10]) {
			return &set[i]
		}
	}
	return nil
}

// place returns where an entry belongs: its shard, and a number that modulo the shard's sets is its set. The seed keeps senders
// from choosing messages for one set.
func (e *ended) place(digest [10]byte) (shard *[]endedSet, at int) {
	hash := maphash.Comparable(e.seed, binary.LittleEndian.Uint64(digest[:]))
	return &e.shards[hash%endedShards], int(hash / endedShards % endedSets)
}
