package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caisson-run/caisson/queue"
)

func ExampleVerdict() {
	at := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
	for _, v := range []queue.Verdict{queue.Done(), queue.Retry(at), queue.Dead("policy.denied", "no grant")} {
		fmt.Printf("%s %t %q\n", v, v.At().Equal(at), v.Code())
	}
	// A lease that did not get as far as Start cannot be settled with Done.
	lane := queue.Lane{Queue: "images", Tenant: "acme", Priority: queue.PriorityNormal}
	d := queue.Delivery{Lane: lane, Entry: "1767225605000-0"}
	fmt.Println(queue.Settlement{Lease: d.Unstarted(), Verdict: queue.Done()}.Check())
	// Output:
	// done false ""
	// retry true ""
	// dead false "policy.denied"
	// queue: verdict: done needs a lease from Start
}

func TestNames(t *testing.T) {
	rows := []struct {
		name string
		ok   bool
	}{
		{"a", true}, {"0", true}, {"a.b_c-d", true}, {strings.Repeat("a", 64), true}, {"a-", true},
		{"", false}, {strings.Repeat("a", 65), false}, {"A", false}, {".a", false}, {"-a", false}, {"_a", false},
		{"a..b", false}, {"a:b", false}, {"a{b", false}, {"a}b", false}, {"a*", false}, {"a/b", false},
		{"a b", false}, {"a\n", false}, {"a\x00", false}, {"é", false}, {"a?", false}, {"a[b]", false},
	}
	for _, r := range rows {
		err := queue.CheckName("queue", r.name)
		if (err == nil) != r.ok {
			t.Errorf("%q: %v", r.name, err)
		}
		var field *queue.FieldError
		if err != nil && (!errors.As(err, &field) || field.Field != "queue" || field.Code() != "queue.field") {
			t.Errorf("%q: %v is not a *FieldError", r.name, err)
		}
		lane := queue.Lane{Queue: "q", Tenant: r.name}
		if (lane.Check() == nil) != r.ok {
			t.Errorf("tenant %q: %v", r.name, lane.Check())
		}
	}
	for p, ok := range map[queue.Priority]bool{-1: false, 0: true, 1: true, 2: true, 3: false} {
		if err := (queue.Lane{Queue: "q", Tenant: "t", Priority: p}).Check(); (err == nil) != ok {
			t.Errorf("priority %d: %v", p, err)
		}
	}
}

func TestIDs(t *testing.T) {
	rows := []struct {
		id string
		ok bool
	}{
		{"00ff", true}, {"A-b_9", true}, {strings.Repeat("f", 64), true},
		{"", false}, {strings.Repeat("f", 65), false}, {"a:b", false}, {"a b", false}, {"a|b", false}, {"../a", false}, {"{a}", false},
	}
	for _, r := range rows {
		if err := queue.CheckID("id", r.id); (err == nil) != r.ok {
			t.Errorf("%q: %v", r.id, err)
		}
	}
	digests := []struct {
		digest string
		ok     bool
	}{
		{"sha256:" + strings.Repeat("a", 64), true}, {strings.Repeat("~", 128), true},
		{"", false}, {strings.Repeat("a", 129), false}, {"a|b", false}, {"a b", false}, {"a\n", false}, {"é", false},
	}
	for _, r := range digests {
		if err := queue.CheckDigest(r.digest); (err == nil) != r.ok {
			t.Errorf("digest %q: %v", r.digest, err)
		}
	}
}

func TestDeadCutsReason(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 2000), strings.Repeat("é", 1000), strings.Repeat("x", 1023) + "é", strings.Repeat("\x80", 2000)} {
		got := queue.Dead("c", s).Reason()
		if len(got) > queue.ReasonBytesMax || !strings.HasPrefix(s, got) {
			t.Errorf("%d bytes were cut to %d", len(s), len(got))
		}
		if utf8.ValidString(s) && (!utf8.ValidString(got) || len(s) > queue.ReasonBytesMax && len(got) < queue.ReasonBytesMax-3) {
			t.Errorf("%d bytes were cut to %d, in the middle of a character", len(s), len(got))
		}
	}
}

func TestDeadNeedsACode(t *testing.T) {
	d := queue.Delivery{Lane: queue.Lane{Queue: "q", Tenant: "t"}, Entry: "1-0"}
	for code, ok := range map[string]bool{
		"policy.denied": true, strings.Repeat("c", queue.CodeBytesMax): true, strings.Repeat("c", queue.CodeBytesMax+1): false, "": false,
	} {
		err := queue.Settlement{Lease: d.Unstarted(), Verdict: queue.Dead(code, "")}.Check()
		var field *queue.FieldError
		if (err == nil) != ok || err != nil && (!errors.As(err, &field) || field.Field != "code") {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestWords(t *testing.T) {
	words := []fmt.Stringer{
		queue.Granted, queue.Replayed, queue.Duplicate, queue.Conflict, queue.Lost,
		queue.Applied, queue.LeaseLost, queue.Vanished, queue.PriorityHigh, queue.PriorityNormal, queue.PriorityLow,
		queue.Done(), queue.Crash(time.Time{}), queue.Park(time.Time{}), queue.Release(), queue.Dead("c", ""), queue.Drop(),
	}
	seen := map[string]bool{}
	for _, w := range words {
		if s := w.String(); s == "" || s == "invalid" || seen[s] {
			t.Errorf("%#v is %q", w, s)
		} else {
			seen[s] = true
		}
	}
	if queue.State(0).String() != "invalid" || (queue.Verdict{}).String() != "invalid" || queue.Settled(0).String() != "invalid" {
		t.Error("a zero value has a word")
	}
}
