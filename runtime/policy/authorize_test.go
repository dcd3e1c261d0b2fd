package policy_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// TestRefusals produces every code of a RefusalError, and the decisions on either side of each border.
func TestRefusals(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(1, 0, 0)
	for _, row := range []struct {
		name   string
		key    string // a submit key
		now    time.Time
		change func(*envelope.Task)
		code   string
		line   string // that is named, as it stands in the file; "" for none
	}{
		{name: "allowed", key: "billing"},
		{name: "unknown key", key: "stranger", code: "policy.key_unknown"},
		{name: "revoked key", key: "billing-old", code: "policy.key_revoked", line: "revoked_keys"},
		{name: "revoked key, back-dated", key: "billing-old", code: "policy.key_revoked", line: "revoked_keys",
			change: func(k *envelope.Task) { k.Issued = noon.Add(-20 * time.Hour) }},
		{name: "revoked principal", key: "fired", code: "policy.key_revoked", line: "revoked = true"},
		{name: "revoked comes before validity", key: "billing-old", now: end.Add(time.Hour), code: "policy.key_revoked", line: "revoked_keys"},
		{name: "before validity", key: "billing", now: begin.Add(-time.Nanosecond), code: "policy.key_not_yet", line: "not_before"},
		{name: "validity begins", key: "billing", now: begin},
		{name: "validity's last moment", key: "billing", now: end.Add(-time.Nanosecond)},
		{name: "validity is over", key: "billing", now: end, code: "policy.key_expired", line: "not_after"},
		{name: "no validity stated", key: "auditor", now: end.AddDate(50, 0, 0), change: func(k *envelope.Task) { k.Tenant = "globex" }},
		{name: "another deployment", key: "billing", code: "policy.audience", line: "audience",
			change: func(k *envelope.Task) { k.Audience = "staging" }},
		{name: "another tenant", key: "billing", code: "policy.tenant", line: `tenant     = "acme"`,
			change: func(k *envelope.Task) { k.Tenant = "globex" }},
		{name: "tenant that is none", key: "billing", code: "policy.tenant", line: `tenant     = "acme"`,
			change: func(k *envelope.Task) { k.Tenant = "nobody" }},
		{name: "queue of another grant", key: "billing", code: "policy.denied",
			change: func(k *envelope.Task) { k.Queue, k.Task = "bulk", "csv.report" }},
		{name: "queue of another role", key: "billing", code: "policy.denied",
			change: func(k *envelope.Task) { k.Queue, k.Task = "slow", "csv.report" }},
		{name: "family itself", key: "billing", code: "policy.denied", change: func(k *envelope.Task) { k.Task = "image" }},
		{name: "family with an end", key: "billing", code: "policy.denied", change: func(k *envelope.Task) { k.Task = "image." }},
		{name: "family's namesake", key: "billing", code: "policy.denied", change: func(k *envelope.Task) { k.Task = "images.a" }},
		{name: "below an exact name", key: "billing", code: "policy.denied", change: func(k *envelope.Task) { k.Task = "csv.report.all" }},
		{name: "deep below a family", key: "billing", change: func(k *envelope.Task) { k.Queue, k.Task = "bulk", "image.a.b.c" }},
		{name: "longest payload", key: "billing", change: func(k *envelope.Task) { k.Payload = make([]byte, 1024) }},
		{name: "payload too long", key: "billing", code: "policy.limits", line: "payload",
			change: func(k *envelope.Task) { k.Payload = make([]byte, 1025) }},
		{name: "narrowed to what is no capability", key: "billing", code: "policy.narrowing",
			change: func(k *envelope.Task) { k.Narrowed, k.Caps = true, []string{"http GET *"} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := parse(t, simple(t))
			k := task()
			if row.change != nil {
				row.change(&k)
			}
			if row.now.IsZero() {
				row.now = noon
			}
			v := verified(t, k, submitKey(t, row.key))
			a, err := p.Authorize(v, row.now)
			if got := code(t, err); got != row.code {
				t.Fatalf("got %q (%v), want %q", got, err, row.code)
			}
			if x := p.Explain(v, row.now); x.Code != row.code || (x.Verdict == "allowed") != (row.code == "") {
				t.Errorf("the explanation differs: %+v", x)
			}
			if err == nil {
				return
			}
			if !reflect.DeepEqual(a, policy.Authorised{}) {
				t.Errorf("a refusal came with %+v", a)
			}
			refusal := err.(*policy.RefusalError)
			if want := lineOf(t, row.line); refusal.Line != want {
				t.Errorf("%v: line %d, want %d", err, refusal.Line, want)
			}
			if want := map[bool]capability.Layer{true: capability.Sender, false: capability.Policy}[row.code == policy.CodeNarrowing]; refusal.Layer != want {
				t.Errorf("layer %q, want %q", refusal.Layer, want)
			}
		})
	}
}

// TestRefusalsNameNoFolder: a refusal goes into the dead letters, where a path of the worker's machine has no place.
func TestRefusalsNameNoFolder(t *testing.T) {
	p, err := policy.Parse("/etc/caisson/policy.toml", []byte(fill(t, simple(t))))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Authorize(verified(t, task(), submitKey(t, "fired")), noon)
	if err == nil || strings.Contains(err.Error(), "etc") || !strings.Contains(err.Error(), "(policy.toml:") {
		t.Error(err)
	}
	if _, err = policy.Parse("/etc/caisson/policy.toml", nil); err == nil || !strings.HasPrefix(err.Error(), "/etc/caisson/policy.toml:1:1: ") {
		t.Error(err)
	}
}

// lineOf finds the first line of simple that begins with start; 0 for "".
func lineOf(t *testing.T, start string) int {
	t.Helper()
	if start == "" {
		return 0
	}
	for i, line := range strings.Split(simple(t), "\n") {
		if strings.HasPrefix(line, start) || start == "payload" && strings.Contains(line, "payload") {
			return i + 1
		}
	}
	t.Fatalf("simple.toml has no line %q", start)
	return 0
}

// TestKeysOfOtherPurposes: the reader refuses them already, and so does the policy if a reader did not.
func TestKeysOfOtherPurposes(t *testing.T) {
	p := parse(t, simple(t))
	for name, key := range map[string]envelope.PrivateKey{
		"operate": secret(t, envelope.Operate, "ops"),
		"publish": secret(t, envelope.Publish, "media-team"),
		"worker":  secret(t, envelope.Worker, "worker-1"),
	} {
		public, ok := p.SubmitKey(key.Public().ID())
		if !ok || public != key.Public() {
			t.Errorf("%s: SubmitKey must give the key, so that the reader can say what it is", name)
		}
		if _, err := envelope.Sign(task(), key); err == nil {
			t.Errorf("%s: signed a task", name)
		}
	}
	if _, err := p.Authorize(envelope.Verified{}, noon); code(t, err) != policy.CodeKeyUnknown {
		t.Errorf("the zero Verified: %v", err)
	}
}

func TestKeyrings(t *testing.T) {
	p := parse(t, simple(t))
	for name, want := range map[string]bool{"worker-1": true, "worker-1-new": true, "worker-2": false, "stranger": false} {
		key := secret(t, envelope.Worker, name).Public()
		if got, ok := p.WorkerKey(key.ID()); ok != want || ok && got != key {
			t.Errorf("WorkerKey(%s): %v, want %v", name, ok, want)
		}
	}
	if _, ok := p.WorkerKey(submitKey(t, "billing").Public().ID()); ok {
		t.Error("WorkerKey gives a submit key")
	}
	if _, ok := p.SubmitKey(submitKey(t, "billing-old").Public().ID()); !ok {
		t.Error("SubmitKey hides a revoked key, which would be refused as unknown")
	}
	if _, ok := p.SubmitKey(submitKey(t, "stranger").Public().ID()); ok {
		t.Error("SubmitKey gives a stranger")
	}
	if got := p.Tenants(); !slices.Equal(got, []string{"acme", "globex"}) {
		t.Errorf("tenants %q", got)
	}
	if a, g, n := p.KVQuota("acme"), p.KVQuota("globex"), p.KVQuota("nobody"); a != 64<<20 || g != 64<<20 || n != 0 {
		t.Errorf("quotas %d %d %d", a, g, n)
	}
	if p.Audience() != "prod" || p.Version() != 7 {
		t.Errorf("audience %q, version %d", p.Audience(), p.Version())
	}
}

// TestGrantsAddUp: what several grants allow is united, and the loosest of each stated limit counts.
func TestGrantsAddUp(t *testing.T) {
	p := parse(t, simple(t))
	for _, row := range []struct {
		queue, task string
		caps        []string
		limits      capability.Limits
	}{
		{"bulk", "image.thumbnail", []string{"http GET https://img.example.com/*", "kv ro thumbs/*"},
			capability.Limits{Memory: 128 << 20, Wall: 10 * time.Second, Payload: 1 << 10}},
		{"media", "csv.report", []string{"kv wo thumbs/*"},
			capability.Limits{Memory: 64 << 20, Wall: 30 * time.Second, Calls: 50, Fuel: 2_000_000_000, Tables: 65_536}},
		{"media", "image.thumbnail", []string{"http GET https://img.example.com/*", "kv ro thumbs/*", "kv wo thumbs/*"},
			capability.Limits{Memory: 128 << 20, Wall: 30 * time.Second, Payload: 1 << 10, Calls: 50, Fuel: 2_000_000_000, Tables: 65_536}},
	} {
		k := task()
		k.Queue, k.Task = row.queue, row.task
		a, err := p.Authorize(verified(t, k, submitKey(t, "billing")), noon)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Grant().Lines(); !slices.Equal(got, row.caps) {
			t.Errorf("%s %s: %q, want %q", row.queue, row.task, got, row.caps)
		}
		if got := a.Limits(); got != row.limits {
			t.Errorf("%s %s: %+v, want %+v", row.queue, row.task, got, row.limits)
		}
	}
}

func TestSenderTightensAndNarrows(t *testing.T) {
	p := parse(t, simple(t))
	k := task()
	k.Limits = envelope.Limits{Memory: 1 << 40, Stack: 4096, Result: 99, Wall: time.Second, CPU: 2 * time.Second, Calls: 49}
	k.Narrowed, k.Caps = true, []string{"kv ro thumbs/a/*"}
	v := verified(t, k, submitKey(t, "billing"))
	a, err := p.Authorize(v, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := capability.Limits{Memory: 128 << 20, Stack: 4096, Result: 99, Wall: time.Second, CPU: 2 * time.Second, Calls: 49, Payload: 1 << 10, Fuel: 2_000_000_000, Tables: 65_536}
	if got := a.Limits(); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	if a.Principal() != "billing" || a.Tenant() != "acme" || a.Digest() != v.Digest() || a.Task().Task != "image.thumbnail" {
		t.Errorf("%+v", a)
	}
	held, err := a.Hold(set(t, "kv rw thumbs/*"))
	if err != nil {
		t.Fatal(err)
	}
	for key, layer := range map[string]capability.Layer{"thumbs/a/1": "", "thumbs/b": capability.Sender, "else": capability.Manifest} {
		c, err := capability.KVRequest(false, key)
		if err != nil {
			t.Fatal(err)
		}
		var denied *capability.DeniedError
		err = held.Check(c)
		if errors.As(err, &denied); (err == nil) != (layer == "") || denied != nil && denied.Layer != layer {
			t.Errorf("%s: %v, want layer %q", key, err, layer)
		}
	}
	k.Caps = nil
	a, err = p.Authorize(verified(t, k, submitKey(t, "billing")), noon)
	if err != nil {
		t.Fatal(err)
	}
	held, err = a.Hold(set(t, "kv rw thumbs/*"))
	if c, _ := capability.KVRequest(false, "thumbs/a/1"); err != nil || held.Check(c) == nil {
		t.Errorf("narrowed to nothing holds thumbs/a/1, or %v", err)
	}
}

func TestHoldNamesAllThatIsMissing(t *testing.T) {
	p := parse(t, simple(t))
	a, err := p.Authorize(verified(t, task(), submitKey(t, "billing")), noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Hold(set(t, "kv rw thumbs/*", "kv rw other/*", "http POST https://img.example.com/*"))
	var short *capability.ShortfallError
	if !errors.As(err, &short) || len(short.Missing) != 2 || short.Layer != capability.Policy || code(t, err) != "capability.shortfall" {
		t.Errorf("%+v", err)
	}
	if _, err := (policy.Authorised{}).Hold(set(t, "log")); code(t, err) != "capability.shortfall" {
		t.Errorf("the zero Authorised holds log: %v", err)
	}
}

// TestEveryLimitHasACeiling counts the fields, so that a new one cannot be forgotten here.
func TestEveryLimitHasACeiling(t *testing.T) {
	text := strings.Replace(simple(t), `limits = { memory = "128MiB", wall = "10s", payload = "1KiB" }`, `limits = { memory = "64KiB", `+
		`stack = "16KiB", result = "3B", log = "4B", payload = "5B", wall = "6ms", cpu = "7ms", calls = 8, log_lines = 9, fuel = 10, tables = 11 }`, 1)
	k := task()
	k.Queue = "bulk"
	a, err := parse(t, text).Authorize(verified(t, k, submitKey(t, "billing")), noon)
	if err != nil {
		t.Fatal(err)
	}
	want := capability.Limits{Memory: 64 << 10, Stack: 16 << 10, Result: 3, Log: 4, Payload: 5, Wall: 6e6, CPU: 7e6, Calls: 8, LogLines: 9, Fuel: 10, Tables: 11}
	if got := a.Limits(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for i, f := 0, reflect.ValueOf(a.Limits()); i < f.NumField(); i++ {
		if f.Field(i).IsZero() {
			t.Errorf("capability.Limits.%s has no ceiling in policy.toml", f.Type().Field(i).Name)
		}
	}
}

// TestStands: a decision stands under the policy that made it, for as long as the principal's keys are valid, and no longer.
func TestStands(t *testing.T) {
	p := parse(t, simple(t)) // valid for all of 2026
	a, err := p.Authorize(verified(t, task(), submitKey(t, "billing")), noon)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time { t, _ := time.Parse(time.RFC3339, s); return t }
	for _, row := range []struct {
		name string
		a    policy.Authorised
		p    *policy.Policy
		now  time.Time
		want bool
	}{
		{"a moment later", a, p, noon.Add(time.Second), true},
		{"from the first instant", a, p, at("2026-01-01T00:00:00Z"), true},
		{"before it", a, p, at("2025-12-31T23:59:59Z"), false},
		{"to the last instant", a, p, at("2026-12-31T23:59:59Z"), true},
		{"after it", a, p, at("2027-01-01T00:00:00Z"), false},
		{"another policy, though it says the same", a, parse(t, simple(t)), noon, false},
		{"nobody's", policy.Authorised{}, nil, noon, false},
	} {
		if got := row.a.Stands(row.p, row.now); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}
