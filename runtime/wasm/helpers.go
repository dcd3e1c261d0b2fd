package wasm

// helperBodies gives the helper functions, in the order of their indices: type and body, locals first.
func (p *plan) helperBodies() (types []uint32, bodies []stretch) {
	add := func(t uint32, body stretch) { types, bodies = append(types, t), append(bodies, body) }
	if p.o.Unmetered {
		return nil, nil
	}
	add(p.extra(typeNone), p.refuelBody())
	if p.needs.need[helperFill] {
		add(p.extra(typeThree), p.fillBody())
	}
	if p.needs.need[helperCopy] {
		add(p.extra(typeThree), p.copyBody())
	}
	if p.needs.need[helperGrow] {
		add(p.extra(typeOne), p.growBody())
	}
	for _, segment := range p.needs.segments {
		add(p.extra(typeThree), p.initBody(segment))
	}
	return types, bodies
}

func withoutLocals() stretch { return stretch{0} }

// refuelBody calls tick: fuel = tick(fuel, depth). It stands alone, so that checks, which are everywhere, are short.
func (p *plan) refuelBody() stretch {
	return withoutLocals().globalGet(p.fuel).globalGet(p.depth).call(p.imports).globalSet(p.fuel).op(opEnd)
}

// growBody is memory.grow: (pages) -> (old size or -1). Granted pages are charged.
func (p *plan) growBody() stretch {
	const pages, old = 0, 1
	s := stretch{1, 1, byte(I32)} // one group: one i32
	s = s.get(pages)
	s = appendInstr(s, &instr{op: opMemoryGrow, shape: shapeMemory})
	s = s.tee(old).i32(-1).op(opI32Ne).block(opIf)
	s = s.globalGet(p.fuel).get(pages).op(opI64ExtendI32U).i64(pageUnits).op(opI64Mul).op(opI64Sub).globalSet(p.fuel).op(opEnd)
	s = s.add(p.fuel, -growUnits)
	return p.check(s).get(old).op(opEnd)
}

// Parameters of the helpers that move memory.
const (
	moveTo   = 0
	moveFrom = 1 // or the value to fill with
	moveSize = 2
)

func (p *plan) fillBody() stretch {
	fill := instr{op: opMemoryFill, shape: shapeMemory}
	return p.moveBody(&fill, p.outOfBounds(nil, moveTo), p.forward(nil, &fill, moveTo))
}

func (p *plan) initBody(segment uint32) stretch {
	move := instr{op: opMemoryInit, shape: shapeDataInit, a: segment}
	// Beyond the segment: from + size > its length. One that was dropped traps at the first chunk.
	beyond := stretch(nil).get(moveFrom).op(opI64ExtendI32U).get(moveSize).op(opI64ExtendI32U, opI64Add).i64(int64(p.sizes[segment])).op(opI64GtU)
	return p.moveBody(&move, p.outOfBounds(beyond, moveTo).op(opI32Or), p.forward(nil, &move, moveTo, moveFrom))
}

// copyBody moves from the front, or from the back where that would overwrite what is still to be read.
func (p *plan) copyBody() stretch {
	move := instr{op: opMemoryCopy, shape: shapeMemories}
	beyond := p.outOfBounds(p.outOfBounds(nil, moveTo), moveFrom).op(opI32Or)
	steps := stretch(nil).get(moveTo).get(moveFrom).op(opI32GtU).block(opIf)
	steps = p.backward(steps, &move).op(opElse)
	steps = p.forward(steps, &move, moveTo, moveFrom).op(opEnd)
	return p.moveBody(&move, beyond, steps)
}

// moveBody is one of memory.fill, memory.copy and memory.init: (to, from, size), in chunks. beyond leaves whether any of it is out of bounds: then the whole
// is run at once, for its trap, before a byte is written. steps moves whole chunks until at most one is left.
func (p *plan) moveBody(move *instr, beyond, steps stretch) stretch {
	s := withoutLocals().get(moveSize).i32(bulkChunk).op(opI32GtU).block(opIf)
	s = append(s, beyond...)
	s = s.block(opIf).get(moveTo).get(moveFrom).get(moveSize)
	s = appendInstr(s, move)
	s = s.op(opUnreachable, opEnd)
	s = append(s, steps...).op(opEnd)
	s = s.globalGet(p.fuel).get(moveSize).op(opI64ExtendI32U).i64(bytesShift).op(opI64ShrU, opI64Sub).globalSet(p.fuel)
	s = s.get(moveTo).get(moveFrom).get(moveSize)
	s = appendInstr(s, move)
	return p.check(s).op(opEnd)
}

// outOfBounds leaves whether address + size is beyond the memory.
func (p *plan) outOfBounds(s stretch, address uint32) stretch {
	s = s.get(address).op(opI64ExtendI32U).get(moveSize).op(opI64ExtendI32U, opI64Add)
	s = appendInstr(s, &instr{op: opMemorySize, shape: shapeMemory})
	return s.op(opI64ExtendI32U).i64(16).op(opI64Shl, opI64GtU)
}

// forward moves chunks from the front, and each of the given addresses with them.
func (p *plan) forward(s stretch, move *instr, addresses ...uint32) stretch {
	s = s.block(opLoop).get(moveTo).get(moveFrom).i32(bulkChunk)
	s = appendInstr(s, move)
	for _, a := range addresses {
		s = s.get(a).i32(bulkChunk).op(opI32Add).set(a)
	}
	return p.nextChunk(s.get(moveSize).i32(bulkChunk).op(opI32Sub).set(moveSize))
}

// backward moves chunks from the back; what is left stands in front.
func (p *plan) backward(s stretch, move *instr) stretch {
	s = s.block(opLoop).get(moveSize).i32(bulkChunk).op(opI32Sub).set(moveSize)
	s = s.get(moveTo).get(moveSize).op(opI32Add).get(moveFrom).get(moveSize).op(opI32Add).i32(bulkChunk)
	return p.nextChunk(appendInstr(s, move))
}

// nextChunk charges a chunk, checks, and closes the loop around it.
func (p *plan) nextChunk(s stretch) stretch {
	s = p.check(s.add(p.fuel, -bulkChunk/bytesPerUnit))
	return s.get(moveSize).i32(bulkChunk).op(opI32GtU).with(opBrIf, 0).op(opEnd)
}
