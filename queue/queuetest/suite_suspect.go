package queuetest

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// crashed sends messages and lets each crash so often that it is a suspect; they are in the lane afterwards.
func crashed(t *testing.T, b Broker, w Worker, ids ...string) {
	t.Helper()
	send(t, b, acme, ids...)
	for range queue.SuspectCrashes {
		for _, d := range claim(t, w, 10, acme) {
			s := granted(t, w, d, string(d.Message))
			apply(t, w, s.Lease, queue.Crash(time.Now()))
		}
		promoteAll(t, w, len(ids))
	}
}

// Suspects are granted one at a time, whatever else is; the next comes when the first has ended.
func testSuspects(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	crashed(t, b, w, "one", "two", "three")
	send(t, b, acme, "fresh")
	batch := claim(t, w, 10, acme)
	starts := make([]queue.Start, len(batch))
	for i, d := range batch {
		starts[i] = startOf(d, string(d.Message))
	}
	got, err := w.Start(ctxOf(t), starts)
	if err != nil {
		t.Fatal(err)
	}
	var suspect queue.Lease
	throttled := 0
	for i, s := range got {
		switch {
		case string(batch[i].Message) == "fresh":
			if s.State != queue.Granted {
				t.Errorf("a message without a crash: %s, want granted", s.State)
			}
		case s.State == queue.Granted && suspect.ID == "":
			suspect = s.Lease
			if s.Crashes != queue.SuspectCrashes {
				t.Errorf("the suspect has %d crashes", s.Crashes)
			}
		case s.State == queue.Throttled:
			throttled++
		default:
			t.Errorf("%s: %s", batch[i].Message, s.State)
		}
	}
	if suspect.ID == "" || throttled != 2 {
		t.Fatalf("started %+v, want one suspect granted and two throttled", got)
	}
	if again := claim(t, w, 10, acme); len(again) != 0 {
		t.Fatalf("%d came back before the first had ended", len(again))
	}
	apply(t, w, suspect, queue.Done())
	next := claimOne(t, w, acme)
	second := granted(t, w, next, string(next.Message))
	if second.Crashes != queue.SuspectCrashes {
		t.Errorf("waiting counted a crash: %+v", second)
	}
}

// A suspect whose worker dies before it has begun counts nothing, however often.
func testSuspectHeld(t *testing.T, b Broker) {
	dead, alive := b.Worker(t, "dead", short), b.Worker(t, "alive", short)
	crashed(t, b, dead, "one")
	granted(t, dead, claimOne(t, dead, acme), "one")
	for _, w := range []Worker{alive, dead, alive} {
		if s := granted(t, w, recoverAll(t, w, 1, acme)[0], "one"); s.Crashes != queue.SuspectCrashes {
			t.Errorf("started %+v, want %d crashes", s, queue.SuspectCrashes)
		}
	}
}

// A suspect's worker dies with it: it comes again with one crash more, when its lease is over, and is no suspect any more but
// what the worker makes of it. The others waited, and count nothing.
func testSuspectCrashes(t *testing.T, b Broker) {
	dead, alive := b.Worker(t, "dead", short), b.Worker(t, "alive", short)
	crashed(t, b, dead, "one", "two")
	var guilty string
	for _, d := range claim(t, dead, 10, acme) {
		if s := begin(t, dead, d, string(d.Message)); s.State == queue.Granted {
			guilty = string(d.Message)
			begins := func(s *queue.Start) { s.Begins = true }
			for range 2 { // the second time as when the reply was lost
				if s := ask(t, dead, []queue.Delivery{d}, begins)[0]; s.State != queue.Granted {
					t.Errorf("begun: %+v", s)
				}
			}
			other := d
			other.Token += "x"
			if s := ask(t, dead, []queue.Delivery{other}, begins)[0]; s.State != queue.Lost {
				t.Errorf("begun by another token: %+v", s)
			}
		}
	}
	got := recoverAll(t, alive, 1, acme)
	if s := granted(t, alive, got[0], guilty); s.Crashes != queue.SuspectCrashes+1 {
		t.Errorf("started %+v, want %d crashes", s, queue.SuspectCrashes+1)
	}
	promoteAll(t, alive, 1)
	other := claimOne(t, alive, acme)
	if s := granted(t, alive, other, string(other.Message)); s.Crashes != queue.SuspectCrashes {
		t.Errorf("the other was started %+v, want %d crashes", s, queue.SuspectCrashes)
	}
}
