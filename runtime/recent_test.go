package runtime

import (
	"bytes"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestOutcomeAgain settles a message, and gets it once more from a broker that has forgotten it, as Redis does that was set
// back: nothing runs, and the same outcome with the same result is written again.
func TestOutcomeAgain(t *testing.T) {
	f := &fake{}
	w, _ := openInside(t, f)
	d := delivery(t, 1)
	o, err := w.open(w.rules.Load(), d, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	begin := func(token string) *begun {
		return w.begin(w.posts[0], o, queue.Started{Lease: queue.Lease{Lane: d.Lane, Entry: d.Entry, ID: delivery1, Token: token}, Attempt: 1})
	}
	w.conclude(&job{begun: begin("first")}, release{}, sandbox.Outcome{Verdict: sandbox.Done, Output: []byte("42")}, time.Now())
	batch, _ := w.posts[0].ended.take()
	w.sign(batch)
	w.settleBatch(t.Context(), w.posts[0], batch)
	w.posts[0].ended.written()
	if !w.endedBefore(&job{begun: begin("second")}) {
		t.Fatal("it would run again")
	}
	batch, _ = w.posts[0].ended.take()
	w.settleBatch(t.Context(), w.posts[0], batch)
	if len(f.settled) != 2 {
		t.Fatalf("%d settlements, want 2", len(f.settled))
	}
	first, second := f.settled[0], f.settled[1]
	if second.Lease.Token != "second" || second.Verdict != first.Verdict || len(second.Result) == 0 || !bytes.Equal(second.Result, first.Result) ||
		second.ResultKey != first.ResultKey || second.ResultTTL != first.ResultTTL {
		t.Errorf("settled %+v, then %+v: want the same under the new lease", first, second)
	}
}

// TestRecentIsBounded adds more than is kept: the oldest go, by number and by bytes.
func TestRecentIsBounded(t *testing.T) {
	digest := func(i int) envelope.Digest { return envelope.Digest{byte(i), byte(i >> 8), byte(i >> 16)} }
	var r recent
	for i := range recentMax + 2 {
		r.add(digest(i), queue.Settlement{})
	}
	if _, kept := r.get(digest(1)); kept || len(r.by) != recentMax || len(r.order) != recentMax {
		t.Errorf("%d and %d are kept, the second %t", len(r.by), len(r.order), kept)
	}
	if _, kept := r.get(digest(2)); !kept {
		t.Error("the third is not kept")
	}
	large := recent{}
	for i := range 5 {
		large.add(digest(i), queue.Settlement{Result: make([]byte, recentBytesMax/4)})
	}
	if _, kept := large.get(digest(0)); kept || large.bytes > recentBytesMax {
		t.Errorf("%d bytes are kept, the first %t", large.bytes, kept)
	}
	large.add(digest(4), queue.Settlement{})
	if large.bytes != 3*recentBytesMax/4 {
		t.Errorf("%d bytes after one was replaced", large.bytes)
	}
}
