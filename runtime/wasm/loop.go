package wasm

// Loops.
//
// Two things make a check dear in a loop that is otherwise short. The fuel, when it is a global alone, goes through memory from turn to turn, which takes longer than many
// a turn. And a call in the loop, though it is hardly ever made, makes wazero's compiler store on every turn each value that changes in the loop and lives across it.
// So a function with loops holds the fuel in a local, too: what is charged is written to both, and the local is read again only where others may have charged. And tick
// is called outside of the loop, which is entered anew after it:
//
//	block $exit
//	  loop $again
//	    block $spent
//	      loop            ;; the loop itself: a way back charges, then branches to it when fuel is left, else to $spent
//	      end
//	      br $exit
//	    end
//	    call refuel
//	    br $again
//	  end
//	end

// loopsMax is how many loops inside each other are written so. Beyond that, a check stands where it is needed: what wazero's compiler does for
// nested loops grows with the square of their depth, and here there are two for each.
const loopsMax = 8

// openLoop writes the head of the loop at hand, and gives whether its checks are outside of it.
func (w *bodyWriter) openLoop() (outside bool) {
	in := &w.in
	if !w.metered || !w.live {
		w.out = appendInstr(w.out, in)
		return false
	}
	if w.holds && w.at.stale {
		w.hold()
	}
	if in.typ == typeIndexed || w.loops > loopsMax { // which may have parameters
		w.out = appendInstr(w.out, in)
		return false
	}
	exit := *in
	exit.op = opBlock
	w.out = appendInstr(w.out, &exit)
	w.out = appendInstr(w.out, in)
	w.out = stretch(w.out).block(opBlock)
	w.out = appendInstr(w.out, in)
	w.opened += 3
	return true
}

// closeLoop ends the innermost loop.
func (w *bodyWriter) closeLoop(outside bool) {
	w.out = append(w.out, byte(opEnd))
	if !outside {
		return
	}
	const exit, again = 2, 0
	s := stretch(w.out).with(opBr, exit).op(opEnd)
	s = s.call(w.helper(helperRefuel))
	if w.holds {
		s = s.globalGet(w.fuel).set(w.held)
	}
	w.out = s.with(opBr, again).op(opEnd, opEnd)
	w.opened -= 3
}

// hold reads the fuel into its local.
func (w *bodyWriter) hold() {
	w.out = stretch(w.out).globalGet(w.fuel).set(w.held)
	w.at.stale = false
}
