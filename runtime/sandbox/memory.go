package sandbox

import (
	"github.com/tetratelabs/wazero/experimental"
)

// A memory is the linear memory of one run. It implements experimental.MemoryAllocator and experimental.LinearMemory
// for that one memory: a module has at most one.
//
// It is reserved whole at first and never moves; pages cost something only once they are written. The run frees it, because wazero
// does not when the module was closed by its context at the moment when it returned.
type memory struct {
	limit    uint64 // bytes, what the run may have
	reserved []byte // as long as the memory can become
	size     uint64 // what the guest has now, which is the most it had
	denied   bool   // a growth was refused for the limit
	failed   bool   // the system gave nothing
}

// Allocate implements experimental.MemoryAllocator. max is the module's own maximum.
func (m *memory) Allocate(_, max uint64) experimental.LinearMemory {
	if n := min(max, m.limit); n > 0 {
		var err error
		m.reserved, err = reserve(n)
		m.failed = err != nil
	}
	return m
}

// Reallocate implements experimental.LinearMemory. nil makes memory.grow answer -1.
// At the first call it would make wazero panic, for which Run checks the minimum beforehand and recovers.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		m.denied = true
		return nil
	}
	m.size = size
	return m.reserved[:size]
}

// Free implements experimental.LinearMemory. It may be called more than once.
func (m *memory) Free() {
	if m.reserved != nil {
		release(m.reserved)
		m.reserved = nil
	}
}
