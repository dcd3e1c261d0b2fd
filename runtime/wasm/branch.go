package wasm

// branch writes an instruction that leaves the straight way.
func (w *bodyWriter) branch() {
	in := &w.in
	w.spend(1)
	switch in.op {
	case opBr:
		l := w.target(in.a)
		w.jump(l)
		if l.outside && w.live && w.metered {
			w.out = w.againOrSpent(w.out, l, 0)
			w.live = false
			return
		}
		in.a = w.depthOf(l)
	case opBrIf:
		l := w.target(in.a)
		if l.op == opLoop && !l.params && w.metered && w.live {
			w.backIf(l)
			return
		}
		w.jump(l)
		in.a = w.depthOf(l)
	case opBrTable:
		w.jumpTable()
	case opReturn:
		w.join(&w.labels[0])
	}
	if in.op == opReturn && w.wrapped {
		*in = instr{op: opBr, shape: shapeLabel, a: w.depthOf(&w.labels[0])}
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

// depthOf gives the depth of l in what is written.
func (w *bodyWriter) depthOf(l *label) uint32 { return uint32(w.opened - 1 - l.index) }

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
	if w.at.stale && w.holds {
		w.hold()
	}
	if w.mustCheck() && !l.outside {
		w.check()
	}
}

// mustCheck reports whether a way back has to look at the fuel: unless something did in the same turn, and not long ago.
func (w *bodyWriter) mustCheck() bool { return !w.at.looked || w.at.unchecked > turnUnits }

// againOrSpent goes back to the header of l, or to its $spent when no fuel is left. Blocks in between that w does not know of count as inside.
func (w *bodyWriter) againOrSpent(s stretch, l *label, inside uint32) stretch {
	depth := w.depthOf(l) + inside
	if w.mustCheck() {
		if w.holds {
			s = s.get(w.held)
		} else {
			s = s.globalGet(w.fuel)
		}
		s = s.i64(0).op(opI64LtS).with(opBrIf, depth+1)
	}
	return s.with(opBr, depth)
}

// backIf writes a conditional way back as `if, charge, check, br, end`, so that the condition stays next to its branch and the last turn pays nothing.
func (w *bodyWriter) backIf(l *label) {
	before := w.at
	w.out = stretch(w.out).block(opIf)
	w.back(l)
	if l.outside {
		w.out = w.againOrSpent(w.out, l, 1)
	} else {
		w.out = stretch(w.out).with(opBr, w.depthOf(l)+1)
	}
	w.out = append(w.out, byte(opEnd))
	w.at = before
}

// jumpTable prepares a br_table: it comes down to the least that a target can take.
func (w *bodyWriter) jumpTable() {
	in := &w.in
	if w.live {
		w.beforeTable()
	}
	for i, depth := range in.targets {
		in.targets[i] = w.depthOf(w.target(depth))
	}
	in.a = w.depthOf(w.target(in.a))
}

func (w *bodyWriter) beforeTable() {
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
	if back && w.at.stale && w.holds {
		w.hold()
	}
	if back && w.mustCheck() {
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
