package wasm

// branch writes an instruction that leaves the straight way.
func (w *bodyWriter) branch() {
	in := &w.in
	w.spend(1)
	switch in.op {
	case opBr:
		w.jump(w.target(in.a))
	case opBrIf:
		l := w.target(in.a)
		if l.op == opLoop && !l.params && w.metered && w.live {
			w.backIf(l)
			return
		}
		w.jump(l)
	case opBrTable:
		w.jumpTable()
	case opReturn:
		w.join(&w.labels[0])
	}
	if in.op == opReturn && w.wrapped {
		*in = instr{op: opBr, shape: shapeLabel, a: uint32(len(w.labels) - 1)}
		w.out = appendInstr(w.out, in)
		w.live = false
		return
	}
	w.out = appendInstr(w.out, in)
	if in.op != opBrIf {
		w.live = false
	}
}

// target gives the label that a branch of the given depth leads to.
func (w *bodyWriter) target(depth uint32) *label { return &w.labels[len(w.labels)-1-int(depth)] }

// jump prepares a branch to l: a way back to a loop's header charges what the turn owes and checks.
func (w *bodyWriter) jump(l *label) {
	if l.op == opLoop {
		w.back(l)
	} else {
		w.join(l)
	}
}

func (w *bodyWriter) back(l *label) {
	if !w.live {
		return
	}
	if w.at.owed > l.start.owed {
		w.settle(l.start.owed)
	}
	if w.at.unchecked > 0 {
		w.check()
	}
}

// backIf writes a conditional way back as `if, charge, check, br, end`, so that the condition stays next to its branch and the last turn pays nothing.
func (w *bodyWriter) backIf(l *label) {
	depth := w.in.a
	before := w.at
	w.out = append(w.out, byte(opIf), byte(typeEmpty))
	w.back(l)
	w.out = appendU32(append(w.out, byte(opBr)), depth+1)
	w.out = append(w.out, byte(opEnd))
	w.at = before
}

// jumpTable prepares a br_table: it comes down to the least that a target can take.
func (w *bodyWriter) jumpTable() {
	if !w.live {
		return
	}
	in := &w.in
	least, back := w.target(in.a).start.owed, false
	each := func(depth uint32) {
		l := w.target(depth)
		least, back = min(least, l.start.owed), back || l.op == opLoop
	}
	each(in.a)
	for _, depth := range in.targets {
		each(depth)
	}
	if back && w.at.owed > least {
		w.settle(least)
	}
	if !back {
		w.settleNear(least)
	}
	if back && w.at.unchecked > 0 {
		w.check()
	}
	w.arrive(in.a)
	for _, depth := range in.targets {
		w.arrive(depth)
	}
}

// arrive is join for a target of a br_table, whose charge is made.
func (w *bodyWriter) arrive(depth uint32) {
	l := w.target(depth)
	if l.op == opLoop {
		return
	}
	w.leave(l)
	if l.reached {
		l.in = most(l.in, w.at)
	} else {
		l.in, l.reached = w.at, true
	}
}
