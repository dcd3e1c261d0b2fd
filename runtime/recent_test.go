package runtime

import (
	"bytes"
	"reflect"
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
	batch := w.outcomes()
	w.sign(batch)
	w.settleBatch(t.Context(), w.posts[0], batch)
	if !w.endedBefore(&job{begun: begin("second")}) {
		t.Fatal("it would run again")
	}
	w.settleBatch(t.Context(), w.posts[0], w.outcomes())
	if len(f.settled) != 2 {
		t.Fatalf("%d settlements, want 2", len(f.settled))
	}
	first, second := f.settled[0], f.settled[1]
	if second.Lease.Token != "second" || second.Verdict != first.Verdict || len(second.Result) == 0 || !bytes.Equal(second.Result, first.Result) ||
		second.ResultKey != first.ResultKey || second.ResultTTL != first.ResultTTL {
		t.Errorf("settled %+v, then %+v: want the same under the new lease", first, second)
	}
}

// TestRecentKeepsOutcomes: what comes out is what went in, but for the lease.
func TestRecentKeepsOutcomes(t *testing.T) {
	r := recent{keep: time.Minute}
	want := map[byte]queue.Settlement{
		1: {Verdict: queue.Done(), Result: []byte("42"), ResultKey: "sender", ResultTTL: time.Hour},
		2: {Verdict: queue.Done(), Result: make([]byte, 2*recentPage), ResultKey: "sender", ResultTTL: time.Minute, Wake: true},
		3: {Verdict: queue.Dead("task.error", "run 3 of 3: no"), Result: []byte{0}, ResultKey: "other", ResultTTL: time.Second},
		4: {Verdict: queue.Dead("policy.denied", "")},
	}
	for i, s := range want {
		s.Lease = queue.Lease{Token: "gone"}
		r.add(envelope.Digest{i}, time.Time{}, s)
	}
	r.add(envelope.Digest{1}, time.Time{}, want[1]) // replaced
	for i, s := range want {
		if got, kept := r.get(envelope.Digest{i}); !kept || !reflect.DeepEqual(got, s) {
			t.Errorf("%d: kept %t, %+v, want %+v", i, kept, got, s)
		}
	}
	if _, kept := r.get(envelope.Digest{5}); kept {
		t.Error("what was never added is kept")
	}
}

// TestRecentIsBounded adds more than is kept: the oldest go, by number and by bytes.
func TestRecentIsBounded(t *testing.T) {
	digest := func(i int) envelope.Digest { return envelope.Digest{byte(i), byte(i >> 8), byte(i >> 16)} }
	r := recent{keep: time.Minute}
	var now time.Time
	for i := range recentMax + 2 {
		r.add(digest(i), now, queue.Settlement{Verdict: queue.Done()})
	}
	if _, kept := r.get(digest(1)); kept || len(r.by) > recentMax || len(r.by) < recentMax/2 {
		t.Errorf("%d are kept, the second %t", len(r.by), kept)
	}
	if _, kept := r.get(digest(recentMax + 1)); !kept {
		t.Error("the last is not kept")
	}
	large := recent{keep: time.Minute}
	for i := range 5 {
		large.add(digest(i), now, queue.Settlement{Verdict: queue.Done(), Result: make([]byte, recentBytesMax/4)})
	}
	if _, kept := large.get(digest(0)); kept || large.bytes > recentBytesMax {
		t.Errorf("%d bytes are kept, the first %t", large.bytes, kept)
	}
	large.add(digest(4), now, queue.Settlement{Verdict: queue.Done()}) // a second time, in another page
	for i := range 4 {
		large.add(digest(10+i), now, queue.Settlement{Verdict: queue.Done(), Result: make([]byte, recentBytesMax/4)})
	}
	if len(large.by) > 4 || large.bytes > recentBytesMax {
		t.Errorf("%d outcomes in %d bytes are kept", len(large.by), large.bytes)
	}
}

// TestRecentForgets: an outcome goes once one has come that is newer by more than it is kept, and not before, however late that is.
func TestRecentForgets(t *testing.T) {
	r := recent{keep: time.Minute}
	begun := time.Now()
	full := queue.Settlement{Verdict: queue.Done(), Result: make([]byte, recentPage)} // which takes a page of its own
	kept := func(i byte) bool { _, kept := r.get(envelope.Digest{i}); return kept }
	r.add(envelope.Digest{1}, begun, full)
	r.add(envelope.Digest{2}, begun.Add(time.Minute), full)
	if !kept(1) || !kept(2) {
		t.Fatal("one is forgotten that is not older than it is kept")
	}
	r.add(envelope.Digest{3}, begun.Add(time.Minute+time.Second), full)
	if kept(1) || !kept(2) || !kept(3) {
		t.Errorf("kept: %t %t %t, want all but the first", kept(1), kept(2), kept(3))
	}
	r.add(envelope.Digest{4}, begun.Add(time.Hour), full)
	if kept(2) || kept(3) || !kept(4) || len(r.pages) != 1 || r.bytes > 2*recentPage {
		t.Errorf("%d pages of %d bytes are kept, want that of the last", len(r.pages), r.bytes)
	}
}

// TestRecentWrittenTwice: of a message whose outcome was written again, the newer stays when the page of the older goes.
func TestRecentWrittenTwice(t *testing.T) {
	r := recent{keep: time.Minute}
	now := time.Now()
	add := func(i int, result string) {
		r.add(numbered(i), now, queue.Settlement{Verdict: queue.Done(), Result: []byte(result)})
	}
	add(1, "old")
	add(2, string(make([]byte, recentPage))) // a page of its own
	add(1, "new")
	now = now.Add(2 * time.Minute)
	r.pages[len(r.pages)-1].last = now
	add(3, "")
	if _, kept := r.get(numbered(2)); kept {
		t.Error("the pages before are still there")
	}
	if s, kept := r.get(numbered(1)); !kept || string(s.Result) != "new" {
		t.Errorf("kept %v, %q", kept, s.Result)
	}
}
