package runtime

import (
	"sync"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// recent keeps the last outcomes that this worker has written, whole. A broker that was set back (Redis with appendfsync
// everysec loses up to two seconds of writes with its machine) gives their messages out again: then the same outcome is
// written again, and nothing runs twice. recentMax and recentBytesMax bound it; the oldest go first.
type recent struct {
	mu    sync.Mutex
	by    map[envelope.Digest]queue.Settlement
	order []envelope.Digest // oldest first
	bytes int               // of results
}

// add keeps s, which has been written for the message of digest.
func (r *recent) add(digest envelope.Digest, s queue.Settlement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[envelope.Digest]queue.Settlement{}
	}
	if before, there := r.by[digest]; there {
		r.bytes -= len(before.Result)
	} else {
		r.order = append(r.order, digest)
	}
	r.by[digest] = s
	r.bytes += len(s.Result)
	for len(r.order) > recentMax || r.bytes > recentBytesMax {
		oldest := r.order[0]
		r.order = r.order[1:]
		r.bytes -= len(r.by[oldest].Result)
		delete(r.by, oldest)
	}
}

// get returns what was written for the message of digest, if it is still kept.
func (r *recent) get(digest envelope.Digest) (queue.Settlement, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, kept := r.by[digest]
	return s, kept
}
