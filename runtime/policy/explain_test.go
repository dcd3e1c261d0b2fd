package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// TestExplain compares whole explanations, as text and one as JSON, with the committed ones.
func TestExplain(t *testing.T) {
	p := parse(t, simple(t))
	var b strings.Builder
	show := func(title string, x policy.Explanation) {
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "## %s\n%s\n", title, x)
		if x.Code == "capability.shortfall" {
			fmt.Fprintf(&b, "%s\n\n", data) // one of them is enough to see every field
		}
	}
	v := verified(t, task(), submitKey(t, "billing"))
	show("allowed, without a release", p.Explain(v, noon))
	show("allowed, with what the release needs", p.ExplainRelease(v, noon, set(t, "http GET https://img.example.com/*", "kv rw thumbs/*")))
	show("shortfall", p.ExplainRelease(v, noon, set(t, "http GET https://img.example.com/*", "kv rw other/*", "log")))

	k := task()
	k.Limits = envelope.Limits{Memory: 1 << 30, Wall: time.Second}
	k.Narrowed, k.Caps = true, []string{"kv ro thumbs/*"}
	narrowed := verified(t, k, submitKey(t, "billing"))
	show("tightened and narrowed by the sender", p.ExplainRelease(narrowed, noon, set(t, "http GET https://img.example.com/*", "kv ro thumbs/*")))

	k = task()
	k.Queue, k.Task = "slow", "image.thumbnail"
	k.Tenant = "globex"
	show("denied", p.Explain(verified(t, k, submitKey(t, "auditor")), noon))
	show("unknown key", p.Explain(verified(t, task(), submitKey(t, "stranger")), noon))
	show("revoked key", p.ExplainRelease(verified(t, task(), submitKey(t, "billing-old")), noon, set(t, "log")))
	show("expired key", p.Explain(v, noon.AddDate(1, 0, 0)))
	k = task()
	k.Payload = make([]byte, 2000)
	show("payload too long", p.Explain(verified(t, k, submitKey(t, "billing")), noon))
	golden(t, "testdata/explain.txt", b.String())
}
