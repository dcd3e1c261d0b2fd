package wasm

import (
	"encoding/binary"
)

// appendInstr writes in, in canonical form: shortest numbers, the prefix byte and its number as the specification spells them.
// What is behind a vector prefix from 128 on takes two bytes, and wazero v1.12.0 reads the second of them, 0x01, as a nop: none of those
// instructions has an immediate, so both readings mean the same.
func appendInstr(out []byte, in *instr) []byte {
	if in.op > 0xff {
		out = append(out, byte(in.op>>8))
		out = appendU32(out, uint32(in.op&0xff))
	} else {
		out = append(out, byte(in.op))
	}
	switch in.shape {
	case shapeLabel, shapeFunc, shapeLocal, shapeGlobal, shapeTable, shapeData, shapeElem:
		out = appendU32(out, in.a)
	case shapeMemarg, shapeIndirect, shapeElemInit, shapeTables:
		out = appendU32(appendU32(out, in.a), in.b)
	case shapeMemargLane:
		out = append(appendU32(appendU32(out, in.a), in.b), in.lane)
	case shapeI32, shapeI64:
		out = appendSigned(out, int64(in.value))
	case shapeF32:
		out = binary.LittleEndian.AppendUint32(out, uint32(in.value))
	case shapeF64:
		out = binary.LittleEndian.AppendUint64(out, in.value)
	case shapeBlock:
		if in.typ == typeIndexed {
			out = appendSigned(out, int64(in.a))
		} else {
			out = append(out, byte(in.typ))
		}
	case shapeLabels:
		out = appendU32(out, uint32(len(in.targets)))
		for _, label := range in.targets {
			out = appendU32(out, label)
		}
		out = appendU32(out, in.a)
	case shapeMemory:
		out = append(out, 0)
	case shapeMemories:
		out = append(out, 0, 0)
	case shapeDataInit:
		out = append(appendU32(out, in.a), 0)
	case shapeSelect:
		out = append(out, 1, byte(in.typ))
	case shapeRefType:
		out = append(out, byte(in.typ))
	case shapeBytes, shapeShuffle:
		out = append(out, in.bytes[:]...)
	case shapeLane:
		out = append(out, in.lane)
	}
	return out
}

// appendU32 writes v as the shortest unsigned LEB128.
func appendU32(out []byte, v uint32) []byte { return binary.AppendUvarint(out, uint64(v)) }

// appendSigned writes v as the shortest signed LEB128.
func appendSigned(out []byte, v int64) []byte {
	for v < -64 || v > 63 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v)&0x7f)
}
