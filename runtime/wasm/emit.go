package wasm

// Instructions that only the instrumenter's own code needs by name.
const (
	opI32Eq         opcode = 0x46
	opI32Ne         opcode = 0x47
	opI32GtU        opcode = 0x4b
	opI64LtS        opcode = 0x53
	opI64GtU        opcode = 0x56
	opI64GeS        opcode = 0x59
	opI32Add        opcode = 0x6a
	opI32Sub        opcode = 0x6b
	opI32Or         opcode = 0x72
	opI64Add        opcode = 0x7c
	opI64Sub        opcode = 0x7d
	opI64Mul        opcode = 0x7e
	opI64Or         opcode = 0x84
	opI64Shl        opcode = 0x86
	opI64ShrU       opcode = 0x88
	opI64ExtendI32U opcode = 0xad
)

// A stretch is a piece of code that the instrumenter adds. Its methods append one instruction each.
type stretch []byte

func (s stretch) op(ops ...opcode) stretch {
	for _, o := range ops {
		s = appendInstr(s, &instr{op: o, shape: shapePlain})
	}
	return s
}

func (s stretch) with(o opcode, index uint32) stretch {
	return appendInstr(s, &instr{op: o, shape: shapeFunc, a: index})
}

func (s stretch) get(local uint32) stretch       { return s.with(opLocalGet, local) }
func (s stretch) set(local uint32) stretch       { return s.with(opLocalSet, local) }
func (s stretch) tee(local uint32) stretch       { return s.with(opLocalTee, local) }
func (s stretch) globalGet(index uint32) stretch { return s.with(opGlobalGet, index) }
func (s stretch) globalSet(index uint32) stretch { return s.with(opGlobalSet, index) }
func (s stretch) call(index uint32) stretch      { return s.with(opCall, index) }

func (s stretch) i32(v int32) stretch {
	return appendInstr(s, &instr{op: opI32Const, shape: shapeI32, value: uint64(v)})
}

func (s stretch) i64(v int64) stretch {
	return appendInstr(s, &instr{op: opI64Const, shape: shapeI64, value: uint64(v)})
}

// block opens a block, a loop or an if without parameters and results.
func (s stretch) block(o opcode) stretch {
	return appendInstr(s, &instr{op: o, shape: shapeBlock, typ: typeEmpty})
}

// add adds n, which may be negative, to an i64 global.
func (s stretch) add(global uint32, n int64) stretch {
	if n < 0 {
		return s.globalGet(global).i64(-n).op(opI64Sub).globalSet(global)
	}
	return s.globalGet(global).i64(n).op(opI64Add).globalSet(global)
}

// charge takes units off the fuel.
func (w *bodyWriter) charge(units int) { w.out = stretch(w.out).add(w.fuel, int64(-units)) }

// check calls tick when the fuel is below zero.
func (w *bodyWriter) check() {
	if !w.metered || !w.live {
		return
	}
	w.out = w.plan.check(w.out)
	w.at.unchecked = 0
}

func (p *plan) check(s stretch) stretch {
	return s.globalGet(p.fuel).i64(0).op(opI64LtS).block(opIf).call(p.helper(helperRefuel)).op(opEnd)
}

// count notes units of an instruction that is about to run, for Options.Counted.
func (w *bodyWriter) countUnits(units uint32) {
	if units > 0 {
		w.out = stretch(w.out).add(w.plan.count, int64(units))
	}
}

// entry gives what a function does before its body: it charges its fuel and its stack, and looks at both.
func (p *plan) entry(s stretch, f *funcFacts, units int) stretch {
	if p.o.Unmetered || f.small {
		return s
	}
	if units > 0 {
		s = s.add(p.fuel, int64(-units))
	}
	if f.stack > 0 {
		s = s.add(p.depth, -int64(f.stack))
		return s.globalGet(p.fuel).globalGet(p.depth).op(opI64Or).i64(0).op(opI64LtS).block(opIf).call(p.helper(helperRefuel)).op(opEnd)
	}
	if f.checks {
		return p.check(s)
	}
	return s
}
