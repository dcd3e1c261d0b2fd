package manifest_test

import (
	"testing"

	"github.com/caisson-run/caisson/manifest"
)

// BenchmarkOpenRelease is what a worker pays for each stored release that it looks at.
func BenchmarkOpenRelease(b *testing.B) {
	release, p := golden(b, "release.json"), &policy{key: testKey(b)}
	for b.Loop() {
		if _, err := manifest.OpenRelease(release, p); err != nil {
			b.Fatal(err)
		}
	}
}
