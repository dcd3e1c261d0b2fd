package wasm

import (
	"encoding/binary"
	"strings"
)

const header = "\x00asm\x01\x00\x00\x00"

// assemble makes a module of sections.
func assemble(sections ...string) []byte { return []byte(header + strings.Join(sections, "")) }

// section frames the content of a section.
func section(id byte, content ...string) string { return string(id) + sized(strings.Join(content, "")) }

// vector frames entries with their count.
func vector(entries ...string) string { return number(len(entries)) + strings.Join(entries, "") }

// sized frames bytes with their length: a name, a body, the bytes of a data segment.
func sized(content string) string { return number(len(content)) + content }

// number writes the shortest unsigned LEB128.
func number(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

// Sections of the module that withBody makes.
const (
	asmTypes    = "\x03\x60\x00\x00\x60\x01\x7f\x01\x7f\x60\x02\x7e\x7e\x00" // () -> (), (i32) -> (i32), (i64, i64) -> ()
	asmImports  = "\x01\x03env\x01f\x00\x00"                                 // function 0
	asmFuncs    = "\x01\x01"                                                 // function 1, (i32) -> (i32)
	asmTables   = "\x02\x70\x00\x01\x6f\x01\x00\x05"                         // 1 funcref, 0 to 5 externref
	asmMemory   = "\x01\x00\x01"                                             // one page
	asmGlobals  = "\x02\x7f\x01\x41\x00\x0b\x7f\x00\x41\x00\x0b"             // mutable i32, immutable i32
	asmExports  = "\x01\x03run\x00\x01"
	asmElements = "\x01\x01\x00\x01\x01" // passive: function 1
	asmData     = "\x01\x01\x01x"        // passive: one byte
)

// withBody makes a module that has one of everything, and whose function 1 has the given local groups and instructions.
func withBody(locals, code string) []byte {
	return withCode(vector(sized(locals + code)))
}

// withCode is withBody for a whole code section.
func withCode(code string) []byte {
	return assemble(section(1, asmTypes), section(2, asmImports), section(3, asmFuncs), section(4, asmTables), section(5, asmMemory),
		section(6, asmGlobals), section(7, asmExports), section(9, asmElements), section(12, "\x01"), section(10, code), section(11, asmData))
}

// noLocals is the count of local groups of a body without any.
const noLocals = "\x00"
