package guest

import "math/rand/v2"

// Rand returns the random numbers of this task: a stream of ChaCha8 whose seed is drawn from the host at its first use
// in each task, so no two tasks have the same. The functions at the top of math/rand and math/rand/v2 do not promise
// that: they go on from what was seeded while the module started, and with start = "template" many tasks begin there.
//
// It is the same value every time, and may be kept from init on. As every *rand.Rand, it is for one goroutine at a
// time. It is no more secret than ChaCha8 is: for keys and tokens use crypto/rand, which asks the host each time.
// The first use in a task is one host call.
func Rand() *rand.Rand { return random }

// random and its source are one for the whole module, so that what was kept during init is reseeded too.
var (
	random     = rand.New(randSource)
	randSource = &taskSource{}
)

// A taskSource is ChaCha8 that draws its seed when it is first asked after resume.
// Drawn late, because most tasks never ask: they are spared a host call and the pages that seeding writes.
type taskSource struct {
	stream rand.ChaCha8
	seeded bool
}

// Uint64 implements rand.Source.
func (s *taskSource) Uint64() uint64 {
	if !s.seeded {
		var seed [32]byte
		entropy(seed[:])
		s.stream.Seed(seed)
		s.seeded = true
	}
	return s.stream.Uint64()
}

// resume makes the module's random numbers this task's own. The host calls it first in each cell: what was drawn
// before is in the image that all cells of a template begin from.
func resume() { randSource.seeded = false }
