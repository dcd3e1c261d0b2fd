package policy_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// secret makes the same key of a purpose for the same name, always.
func secret(t testing.TB, purpose envelope.Purpose, name string) envelope.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte("caisson test key " + name))
	k, err := envelope.GenerateKey(purpose, bytes.NewReader(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func submitKey(t testing.TB, name string) envelope.PrivateKey {
	return secret(t, envelope.Submit, name)
}

// fill replaces {purpose:name} by the text of that public key, and {id:name} by the id of the submit key.
func fill(t testing.TB, text string) string {
	t.Helper()
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		mark, after, closed := strings.Cut(rest, "}")
		purpose, name, isKey := strings.Cut(mark, ":")
		switch {
		case !closed || !isKey || strings.ContainsAny(mark, " =\n"):
			b.WriteString("{")
			text = rest
			continue
		case purpose == "id":
			b.WriteString(submitKey(t, name).Public().ID().String())
		default:
			b.WriteString(secret(t, envelope.Purpose(purpose), name).Public().String())
		}
		text = after
	}
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", []byte(fill(t, text)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// simple is the policy that most tests change a little.
func simple(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/simple.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// task is a task that simple allows billing to send.
func task() envelope.Task {
	return envelope.Task{
		ID: envelope.MessageID{1}, Audience: "prod", Tenant: "acme", Queue: "media", Task: "image.thumbnail",
		Issued: noon, Expires: noon.Add(time.Hour),
	}
}

// anyKeys knows whatever key it is given, so that a test can ask the policy about keys that it does not know.
type anyKeys struct{ key envelope.PublicKey }

func (k anyKeys) SubmitKey(envelope.KeyID) (envelope.PublicKey, bool) { return k.key, true }

// verified signs and opens.
func verified(t testing.TB, task envelope.Task, key envelope.PrivateKey) envelope.Verified {
	t.Helper()
	msg, err := envelope.Sign(task, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := envelope.Reader{Keys: anyKeys{key.Public()}, Audience: task.Audience}.Open(msg, noon)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(t testing.TB, lines ...string) capability.Set {
	t.Helper()
	s, err := capability.ParseSet(lines)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// code returns the code of an error, "" for nil.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	coded, ok := err.(interface{ Code() string })
	if !ok {
		t.Fatalf("%T has no code: %v", err, err)
	}
	return coded.Code()
}
