package wasm

import "slices"

// Depth.
//
// wazero's compiled code keeps its frames on a stack of its own, which grows by doubling up to 50,000,000 bytes: far more than a task is granted, and twice that while it is copied.
// So functions that can recurse, and chains of others that would take more than chainMax, pay for their frames out of the global ExportDepth and give them back at
// their one exit. A way out by a trap gives nothing back: such a cell is dropped.
//
// A frame is estimated here, before wazero has compiled anything. A value that lives across a call takes a slot of the frame unless one of a few registers keeps it, so
// values are counted, not the height of the operand stack: at each call, operands under its arguments that were not there at the call before, and locals written since
// then, each once more where ways meet. Not every value counted gets a slot, and i32 and f32 take half of one; what spills without a call is not counted.
// Measured against wazero v1.12.0, on recursions made to have frames that are hard to guess, the estimate is 1.1 to 4.4 times the true frame (TestWasmDepthEstimate
// of runtime/sandbox). What slips through ends at wazero's own bound, as a trap.

const (
	frameFixed   = 64       // bytes: return address, frame pointer, frame size, some saved registers
	savedValues  = 3        // values that can live across calls in registers
	slotSize     = 8        // bytes of one spilled value
	slotSizeV128 = 16       // the same where a function touches vectors
	chainMax     = 64 << 10 // bytes that a chain of functions without recursion may take uncharged; a cell's first stack is 10 KiB and doubles
)

// A frameEstimate follows the operand stack of one body and counts the values that may need a slot.
type frameEstimate struct {
	slots   uint64
	seen    []bool // for each local, whether it was written, parameters by the caller
	written int    // how many were
	height  int    // of the operand stack
	low     int    // the least height since the last call: what is above it is newer than that call
	sets    int    // writes to locals so far
	last    int    // sets at the last call
	vector  bool
}

func (f *frameEstimate) begin(t FuncType) {
	*f = frameEstimate{slots: uint64(len(t.Params) + len(t.Results)), seen: f.seen[:0], written: len(t.Params)}
	for range t.Params {
		f.seen = append(f.seen, true)
	}
	for _, list := range [2][]ValueType{t.Params, t.Results} {
		for _, v := range list {
			f.vector = f.vector || v == V128
		}
	}
}

func (f *frameEstimate) locals(n uint32, t ValueType) {
	at := len(f.seen)
	f.seen = slices.Grow(f.seen, int(n))[:at+int(n)]
	clear(f.seen[at:])
	f.vector = f.vector || t == V128
}

// pop takes n operands off, though never what is below base: in code that cannot run there may be none.
func (f *frameEstimate) pop(n, base int) {
	f.height = max(f.height-n, base)
	f.low = min(f.low, f.height)
}

// reset sets the height, where ways part or meet.
func (f *frameEstimate) reset(height int) {
	f.height = height
	f.low = min(f.low, height)
}

func (f *frameEstimate) push(n int) {
	f.low = min(f.low, f.height)
	f.height += n
}

// call counts what lives across a call.
func (f *frameEstimate) call(pops, pushes, base int) {
	f.pop(pops, base)
	if f.height+f.written > savedValues {
		f.slots += uint64(f.height-f.low) + uint64(min(f.sets-f.last, f.written))
	}
	f.low = f.height
	f.last = f.sets
	f.push(pushes)
}

// meet takes the end of a block before which there were sets writes to locals: each local written in it is a new value behind it.
func (f *frameEstimate) meet(sets int) { f.sets += min(f.sets-sets, f.written) }

// set counts a write to a local.
func (f *frameEstimate) set(local uint32) {
	f.sets++
	if !f.seen[local] {
		f.seen[local] = true
		f.written++
	}
}

// bytes gives the estimate, 2 GiB at most.
func (f *frameEstimate) bytes() uint32 {
	size := uint64(slotSize)
	if f.vector {
		size = slotSizeV128
	}
	return uint32(min(frameFixed+f.slots*size, 1<<31))
}
