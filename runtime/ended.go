package runtime

import (
	"encoding/binary"
	"hash/crc32"
	"hash/maphash"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// ended remembers which messages this worker has settled, until they expire, so that a message whose state somebody deleted
// from the broker does not run on this worker again.
//
// It is a set-associative table whose memory grows with its contents: endedShards tables, each of sets of endedWays entries. When
// a set is full its table doubles, up to endedSets sets; after that a full set forgets the entry that expires first.
//
// An entry is 10 bytes of the message's SHA-256, the second after which it may be forgotten, and how the message ended.
type ended struct {
	seed   maphash.Seed
	mu     sync.Mutex
	start  time.Time // the origin of endedEntry.died; zero until the first add
	shards [endedShards][]endedSet
}

type endedSet [endedWays]endedEntry

type endedEntry struct {
	digest [10]byte
	code   uint16 // of a dead letter: codeSum of its code
	until  uint32 // when it may be forgotten, in seconds since 1970; 0: the entry is free
	died   uint32 // of a dead letter: when, in deathUnits since ended.start; else 0
	doubt  bool   // of a dead letter: it was delivered again, and no order to requeue it was heard yet
}

// deathUnit is the resolution of endedEntry.died. It wraps after five days, when the message has long expired.
const deathUnit = 100 * time.Microsecond

// A death says when a message became a dead letter, and with which code. The zero death: it did not.
type death struct {
	at   time.Time
	code uint16
}

// codeSum returns 16 bits of a checksum of a code.
func codeSum(code string) uint16 { return uint16(crc32.ChecksumIEEE([]byte(code))) }

// coded reports whether d had that code, or one with the same codeSum.
func (d death) coded(code string) bool { return d.code == codeSum(code) }

// add remembers the message of digest until it expires. Entries that have expired at now may be overwritten. d is zero unless
// the message is a dead letter.
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

// seconds returns t in seconds since 1970, as entries keep it.
func seconds(t time.Time) uint32 { return uint32(max(t.Unix(), 0)) }

// first returns a free entry of s or, if there is none, the one that expires first.
func (s *endedSet) first() *endedEntry {
	at := 0
	for i := range s {
		if s[i].until < s[at].until {
			at = i
		}
	}
	return &s[at]
}

// double rehashes a shard's table into twice as many sets, without the entries that have expired. The entries of one set go
// into two, so that there is room for all.
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

// has reports whether the message of digest was settled here and, if as a dead letter, its death.
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

// forget removes the message of digest.
func (e *ended) forget(digest envelope.Digest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if entry := e.find(digest); entry != nil {
		*entry = endedEntry{}
	}
}

// doubt reports whether a known message was delivered again for the first time, and remembers that it was.
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

// place returns the shard of an entry, and a number that modulo the number of the shard's sets is its set. The seed keeps senders
// from choosing messages that all fall into one set.
func (e *ended) place(digest [10]byte) (shard *[]endedSet, at int) {
	hash := maphash.Comparable(e.seed, binary.LittleEndian.Uint64(digest[:]))
	return &e.shards[hash%endedShards], int(hash / endedShards % endedSets)
}
