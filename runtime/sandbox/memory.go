package sandbox

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// A memory is the linear memory of one cell. It implements experimental.MemoryAllocator and experimental.LinearMemory
// for that one memory: a module has at most one.
//
// Its region is reserved whole at first and never moves; pages cost something only once they are written. What lies past the image is all zeros
// whenever no task runs.
type memory struct {
	region []byte // as long as the memory can become
	limit  int    // bytes, what the run may have; at most len(region)
	own    uint64 // bytes, what the module may have by its own maximum or ours: a growth beyond it is refused for no limit
	size   int    // what the guest has now
	peak   int    // the most it had since it was last restored
	denied bool   // a growth was refused for the limit
	forced int    // the size that the next Reallocate gives, whatever is asked; unforced otherwise

	private int // pages of the system that are no longer the image's
	excess  int // restores in a row that found many more of them than had been written
}

const unforced = -1

// newMemory reserves a region of n bytes; 0 is the memory of a module that has none.
// Errors: this machine has no memory or mappings left.
func newMemory(n int) (*memory, error) {
	m := &memory{limit: n, own: uint64(n), forced: unforced}
	if n == 0 {
		return m, nil
	}
	var err error
	if m.region, err = reserve(n); err != nil {
		return nil, fmt.Errorf("reserve %d bytes: %w", n, err)
	}
	return m, nil
}

// Allocate implements experimental.MemoryAllocator.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory. nil makes memory.grow answer -1. At the first call, when it would make wazero panic,
// it is never nil: the caller has seen that the region holds the minimum.
//
// The slice that it returns is the memory, whatever size was asked for: see resize.
func (m *memory) Reallocate(size uint64) []byte {
	if m.forced != unforced {
		size, m.forced = uint64(m.forced), unforced
	} else if size > min(uint64(m.limit), m.own) {
		m.denied = m.denied || size <= m.own
		return nil
	}
	m.size = int(size)
	m.peak = max(m.peak, m.size)
	return m.region[:m.size]
}

// resize makes guest's memory n bytes long, from outside. Wazero knows no way to shrink a memory, but asks at each growth what the memory is, and
// takes the answer: so a cell that grew need not be thrown away. It would not ask at a memory that is as long as the module allows, so it was told of a page more
// (wasm.Options.SparePage), which Reallocate gives to nobody.
// Source: MemoryInstance.Grow in wazero's internal/wasm/memory.go; TestNothingIsLeft holds the version in go.mod to it.
func (m *memory) resize(guest api.Module, n int) bool {
	m.forced = n
	_, ok := guest.Memory().Grow(1)
	m.forced = unforced
	return ok && m.size == n
}

// Free implements experimental.LinearMemory. It may be called more than once.
func (m *memory) Free() {
	if m.region != nil {
		release(m.region)
		m.region = nil
	}
}
