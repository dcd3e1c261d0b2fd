package wasm

// Fuel.
//
// A unit is about one instruction (see unitsOf). The global ExportFuel counts down, and when a check finds it below zero, tick is called. Three things hold on every path that runs:
//
//   - No instruction is free: the units that ran are at most the units charged, plus a constant for each active function (chunkUnits and what one call adds). So fuel never lags.
//   - What is charged depends on the path alone: not on the engine, the time, or the slice.
//   - Between two checks lie at most some thousand units of one function, and after a function's last check at most tailUnits, so that neither straight code nor the way back
//     out of deep recursion can outlast a limit.
//
// How: a body is walked once, with a point that says how many units are owed here, at most, over all ways that lead here. Where ways meet, the most counts. A way back to a loop's header charges
// exactly what one turn owes and checks. What is owed at an exit is charged at the entry, in one go with the check there. In between a charge is made when more than
// chunkUnits are owed. A way that owes slackUnits more than others that it joins pays the difference first, and gets it back when it owes so much less, so that what is
// charged stays near what ran: some slackUnits too much at each place where ways meet.
//
// Small functions, without loops and of at most smallUnits with all that they call, carry no code for it: whoever calls them owes it. So leaves stay leaves.

const (
	chunkUnits     = 256  // owed at most before a charge, beyond what the enclosing loop's header owes
	openUnits      = 128  // owed at most, beyond the same, where a block begins
	slackUnits     = 32   // owed more or less than other ways, before they join, without a charge
	smallUnits     = 64   // of a function that its callers pay for
	uncheckedUnits = 1024 // without a check, before the next charge checks
	tailUnits      = 64   // without a check at the exit of a function that checked at its entry
	leafTailUnits  = chunkUnits
	turnUnits      = 16 // on a way back without a check, where the turn has had one

	callUnits         = 4 // a call takes about as long as so many simple instructions
	callIndirectUnits = 8
)

// unitsOf gives what one instruction costs, without what it charges by a length. An else or end costs its unit when code before it falls into it. What costs nothing is nothing
// to either engine; the interpreter jumps at the others.
func unitsOf(op opcode) uint32 {
	switch op {
	case opNop, opBlock:
		return 0
	case opCall:
		return callUnits
	case opCallIndirect:
		return callIndirectUnits
	}
	if bulky(op) {
		return callUnits
	}
	return 1
}

// A point is a place in a body: the units that may have run, on any way to it, since they were last charged and since the fuel was last looked at.
type point struct {
	owed, unchecked int
	stale           bool // the local does not hold what the global does, see loop.go
	looked          bool // the fuel was looked at since the innermost loop's header
}

func most(a, b point) point {
	return point{
		owed: max(a.owed, b.owed), unchecked: max(a.unchecked, b.unchecked),
		stale: a.stale || b.stale, looked: a.looked && b.looked,
	}
}

// A label is an open block: where branches to it lead.
type label struct {
	op       opcode // block, loop, if or else
	start    point  // where it begins
	in       point  // over the branches to its end
	reached  bool   // there are such branches
	live     bool   // it begins in code that can run
	params   bool   // it takes operands
	baseOwed int    // bodyWriter.base outside of it
	index    int    // among the blocks that are written
	outside  bool   // its checks stand outside of it, see loop.go
	dispatch        // of the loop, and of the blocks that it opens
}

// A bodyWriter writes the instructions of one body.
type bodyWriter struct {
	*plan
	jumper
	d       decoder
	in      instr
	f       *funcFacts
	out     []byte
	labels  []label
	at      point
	live    bool // code here can run
	base    int  // what the innermost loop's header owes: its ways back come down to it
	metered bool
	wrapped bool // the body stands in a block of its own, so that there is one exit
	opened  int  // blocks that are written and not closed
	loops   int  // loops among labels
	holds   bool // the fuel has a local
	held    uint32
	scratch uint32
	used    uint32 // scratch locals, from index scratch on
}

// write writes the body of own function i after its locals, without the final end, and gives what its entry must charge.
func (w *bodyWriter) write(i int, r reader, locals uint32) (entry int, err error) {
	w.f = &w.funcs[i]
	w.d.reader, w.out = r, w.out[:0]
	w.at, w.live, w.base = point{}, true, 0
	w.metered = !w.o.Unmetered && !w.f.small
	w.wrapped = w.metered && w.f.stack > 0
	w.holds = w.metered && w.f.hasLoop && !w.f.dispatches
	w.held, w.scratch, w.used = locals, locals, 0
	if w.holds {
		w.scratch++
	}
	w.at.stale = !w.holds
	w.opened, w.loops = 1, 0
	w.jumper = jumper{tables: w.tables[:0]}
	w.labels = append(w.labels[:0], label{op: opBlock, live: true})
	for w.d.left() > 0 {
		if err := w.d.next(&w.in); err != nil {
			return 0, err
		}
		w.instr()
	}
	if !w.live {
		return 0, nil
	}
	return w.at.owed, nil
}

func (w *bodyWriter) instr() {
	in := &w.in
	if w.o.Counted {
		w.countUnits(unitsOf(in.op))
	}
	w.follow()
	switch in.op {
	case opBlock:
		w.open()
		return
	case opLoop:
		w.spend(1)
		if w.at.owed > slackUnits { // so that no header owes more, however deep loops nest
			w.settle(w.base)
		}
		w.open()
		w.base = w.at.owed
		w.at.looked = false
		w.at.unchecked = max(w.at.unchecked, turnUnits)
		return
	case opIf:
		w.spend(1)
		w.open()
		return
	case opElse:
		w.spend(1)
		w.elseArm()
	case opEnd:
		w.spend(1)
		w.end()
		return
	case opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		w.branch()
		return
	case opCall, opCallIndirect:
		w.call()
	case opRefFunc:
		w.spend(1)
		in.a = w.shift(in.a)
	default:
		w.spend(int(unitsOf(in.op)))
		if bulky(in.op) && w.live {
			w.bulk()
			return
		}
	}
	w.out = appendInstr(w.out, in)
}

// spend owes units for the instruction at hand. When too much is owed or unchecked, it charges or checks before it.
func (w *bodyWriter) spend(units int) {
	if !w.metered || !w.live {
		return
	}
	w.at.owed += units
	w.at.unchecked += units
	if w.at.owed > w.base+chunkUnits {
		w.settle(w.base)
	}
	if w.at.unchecked > uncheckedUnits+chunkUnits {
		w.check()
	}
}

// settle charges the difference to what shall be owed from here on, or gives it back.
func (w *bodyWriter) settle(owed int) {
	if !w.metered || !w.live || w.at.owed == owed {
		return
	}
	w.charge(w.at.owed - owed)
	w.at.owed = owed
	if w.at.unchecked > uncheckedUnits {
		w.check()
	}
}

// settleNear is settle, unless the difference is small enough to be left.
func (w *bodyWriter) settleNear(owed int) {
	if w.at.owed > owed+slackUnits || w.at.owed < owed-slackUnits {
		w.settle(owed)
	}
}

// open opens a block. Little is owed where it begins, so that a charge in it does not part its ways too far.
func (w *bodyWriter) open() {
	in := &w.in
	if w.at.owed > w.base+openUnits {
		w.settle(w.base)
	}
	params := in.typ == typeIndexed && len(w.m.funcType(in.a).Params) > 0
	outside := false
	if in.op == opLoop {
		w.loops++
		outside = w.openLoop()
	} else {
		w.out = appendInstr(w.out, in)
	}
	w.labels = append(w.labels, label{op: in.op, start: w.at, live: w.live, params: params, baseOwed: w.base, index: w.opened, outside: outside})
	w.opened++
}

// join notes that the way at hand leads to the end of l, and makes it owe about what others do.
func (w *bodyWriter) join(l *label) {
	if !w.live {
		return
	}
	w.settleNear(l.start.owed)
	w.leave(l)
	if l.reached {
		l.in = most(l.in, w.at)
	} else {
		l.in, l.reached = w.at, true
	}
}

// leave checks, when l is the whole body, that not too much of its tail is unchecked. Where there is one exit, it does so there.
func (w *bodyWriter) leave(l *label) {
	if l == &w.labels[0] && !w.wrapped {
		w.checkTail()
	}
}

func (w *bodyWriter) checkTail() {
	tail := leafTailUnits
	if w.f.checks {
		tail = tailUnits
	}
	if w.metered && w.live && w.at.unchecked > tail {
		w.check()
	}
}

func (w *bodyWriter) elseArm() {
	l := &w.labels[len(w.labels)-1]
	w.join(l)
	l.op = opElse
	w.at, w.live = l.start, l.live
}

// end closes the innermost block: what falls out of it and what branched there meet.
func (w *bodyWriter) end() {
	l := &w.labels[len(w.labels)-1]
	if l.op == opLoop {
		w.base = l.baseOwed // a loop's label is at its start
		w.loops--
		w.at.looked = w.at.looked || l.start.looked
		if l.number > 0 {
			w.tables = w.tables[:l.tableAt]
		}
	} else {
		if l.op == opIf && l.live { // without an else, not taking it leads here too
			l.in, l.reached = most(l.in, l.start), true
		}
		if w.live && l.reached {
			w.settleNear(l.in.owed)
		}
		if w.live {
			w.leave(l)
		}
		switch {
		case w.live && l.reached:
			w.at = most(w.at, l.in)
		case l.reached:
			w.at, w.live = l.in, true
		}
	}
	w.opened--
	switch {
	case l.op == opLoop:
		w.closeLoop(l.outside)
	case len(w.labels) > 1:
		w.out = append(w.out, byte(opEnd))
	}
	w.labels = w.labels[:len(w.labels)-1]
}

// call owes for a call and for what the function called does not charge by itself.
func (w *bodyWriter) call() {
	in := &w.in
	if in.op == opCallIndirect { // it may reach a leaf
		w.spend(callIndirectUnits + int(w.indirectCost[w.types.number[in.a]]))
		w.at.unchecked += leafTailUnits
		w.at.stale = true
		return
	}
	callee := in.a
	in.a = w.shift(callee)
	if callee < w.imports { // the host counts what it does
		w.spend(callUnits)
		w.at.stale = true
		return
	}
	f := &w.funcs[callee-w.imports]
	stale := !f.small || f.host
	switch {
	case f.small:
		w.spend(callUnits + int(f.cost))
	case f.checks: // at its entry, and again if it has a long tail
		w.spend(callUnits)
		w.at.unchecked, w.at.looked = 0, true
	case f.hasLoop:
		w.spend(callUnits)
		w.at.unchecked += leafTailUnits
	default:
		w.spend(callUnits)
		w.at.unchecked += int(min(f.cost, leafTailUnits))
	}
	w.at.stale = w.at.stale || stale
}

// exit closes the block around a body and gives back what its entry took off the depth.
func (w *bodyWriter) exit() {
	w.out = append(w.out, byte(opEnd))
	if w.live {
		w.out = stretch(w.out).add(w.depth, int64(w.f.stack))
		w.checkTail()
	}
}
