package policy_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// anyOrderKeys knows whatever key it is given.
type anyOrderKeys struct{ key envelope.PublicKey }

func (k anyOrderKeys) OrderKey(envelope.KeyID) (envelope.PublicKey, bool) { return k.key, true }

// order returns an order of an act, with what the act must have.
func order(act envelope.Act) envelope.Order {
	o := envelope.Order{ID: envelope.MessageID{9}, Audience: "prod", Queue: "media", Act: act, Issued: noon, Expires: noon.Add(time.Hour)}
	if act == envelope.ActCancel {
		o.Tenant, o.Target = "acme", task().ID.String()
	}
	return o
}

// openOrder signs and opens.
func openOrder(t testing.TB, o envelope.Order, key envelope.PrivateKey) (envelope.VerifiedOrder, error) {
	t.Helper()
	b, err := envelope.SignOrder(o, key)
	if err != nil {
		return envelope.VerifiedOrder{}, err
	}
	v, err := envelope.OrderReader{Keys: anyOrderKeys{key.Public()}, Audience: o.Audience}.Open(b, noon)
	if err != nil {
		t.Fatal(err)
	}
	return v, nil
}

// TestSignersByOrders holds every kind of signer against every act. As roles.txt, the table is the specification.
func TestSignersByOrders(t *testing.T) {
	p := parse(t, strings.Replace(simple(t), `keys    = ["{operate:ops}"]`,
		"keys = [\"{operate:ops}\", \"{operate:ops-old}\"]\nrevoked_keys = [\""+secret(t, envelope.Operate, "ops-old").Public().ID().String()+"\"]", 1))
	signers := []struct {
		name    string
		purpose envelope.Purpose
		key     string
	}{
		{"operator", envelope.Operate, "ops"}, {"revoked operator", envelope.Operate, "ops-old"}, {"unknown operator", envelope.Operate, "x"},
		{"sender", envelope.Submit, "billing"}, {"revoked sender", envelope.Submit, "billing-old"}, {"sender of globex", envelope.Submit, "auditor"},
		{"publisher", envelope.Publish, "media-team"}, {"worker", envelope.Worker, "worker-1"},
	}
	var b strings.Builder
	b.WriteString("# Every signer of simple.toml against every order, on queue media and tenant acme. What is not yes is the code.\n")
	b.WriteString("# Written by go test -update; read each change of it.\n")
	fmt.Fprintf(&b, "%-11s %-17s %s\n", "act", "signer", "answer")
	for _, act := range envelope.Acts() {
		for _, s := range signers {
			answer := "yes"
			v, err := openOrder(t, order(act), secret(t, s.purpose, s.key))
			if err == nil {
				_, err = p.AuthorizeOrder(v, noon)
				if x := p.ExplainOrder(v, noon); x.Code != code(t, err) {
					t.Errorf("%s %s: the explanation says %q, the decision %v", act, s.name, x.Code, err)
				}
			}
			if err != nil {
				answer = code(t, err)
			}
			fmt.Fprintf(&b, "%-11s %-17s %s\n", act, s.name, answer)
		}
	}
	golden(t, "testdata/orders.txt", b.String())
}

// TestCancels: which messages an order to cancel is for.
func TestCancels(t *testing.T) {
	text := strings.Replace(simple(t), "[[publisher]]", `[[principal]]
name    = "shop"
purpose = "submit"
tenant  = "acme"
keys    = ["{submit:shop}"]
roles   = ["images"]

[[publisher]]`, 1)
	p := parse(t, text)
	ops, billing, shop := secret(t, envelope.Operate, "ops"), submitKey(t, "billing"), submitKey(t, "shop")
	plan := envelope.MessageID{7}
	for _, row := range []struct {
		name  string
		key   envelope.PrivateKey
		order func(*envelope.Order)
		task  func(*envelope.Task)
		want  bool
	}{
		{"an operator", ops, nil, nil, true},
		{"the sender", billing, nil, nil, true},
		{"another sender of the tenant", shop, nil, nil, false},
		{"by its plan", billing, func(o *envelope.Order) { o.Target = plan.String() }, func(k *envelope.Task) { k.Plan = plan }, true},
		{"by its own id, in a plan", ops, nil, func(k *envelope.Task) { k.Plan = plan }, true},
		{"no plan", ops, func(o *envelope.Order) { o.Target = plan.String() }, nil, false},
		{"another message", ops, func(o *envelope.Order) { o.Target = plan.String() }, func(k *envelope.Task) { k.Plan = envelope.MessageID{8} }, false},
		{"another queue", ops, func(o *envelope.Order) { o.Queue = "bulk" }, nil, false},
		{"another tenant", ops, func(o *envelope.Order) { o.Tenant = "globex" }, nil, false},
		{"another act", ops, func(o *envelope.Order) { o.Act, o.Tenant, o.Target = envelope.ActPause, "", "" }, nil, false},
		{"another act with the same target", ops, func(o *envelope.Order) { o.Act = envelope.ActRequeue }, nil, false},
	} {
		o, k := order(envelope.ActCancel), task()
		if row.order != nil {
			row.order(&o)
		}
		if row.task != nil {
			row.task(&k)
		}
		v, err := openOrder(t, o, row.key)
		if err != nil {
			t.Fatal(err)
		}
		given, err := p.AuthorizeOrder(v, noon)
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.Authorize(verified(t, k, billing), noon)
		if err != nil {
			t.Fatal(err)
		}
		if given.Cancels(a) != row.want {
			t.Errorf("%s: %v", row.name, !row.want)
		}
		if given.Cancels(policy.Authorised{}) || (policy.AuthorisedOrder{}).Cancels(a) {
			t.Errorf("%s: what nobody authorised is cancelled, or cancels", row.name)
		}
	}
}

func TestOrdersOfOthers(t *testing.T) {
	p := parse(t, simple(t))
	o := order(envelope.ActCancel)
	o.Tenant = "globex"
	v, err := openOrder(t, o, submitKey(t, "billing"))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := p.AuthorizeOrder(v, noon); code(t, err) != policy.CodeTenant || !reflect.DeepEqual(a, policy.AuthorisedOrder{}) {
		t.Errorf("a sender cancels for another tenant: %v", err)
	}
	o = order(envelope.ActPause)
	o.Audience = "staging"
	if v, err = openOrder(t, o, secret(t, envelope.Operate, "ops")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AuthorizeOrder(v, noon); code(t, err) != policy.CodeAudience {
		t.Errorf("an order for another deployment: %v", err)
	}
	if _, err := p.AuthorizeOrder(envelope.VerifiedOrder{}, noon); code(t, err) != policy.CodeKeyUnknown {
		t.Errorf("the zero order: %v", err)
	}
	v, err = openOrder(t, order(envelope.ActCancel), submitKey(t, "billing"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AuthorizeOrder(v, noon.AddDate(1, 0, 0)); code(t, err) != policy.CodeKeyExpired {
		t.Errorf("after the sender's not_after: %v", err)
	}
	if text := p.ExplainOrder(v, noon).String(); !strings.Contains(text, "of a sender: what billing sent itself") || !strings.HasSuffix(text, "allowed\n") {
		t.Errorf("the explanation says\n%s", text)
	}
}
