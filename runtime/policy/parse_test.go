package policy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/runtime/policy"
)

// TestFaults changes one line of a good file and wants exactly one fault, with its place.
func TestFaults(t *testing.T) {
	for _, row := range []struct {
		name, old, new, want string // "@" in want is the line of the change
		also                 int    // faults that follow from it
	}{
		{"unknown field", `kv   = "64MiB"`, `kvs  = "64MiB"`, `@:1: tenant[0].kvs: unknown key`, 0},
		{"wrong type", `version  = 7`, `version = "7"`, `@:1: version: want`, 0},
		{"no version", `version  = 7`, ``, `1:1: version: is missing`, 0},
		{"version below 1", `version  = 7`, `version = 0`, `@:1: version: is below 1`, 0},
		{"no audience", `audience = "prod"`, ``, `1:1: audience: is missing`, 0},
		{"bad audience", `audience = "prod"`, `audience = "Prod"`, `@:1: audience: does not begin with a-z or 0-9`, 0},
		{"tenant without a name", `name = "globex"`, ``, `tenant[1].name: is missing`, 1},
		{"tenant twice", `name = "globex"`, `name = "acme"`, `@:1: tenant[1].name: acme is already the name of the tenant in line 5`, 1},
		{"tenant with a colon", `name = "globex"`, `name = "a:b"`, `@:1: tenant[1].name: byte 1 is not one of`, 1},
		{"no quota at all", `kv   = "64MiB"`, `kv = "0B"`, `@:1: tenant[0].kv: must be more than 0`, 0},
		{"absurd quota", `kv   = "64MiB"`, `kv = "4096GiB"`, `@:1: tenant[0].kv: 4096GiB is above the maximum 4GiB`, 0},
		{"decimal unit", `kv   = "64MiB"`, `kv = "64MB"`, `@:1: tenant[0].kv: "64MB" is not a size`, 0},

		{"nothing may run", `kv   = "64MiB"`, `in_flight = 0`, `@:1: tenant[0].in_flight: must be more than 0`, 0},
		{"too much may run", `kv   = "64MiB"`, `in_flight = 65537`, `@:1: tenant[0].in_flight: 65537 is above the maximum 65536`, 0},
		{"grant of nothing running", `queues = ["slow"]`, "in_flight = -1\nqueues = [\"slow\"]", `@:1: role[1].grant[0].in_flight: must be more than 0`, 0},
		{"rate of nothing", `queues = ["slow"]`, "rate = \"0/s\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: not a rate, such as "100/s"`, 0},
		{"rate without a time", `queues = ["slow"]`, "rate = \"100\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: not a rate`, 0},
		{"rate of days", `queues = ["slow"]`, "rate = \"1/d\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: not a rate`, 0},
		{"rate in another form", `queues = ["slow"]`, "rate = \"+1/s\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: not a rate`, 0},
		{"rate as a number", `queues = ["slow"]`, "rate = 100\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: `, 0},
		{"absurd rate", `queues = ["slow"]`, "rate = \"100001/s\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].rate: 100001/s is faster than the maximum 100000/s`, 0},
		{"burst without a rate", `queues = ["slow"]`, "burst = 5\nqueues = [\"slow\"]", `@:1: role[1].grant[0].burst: is for a rate, and there is none`, 0},
		{"burst of nothing", `queues = ["slow"]`, "burst = 0\nrate = \"1/s\"\nqueues = [\"slow\"]", `@:1: role[1].grant[0].burst: must be more than 0`, 0},

		{"role twice", `name = "audits"`, `name = "images"`, `role[1].name: images is already the name of the role in line 11`, 1},
		{"role without a grant", "\n[[principal]]\nname       =", "[[role]]\nname = \"idle\"\n[[principal]]\nname       =", `role[2]: has no [[role.grant]]`, 0},
		{"grant without queues", `queues = ["slow"]`, ``, `role[1].grant[0].queues: is missing: a grant for no queue grants nothing`, 0},
		{"grant for no queue", `queues = ["slow"]`, `queues = []`, `role[1].grant[0].queues: is empty: a grant for no queue`, 0},
		{"every queue", `queues = ["slow"]`, `queues = ["*"]`, `role[1].grant[0].queues[0]: "*" is refused`, 0},
		{"a family of queues", `queues = ["slow"]`, `queues = ["slow.*"]`, `role[1].grant[0].queues[0]: byte 5 is not one of`, 0},
		{"queue twice", `queues = ["slow"]`, `queues = ["slow", "slow"]`, `role[1].grant[0].queues[1]: "slow" is there twice`, 0},
		{"too many queues", `queues = ["slow"]`, `queues = [` + strings.Repeat(`"q",`, 65) + `]`, `role[1].grant[0].queues: has 65 entries, at most 64`, 0},
		{"grant without tasks", "tasks  = [\"csv.report\"]\n", "\n", `role[1].grant[0].tasks: is missing: a grant for no task grants nothing`, 0},
		{"every task", `tasks  = ["csv.report"]`, `tasks = ["*"]`, `role[1].grant[0].tasks[0]: "*" alone is refused`, 0},
		{"every task, with a dot", `tasks  = ["csv.report"]`, `tasks = [".*"]`, `role[1].grant[0].tasks[0]: "*" alone is refused`, 0},
		{"star inside", `tasks  = ["csv.report"]`, `tasks = ["csv*"]`, `role[1].grant[0].tasks[0]: byte 3 is not one of`, 0},
		{"star in the middle", `tasks  = ["csv.report"]`, `tasks = ["csv.*.a"]`, `role[1].grant[0].tasks[0]: byte 4 is not one of`, 0},
		{"two dots", `tasks  = ["csv.report"]`, `tasks = ["csv..*"]`, `role[1].grant[0].tasks[0]: has two dots before the *`, 0},
		{"task twice", `tasks  = ["csv.report"]`, `tasks = ["csv.a", "csv.a"]`, `role[1].grant[0].tasks[1]: "csv.a" is there twice`, 0},
		{"bad capability", `caps   = ["kv wo thumbs/*"]`, `caps = ["log", "kv xx thumbs/*"]`, `@:20: role[0].grant[1].caps[1]: `, 0},
		{"every host", `caps   = ["kv wo thumbs/*"]`, `caps = ["http GET https://*/*"]`, `role[0].grant[1].caps[0]: `, 0},
		{"capability twice", `caps   = ["kv wo thumbs/*"]`, `caps = ["log", "log"]`, `role[0].grant[1].caps[1]: log is there twice`, 0},
		{"limit of nothing", `wall = "30s"`, `wall = "0s"`, `role[0].grant[1].limits.wall: must be more than 0`, 0},
		{"negative limit", `calls = 50`, `calls = -1`, `role[0].grant[1].limits.calls: must be more than 0`, 0},
		{"unknown limit", `calls = 50`, `call = 50`, `role[0].grant[1].limits.call: unknown key; calls is meant?`, 0},
		{"limit below the least", `memory = "64MiB"`, `memory = "1KiB"`, `role[0].grant[1].limits.memory: 1KiB is below the minimum 64KiB`, 0},
		{"limit above the most", `memory = "64MiB"`, `memory = "5GiB"`, `role[0].grant[1].limits.memory: 5GiB is above the maximum 4GiB`, 0},
		{"absurd time", `wall = "30s"`, `wall = "25h"`, `role[0].grant[1].limits.wall: 25h is above the maximum 1h`, 0},
		{"limit past all numbers", `memory = "64MiB"`, `memory = "9999999999GiB"`, `role[0].grant[1].limits.memory: "9999999999GiB" is out of range`, 0},

		{"principal twice", `name    = "auditor"`, `name = "billing"`, `principal[1].name: billing is already the name of the principal in line 30`, 0},
		{"no purpose", "purpose    = \"submit\"\n", "\n", `principal[0].purpose: must be "submit" or "operate"`, 0},
		{"unknown purpose", `purpose    = "submit"`, `purpose = "all"`, `@:1: principal[0].purpose: must be "submit" or "operate"`, 0},
		{"publisher as a principal", `purpose    = "submit"`, `purpose = "publish"`, `@:1: principal[0].purpose: publish keys stand under [[publisher]]`, 0},
		{"no tenant", `tenant     = "acme"`, ``, `principal[0].tenant: is missing`, 0},
		{"unknown tenant", `tenant     = "acme"`, `tenant = "acne"`, `@:1: principal[0].tenant: no [[tenant]] is named "acne"`, 0},
		{"no keys", `keys    = ["{submit:auditor}"]`, ``, `principal[1].keys: is missing: nobody could act as this principal`, 0},
		{"empty keys", `keys    = ["{submit:auditor}"]`, `keys = []`, `principal[1].keys: is empty`, 0},
		{"key in two principals", `keys    = ["{submit:auditor}"]`, `keys = ["{submit:billing}"]`, `principal[1].keys[0]: principal billing has this key already`, 0},
		{"key twice in one", `keys    = ["{submit:auditor}"]`, `keys = ["{submit:auditor}", "{submit:auditor}"]`, `principal[1].keys[1]: principal auditor has this key already`, 0},
		{"key of another purpose", `keys    = ["{submit:auditor}"]`, `keys = ["{publish:auditor}"]`, `principal[1].keys[0]: this is a publish key; here stand submit keys`, 0},
		{"secret key", `keys    = ["{submit:auditor}"]`, `keys = ["CAISSON-SUBMIT-SECRET-AAAA"]`, `principal[1].keys[0]: this is a secret key where a public key was wanted`, 0},
		{"key cut short", `keys    = ["{submit:auditor}"]`, `keys = ["caisson-submit-public-AAAA"]`, `principal[1].keys[0]: caisson-submit-public-…: 4 characters follow`, 0},
		{"revoked id of nobody", `revoked_keys = ["{id:billing-old}"]`, `revoked_keys = ["{id:stranger}"]`, `principal[0].revoked_keys[0]: none of the keys beside it has this id`, 0},
		{"revoked id of another", `revoked_keys = ["{id:billing-old}"]`, `revoked_keys = ["{id:auditor}"]`, `principal[0].revoked_keys[0]: none of the keys beside it has this id`, 0},
		{"revoked id in capitals", `revoked_keys = ["{id:billing-old}"]`, `revoked_keys = ["0123456789ABCDEF0123456789ABCDEF"]`, `principal[0].revoked_keys[0]: has a character that is not`, 0},
		{"date without a zone", `not_before = "2026-01-01T00:00:00Z"`, `not_before = "2026-01-01T00:00:00"`, `@:1: principal[0].not_before: not an instant with its zone`, 0},
		{"date of TOML", `not_before = "2026-01-01T00:00:00Z"`, `not_before = 2026-01-01T00:00:00Z`, `@:1: principal[0].not_before: `, 0},
		{"never valid", `not_before = "2026-01-01T00:00:00Z"`, `not_before = "2027-01-01T00:00:00Z"`, `36:1: principal[0].not_after: is not after not_before`, 0},
		{"no roles", `roles   = ["audits", "images"]`, ``, `principal[1].roles: is missing: a principal without a role can send nothing`, 0},
		{"empty roles", `roles   = ["audits", "images"]`, `roles = []`, `principal[1].roles: is empty`, 0},
		{"unknown role", `roles   = ["audits", "images"]`, `roles = ["audits", "image"]`, `principal[1].roles[1]: no [[role]] is named "image"`, 0},
		{"role held twice", `roles   = ["audits", "images"]`, `roles = ["audits", "audits"]`, `principal[1].roles[1]: "audits" is there twice`, 0},
		{"operator with roles", `purpose = "operate"`, "purpose = \"operate\"\nroles = [\"images\"]", `principal[3].roles: an operator has none`, 0},
		{"operator with a tenant", `purpose = "operate"`, "purpose = \"operate\"\ntenant = \"acme\"", `principal[3].tenant: an operator has none`, 0},

		{"publisher without tasks", `tasks = ["image.*", "csv.report"]`, ``, `publisher[0].tasks: is missing`, 0},
		{"publisher of everything", `tasks = ["image.*", "csv.report"]`, `tasks = ["*"]`, `publisher[0].tasks[0]: "*" alone is refused`, 0},
		{"submit key publishes", `keys  = ["{publish:media-team}"]`, `keys  = ["{submit:media-team}"]`, `publisher[0].keys[0]: this is a submit key; here stand publish keys`, 0},
		{"worker with a role", `name = "worker-1"`, "name = \"worker-1\"\nroles = [\"images\"]", `worker[0].roles: unknown key`, 0},
		{"worker twice", `name    = "worker-2"`, `name = "worker-1"`, `worker[1].name: worker-1 is already the name of the worker`, 0},
		{"syntax", `version  = 7`, `version  = `, `@:12: `, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := simple(t)
			if strings.Count(text, row.old) < 1 {
				t.Fatalf("simple.toml has no %q", row.old)
			}
			_, err := policy.Parse("policy.toml", []byte(fill(t, strings.Replace(text, row.old, row.new, 1))))
			var faults strict.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want faults", err)
			}
			line := 1 + strings.Count(text[:strings.Index(text, row.old)], "\n")
			want := strings.Replace(row.want, "@:", fmt.Sprintf("policy.toml:%d:", line), 1)
			if len(faults) != 1+row.also {
				t.Errorf("got %d faults, want %d:\n%v", len(faults), 1+row.also, faults)
			}
			if got := faults[0].Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, "policy.toml:") {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestOneSecretTwoPurposes: the same 32 bytes as a submit and as an operate key are one secret in two hands.
func TestOneSecretTwoPurposes(t *testing.T) {
	_, err := policy.Parse("policy.toml", []byte(fill(t, strings.Replace(simple(t), "{operate:ops}", "{operate:auditor}", 1))))
	if err == nil || !strings.Contains(err.Error(), "principal[3].keys[0]: principal auditor has this key already") {
		t.Error(err)
	}
}

// TestSmallOrderKeys: under such a key anybody can make a signature, so the file is refused.
func TestSmallOrderKeys(t *testing.T) {
	for name, point := range map[string]string{
		"zero":     strings.Repeat("00", 32),
		"identity": "01" + strings.Repeat("00", 31),
		"order 2":  "ec" + strings.Repeat("ff", 30) + "7f",
		"order 8":  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		raw, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		const prefix = "caisson-submit-public-"
		sum := sha256.Sum256([]byte("caisson-key-checksum-v1:" + prefix + string(raw)))
		text := prefix + base64.RawURLEncoding.EncodeToString(append(raw, sum[:4]...))
		_, err = policy.Parse("policy.toml", []byte(fill(t, strings.Replace(simple(t), "{submit:auditor}", text, 1))))
		if err == nil || !strings.Contains(err.Error(), "principal[1].keys[0]: the public key is refused: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAllFaultsAtOnce has faults of every part of a file, and wants each, in the order of the file.
func TestAllFaultsAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/faulty.toml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = policy.Parse("faulty.toml", []byte(fill(t, string(data))))
	if err == nil {
		t.Fatal("no fault")
	}
	golden(t, "testdata/faulty.txt", err.Error()+"\n")
}

// TestIndexIsBounded: files of a legal size that would make an index out of all proportion.
func TestIndexIsBounded(t *testing.T) {
	list := func(n int, form string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(form, i)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	wide, deep := &strings.Builder{}, &strings.Builder{}
	for i := range 20 {
		fmt.Fprintf(wide, "[[role.grant]]\nqueues = %s\ntasks = %s\n", list(64, `"q%d"`), list(256, fmt.Sprintf(`"t%d.x%%d"`, i)))
	}
	fmt.Fprintf(deep, "[[role.grant]]\nqueues = [\"q\"]\ntasks = [\"t.*\"]\ncaps = %s\n", list(256, `"kv ro k%d"`))
	for i := range 1100 {
		fmt.Fprintf(deep, "[[role.grant]]\nqueues = [\"q\"]\ntasks = [\"t.x%d\"]\n", i)
	}
	for name, grants := range map[string]*strings.Builder{"scopes": wide, "capabilities": deep} {
		text := "version = 1\naudience = \"prod\"\n[[tenant]]\nname = \"acme\"\n[[role]]\nname = \"many\"\n" + grants.String() +
			"[[principal]]\nname = \"a\"\npurpose = \"submit\"\ntenant = \"acme\"\nkeys = [\"{submit:a}\"]\nroles = [\"many\"]\n"
		_, err := policy.Parse("policy.toml", []byte(fill(t, text)))
		if err == nil || !strings.Contains(err.Error(), "principal[0].roles: the grants of this file come to too many combinations") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCombinationsOfRolesAreNotMistaken: rules are shared between principals with the same roles, and only those.
func TestCombinationsOfRolesAreNotMistaken(t *testing.T) {
	text := "version = 1\naudience = \"prod\"\n[[tenant]]\nname = \"acme\"\n"
	for _, role := range []string{"a", "bc", "ab", "c"} {
		text += fmt.Sprintf("[[role]]\nname = %q\n[[role.grant]]\nqueues = [\"media\"]\ntasks = [\"t.%s\"]\n", role, role)
	}
	for _, who := range [][3]string{{"one", "a", "bc"}, {"two", "ab", "c"}, {"three", "bc", "a"}} {
		text += fmt.Sprintf("[[principal]]\nname = %q\npurpose = \"submit\"\ntenant = \"acme\"\nkeys = [\"{submit:%s}\"]\nroles = [%q, %q]\n",
			who[0], who[0], who[1], who[2])
	}
	p := parse(t, text)
	for who, may := range map[string]string{"one": "a bc", "two": "ab c", "three": "a bc"} {
		for _, role := range []string{"a", "bc", "ab", "c"} {
			k := task()
			k.Task = "t." + role
			_, err := p.Authorize(verified(t, k, submitKey(t, who)), noon)
			if want := slices.Contains(strings.Fields(may), role); (err == nil) != want {
				t.Errorf("%s, task of role %s: %v, want allowed %v", who, role, err, want)
			}
		}
	}
}

// TestTooManyCapabilitiesTogether: each grant is within its bound, and what matches one task is not.
func TestTooManyCapabilitiesTogether(t *testing.T) {
	var grants strings.Builder
	for i := range 2 {
		grants.WriteString("[[role.grant]]\nqueues = [\"media\"]\ntasks = [\"image.*\"]\ncaps = [")
		for j := range 200 {
			fmt.Fprintf(&grants, "\"kv ro k%d-%d\", ", i, j)
		}
		grants.WriteString("]\n")
	}
	_, err := policy.Parse("policy.toml", []byte(fill(t, strings.Replace(simple(t), "[[role]]\nname = \"audits\"\n", "[[role]]\nname = \"audits\"\n"+grants.String(), 1))))
	if err == nil || !strings.Contains(err.Error(), "principal[1].roles: the grants that match image.* in queue media do not unite: ") {
		t.Error(err)
	}
}

// FuzzParse: no file may make Parse panic, and a file without fault must give a policy that can be asked.
func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("testdata/simple.toml")
	if err != nil {
		f.Fatal(err)
	}
	bad, err := os.ReadFile("testdata/faulty.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(fill(f, string(good))))
	f.Add([]byte(fill(f, string(bad))))
	f.Add([]byte("version = 1\naudience = \"a\"\n"))
	f.Add([]byte("[[role]]\n[[role.grant]]\nlimits = 3"))
	f.Add([]byte("principal = [{}, {keys = []}]\nworker = [[]]\n"))
	v := verified(f, task(), submitKey(f, "billing"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("policy.toml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("policy %v with error %v", p, err)
		}
		if err != nil {
			return
		}
		_, err = p.Authorize(v, noon)
		if x := p.Explain(v, noon); (x.Verdict == "allowed") != (err == nil) {
			t.Errorf("Authorize says %v, Explain says %+v", err, x)
		}
		_ = p.Tenants()
	})
}
