package policy

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// TestIdentifyRefusesOtherPurposes asks the inside, because no envelope that is signed with such a key can be opened:
// this is the second lock behind envelope.Reader's.
func TestIdentifyRefusesOtherPurposes(t *testing.T) {
	text := "version = 1\naudience = \"prod\"\n"
	var keys []envelope.PublicKey
	for i, form := range []string{
		"[[principal]]\nname = \"ops\"\npurpose = \"operate\"\nkeys = [%q]\n",
		"[[publisher]]\nname = \"p\"\ntasks = [\"a\"]\nkeys = [%q]\n",
		"[[worker]]\nname = \"w\"\nkeys = [%q]\n",
	} {
		purpose := []envelope.Purpose{envelope.Operate, envelope.Publish, envelope.Worker}[i]
		k, err := envelope.GenerateKey(purpose, bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 32)))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k.Public())
		text += fmt.Sprintf(form, k.Public())
	}
	p, err := Parse("policy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		who, refusal := p.identify(k, time.Now(), use{submit: true}, nil)
		if who != nil || refusal == nil || refusal.Code() != "policy.key_purpose" || refusal.Line == 0 {
			t.Errorf("%s key: %v, %v", k.Purpose(), who, refusal)
		}
	}
	// An id is 16 bytes of a hash. Should two keys ever share one, the one that is not in the file is unknown.
	id := keys[0].ID()
	p.keys[id] = &key{public: keys[1], principal: &principal{purpose: envelope.Submit}}
	if _, refusal := p.identify(keys[0], time.Now(), use{submit: true}, nil); refusal == nil || refusal.Code() != CodeKeyUnknown {
		t.Errorf("another key of the same id: %v", refusal)
	}
}

// anyOrderKey knows one key, whatever it is asked for.
type anyOrderKey struct{ envelope.PublicKey }

func (k anyOrderKey) OrderKey(envelope.KeyID) (envelope.PublicKey, bool) { return k.PublicKey, true }

// TestOrdersAskForThePurpose: a policy in which the signer of an order has become a sender lets it cancel and nothing else, and one that knows
// the key as a publisher's nothing at all, though the envelope's reader, which asks before, found the key to be for orders.
func TestOrdersAskForThePurpose(t *testing.T) {
	now := time.Now()
	signer, err := envelope.GenerateKey(envelope.Operate, bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range envelope.Acts() {
		o := envelope.Order{ID: envelope.MessageID{9}, Audience: "prod", Queue: "media", Act: act, Issued: now, Expires: now.Add(time.Hour)}
		if act == envelope.ActCancel {
			o.Tenant, o.Target = "acme", envelope.MessageID{1}.String()
		}
		b, err := envelope.SignOrder(o, signer)
		if err != nil {
			t.Fatal(err)
		}
		v, err := envelope.OrderReader{Keys: anyOrderKey{signer.Public()}, Audience: "prod"}.Open(b, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			name string
			who  *principal
			may  bool
		}{
			{"operator", &principal{purpose: envelope.Operate}, true},
			{"sender", &principal{purpose: envelope.Submit, tenant: o.Tenant}, act == envelope.ActCancel},
			{"publisher or worker", nil, false},
		} {
			p := &Policy{audience: "prod", keys: map[envelope.KeyID]*key{signer.Public().ID(): {public: signer.Public(), principal: row.who}}}
			_, err := p.AuthorizeOrder(v, now)
			refusal, _ := err.(*RefusalError)
			if row.may != (err == nil) || !row.may && refusal.Code() != CodeKeyPurpose {
				t.Errorf("%s by a %s: %v", act, row.name, err)
			}
		}
	}
}
