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
