package runtime_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// blocks returns what a guide shows as TOML.
func blocks(t *testing.T, guide string) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/guide/" + guide)
	check(t, err)
	var texts []string
	for _, m := range regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// TestRetriesGuide reads the manifest that the guide shows.
func TestRetriesGuide(t *testing.T) {
	m, err := manifest.Parse("task.toml", []byte(blocks(t, "retries.md")[0]))
	check(t, err)
	if r := m.Retry; r.Max != 5 || r.Backoff != manifest.BackoffExponential || r.Base != 2*time.Second || r.Cap != 5*time.Minute {
		t.Errorf("retry %+v", r)
	}
}

// TestFairnessGuide lets the policy that the guide shows decide about a task, and looks at the gates that it has to pass.
func TestFairnessGuide(t *testing.T) {
	text := "version = 1\naudience = \"test\"\n" + blocks(t, "fairness-and-limits.md")[0] + `
[[principal]]
name = "shop"
purpose = "submit"
tenant = "acme"
keys = ["` + shopKey.Public().String() + `"]
roles = ["mailer"]
`
	p, err := policy.Parse("policy.toml", []byte(text))
	check(t, err)
	now := time.Now()
	msg, err := envelope.Sign(envelope.Task{ID: envelope.NewMessageID(), Audience: "test", Tenant: "acme", Queue: "default", Task: "mail.send",
		Issued: now, Expires: now.Add(time.Hour), Priority: int(queue.PriorityNormal)}, shopKey)
	check(t, err)
	v, err := envelope.Reader{Keys: p, Audience: "test"}.Open(msg, now)
	check(t, err)
	allowed, err := p.Authorize(v, now)
	check(t, err)
	var got []string
	for _, g := range allowed.Gates() {
		kind, _, _ := strings.Cut(g.Name, "-")
		got = append(got, kind)
		switch {
		case kind == "tenant" && g.InFlight != 50, kind == "grant" && g.InFlight != 10, kind == "rate" && (g.Every != 10*time.Millisecond || g.Burst != 20):
			t.Errorf("gate %+v", g)
		}
	}
	if strings.Join(got, " ") != "tenant grant rate" {
		t.Errorf("gates %q", got)
	}
}
