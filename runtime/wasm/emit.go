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
	return s.globalGet(global).subtract(-n).globalSet(global)
}

// subtract takes n, which may be negative, off an i64.
func (s stretch) subtract(n int64) stretch {
	if n < 0 {
		return s.i64(-n).op(opI64Add)
	}
	return s.i64(n).op(opI64Sub)
}

// charge takes units off the fuel.
func (w *bodyWriter) charge(units int) {
	s := stretch(w.out)
	switch {
	case !w.holds:
		w.out = s.add(w.fuel, int64(-units))
		return
	case w.at.stale:
		s = s.globalGet(w.fuel)
	default:
		s = s.get(w.held)
	}
	w.out = s.subtract(int64(units)).tee(w.held).globalSet(w.fuel)
	w.at.stale = false
}

// check calls tick when the fuel is below zero.
func (w *bodyWriter) check() {
	if !w.metered || !w.live {
		return
	}
	w.at.unchecked, w.at.looked = 0, true
	if !w.holds || w.at.stale {
		w.out = w.plan.check(w.out)
		return
	}
	w.out = w.refuelUnless(stretch(w.out).get(w.held), w.holds, w.held)
}

func (p *plan) check(s stretch) stretch {
	return p.refuelUnless(s.globalGet(p.fuel), false, 0)
}

// refuelUnless calls tick unless the i64 on the stack is positive or zero, and reads the fuel again when a local holds it.
// The call stands in the else, since wazero's compiler keeps values in registers on the way that it meets first.
func (p *plan) refuelUnless(s stretch, holds bool, held uint32) stretch {
	s = s.i64(0).op(opI64GeS).block(opIf).op(opElse).call(p.helper(helperRefuel))
	if holds {
		s = s.globalGet(p.fuel).set(held)
	}
	return s.op(opEnd)
}

// countUnits notes units of an instruction that is about to run, for Options.Counted.
func (w *bodyWriter) countUnits(units uint32) {
	if units > 0 {
		w.out = stretch(w.out).add(w.plan.count, int64(units))
	}
}

// entry gives what a function does before its body: it charges its fuel and its stack, and looks at both.
func (w *bodyWriter) entry(s stretch, units int) stretch {
	if !w.metered {
		return s
	}
	switch {
	case units > 0 && w.holds:
		s = s.globalGet(w.fuel).subtract(int64(units)).tee(w.held).globalSet(w.fuel)
	case units > 0:
		s = s.add(w.fuel, -int64(units))
	case w.holds:
		s = s.globalGet(w.fuel).set(w.held)
	}
	if w.f.stack > 0 {
		s = s.add(w.depth, -int64(w.f.stack))
		return w.refuelUnless(s.globalGet(w.fuel).globalGet(w.depth).op(opI64Or), w.holds, w.held)
	}
	if w.f.checks {
		return w.refuelUnless(s.globalGet(w.fuel), w.holds, w.held)
	}
	return s
}
