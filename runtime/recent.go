package runtime

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// recent keeps the newest outcomes that this worker has written, with their results. A broker that was set back to an older state (Redis
// with appendfsync everysec loses up to two seconds of writes with its machine) delivers their messages again: then the same outcome
// is written again, and nothing runs twice. Outcomes older than keep are dropped when a newer one is added, so that none is dropped
// while the broker is away; recentMax and recentBytesMax bound them, too. The oldest are dropped first, a page at a time.
//
// They are encoded into pages of bytes, which the garbage collector need not scan: as structs they were most of its work.
type recent struct {
	keep  time.Duration
	mu    sync.Mutex
	by    map[envelope.Digest]place
	pages []*page // oldest first
	first uint32  // number of pages[0]
	bytes int     // of all pages
}

// place says where an outcome begins: the number of its page, and the offset in it.
type place struct{ page, at uint32 }

type page struct {
	data []byte            // outcomes, one after the other
	of   []envelope.Digest // the digests of their messages
	last time.Time         // when the last was added
}

// add keeps s, which has been written for the message of digest, without its lease.
func (r *recent) add(digest envelope.Digest, now time.Time, s queue.Settlement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[envelope.Digest]place{}
	}
	p := r.room(len(s.Result) + len(s.ResultKey) + len(s.Verdict.Code()) + len(s.Verdict.Reason()) + 6*binary.MaxVarintLen64)
	r.by[digest] = place{r.first + uint32(len(r.pages)-1), uint32(len(p.data))}
	p.data, p.of, p.last = appendOutcome(p.data, &s), append(p.of, digest), now
	for len(r.pages) > 1 && (len(r.by) > recentMax || r.bytes > recentBytesMax || now.Sub(r.pages[0].last) > r.keep) {
		r.drop()
	}
}

// room returns the page that the next size bytes go to.
func (r *recent) room(size int) *page {
	if n := len(r.pages); n > 0 && cap(r.pages[n-1].data)-len(r.pages[n-1].data) >= size {
		return r.pages[n-1]
	}
	p := &page{data: make([]byte, 0, max(recentPage, size))}
	r.pages = append(r.pages, p)
	r.bytes += cap(p.data)
	return p
}

// drop forgets the oldest page.
func (r *recent) drop() {
	oldest := r.pages[0]
	for _, digest := range oldest.of {
		if r.by[digest].page == r.first { // else a newer page has it, too
			delete(r.by, digest)
		}
	}
	r.bytes -= cap(oldest.data)
	r.pages[0] = nil
	r.pages = r.pages[1:]
	r.first++
}

// get returns what was written for the message of digest, without a lease, if it is still kept.
func (r *recent) get(digest envelope.Digest) (queue.Settlement, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, kept := r.by[digest]
	if !kept {
		return queue.Settlement{}, false
	}
	return outcomeAt(r.pages[at.page-r.first].data[at.at:]), true
}

const (
	outcomeDead = 1 << iota // else it is done
	outcomeWake
)

// appendOutcome writes s, which is done or dead, as five values: what it is, its result's life, and texts with their lengths.
func appendOutcome(b []byte, s *queue.Settlement) []byte {
	kind := uint64(0)
	if s.Verdict.Outcome() == queue.OutcomeDead {
		kind |= outcomeDead
	}
	if s.Wake {
		kind |= outcomeWake
	}
	b = binary.AppendUvarint(b, kind)
	b = binary.AppendVarint(b, int64(s.ResultTTL))
	for _, text := range [...]string{s.Verdict.Code(), s.Verdict.Reason(), s.ResultKey} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return append(binary.AppendUvarint(b, uint64(len(s.Result))), s.Result...)
}

// outcomeAt reads what appendOutcome wrote. Nothing of it is part of b.
func outcomeAt(b []byte) queue.Settlement {
	text := func() []byte {
		n, size := binary.Uvarint(b)
		value := b[size : size+int(n)]
		b = b[size+int(n):]
		return value
	}
	kind, size := binary.Uvarint(b)
	ttl, more := binary.Varint(b[size:])
	b = b[size+more:]
	code, reason, key := string(text()), string(text()), string(text())
	s := queue.Settlement{Verdict: queue.Done(), ResultKey: key, ResultTTL: time.Duration(ttl), Wake: kind&outcomeWake != 0}
	if kind&outcomeDead != 0 {
		s.Verdict = queue.Dead(code, reason)
	}
	if result := text(); len(result) > 0 {
		s.Result = append([]byte(nil), result...)
	}
	return s
}
