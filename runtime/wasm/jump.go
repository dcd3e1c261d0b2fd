package wasm

// Jumps.
//
// WebAssembly has no goto, so Go's compiler writes a function as a loop around nested blocks, which begins with a br_table on a local, the dispatch: every jump that does not fall through is
// `i32.const n, local.set local, br loop`, also one that only leads on to the end of a block around it, as of any if. Such a jump would pay for a turn of a loop that it is
// not, and go through the br_table, which is an indirect jump. So one that leads ahead is written as a branch to where the dispatch would lead. The local is set all the same.
//
// Only jumps in an if are written so. The others mostly enter a loop of the source in its middle, once for many turns; and each further way into
// a loop is dear: wazero's compiler keeps apart, and moves around, what otherwise has one value all over the loop.

// A trail is what the instruction at hand is, with those before it, of a dispatch or a jump.
type trail int

const (
	trailNone     trail = iota
	trailHeader         // loop, or a block behind it
	trailSelector       // the local.get behind these
	trailDispatch       // the br_table behind that
	trailChoice         // i32.const
	trailChosen         // the local.set behind it
	trailJump           // the br behind that
)

// after gives the trail of in, where t is that of the instruction before it.
func (t trail) after(in *instr) trail {
	switch in.op {
	case opLoop:
		if in.typ == typeEmpty {
			return trailHeader
		}
	case opBlock:
		if in.typ == typeEmpty && t == trailHeader {
			return trailHeader
		}
	case opLocalGet:
		if t == trailHeader {
			return trailSelector
		}
	case opBrTable:
		if t == trailSelector {
			return trailDispatch
		}
	case opI32Const:
		return trailChoice
	case opLocalSet:
		if t == trailChoice {
			return trailChosen
		}
	case opBr:
		if t == trailChosen {
			return trailJump
		}
	}
	return trailNone
}

// A jumper finds dispatches and the jumps to them in one body.
type jumper struct {
	trail      trail
	header     int      // index of the last loop's label
	local      uint32   // that is got or set
	choice     uint32   // that it is set to
	tables     []uint32 // where the dispatches of open loops lead, default last: indices of labels; 0 is none
	dispatches uint32   // so far
}

// A dispatch belongs to the loop that begins with it, and to the blocks that are opened between the two.
type dispatch struct {
	number  uint32 // from 1; 0 is none
	local   uint32
	tableAt int // in jumper.tables
	size    int
}

// follow looks at the instruction at hand before it is written, and leads a jump to where it will end up.
func (w *bodyWriter) follow() {
	in := &w.in
	w.trail = w.trail.after(in)
	switch w.trail {
	case trailHeader:
		if in.op == opLoop {
			w.header = len(w.labels)
		}
	case trailSelector, trailChosen:
		w.local = in.a
	case trailChoice:
		w.choice = uint32(in.value)
	case trailDispatch:
		w.dispatch()
	case trailJump:
		w.jumpAhead()
	}
}

// dispatch notes where the br_table at hand leads.
func (w *bodyWriter) dispatch() {
	w.dispatches++
	d := dispatch{number: w.dispatches, local: w.local, tableAt: len(w.tables), size: len(w.in.targets) + 1}
	note := func(depth uint32) {
		index := len(w.labels) - 1 - int(depth)
		if index <= w.header {
			index = 0
		}
		w.tables = append(w.tables, uint32(index))
	}
	for _, depth := range w.in.targets {
		note(depth)
	}
	note(w.in.a)
	for i := w.header; i < len(w.labels); i++ {
		w.labels[i].dispatch = d
	}
}

// jumpAhead makes the br at hand lead to the block that the dispatch would choose, when that is still open.
func (w *bodyWriter) jumpAhead() {
	l := w.target(w.in.a)
	d := l.dispatch
	if l.op != opLoop || d.number == 0 || d.local != w.local || w.labels[len(w.labels)-1].op != opIf {
		return
	}
	index := int(w.tables[d.tableAt+int(min(w.choice, uint32(d.size-1)))])
	if index > 0 && index < len(w.labels) && w.labels[index].number == d.number {
		w.in.a = uint32(len(w.labels) - 1 - index)
	}
}
