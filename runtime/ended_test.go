package runtime

import (
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"github.com/caisson-run/caisson/queue/envelope"
)

// numbered is the digest of the i-th of many messages.
func numbered(i int) (d envelope.Digest) {
	binary.LittleEndian.PutUint64(d[:], uint64(i)+1)
	return d
}

// bytes is what e takes for entries.
func (e *ended) bytes() (n int) {
	for i := range e.shards {
		n += len(e.shards[i]) * int(unsafe.Sizeof(endedSet{}))
	}
	return n
}

// TestEndedGrows: it takes memory for the messages that it knows, forgets none of them while there is room, and what has expired
// makes room for others.
func TestEndedGrows(t *testing.T) {
	var e ended
	now := time.Now()
	const many = 20_000
	for i := range many {
		e.add(numbered(i), now, now.Add(time.Minute), death{})
		e.add(numbered(i), now, now.Add(time.Minute), death{}) // again, which takes no place of its own
	}
	for i := range many {
		if known, _ := e.has(numbered(i)); !known {
			t.Fatalf("message %d of %d is not known", i, many)
		}
	}
	took := e.bytes()
	if each := took / many; each > 120 {
		t.Errorf("%d bytes for %d messages, %d each", took, many, each)
	}
	for minute := 2; minute < 10; minute++ { // the same rate goes on, and what comes expires
		later := now.Add(time.Duration(minute) * time.Minute)
		for i := range many {
			e.add(numbered(minute*many+i), later, later.Add(50*time.Second), death{})
		}
	}
	if e.bytes() > 2*took {
		t.Errorf("it grew from %d to %d bytes though no more messages can come again", took, e.bytes())
	}
}

// TestEndedIsBounded fills one of its shards: at its bound it forgets what expires first.
func TestEndedIsBounded(t *testing.T) {
	var e ended
	now := time.Now()
	e.add(numbered(0), now, now.Add(time.Second), death{}) // which draws the seed
	shard, _ := e.place([10]byte{1})
	const most = endedSets * endedWays
	last, n := 0, 0
	for i := 1; n < 2*most; i++ {
		d := numbered(i)
		if of, _ := e.place([10]byte(d[:10])); of == shard {
			n, last = n+1, i
			e.add(d, now, now.Add(time.Minute+time.Duration(i)*time.Second), death{})
		}
	}
	if len(*shard) != endedSets || e.bytes() > most*int(unsafe.Sizeof(endedEntry{})) {
		t.Errorf("%d sets in %d bytes, at most %d", len(*shard), e.bytes(), endedSets)
	}
	if known, _ := e.has(numbered(last)); !known {
		t.Error("the last is not known")
	}
	if known, _ := e.has(numbered(0)); known {
		t.Error("what expires first is still known")
	}
}

// TestEndedDoubts: a dead letter that comes again is doubted once, and once more only after it has died again.
func TestEndedDoubts(t *testing.T) {
	var e ended
	now := time.Now()
	if e.doubt(numbered(1)) {
		t.Error("what is not known is doubted")
	}
	for range 2 {
		e.add(numbered(1), now, now.Add(time.Minute), death{at: now, code: codeSum("task.failed")})
		if !e.doubt(numbered(1)) || e.doubt(numbered(1)) {
			t.Error("it is not doubted once")
		}
	}
	e.forget(numbered(1))
	if known, _ := e.has(numbered(1)); known || e.doubt(numbered(1)) {
		t.Error("what was forgotten is known")
	}
}
