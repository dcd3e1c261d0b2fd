package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/policy"
)

// many makes a policy of n roles and n principals, each with three of the roles.
func many(t testing.TB, n int) *policy.Policy {
	t.Helper()
	var b strings.Builder
	b.WriteString("version = 1\naudience = \"prod\"\n[[tenant]]\nname = \"acme\"\n")
	for i := range n {
		fmt.Fprintf(&b, "[[role]]\nname = \"role-%d\"\n[[role.grant]]\nqueues = [\"media\"]\ntasks = [\"image.*\", \"t%d.run\"]\n"+
			"caps = [\"kv rw k%d/*\"]\nlimits.memory = \"64MiB\"\n", i, i, i)
	}
	for i := range n {
		fmt.Fprintf(&b, "[[principal]]\nname = \"sender-%d\"\npurpose = \"submit\"\ntenant = \"acme\"\nkeys = [\"{submit:sender-%d}\"]\n"+
			"roles = [\"role-%d\", \"role-%d\", \"role-%d\"]\n", i, i, i, (i+1)%n, (i+2)%n)
	}
	p, err := policy.Parse("policy.toml", []byte(fill(t, b.String())))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprintf("principals=%d", n), func(b *testing.B) {
			p := many(b, n)
			v := verified(b, task(), submitKey(b, "sender-1"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Authorize(v, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprintf("principals=%d", n), func(b *testing.B) {
			for b.Loop() {
				many(b, n) // the keys are made too, which is the larger part
			}
		})
	}
}

// TestAuthorizeAllocatesNothing whatever the size of the policy, so that the hot path has no cost that grows.
func TestAuthorizeAllocatesNothing(t *testing.T) {
	for _, n := range []int{3, 300} {
		p := many(t, n)
		v := verified(t, task(), submitKey(t, "sender-1"))
		if got := testing.AllocsPerRun(100, func() {
			if _, err := p.Authorize(v, noon); err != nil {
				t.Fatal(err)
			}
		}); got > 0 {
			t.Errorf("%d principals: %v allocations", n, got)
		}
	}
}
