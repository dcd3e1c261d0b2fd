package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

func testClaimReturnsWhatWasSent(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	binary := "\x00\xff\r\n" + strings.Repeat("x", 100_000)
	send(t, b, acme, "one", "two", binary)
	send(t, b, urgent, "three")
	got := claim(t, w, 10, acme, urgent)
	if len(got) != 4 {
		got = append(got, claim(t, w, 10, acme, urgent)...)
	}
	var inAcme []string
	for _, d := range got {
		if d.Fault != "" || d.Redelivered || d.Entry == "" || d.Token == "" {
			t.Errorf("delivery %+v", d)
		}
		if d.Lane == acme {
			inAcme = append(inAcme, string(d.Message))
		}
	}
	if want := []string{"one", "two", binary}; !slices.Equal(inAcme, want) || len(got) != 4 {
		t.Errorf("claimed %d, of acme %d", len(got), len(inAcme))
	}
	if again := claim(t, w, 10, acme, urgent); len(again) != 0 {
		t.Errorf("claimed again: %q", texts(again))
	}
}

func testClaimKeepsToMax(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	for i := range 20 {
		send(t, b, acme, fmt.Sprint("a", i))
		send(t, b, urgent, fmt.Sprint("u", i))
	}
	seen := map[string]bool{}
	for len(seen) < 40 {
		got := claim(t, w, 7, acme, urgent)
		if len(got) == 0 || len(got) > 7 {
			t.Fatalf("claimed %d after %d, want 1 to 7", len(got), len(seen))
		}
		for _, m := range texts(got) {
			if seen[m] {
				t.Fatalf("%s twice", m)
			}
			seen[m] = true
		}
	}
}

func testClaimWaits(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	type answer struct {
		got []queue.Delivery
		err error
		at  time.Time
	}
	for round := range 3 {
		done := make(chan answer, 1)
		go func() {
			got, err := w.Claim(ctxOf(t), queue.Claim{Lanes: []queue.Lane{urgent, acme, other}, Max: 64, Wait: eventually})
			done <- answer{got, err, time.Now()}
		}()
		// Whether the claim waits already or not, it must come back with the
		// message, and soon.
		sent := time.Now()
		send(t, b, acme, "wake")
		a := <-done
		if a.err != nil || len(a.got) != 1 {
			t.Fatalf("round %d: %q, %v", round, texts(a.got), a.err)
		}
		if late := a.at.Sub(sent); late > soon {
			t.Errorf("woke after %s", late)
		}
	}
}

func testClaimWaitPasses(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	begun := time.Now()
	got, err := w.Claim(ctxOf(t), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: 60 * time.Millisecond})
	if err != nil || len(got) != 0 {
		t.Fatalf("%q, %v", texts(got), err)
	}
	if d := time.Since(begun); d < 50*time.Millisecond || d > eventually {
		t.Errorf("waited %s", d)
	}
}

func testClaimCancelLosesNothing(t *testing.T, b Broker) {
	first, second := b.Worker(t, "first", long), b.Worker(t, "second", long)
	claim(t, first, 1, acme) // groups exist now
	for round := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			got, err := first.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: eventually})
			if err == nil {
				err = fmt.Errorf("claimed %d", len(got))
			}
			done <- err
		}()
		<-begun
		cancel()
		asked := time.Now()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: %v, want context.Canceled", round, err)
		}
		if late := time.Since(asked); late > soon {
			t.Errorf("ended %s after it was cancelled", late)
		}
		// The read may still wait in the broker, and take this. It must come back
		// long before the lease (a minute) runs out.
		send(t, b, acme, fmt.Sprint("message ", round))
		got, err := second.Claim(ctxOf(t), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: eventually})
		if err != nil || len(got) != 1 {
			t.Fatalf("round %d: %q, %v", round, texts(got), err)
		}
		apply(t, second, got[0].Unstarted(), queue.Drop())
	}
}

func testClaimIsFair(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	for i := range 300 {
		send(t, b, acme, fmt.Sprint("bulk ", i))
	}
	for range 3 { // until acme is known to be busy
		claim(t, w, 16, acme, urgent, other)
	}
	send(t, b, other, "single")
	for range 2 {
		got := claim(t, w, 16, acme, urgent, other)
		if slices.Contains(texts(got), "single") {
			return
		}
	}
	t.Error("the single message of another tenant waits behind 300")
}

func testClaimManyLanes(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	var lanes []queue.Lane
	for i := range 50 {
		lanes = append(lanes, queue.Lane{Queue: "jobs", Tenant: fmt.Sprint("t", i)})
	}
	for _, l := range lanes {
		send(t, b, l, "first of "+l.Tenant, "second of "+l.Tenant)
	}
	seen := map[string]int{}
	for round := 0; len(seen) < 100; round++ {
		got, err := w.Claim(ctxOf(t), queue.Claim{Lanes: lanes, Max: 4})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 4 || round > 200 {
			t.Fatalf("round %d: claimed %d", round, len(got))
		}
		for _, m := range texts(got) {
			seen[m]++
		}
	}
	// And one of many is found while all are watched.
	send(t, b, lanes[37], "late")
	got, err := w.Claim(ctxOf(t), queue.Claim{Lanes: lanes, Max: 4, Wait: eventually})
	if err != nil || len(got) != 1 || string(got[0].Message) != "late" {
		t.Errorf("%q, %v", texts(got), err)
	}
}

// Priorities that all have much to do share 6 to 3 to 1, and tenants alike.
func testClaimPriorities(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	var lanes []queue.Lane
	for _, p := range queue.Priorities() {
		for _, tenant := range []string{Tenant, "other"} {
			l := queue.Lane{Queue: "jobs", Tenant: tenant, Priority: p}
			lanes = append(lanes, l)
			send(t, b, l, numbered(fmt.Sprint(tenant, p), 300)...)
		}
	}
	for range 3 { // until all are known to be busy
		claim(t, w, 20, lanes...)
	}
	got := map[queue.Lane]int{}
	for range 10 {
		batch := claim(t, w, 20, lanes...)
		if len(batch) != 20 {
			t.Fatalf("claimed %d", len(batch))
		}
		for _, d := range batch {
			got[d.Lane]++
		}
	}
	want := map[queue.Priority]int{queue.PriorityHigh: 60, queue.PriorityNormal: 30, queue.PriorityLow: 10}
	for _, l := range lanes {
		if n := want[l.Priority]; got[l] < n-n/5 || got[l] > n+n/5 {
			t.Errorf("%s: %d of 200, want about %d", l, got[l], n)
		}
	}
}

// A worker that takes one at a time keeps to the same shares, and holds nothing back for itself.
func testClaimOneAtATime(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	lanes := []queue.Lane{urgent, acme, {Queue: "jobs", Tenant: Tenant, Priority: queue.PriorityLow}}
	for i := range 6 { // of the same priority, and empty
		lanes = append(lanes, queue.Lane{Queue: "jobs", Tenant: fmt.Sprint("idle", i)})
	}
	for i, l := range lanes[:3] {
		send(t, b, l, numbered(fmt.Sprint(i), 100)...)
	}
	claim(t, w, 9, lanes...)
	got := map[queue.Lane]int{}
	for range 60 {
		for _, d := range claim(t, w, 1, lanes...) {
			got[d.Lane]++
		}
	}
	for _, l := range lanes[:3] {
		n := map[queue.Priority]int{queue.PriorityHigh: 36, queue.PriorityNormal: 18, queue.PriorityLow: 6}[l.Priority]
		if got[l] < n/2 || got[l] > n+n/2 {
			t.Errorf("%s: %d of 60, want about %d", l, got[l], n)
		}
	}
	total := int64(0)
	d, err := b.Inspector().Depth(ctxOf(t), lanes)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range d.Lanes {
		total += l.Running
	}
	if total > 69 {
		t.Errorf("%d are leased, and 69 at most were handed out", total)
	}
}

func testClaimMalformed(t *testing.T, b Broker) {
	w := b.Worker(t, "w", long)
	rows := [][]string{
		{"x", "other name"},
		{"e", "one", "e", "two"},
		{"e", "one", "more", "fields"},
		{"E", "upper case"},
		{"e", ""},
		{"", "nameless"},
	}
	for _, fields := range rows {
		b.Put(t, acme, fields...)
	}
	send(t, b, acme, "good")
	got := claim(t, w, 20, acme)
	if len(got) != len(rows)+1 {
		t.Fatalf("claimed %d, want %d", len(got), len(rows)+1)
	}
	for i, d := range got[:len(rows)] {
		if d.Fault == "" || d.Message != nil {
			t.Errorf("%q: fault %q, message %q", rows[i], d.Fault, d.Message)
		}
		if _, err := w.Start(ctxOf(t), []queue.Start{startOf(d, "id")}); err == nil {
			t.Errorf("%q started", rows[i])
		}
		apply(t, w, d.Unstarted(), queue.Dead("envelope.encoding", d.Fault))
	}
	if last := got[len(rows)]; last.Fault != "" || string(last.Message) != "good" {
		t.Errorf("good message: %+v", last)
	}
	kept := letters(t, b)
	if len(kept) != len(rows) || string(kept[1].Message) != "e=one\ne=two" {
		t.Errorf("kept %d, the second %q", len(kept), kept[1].Message)
	}
}
