package redisacl_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue/redisacl"
)

const keyID = "00112233445566778899aabbccddeeff"

// full has what any role requires.
var full = redisacl.Scope{Queues: []string{"jobs", "mail"}, Tenant: "acme", KeyID: keyID}

func rules(t *testing.T, role redisacl.Role, scope redisacl.Scope) []string {
	t.Helper()
	text, err := redisacl.Rules(role, scope)
	if err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return strings.Fields(text)
}

// TestRulesBeginWithNothing: a role takes everything away first and then gives single commands, never a category, all keys
// or all channels.
func TestRulesBeginWithNothing(t *testing.T) {
	for _, role := range redisacl.Roles() {
		words := rules(t, role, full)
		if !slices.Equal(words[:3], []string{"resetkeys", "resetchannels", "-@all"}) {
			t.Errorf("%s begins with %q", role, words[:3])
		}
		for _, word := range words[3:] {
			word = strings.Trim(word, "()")
			if strings.HasPrefix(word, "+@") || slices.Contains([]string{"~*", "%R~*", "%W~*", "&*", "allkeys", "allchannels", "allcommands", "nopass"}, word) {
				t.Errorf("%s has %s", role, word)
			}
		}
	}
}

func TestRulesNeedAScope(t *testing.T) {
	rows := []struct {
		name  string
		role  redisacl.Role
		scope redisacl.Scope
		want  string
	}{
		{"producer without tenant", redisacl.Producer, redisacl.Scope{KeyID: keyID}, "role producer needs a tenant"},
		{"producer without key", redisacl.Producer, redisacl.Scope{Tenant: "acme"}, "role producer needs a key id"},
		{"operator without key", redisacl.Operator, redisacl.Scope{Tenant: "acme"}, "role operator needs a key id"},
		{"unknown role", "owner", full, `no role "owner"`},
	}
	for _, r := range rows {
		if text, err := redisacl.Rules(r.role, r.scope); err == nil || !strings.Contains(err.Error(), r.want) || text != "" {
			t.Errorf("%s: %q, %v; want an error with %q", r.name, text, err, r.want)
		}
	}
}

// TestScopeConfines: every key and channel of a queue is of a queue of the scope, of its tenant and its key where the role is
// bound to these, and without queues the patterns are those of all queues.
func TestScopeConfines(t *testing.T) {
	for _, role := range redisacl.Roles() {
		seen := map[string]bool{}
		for _, word := range rules(t, role, full) {
			_, pattern, found := strings.Cut(strings.TrimRight(word, ")"), "cs:{")
			if !found {
				continue
			}
			name, rest, _ := strings.Cut(pattern, "}:")
			seen[name] = true
			if !slices.Contains(full.Queues, name) {
				t.Errorf("%s: %s is of no queue of the scope", role, word)
			}
			if kind, of, _ := strings.Cut(rest, ":"); role == redisacl.Producer && kind != "cancels" && kind != "orders" &&
				!strings.HasPrefix(of, full.Tenant) && !strings.HasPrefix(of, keyID) {
				t.Errorf("%s: %s is of neither its tenant nor its key", role, word)
			}
		}
		if queues := role != redisacl.KV && role != redisacl.Store; queues != (len(seen) == 2) || !queues && len(seen) > 0 {
			t.Errorf("%s has keys of queues %v", role, seen)
		}
	}
	all := full
	all.Queues = nil
	if words := rules(t, redisacl.Worker, all); !slices.Contains(words, "~cs:{*}:*") {
		t.Errorf("a worker of all queues has %q", words)
	}
	for tenant, want := range map[string]string{"": "~cs:kv:*", "acme": "~cs:kv:{acme}:*"} {
		words := rules(t, redisacl.KV, redisacl.Scope{Tenant: tenant})
		if got := words[len(words)-1]; got != want {
			t.Errorf("kv of tenant %q has %s, want %s", tenant, got, want)
		}
	}
}

func TestDefaultIsOffAndKeepsItsRights(t *testing.T) {
	if words := strings.Fields(redisacl.Default()); !slices.Equal(words, []string{"user", "default", "off", "~*", "&*", "+@all"}) {
		t.Errorf("%q", words)
	}
}
