package sandbox

import (
	"slices"
	"sync"
)

// A budget is the memory that running guests may take together. A run claims all that it may come to take before it has any of it, and waits while there is not enough;
// claims are met in the order of their coming, so that a large one is not passed by small ones for ever. Whoever has its claim waits for nobody else's, so
// all of them end. Any number of goroutines use it at once.
type budget struct {
	all int64 // bytes

	mu      sync.Mutex
	free    int64
	waiting []*claim
}

// A claim waits for its part of a budget.
type claim struct {
	size int64
	met  chan struct{} // closed when it has got it
}

func newBudget(bytes int64) *budget { return &budget{all: bytes, free: bytes} }

// part is what a run of size bytes claims: one that could take more than there is runs when nothing else does.
func (b *budget) part(size int64) int64 { return min(size, b.all) }

// claim takes size bytes, a part, and returns nil, or what waits for them.
func (b *budget) claim(size int64) *claim {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 && size <= b.free {
		b.free -= size
		return nil
	}
	c := &claim{size: size, met: make(chan struct{})}
	b.waiting = append(b.waiting, c)
	return c
}

// give gives back size bytes; fewer than 0 are taken whether there are so many or not.
func (b *budget) give(size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += size
	b.meet()
}

// drop ends the waiting of c.
func (b *budget) drop(c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.waiting, c); at >= 0 {
		b.waiting = slices.Delete(b.waiting, at, at+1)
	} else { // it was met meanwhile
		b.free += c.size
	}
	b.meet()
}

// meet meets the claims that are next, under budget.mu.
func (b *budget) meet() {
	for len(b.waiting) > 0 && b.waiting[0].size <= b.free {
		c := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.free -= c.size
		close(c.met)
	}
}

// used is what running guests have claimed, in bytes.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all - b.free
}
