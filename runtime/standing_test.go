package runtime

import (
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// TestHearOnce hears more orders than are remembered: each is new once, those that were pushed out are not new again, and what
// has expired makes room.
func TestHearOnce(t *testing.T) {
	w, _ := openInside(t, &fake{})
	now := time.Now()
	sign := func(i int, life time.Duration) policy.AuthorisedOrder {
		t.Helper()
		b, err := envelope.SignOrder(envelope.Order{
			ID: envelope.MessageID{byte(i), byte(i >> 8), 1}, Audience: "test", Queue: "work", Act: envelope.ActRequeue,
			Issued: now.Add(time.Duration(i-standingMax-10) * time.Millisecond), Expires: now.Add(life),
		}, insideOperate)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.order(w.posts[0], b)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	o := newOrders()
	var all []policy.AuthorisedOrder
	for i := range standingMax + 1 {
		all = append(all, sign(i, time.Minute))
		if !o.hearOnce(all[i], now) {
			t.Fatalf("order %d is not new", i)
		}
	}
	for i, a := range all {
		if o.hearOnce(a, now) {
			t.Errorf("order %d is new again", i)
		}
	}
	if _, known := o.standing[all[0].Order().ID]; known || len(o.standing) != standingMax {
		t.Errorf("%d are remembered, the first %t", len(o.standing), known)
	}
	o.forget(all[standingMax].Order().ID)
	if !o.hearOnce(all[standingMax], now) {
		t.Error("what was forgotten is not new")
	}
	if !o.hearOnce(sign(standingMax+1, time.Hour/2), now.Add(2*time.Minute)) || len(o.standing) != 1 {
		t.Errorf("%d are remembered after all but one have expired", len(o.standing))
	}
}

// TestChooses holds orders to requeue against one death.
func TestChooses(t *testing.T) {
	w, _ := openInside(t, &fake{})
	heard := time.Now()
	died := death{heard.Add(-time.Second), codeSum("policy.denied")}
	j := &job{begun: &begun{opened: &opened{id: envelope.MessageID{7}.String(), task: envelope.Task{Tenant: "acme"}}}}
	entry := func(d time.Duration) string { return fmt.Sprintf("%d-3", died.at.Add(d).UnixMilli()) }
	rows := []struct {
		name  string
		order envelope.Order
		death death
		taken bool
		want  bool
	}{
		{"all", envelope.Order{}, died, false, true},
		{"died after it", envelope.Order{}, death{heard.Add(time.Millisecond), died.code}, false, false},
		{"a purge", envelope.Order{Act: envelope.ActPurgeDead}, died, false, false},
		{"over", envelope.Order{Expires: heard}, died, false, false},
		{"its tenant and code", envelope.Order{Tenant: "acme", Code: "policy.denied"}, died, false, true},
		{"another tenant", envelope.Order{Tenant: "globex"}, died, false, false},
		{"another code", envelope.Order{Code: "policy.tenant"}, died, false, false},
		{"before it died", envelope.Order{Before: died.at.Add(-2 * envelope.SkewMax)}, died, false, false},
		{"after it died", envelope.Order{Before: died.at.Add(time.Millisecond)}, died, false, true},
		{"its id", envelope.Order{Target: j.id}, died, false, true},
		{"another id", envelope.Order{Target: envelope.MessageID{8}.String()}, died, false, false},
		{"a letter of then", envelope.Order{Target: entry(time.Second)}, died, false, true},
		{"it was another's", envelope.Order{Target: entry(time.Second)}, died, true, false},
		{"a letter of another time", envelope.Order{Target: entry(2 * time.Minute)}, died, false, false},
		{"no letter", envelope.Order{Target: "letter"}, died, false, false},
	}
	for i, row := range rows {
		o := row.order
		if o.Act == "" {
			o.Act = envelope.ActRequeue
		}
		if o.Expires.IsZero() {
			o.Expires = heard.Add(time.Minute)
		}
		o.ID, o.Audience, o.Queue, o.Issued = envelope.MessageID{byte(i), 1}, "test", "work", heard.Add(-time.Millisecond)
		b, err := envelope.SignOrder(o, insideOperate)
		if err != nil {
			t.Fatal(err)
		}
		a, err := w.order(w.posts[0], b)
		if row.name == "over" {
			w.cfg.Clock = func() time.Time { return heard.Add(-time.Second) }
			a, err = w.order(w.posts[0], b)
			w.cfg.Clock = time.Now
		}
		if err != nil {
			t.Fatal(row.name, err)
		}
		one := &standingOrder{order: a, heard: heard}
		if row.taken {
			one.taken = envelope.Digest{1}
		}
		if got := one.chooses(j, row.death, heard); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
}

// TestDeaths remembers how messages ended.
func TestDeaths(t *testing.T) {
	var e ended
	expires := time.Now().Add(time.Hour)
	died := death{time.Now(), codeSum("policy.denied")}
	e.add(envelope.Digest{1}, died.at, expires, death{})
	e.add(envelope.Digest{2}, died.at, expires, died)
	if known, d := e.has(envelope.Digest{1}); !known || d != (death{}) {
		t.Errorf("what was done: %t, %+v", known, d)
	}
	known, d := e.has(envelope.Digest{2})
	if early := died.at.Sub(d.at); !known || early < 0 || early > deathUnit || !d.coded("policy.denied") || d.coded("policy.tenant") {
		t.Errorf("what died: %t, %+v, which is %v too early", known, d, early)
	}
	e.forget(envelope.Digest{2})
	if known, _ := e.has(envelope.Digest{2}); known {
		t.Error("it is known though it was forgotten")
	}
}
