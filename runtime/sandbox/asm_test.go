package sandbox_test

import "encoding/binary"

// assemble makes a reactor of a few bytes:
//
//	(module (import ...) (memory (export "memory") 1) (func (export "caisson_run") (result i32) body))
//
// Imports are functions of the type given, as "module", "name" and type bytes.
func assemble(imports []asmImport, body string) []byte { return assembleData(imports, body, "") }

// assembleData is assemble with data at the start of the memory.
func assembleData(imports []asmImport, body, data string) []byte {
	types := [][]byte{{0x60, 0, 1, 0x7f}}
	var ims [][]byte
	for i, im := range imports {
		types = append(types, []byte(im.signature))
		ims = append(ims, cat(str(im.module), str(im.name), []byte{0}, uleb(1+i)))
	}
	m := cat(header, section(1, types...))
	if len(ims) > 0 {
		m = cat(m, section(2, ims...))
	}
	m = cat(m, section(3, []byte{0}), section(5, []byte{0, 1}),
		section(7, cat(str("memory"), []byte{2, 0}), cat(str("caisson_run"), []byte{0}, uleb(len(imports)))),
		section(10, function(body)))
	if data == "" {
		return m
	}
	return cat(m, section(11, cat([]byte{0, 0x41, 0, 0x0b}, str(data))))
}

// assembleStart is a reactor whose start section runs body, of type () -> ().
func assembleStart(body string) []byte {
	return cat(header, section(1, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 0, 0}), section(3, []byte{0}, []byte{1}),
		section(7, cat(str("caisson_run"), []byte{0, 0})), []byte{8, 1, 1},
		section(10, function("\x41\x00\x0b"), function(body)))
}

// assembleTable is a reactor with a table of one element that states no maximum.
func assembleTable(body string) []byte {
	return cat(header, section(1, []byte{0x60, 0, 1, 0x7f}), section(3, []byte{0}), section(4, []byte{0x70, 0, 1}),
		section(7, cat(str("caisson_run"), []byte{0, 0})), section(10, function(body)))
}

// frame is fields as a request frame.
func frame(fields ...string) string {
	var b []byte
	for _, f := range fields {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	return string(b)
}

type asmImport struct{ module, name, signature string }

var header = []byte("\x00asm\x01\x00\x00\x00")

func section(id byte, entries ...[]byte) []byte {
	body := cat(append([][]byte{uleb(len(entries))}, entries...)...)
	return cat([]byte{id}, uleb(len(body)), body)
}

// function is a body without locals.
func function(code string) []byte { return cat(uleb(len(code)+1), []byte{0}, []byte(code)) }

func str(s string) []byte { return cat(uleb(len(s)), []byte(s)) }
func uleb(n int) []byte   { return binary.AppendUvarint(nil, uint64(n)) }

func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
