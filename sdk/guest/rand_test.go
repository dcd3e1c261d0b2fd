package guest

import (
	"math/rand/v2"
	"testing"
)

// Tasks that begin from one image have different numbers, also through what was kept from before the image was taken.
func TestRand(t *testing.T) {
	kept := Rand()
	seen := map[uint64]bool{}
	for task := range 3 {
		beginFromImage()
		resume()
		for range 4 {
			seen[kept.Uint64()] = true
			seen[Rand().Uint64()] = true
		}
		if want := 8 * (task + 1); len(seen) != want {
			t.Errorf("after %d tasks %d different numbers, want %d", task+1, len(seen), want)
		}
	}
	// Within a task the stream goes on: it is not seeded at each number.
	beginFromImage()
	stream := rand.NewChaCha8([32]byte{1})
	for range 3 {
		if got, want := Rand().Uint64(), stream.Uint64(); got != want {
			t.Errorf("got %x, want %x", got, want)
		}
	}
}

// beginFromImage puts the source in the state that a template would restore.
func beginFromImage() {
	randSource.stream.Seed([32]byte{1})
	randSource.seeded = true
}
