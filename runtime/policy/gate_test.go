package policy_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// gated is simple with bounds on its first tenant and on the two grants of role images.
func gated(t testing.TB, first, second string) *policy.Policy {
	t.Helper()
	text := strings.Replace(simple(t), `kv   = "64MiB"`, "kv = \"64MiB\"\nin_flight = 100", 1)
	text = strings.Replace(text, `tasks  = ["image.*"]`, "tasks = [\"image.*\"]\n"+first, 1)
	return parse(t, strings.Replace(text, `tasks  = ["image.thumbnail", "csv.report"]`, "tasks = [\"image.thumbnail\", \"csv.report\"]\n"+second, 1))
}

// gates returns those of a task, without their names, and the names.
func gates(t testing.TB, p *policy.Policy, key string, k envelope.Task) (list []policy.Gate, names []string) {
	t.Helper()
	a, err := p.Authorize(verified(t, k, submitKey(t, key)), noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range a.Gates() {
		if err := queue.CheckID("gate", g.Name); err != nil {
			t.Error(err)
		}
		names = append(names, g.Name)
		g.Name, _, _ = strings.Cut(g.Name, "-")
		list = append(list, g)
	}
	return list, names
}

func TestGates(t *testing.T) {
	tenant := policy.Gate{Name: "tenant", InFlight: 100}
	for _, row := range []struct {
		name, first, second string
		want                []policy.Gate
	}{
		{"none stated", "", "", []policy.Gate{tenant}},
		{"one states both", "in_flight = 5\nrate = \"100/s\"", "",
			[]policy.Gate{tenant, {Name: "grant", InFlight: 5}, {Name: "rate", Every: 10 * time.Millisecond, Burst: 100}}},
		{"the other one", "", "in_flight = 5\nrate = \"30/m\"\nburst = 3",
			[]policy.Gate{tenant, {Name: "grant", InFlight: 5}, {Name: "rate", Every: 2 * time.Second, Burst: 3}}},
		{"the loosest of each", "in_flight = 7\nrate = \"5/h\"\nburst = 9", "in_flight = 6\nrate = \"1/s\"\nburst = 2",
			[]policy.Gate{tenant, {Name: "grant", InFlight: 7}, {Name: "rate", Every: time.Second, Burst: 9}}},
		{"a fast one bursts no more than may run", "rate = \"100000/s\"", "", []policy.Gate{tenant, {Name: "rate", Every: 10 * time.Microsecond, Burst: 65536}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, _ := gates(t, gated(t, row.first, row.second), "billing", task())
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
			for _, g := range got {
				if q := queue.Gate(g); q.InFlight > queue.InFlightMax || q.Burst > queue.BurstMax {
					t.Errorf("no broker takes %+v", q)
				}
			}
		})
	}
}

// What counts together: a tenant's messages; those under one grant, whoever sends them; one principal's of one task.
func TestGatesCountTogether(t *testing.T) {
	p := gated(t, "in_flight = 5\nrate = \"1/s\"", "")
	k := task()
	_, billing := gates(t, p, "billing", k)
	k.Task = "image.rotate"
	_, other := gates(t, p, "billing", k)
	if other[0] != billing[0] || other[1] != billing[1] || other[2] == billing[2] {
		t.Errorf("of another task: %q and %q", billing, other)
	}
	k = task()
	k.Tenant = "globex"
	_, auditor := gates(t, p, "auditor", k)
	if len(auditor) != 2 || auditor[0] != billing[1] || auditor[1] == billing[2] {
		t.Errorf("of another sender, whose tenant has no bound: %q and %q", billing, auditor)
	}
	if _, again := gates(t, gated(t, "in_flight = 50\nrate = \"9/s\"", ""), "billing", task()); !reflect.DeepEqual(again, billing) {
		t.Errorf("with other numbers they count elsewhere: %q and %q", billing, again)
	}
}

func TestGatesAreExplained(t *testing.T) {
	p := gated(t, "in_flight = 5", "rate = \"30/m\"\nburst = 3")
	text := p.Explain(verified(t, task(), submitKey(t, "billing")), noon).String()
	for _, want := range []string{
		"in_flight 100", "shared: by all of tenant acme in this queue", "in_flight 5", "by all under grant images 1 in this queue",
		"rate 30/m, 3 at once", "own: of this task of billing in this queue",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation does not say %q:\n%s", want, text)
		}
	}
}

// The room may not import queue; its bounds are those of queue all the same.
func TestBoundsAreTheQueues(t *testing.T) {
	if envelope.AfterMax != queue.AfterMax || envelope.OrderSizeMax != queue.OrderBytesMax || envelope.TargetSizeMax != queue.IDBytesMax ||
		envelope.ModeLifetimeMax != queue.OrderTTLMax || envelope.CancelLifetimeMax > queue.OrderTTLMax {
		t.Error("envelope allows what queue does not")
	}
	if _, err := policy.Parse("p", []byte("version = 1\naudience = \"a\"\n[[tenant]]\nname = \"a\"\nin_flight = 65536\n")); err != nil || queue.InFlightMax != 65536 {
		t.Error(err)
	}
}
