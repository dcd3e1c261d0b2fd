package runtime

import (
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/queue/envelope"
)

// TestFloodOfUnknownReleases asks for more modules than are kept of which there is none: what was found for others stays, and so do its megabytes.
func TestFloodOfUnknownReleases(t *testing.T) {
	w, _ := openInside(t, &fake{})
	r, good := w.releases, releaseKey{task: "job.run"}
	found := r.entry(good)
	found.bound.Store(&manifest.Bound{})
	for i := range 4 * releasesMax {
		r.entry(releaseKey{"job.run", envelope.Digest{byte(i), byte(i >> 8), 1}})
		if len(r.kept) > releasesMax {
			t.Fatalf("%d are kept, at most %d", len(r.kept), releasesMax)
		}
	}
	if r.entry(good) != found {
		t.Error("what was found has to be found again")
	}
	for i := range releasesMax {
		r.entry(releaseKey{"job.other", envelope.Digest{byte(i), byte(i >> 8), 1}}).bound.Store(&manifest.Bound{})
	}
	if len(r.kept) > releasesMax {
		t.Errorf("%d that were found are kept, at most %d", len(r.kept), releasesMax)
	}
}
