package wasm

// Bulk instructions are charged by what they move. On memory they run in chunks, with a check after each, so that none of them outlasts a limit.

const (
	bulkChunk     = 256 << 10 // bytes: some 25 µs
	bytesPerUnit  = 8         // copied or filled in the time of an instruction, as far as that can be said
	bytesShift    = 3         // its logarithm
	pageUnits     = 64 << 10 / bytesPerUnit
	growUnits     = 512 // of a memory.grow or table.grow besides its length: it leaves compiled code
	elementsShift = 0   // of table elements, which take 8 bytes each
)

// bulky reports whether op is charged by a length that is known only as it runs.
func bulky(op opcode) bool {
	switch op {
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableGrow, opTableFill:
		return true
	}
	return false
}

// Helper functions stand behind the module's own, in this order, those that are needed. Those for memory.init come last, one for each segment that is longer than a chunk.
type helper int

const (
	helperRefuel helper = iota
	helperFill
	helperCopy
	helperGrow
	helpersCount
)

// A helperSet says which helpers a module needs.
type helperSet struct {
	need     [helpersCount]bool
	segments []uint32 // with a helper, in order of first use
	known    map[uint32]int
}

func (h *helperSet) add(in *instr, p *plan) {
	switch in.op {
	case opMemoryFill:
		h.need[helperFill] = true
	case opMemoryCopy:
		h.need[helperCopy] = true
	case opMemoryGrow:
		h.need[helperGrow] = true
	case opMemoryInit:
		if _, ok := h.known[in.a]; !ok && p.sizes[in.a] > bulkChunk {
			if h.known == nil {
				h.known = map[uint32]int{}
			}
			h.known[in.a] = len(h.segments)
			h.segments = append(h.segments, in.a)
		}
	}
}

// helper gives the index of a helper function.
func (p *plan) helper(h helper) uint32 {
	at := p.helpers
	for i := range h {
		if p.needs.need[i] {
			at++
		}
	}
	return at
}

// initHelper gives the index of the helper for memory.init from a segment.
func (p *plan) initHelper(segment uint32) (uint32, bool) {
	i, ok := p.needs.known[segment]
	return p.helper(helpersCount) + uint32(i), ok
}

// bulk writes a bulk instruction.
func (w *bodyWriter) bulk() {
	in := &w.in
	s := stretch(w.out)
	w.at.stale = true
	switch {
	case in.op == opTableGrow:
		w.out = w.tableGrow(s)
	case !w.metered:
		w.out = appendInstr(s, in)
	case in.op == opMemoryFill:
		w.out = s.call(w.helper(helperFill))
	case in.op == opMemoryCopy:
		w.out = s.call(w.helper(helperCopy))
	case in.op == opMemoryGrow:
		w.out = s.call(w.helper(helperGrow))
	case in.op == opMemoryInit:
		if f, ok := w.initHelper(in.a); ok {
			w.out = s.call(f)
			break
		}
		w.charged(s, bytesShift)
	default:
		w.charged(s, elementsShift)
	}
}

// charged writes a bulk instruction whose length is its last operand, and which is short enough to run at once: charge, instruction, check.
func (w *bodyWriter) charged(s stretch, shift int64) {
	w.used = max(w.used, 1)
	s = s.tee(w.scratch).globalGet(w.fuel).get(w.scratch).op(opI64ExtendI32U)
	if shift > 0 {
		s = s.i64(shift).op(opI64ShrU)
	}
	s = s.op(opI64Sub).globalSet(w.fuel)
	w.out = appendInstr(s, &w.in)
	w.check()
}

// tableGrow writes table.grow. When there is not room for what it asks for, it asks for 2^32-1 elements instead, which no table can have. Granted, it is
// charged by what it adds and, since the table may be copied, by what was there; denied, it is noted.
func (w *bodyWriter) tableGrow(s stretch) stretch {
	asked, old := w.scratch, w.scratch+1
	w.used = 2
	s = s.tee(asked).i32(-1).globalGet(w.room).get(asked).op(opI64ExtendI32U, opI64GeS, opSelect)
	s = appendInstr(s, &w.in)
	s = s.tee(old).i32(-1).op(opI32Eq).block(opIf).i32(1).globalSet(w.denied).op(opElse)
	s = s.globalGet(w.room).get(asked).op(opI64ExtendI32U, opI64Sub).globalSet(w.room)
	if w.metered {
		s = s.globalGet(w.fuel).get(asked).op(opI64ExtendI32U).op(opI64Sub).get(old).op(opI64ExtendI32U).op(opI64Sub).globalSet(w.fuel)
	}
	s = s.op(opEnd)
	if w.metered {
		w.out = s.add(w.fuel, -growUnits)
		w.check()
		s = w.out
	}
	return s.get(old)
}
