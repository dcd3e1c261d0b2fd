package wasm

// effectOf tells how many operands an instruction takes and leaves. It knows all but those that branch or call.
func effectOf(in *instr) (pops, pushes int) {
	switch in.shape {
	case shapePlain:
		return plainEffect(in.op)
	case shapeI32, shapeI64, shapeF32, shapeF64, shapeBytes:
		return 0, 1
	case shapeMemarg, shapeMemargLane, shapeLane:
		return accessEffect(in)
	case shapeSelect:
		return 3, 1
	case shapeShuffle:
		return 2, 1
	}
	switch in.op {
	case opLocalGet, opGlobalGet, opMemorySize, opTableSize, opRefNull, opRefFunc:
		return 0, 1
	case opLocalTee, opTableGet, opMemoryGrow:
		return 1, 1
	case opLocalSet, opGlobalSet:
		return 1, 0
	case opTableSet:
		return 2, 0
	case opTableGrow:
		return 2, 1
	case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableFill:
		return 3, 0
	}
	return 0, 0 // data.drop, elem.drop
}

func accessEffect(in *instr) (pops, pushes int) {
	op := in.op
	switch {
	case op <= 0x35: // loads
		return 1, 1
	case op <= 0x3e: // stores
		return 2, 0
	case op == 0xfd0b || op >= 0xfd58 && op <= 0xfd5b: // v128.store, store_lane
		return 2, 0
	case op >= 0xfd54 && op <= 0xfd57: // load_lane
		return 2, 1
	case in.shape == shapeLane && replacesLane(op):
		return 2, 1
	}
	return 1, 1 // vector loads, extract_lane
}

func replacesLane(op opcode) bool {
	switch op {
	case 0xfd17, 0xfd1a, 0xfd1c, 0xfd1e, 0xfd20, 0xfd22:
		return true
	}
	return false
}

func plainEffect(op opcode) (pops, pushes int) {
	switch {
	case op == opNop:
		return 0, 0
	case op == opDrop:
		return 1, 0
	case op == opSelect, op == 0xfd52: // v128.bitselect
		return 3, 1
	case op>>8 == prefixMisc: // saturating conversions
		return 1, 1
	case op>>8 == prefixVector && unaryVector[byte(op)], op < 0x100 && unary[byte(op)]:
		return 1, 1
	}
	return 2, 1
}

// unary and unaryVector hold the plain instructions of one operand; the others take two.
var (
	unary = opcodeSet(0x45, 0x45, 0x50, 0x50, 0x67, 0x69, 0x79, 0x7b, 0x8b, 0x91, 0x99, 0x9f, 0xa7, 0xc4, 0xd1, 0xd1)

	unaryVector = opcodeSet(0x0f, 0x14, 0x4d, 0x4d, 0x53, 0x53, 0x5e, 0x64, 0x67, 0x6a, 0x74, 0x75, 0x7a, 0x7a, 0x7c, 0x81, 0x83, 0x84, 0x87, 0x8a,
		0x94, 0x94, 0xa0, 0xa1, 0xa3, 0xa4, 0xa7, 0xaa, 0xc0, 0xc1, 0xc3, 0xc4, 0xc7, 0xca, 0xe0, 0xe1, 0xe3, 0xe3, 0xec, 0xed, 0xef, 0xef, 0xf8, 0xff)
)

// opcodeSet makes a set of ranges, each given by its first and its last.
func opcodeSet(ranges ...byte) (set [256]bool) {
	for i := 0; i < len(ranges); i += 2 {
		for op := int(ranges[i]); op <= int(ranges[i+1]); op++ {
			set[op] = true
		}
	}
	return set
}
