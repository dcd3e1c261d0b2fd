package wasm

import (
	"encoding/binary"
	"fmt"
)

// An instr is one instruction as our reader understood it; appendInstr writes it in canonical form.
// Only the fields that its shape names are meant: the others hold whatever an earlier instruction left there.
type instr struct {
	op      opcode
	shape   shape
	typ     ValueType
	lane    byte
	a, b    uint32
	value   uint64
	bytes   [16]byte
	targets []uint32 // without the default; the decoder's, good until its next instruction
	at      int      // offset of the opcode in the module
}

// A decoder reads instructions one by one. It judges each by itself: opcode, immediates, alignment, lanes. That indices exist and blocks are
// balanced is for whoever knows the module (see checker).
type decoder struct {
	reader
	targets []uint32
}

// next reads one instruction into in, without allocation but for the largest br_table so far.
// Errors: *Error, and the decoder stays at its end.
func (d *decoder) next(in *instr) error {
	code, at := d.code, d.at
	in.at = at
	if at >= len(code) {
		d.invalid(at, "unexpected end")
		return d.err
	}
	op := code[at]
	at++
	f := &forms[op]
	in.op, in.shape = opcode(op), f.shape
	switch {
	case f.shape == shapePlain:
		d.at = at
		return nil
	case f.shape.oneIndex() && at < len(code) && code[at] < 0x80: // with the plain ones most of all instructions
		in.a = uint32(code[at])
		d.at = at + 1
		return nil
	}
	d.at = at
	return d.rest(in, f, op)
}

// rest reads what follows the first byte of an opcode.
func (d *decoder) rest(in *instr, f *form, op byte) error {
	sub := uint32(0)
	if op >= 0xfb && op <= 0xfe { // a prefix: the number after it says which
		sub = d.u32()
		switch {
		case d.err != nil:
			return d.err
		case op == prefixMisc && sub <= 0xff:
			f = &miscForms[sub]
		case op == prefixVector && sub <= 0xff:
			f = &vectorForms[sub]
		}
		in.op, in.shape = opcode(op)<<8|opcode(sub&0xff), f.shape
	}
	if f.shape == shapeUnknown {
		return d.unknown(in.at, op, sub)
	}
	d.immediates(in, f)
	if d.err != nil {
		return d.err
	}
	return nil
}

// immediates reads what follows the opcode.
func (d *decoder) immediates(in *instr, f *form) {
	switch f.shape {
	case shapeLabel, shapeFunc, shapeLocal, shapeGlobal, shapeTable, shapeData, shapeElem:
		in.a = d.u32()
	case shapeMemarg:
		d.memarg(in, f)
	case shapeI32:
		in.value = uint64(d.signed(32))
	case shapeI64:
		in.value = uint64(d.signed(64))
	case shapeF32:
		if b := d.take(4); b != nil {
			in.value = uint64(binary.LittleEndian.Uint32(b))
		}
	case shapeF64:
		if b := d.take(8); b != nil {
			in.value = binary.LittleEndian.Uint64(b)
		}
	case shapeBlock:
		in.typ, in.a = d.blockType()
	case shapeLabels:
		d.labels(in)
	case shapeIndirect, shapeElemInit, shapeTables:
		in.a, in.b = d.u32(), d.u32()
	case shapeMemory:
		d.memory()
	case shapeMemories:
		d.memory()
		d.memory()
	case shapeDataInit:
		in.a = d.u32()
		d.memory()
	case shapeSelect:
		if at := d.at; d.u32() != 1 {
			d.invalid(at, "select of other than one type")
		}
		in.typ = d.valueType()
	case shapeRefType:
		in.typ = d.refType()
	case shapeBytes:
		copy(in.bytes[:], d.take(16))
	case shapeShuffle:
		d.shuffle(in)
	case shapeLane:
		d.lane(in, f)
	case shapeMemargLane:
		d.memarg(in, f)
		d.lane(in, f)
	}
}

// unknown refuses an opcode, by the name of its feature where it has one.
func (d *decoder) unknown(at int, op byte, sub uint32) error {
	text := fmt.Sprintf("%#x", op)
	if op >= 0xfb && op <= 0xfe {
		text = fmt.Sprintf("%#x %d", op, sub)
	}
	if feature := featureOf(op, sub); feature != "" {
		d.off(at, feature, "instruction %s", text)
	} else {
		d.invalid(at, "unknown instruction %s", text)
	}
	return d.err
}

// blockType reads the type of a block: typ alone when it has no parameter and at most one result, otherwise typeIndexed and the index of a type.
// The short forms are one byte each; wazero also takes longer spellings of them, which the specification does not know.
func (d *decoder) blockType() (typ ValueType, index uint32) {
	if d.at < len(d.code) && d.code[d.at]&0xc0 == 0x40 { // one byte, negative
		if ValueType(d.code[d.at]) == typeEmpty {
			d.at++
			return typeEmpty, 0
		}
		return d.valueType(), 0
	}
	start := d.at
	n := d.signed(33)
	if n < 0 {
		d.invalid(start, "unknown block type %d", n)
		return typeEmpty, 0
	}
	return typeIndexed, uint32(n)
}

// memarg reads alignment and offset of an access to memory.
func (d *decoder) memarg(in *instr, f *form) {
	start := d.at
	in.a = d.u32()
	if in.a >= 0x40 && in.a < 0x80 { // bit 6 says that the index of a memory follows
		d.off(start, "multiple memories", "a memory index")
	} else if in.a > uint32(f.align) {
		d.invalid(start, "alignment 2^%d, at most the natural 2^%d", in.a, f.align)
	}
	in.b = d.u32()
}

// memory reads the byte that stands for the one memory.
func (d *decoder) memory() {
	if at := d.at; d.byte() != 0 {
		d.off(at, "multiple memories", "a memory index other than 0")
	}
}

// labels reads the targets of a br_table.
func (d *decoder) labels(in *instr) {
	n := d.count("labels of one br_table", labelsMax, 1)
	if cap(d.targets) < n {
		d.targets = make([]uint32, n, max(64, n, 2*cap(d.targets)))
	}
	in.targets = d.targets[:n]
	for i := range in.targets {
		in.targets[i] = d.u32()
	}
	in.a = d.u32()
}

func (d *decoder) shuffle(in *instr) {
	start := d.at
	copy(in.bytes[:], d.take(16))
	for i, lane := range in.bytes {
		if d.err == nil && lane >= 32 {
			d.invalid(start+i, "lane %d of a shuffle, which has 32", lane)
		}
	}
}

func (d *decoder) lane(in *instr, f *form) {
	start := d.at
	if in.lane = d.byte(); in.lane >= f.lanes {
		d.invalid(start, "lane %d of %d", in.lane, f.lanes)
	}
}
