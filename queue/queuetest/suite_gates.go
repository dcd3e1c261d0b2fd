package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// ask starts deliveries whose messages are their ids, each changed by with.
func ask(t testing.TB, w Worker, ds []queue.Delivery, with func(s *queue.Start)) []queue.Started {
	t.Helper()
	batch := make([]queue.Start, len(ds))
	for i, d := range ds {
		batch[i] = startOf(d, string(d.Message))
		with(&batch[i])
	}
	got, err := w.Start(ctxOf(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// states counts how many of got are in each state.
func states(got []queue.Started) map[queue.State]int {
	out := map[queue.State]int{}
	for _, s := range got {
		out[s.State]++
	}
	return out
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return out
}

func gated(gates ...queue.Gate) func(s *queue.Start) {
	return func(s *queue.Start) { s.Gates = gates }
}

func testUnique(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "first", "second", "third", "brief", "later")
	ds := claim(t, w, 10, acme)
	unique := func(s *queue.Start) { s.Unique = queue.Unique{Key: "key", Window: time.Minute} }
	first := ask(t, w, ds[:1], unique)[0]
	second := ask(t, w, ds[1:2], unique)[0]
	if first.State != queue.Granted || second.State != queue.Taken || second.First != "first" || second.Lease.Token == "" {
		t.Fatalf("first %+v, second %+v", first, second)
	}
	// The reply may have been lost.
	if again := ask(t, w, ds[1:2], unique)[0]; again.State != queue.Taken || again.First != "first" {
		t.Errorf("asked again: %+v", again)
	}
	// Its sender is told, and a copy of it has ended.
	if got := settle(t, w, resultOf(second.Lease, queue.Dead("task.duplicate", "of first"), "first")); got != queue.Applied {
		t.Errorf("dead: %s", got)
	}
	send(t, b, acme, "second")
	if got := ask(t, w, claim(t, w, 1, acme), unique)[0]; got.State != queue.Replayed {
		t.Errorf("a copy of the second: %s", got.State)
	}
	// Whoever holds the key may try again, and the key outlives its end.
	apply(t, w, first.Lease, queue.Retry(time.Now()))
	promoteAll(t, w, 1)
	if first = ask(t, w, claim(t, w, 1, acme), unique)[0]; first.State != queue.Granted || first.Attempt != 2 {
		t.Fatalf("the holder's second attempt: %+v", first)
	}
	apply(t, w, first.Lease, queue.Done())
	if got := ask(t, w, ds[2:3], unique)[0]; got.State != queue.Taken || got.First != "first" {
		t.Errorf("within the window: %+v", got)
	}
	// Other tenants have keys of their own.
	send(t, b, other, "theirs")
	if got := ask(t, w, []queue.Delivery{claimOne(t, w, other)}, unique)[0]; got.State != queue.Granted {
		t.Errorf("another tenant's: %s", got.State)
	}
	brief := func(s *queue.Start) { s.Unique = queue.Unique{Key: "brief", Window: 100 * time.Millisecond} }
	apply(t, w, ask(t, w, ds[3:4], brief)[0].Lease, queue.Done())
	Eventually(t, "the window has passed", func() bool {
		b.Pass(pollEvery)
		return ask(t, w, ds[4:], brief)[0].State == queue.Granted
	})
}

// A holder whose window has passed while it waited is no duplicate of who came after.
func testUniqueHolderReturns(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "first", "next")
	ds := claim(t, w, 10, acme)
	unique := func(s *queue.Start) { s.Unique = queue.Unique{Key: "key", Window: 50 * time.Millisecond} }
	apply(t, w, ask(t, w, ds[:1], unique)[0].Lease, queue.Retry(time.Now()))
	Eventually(t, "the window has passed", func() bool {
		b.Pass(pollEvery)
		return ask(t, w, ds[1:], unique)[0].State == queue.Granted
	})
	promoteAll(t, w, 1)
	if got := ask(t, w, claim(t, w, 1, acme), unique)[0]; got.State != queue.Granted || got.Attempt != 2 {
		t.Errorf("the first one's second attempt: %+v", got)
	}
}

// What came before its time, and asked for nothing then, asks when its time has come.
func testUniqueParked(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	send(t, b, acme, "early", "next")
	ds := claim(t, w, 10, acme)
	unique := func(s *queue.Start) { s.Unique = queue.Unique{Key: "key", Window: time.Minute} }
	apply(t, w, ask(t, w, ds[:1], func(*queue.Start) {})[0].Lease, queue.Park(time.Now()))
	if got := ask(t, w, ds[1:], unique)[0]; got.State != queue.Granted {
		t.Errorf("the next one: %+v", got)
	}
	promoteAll(t, w, 1)
	if got := ask(t, w, claim(t, w, 1, acme), unique)[0]; got.State != queue.Taken || got.First != "next" {
		t.Errorf("the early one, when its time has come: %+v", got)
	}
}

// What came before its time has its unique key in no case before it has asked: not when it goes back to its lane, nor when its
// worker dies, which is no crash of what was not to run.
func testUniqueUnasked(t *testing.T, b Broker) {
	dead, w := b.Worker(t, "dead", short), b.Worker(t, "w", long)
	send(t, b, acme, "dies", "returns", "next")
	ds := claim(t, dead, 2, acme)
	unasked := func(s *queue.Start) { s.Unasked = true }
	unique := func(s *queue.Start) { s.Unique = queue.Unique{Key: "key", Window: time.Minute} }
	returns := ask(t, dead, ds[1:], unasked)[0].Lease
	apply(t, dead, returns, queue.Release())
	apply(t, dead, returns, queue.Release()) // sent again, as when the reply was lost
	if got := settle(t, dead, queue.Settlement{Lease: returns, Verdict: queue.Done()}); got != queue.LeaseLost {
		t.Errorf("done, after it went back: %s", got)
	}
	for range 2 { // the second time as when the reply was lost
		if got := ask(t, dead, ds[:1], unasked)[0]; got.State != queue.Granted {
			t.Errorf("the one whose worker dies: %+v", got)
		}
	}
	waiting := claim(t, w, 10, acme)
	if got := ask(t, w, waiting[:1], unique)[0]; got.State != queue.Granted {
		t.Errorf("the next one: %+v", got)
	}
	if got := ask(t, w, waiting[1:], unique)[0]; got.State != queue.Taken || got.First != "next" {
		t.Errorf("the one that went back, when its time has come: %+v", got)
	}
	alive := b.Worker(t, "alive", short)
	early := ask(t, alive, recoverAll(t, alive, 1, acme), unasked)[0]
	if early.State != queue.Granted || early.Crashes != 0 {
		t.Errorf("the one whose worker died, still before its time: %+v", early)
	}
	apply(t, alive, early.Lease, queue.Park(time.Now()))
	promoteAll(t, w, 1)
	if got := ask(t, w, claim(t, w, 1, acme), unique)[0]; got.State != queue.Taken || got.First != "next" {
		t.Errorf("the one whose worker died, when its time has come: %+v", got)
	}
}

func testGateInFlight(t *testing.T, b Broker) {
	w, v := b.Worker(t, "w", long), b.Worker(t, "v", long)
	all := numbered("m", 20)
	send(t, b, acme, all...)
	two := gated(queue.Gate{Name: "tenant-acme", InFlight: 2})
	got := append(ask(t, w, claim(t, w, 5, acme), two), ask(t, v, claim(t, v, 15, acme), two)...)
	if s := states(got); s[queue.Granted] != 2 || s[queue.Throttled] != 18 {
		t.Fatalf("states %v", s)
	}
	if st := stateOf(t, b, acme, "m019"); st.Phase != queue.PhaseWaiting || st.Attempt != 1 {
		t.Errorf("state of one that waits: %+v", st)
	}
	wantDepth(t, b, acme, 0, 2)
	// Each place that is freed goes to the next in line, at once and to no other.
	running := []queue.Started{got[0], got[1]}
	ended := []string{}
	for len(running) > 0 {
		s := running[0]
		if s.State != queue.Granted || s.Attempt != 1 || s.Crashes != 0 {
			t.Fatalf("after %d: %+v", len(ended), s)
		}
		apply(t, w, s.Lease, queue.Done())
		ended = append(ended, s.Lease.ID)
		running = append(running[1:], ask(t, w, claim(t, w, 10, acme), two)...)
		if len(running) > 2 {
			t.Fatalf("%d run", len(running))
		}
	}
	if !slices.Equal(ended, all) {
		t.Errorf("ended %q", ended)
	}
	if d, err := b.Inspector().Depth(ctxOf(t), []queue.Lane{acme}); err != nil || d.Due["jobs"] != 0 {
		t.Errorf("left behind: %+v, %v", d, err)
	}
}

// A dead worker's place is free with its lease, and whoever takes over its message needs no other.
func testGateCrash(t *testing.T, b Broker) {
	var alive Worker
	var one func(s *queue.Start)
	InTime(t, short, func(lease time.Duration) bool {
		alive, one = b.Worker(t, "alive", lease), gated(queue.Gate{Name: fmt.Sprint("g-", lease.Milliseconds()), InFlight: 1})
		return holdsPlace(t, b, alive, one, lease)
	})
	// It dies as well; nobody settles, and the one that waits comes by itself.
	Eventually(t, "the place is free", func() bool {
		if _, _, err := alive.Promote(ctxOf(t), "jobs", 10); err != nil {
			t.Fatal(err)
		}
		for _, d := range claim(t, alive, 1, acme) {
			if s := ask(t, alive, []queue.Delivery{d}, one)[0]; s.State == queue.Granted {
				return true
			}
		}
		return false
	})
}

// holdsPlace takes over a dead worker's message with its place at a gate, keeps it for some leases, and leaves another in line. It says false when a
// lease was not renewed in time.
func holdsPlace(t *testing.T, b Broker, alive Worker, one func(s *queue.Start), lease time.Duration) bool {
	dead := b.Worker(t, "dead", lease)
	send(t, b, acme, fmt.Sprint("crashed-", lease.Milliseconds()))
	if s := ask(t, dead, claim(t, dead, 1, acme), one)[0]; s.State != queue.Granted {
		t.Fatal(s.State)
	}
	taken := recoverAll(t, alive, 1, acme)
	kept := time.Now() // the lease lasts from then on, at the least
	s := ask(t, alive, taken, one)[0]
	if s.State != queue.Granted || s.Crashes != 1 {
		t.Fatalf("taken over: %+v", s)
	}
	// While it renews, its place is its own.
	send(t, b, acme, fmt.Sprint("waits-", lease.Milliseconds()))
	inLine := false
	for begun := time.Now(); time.Since(begun) < 3*lease; <-time.After(pollEvery) {
		for _, d := range claim(t, alive, 1, acme) {
			s := ask(t, alive, []queue.Delivery{d}, one)[0]
			if s.State == queue.Throttled {
				inLine = true
				continue
			}
			if time.Since(kept) < lease {
				t.Fatalf("passed a gate that is full: %s", s.State)
			}
			apply(t, alive, s.Lease, queue.Done())
			return false
		}
		kept = time.Now()
		if lost, err := alive.Renew(ctxOf(t), []queue.Lease{s.Lease}); err != nil || len(lost) != 0 {
			t.Fatal(lost, err)
		}
		if _, _, err := alive.Promote(ctxOf(t), "jobs", 10); err != nil {
			t.Fatal(err)
		}
	}
	if !inLine {
		t.Fatal("nothing asked for the place meanwhile")
	}
	return true
}

func testGateRate(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	const every = 40 * time.Millisecond
	all := numbered("m", 12)
	send(t, b, acme, all...)
	rate := gated(queue.Gate{Name: "task-x", Every: every, Burst: 3})
	began := time.Now()
	if s := states(ask(t, w, claim(t, w, 20, acme), rate)); s[queue.Granted] != 3 || s[queue.Throttled] != 9 {
		t.Fatalf("states %v", s)
	}
	// Each of the others has a time of its own, and pays once.
	passed, most := 3, 0
	Eventually(t, "all have passed", func() bool {
		n, _, err := w.Promote(ctxOf(t), "jobs", 100)
		if err != nil {
			t.Fatal(err)
		}
		early := passed + n - 3 - int(time.Since(began)/every)
		if most = max(most, early); n == 0 {
			return false
		}
		s := states(ask(t, w, claim(t, w, 20, acme), rate))
		if passed += s[queue.Granted]; s[queue.Granted] != n {
			t.Fatalf("of %d that were due: %v", n, s)
		}
		return passed == 12
	})
	if took := time.Since(began); most > 1 || took < 8*every {
		t.Errorf("all in %s, as many as %d too early", took, most)
	}
}

// A message passes all of its gates or takes nothing of any.
func testGatesAllOrNone(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	narrow := queue.Gate{Name: "narrow", InFlight: 1}
	wide := queue.Gate{Name: "wide", InFlight: 2}
	slow := queue.Gate{Name: "slow", Every: time.Hour, Burst: 2}
	send(t, b, acme, "a", "b", "c", "d")
	ds := claim(t, w, 10, acme)
	a := ask(t, w, ds[:1], gated(wide, narrow, slow))[0]
	if want := "wide narrow"; a.State != queue.Granted || a.Lease.Gates != want {
		t.Fatalf("%+v, want gates %q", a, want)
	}
	if s := ask(t, w, ds[1:2], gated(wide, slow, narrow))[0]; s.State != queue.Throttled {
		t.Fatalf("b: %s", s.State)
	}
	// b took neither a place of wide nor a turn of slow.
	if s := ask(t, w, ds[2:3], gated(wide, slow))[0]; s.State != queue.Granted {
		t.Errorf("c: %s", s.State)
	}
	// b is handed a's place in narrow, but has to wait for slow: it gives the place back.
	apply(t, w, a.Lease, queue.Release())
	got := ask(t, w, claim(t, w, 10, acme), func(s *queue.Start) {
		if s.ID == "b" {
			s.Gates = []queue.Gate{wide, slow, narrow}
		}
	})
	if s := states(got); s[queue.Throttled] != 1 || s[queue.Granted] != 1 {
		t.Errorf("a without gates, b: %v", s)
	}
	if s := ask(t, w, ds[3:], gated(narrow, wide))[0]; s.State != queue.Granted {
		t.Errorf("d: %s", s.State)
	}
}

// Nothing is held up past its end: its sender is to be told.
func testGateExpired(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	var ends map[string]time.Time
	var gate queue.Gate
	start := func(ds []queue.Delivery) []queue.Started {
		return ask(t, w, ds, func(s *queue.Start) { s.Gates, s.Expires = []queue.Gate{gate}, ends[s.ID] })
	}
	var later string
	InTime(t, 100*time.Millisecond, func(within time.Duration) bool {
		ids := strings.Fields(strings.ReplaceAll("runs-N late-N later-N", "N", fmt.Sprint(within.Milliseconds())))
		later = ids[2]
		gate = queue.Gate{Name: "gate-" + later, InFlight: 1, Every: time.Hour, Burst: 1}
		send(t, b, acme, ids...)
		ds := claim(t, w, 10, acme)
		now := time.Now()
		ends = map[string]time.Time{ids[0]: now.Add(time.Hour), ids[1]: now.Add(-time.Second), later: now.Add(within)}
		got := start(ds)
		if got[0].State != queue.Granted || got[1].State != queue.Granted || got[1].Lease.Gates != "" {
			t.Fatalf("%+v", got)
		}
		switch {
		case got[2].State == queue.Throttled:
			return true
		case got[2].State != queue.Granted || time.Now().Before(ends[later]):
			t.Fatalf("%+v", got)
		}
		return false
	})
	promoteAll(t, w, 1)
	if time.Now().Before(ends[later]) {
		t.Error("came before its end")
	}
	if s := start(claim(t, w, 1, acme))[0]; s.State != queue.Granted || s.Attempt != 1 {
		t.Errorf("after its end: %+v", s)
	}
}
