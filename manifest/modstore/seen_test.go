package modstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
)

// counting counts the releases that are read.
type counting struct {
	modstore.Blobs
	read int
}

func (c *counting) Get(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	if strings.HasPrefix(name, "releases/") {
		c.read++
	}
	return c.Blobs.Get(ctx, name, sizeMax)
}

// Whoever pins modules that there are not has each release read once in a while, and not once a message; and what is published meanwhile is found at once.
func TestPinsOfNothingReadNothing(t *testing.T) {
	blobs := &counting{Blobs: newMemory()}
	store := modstore.Over(blobs)
	for n := range uint64(50) {
		put(t, store, alice, "img.a", n+1, fmt.Sprint("module ", n+1))
	}
	check(t, blobs.Put(ctx, modstore.ReleaseName("img.a", 60), []byte("no release")))
	now := time.Unix(1_790_000_000, 0)
	seen := modstore.NewSeen(10*time.Second, func() time.Time { return now })
	rejected := 0
	find := func(pin string) (uint64, string) {
		t.Helper()
		bound, err := modstore.Find(ctx, store, modstore.Query{
			Task: "img.a", Pin: digestOf(pin), Publishers: policy, Seen: seen, Rejected: func(modstore.Rejected) { rejected++ },
		})
		return bound.Number(), code(err)
	}
	expect := func(what, pin string, number uint64, want string, reads int) {
		t.Helper()
		blobs.read = 0
		if n, c := find(pin); n != number || c != want || blobs.read != reads {
			t.Errorf("%s: release %d, %q and %d reads; want %d, %q and %d", what, n, c, blobs.read, number, want, reads)
		}
	}
	expect("the first", "nothing", 0, manifest.CodeUnknown, 51)
	for i := range 100 {
		expect("another", fmt.Sprint("nothing ", i), 0, manifest.CodeUnknown, 0)
	}
	expect("an old one that is there", "module 7", 7, "", 1)
	put(t, store, alice, "img.a", 70, "fresh")
	expect("one that was published just now", "fresh", 70, "", 1)
	expect("the same", "fresh", 70, "", 1)
	if rejected != 1 {
		t.Errorf("the release that does not hold was told of %d times", rejected)
	}
	now = now.Add(10 * time.Second)
	expect("after a while", "nothing", 0, manifest.CodeUnknown, 52)
	// Without a pin the newest is read each time.
	bound, err := modstore.Find(ctx, store, modstore.Query{Task: "img.a", Publishers: policy, Seen: seen})
	if err != nil || bound.Number() != 70 {
		t.Errorf("without a pin: %d, %v", bound.Number(), err)
	}
}
