package policy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/policy"
)

// TestPage holds the operators' page to the code: its example is a policy without fault, what it says that policy
// explain prints is what is printed, and it names every code.
func TestPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/reference/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	block := func(fence string) string {
		_, rest, ok := strings.Cut(page, fence+"\n")
		text, _, closed := strings.Cut(rest, "```")
		if !ok || !closed {
			t.Fatalf("policy.md has no block %s", fence)
		}
		return text
	}
	p, err := policy.Parse("policy.toml", []byte(block("```toml")))
	if err != nil {
		t.Fatal(err)
	}
	x := p.ExplainRelease(verified(t, task(), submitKey(t, "billing")), noon, set(t, "http GET https://img.example.com/*", "kv rw other/*"))
	if got := block("one power too many:\n\n```"); got != x.String() {
		t.Errorf("policy.md says that policy explain prints\n%sbut it is\n%s", got, x)
	}
	for _, c := range []string{
		policy.CodeKeyUnknown, policy.CodeKeyPurpose, policy.CodeKeyRevoked, policy.CodeKeyNotYet, policy.CodeKeyExpired,
		policy.CodeAudience, policy.CodeTenant, policy.CodeDenied, policy.CodeLimits, policy.CodeNarrowing,
	} {
		if !strings.Contains(page, "`"+c+"`") {
			t.Errorf("policy.md does not name %s", c)
		}
	}
}
