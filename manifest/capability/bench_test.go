package capability_test

import (
	"testing"

	"github.com/caisson-run/caisson/manifest/capability"
)

// BenchmarkHTTPCall is what every http call of a guest pays before anything is dialled.
func BenchmarkHTTPCall(b *testing.B) {
	lines := set(b, "clock fine", "kv rw thumbs/*", "http GET https://img.example.com/*", "http POST https://*.example.com/v1/*/items")
	h, err := capability.Hold(lines, lines, &lines)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, _, err := capability.HTTPRequest("GET", "https://img.example.com/a/b/c.png?size=large")
		if err != nil || h.Check(c) != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKVCall is the same for kv.
func BenchmarkKVCall(b *testing.B) {
	lines := set(b, "clock fine", "kv rw thumbs/*", "http GET https://img.example.com/*")
	h, err := capability.Hold(lines, lines, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := capability.KVRequest(true, "thumbs/a/b")
		if err != nil || h.Check(c) != nil {
			b.Fatal(err)
		}
	}
}
