package wasm

import "fmt"

// An opcode names an instruction: its one byte, or its prefix byte and the number after it (0xfc00|n, 0xfd00|n).
// Source: https://webassembly.github.io/spec/core/appendix/index-instructions.html
type opcode uint16

// Instructions that the gate or the instrumenter treats by name.
const (
	opUnreachable  opcode = 0x00
	opNop          opcode = 0x01
	opBlock        opcode = 0x02
	opLoop         opcode = 0x03
	opIf           opcode = 0x04
	opElse         opcode = 0x05
	opEnd          opcode = 0x0b
	opBr           opcode = 0x0c
	opBrIf         opcode = 0x0d
	opBrTable      opcode = 0x0e
	opReturn       opcode = 0x0f
	opCall         opcode = 0x10
	opCallIndirect opcode = 0x11
	opDrop         opcode = 0x1a
	opSelect       opcode = 0x1b
	opSelectTyped  opcode = 0x1c
	opLocalGet     opcode = 0x20
	opLocalSet     opcode = 0x21
	opLocalTee     opcode = 0x22
	opGlobalGet    opcode = 0x23
	opGlobalSet    opcode = 0x24
	opTableGet     opcode = 0x25
	opTableSet     opcode = 0x26
	opMemorySize   opcode = 0x3f
	opMemoryGrow   opcode = 0x40
	opI32Const     opcode = 0x41
	opI64Const     opcode = 0x42
	opF32Const     opcode = 0x43
	opF64Const     opcode = 0x44
	opRefNull      opcode = 0xd0
	opRefIsNull    opcode = 0xd1
	opRefFunc      opcode = 0xd2

	opMemoryInit opcode = 0xfc08
	opDataDrop   opcode = 0xfc09
	opMemoryCopy opcode = 0xfc0a
	opMemoryFill opcode = 0xfc0b
	opTableInit  opcode = 0xfc0c
	opElemDrop   opcode = 0xfc0d
	opTableCopy  opcode = 0xfc0e
	opTableGrow  opcode = 0xfc0f
	opTableSize  opcode = 0xfc10
	opTableFill  opcode = 0xfc11

	opV128Const opcode = 0xfd0c
)

const (
	prefixMisc   = 0xfc
	prefixVector = 0xfd
)

// String gives the bytes as a person would look them up.
func (o opcode) String() string {
	if o > 0xff {
		return fmt.Sprintf("%#x %d", byte(o>>8), byte(o))
	}
	return fmt.Sprintf("%#x", byte(o))
}

// A shape says which immediates follow an opcode, and where an instr keeps them.
type shape uint8

const (
	shapeUnknown    shape = iota
	shapePlain            // none
	shapeLabel            // a label: a
	shapeFunc             // a function: a
	shapeLocal            // a local: a
	shapeGlobal           // a global: a
	shapeTable            // a table: a
	shapeData             // a data segment: a
	shapeElem             // an element segment: a
	shapeBlock            // a block type: typ, or a when typ is typeIndexed
	shapeLabels           // br_table: targets, then the default in a
	shapeIndirect         // a type, then a table: a, b
	shapeSelect           // one value type in a vector: typ
	shapeTables           // destination and source table: a, b
	shapeMemarg           // log2 of the alignment, then the offset: a, b
	shapeMemory           // a zero byte for the one memory
	shapeMemories         // two of them
	shapeI32              // value, sign extended
	shapeI64              // value
	shapeF32              // value, the 32 bits
	shapeF64              // value, the 64 bits
	shapeRefType          // typ
	shapeDataInit         // a data segment, then a zero byte: a
	shapeElemInit         // an element segment, then a table: a, b
	shapeBytes            // v128.const: bytes
	shapeShuffle          // sixteen lanes, each below 32: bytes
	shapeLane             // lane
	shapeMemargLane       // as shapeMemarg, then lane
)

// oneIndex tells whether one index, a, is all that follows.
func (s shape) oneIndex() bool { return s >= shapeLabel && s <= shapeElem }

// A form is what the decoder must know of one opcode.
type form struct {
	shape shape
	align uint8 // log2 of the natural alignment, the most that may be stated
	lanes uint8 // how many lanes there are to name
}

// forms holds what is known of the opcodes of one byte, miscForms and vectorForms of those behind a prefix.
// What stands in none of them is refused.
var (
	forms       = oneByteForms()
	miscForms   = prefixedMiscForms()
	vectorForms = prefixedVectorForms()
)

func oneByteForms() (f [256]form) {
	plain := func(from, to int) {
		for op := from; op <= to; op++ {
			f[op].shape = shapePlain
		}
	}
	plain(0x00, 0x01) // unreachable, nop
	f[opBlock].shape, f[opLoop].shape, f[opIf].shape = shapeBlock, shapeBlock, shapeBlock
	f[opElse].shape, f[opEnd].shape = shapePlain, shapePlain
	f[opBr].shape, f[opBrIf].shape, f[opBrTable].shape = shapeLabel, shapeLabel, shapeLabels
	f[opReturn].shape, f[opCall].shape, f[opCallIndirect].shape = shapePlain, shapeFunc, shapeIndirect
	f[opDrop].shape, f[opSelect].shape, f[opSelectTyped].shape = shapePlain, shapePlain, shapeSelect
	f[opLocalGet].shape, f[opLocalSet].shape, f[opLocalTee].shape = shapeLocal, shapeLocal, shapeLocal
	f[opGlobalGet].shape, f[opGlobalSet].shape = shapeGlobal, shapeGlobal
	f[opTableGet].shape, f[opTableSet].shape = shapeTable, shapeTable
	// Loads 0x28 to 0x35, then stores 0x36 to 0x3e, in the order of the opcodes.
	for i, align := range []uint8{2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 3, 2, 3, 0, 1, 0, 1, 2} {
		f[0x28+i] = form{shape: shapeMemarg, align: align}
	}
	f[opMemorySize].shape, f[opMemoryGrow].shape = shapeMemory, shapeMemory
	f[opI32Const].shape, f[opI64Const].shape = shapeI32, shapeI64
	f[opF32Const].shape, f[opF64Const].shape = shapeF32, shapeF64
	plain(0x45, 0xc4) // comparisons, arithmetic, conversions, sign extensions
	f[opRefNull].shape, f[opRefIsNull].shape, f[opRefFunc].shape = shapeRefType, shapePlain, shapeFunc
	return f
}

func prefixedMiscForms() (f [256]form) {
	for op := 0; op <= 7; op++ { // saturating conversions
		f[op].shape = shapePlain
	}
	for op, s := range map[opcode]shape{
		opMemoryInit: shapeDataInit, opDataDrop: shapeData, opMemoryCopy: shapeMemories, opMemoryFill: shapeMemory,
		opTableInit: shapeElemInit, opElemDrop: shapeElem, opTableCopy: shapeTables,
		opTableGrow: shapeTable, opTableSize: shapeTable, opTableFill: shapeTable,
	} {
		f[byte(op)].shape = s
	}
	return f
}

func prefixedVectorForms() (f [256]form) {
	for op := range f {
		f[op].shape = shapePlain
	}
	for i, align := range []uint8{4, 3, 3, 3, 3, 3, 3, 0, 1, 2, 3, 4} { // v128.load, its extending and splatting forms, v128.store
		f[i] = form{shape: shapeMemarg, align: align}
	}
	f[12].shape, f[13].shape = shapeBytes, shapeShuffle
	for i, lanes := range []uint8{16, 16, 16, 8, 8, 8, 4, 4, 2, 2, 4, 4, 2, 2} { // extract_lane and replace_lane
		f[21+i] = form{shape: shapeLane, lanes: lanes}
	}
	for i := range uint8(4) { // load_lane, then store_lane, of 8 to 64 bits
		f[84+i] = form{shape: shapeMemargLane, align: i, lanes: 16 >> i}
		f[88+i] = form{shape: shapeMemargLane, align: i, lanes: 16 >> i}
	}
	f[92], f[93] = form{shape: shapeMemarg, align: 2}, form{shape: shapeMemarg, align: 3} // load32_zero, load64_zero
	for _, hole := range []byte{0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee} {
		f[hole] = form{}
	}
	return f
}

// featureOf names the proposal that an unknown opcode belongs to, or "". sub is the number after a prefix byte.
func featureOf(op byte, sub uint32) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exceptions"
	case 0x12, 0x13:
		return "tail calls"
	case 0x14, 0x15, 0xd4, 0xd5, 0xd6:
		return "typed function references"
	case 0xd3, 0xfb:
		return "garbage collection"
	case 0xfe:
		return "threads"
	case prefixMisc:
		if sub >= 19 && sub <= 22 {
			return "wide arithmetic"
		}
	case prefixVector:
		if sub >= 0x100 && sub <= 0x113 {
			return "relaxed SIMD"
		}
	}
	return ""
}
