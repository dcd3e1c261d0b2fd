package wasm

import (
	"bytes"
	"encoding/binary"
)

// Section ids of a module.
// Source: https://webassembly.github.io/spec/core/binary/modules.html#sections
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13 // of exceptions
)

// sectionRank is the order in which sections must stand; the data count stands before the code.
var sectionRank = [...]byte{sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionGlobal: 6,
	sectionExport: 7, sectionStart: 8, sectionElement: 9, sectionDataCount: 10, sectionCode: 11, sectionData: 12}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}

// headerSize is the length of the magic bytes and the version.
const headerSize = 8

// Read is the gate: it reads a module to its last instruction, with memory below four times its size and a time that grows as its size does.
// code is kept and must not change. What passes is within limits.go, uses no feature but those of WebAssembly core 2.0, imports only functions that the rules take, and
// names only what exists. The types of operands are not judged here; see doc.go.
// Errors, all final: *Error.
func Read(code []byte, rules Rules) (*Module, error) {
	if err := checkHeader(code); err != nil {
		return nil, err
	}
	m := &Module{Size: len(code), code: code}
	r := reader{code: code, at: headerSize}
	last := byte(0)
	for r.left() > 0 {
		start := r.at
		id := r.byte()
		body, err := openSection(&r, start, id)
		if err != nil {
			return nil, err
		}
		if id == sectionCustom {
			m.readCustom(&body)
		} else if sectionRank[id] <= last {
			body.invalid(start, "out of order or repeated")
		} else {
			last = sectionRank[id]
			m.readSection(&body, id, rules)
		}
		if body.left() > 0 && id != sectionCustom {
			body.invalid(body.at, "%d bytes after the last entry", body.left())
		}
		if body.err != nil {
			body.err.Section = sectionNames[id]
			return nil, body.err
		}
	}
	if err := m.checkWhole(); err != nil {
		return nil, err
	}
	return m, nil
}

func checkHeader(code []byte) error {
	const componentLayer = 1 // the upper half of the version; 0 is a module
	switch {
	case len(code) > moduleSizeMax:
		return &Error{Code: codeInvalid, Reason: "more than 64 MiB"}
	case !bytes.HasPrefix(code, []byte("\x00asm")):
		return &Error{Code: codeInvalid, Reason: `not a Wasm module (no \0asm at its start)` + foreign(code)}
	case len(code) < headerSize:
		return &Error{Offset: len(code), Code: codeInvalid, Reason: "unexpected end within the version"}
	}
	switch version := binary.LittleEndian.Uint32(code[4:]); {
	case version>>16 == componentLayer:
		return &Error{Offset: 4, Code: codeUnsupported, Reason: "this is a component; build a core module for WASI preview 1 instead: " +
			"GOOS=wasip1 in Go, target wasm32-wasip1 in Rust, --target=wasm32-wasip1 in clang, and no wasm-tools component step"}
	case version != 1:
		return &Error{Offset: 4, Code: codeInvalid, Reason: "a version other than 1"}
	}
	return nil
}

// foreign says what else the bytes are and what to do about it, for files that people take for a module; "" for all others.
func foreign(code []byte) string {
	for _, f := range [...]struct{ start, hint string }{
		{"(module", "; this looks like the text format: turn it into a module with wat2wasm"},
		{";;", "; this looks like the text format: turn it into a module with wat2wasm"},
		{"\x1f\x8b", "; it is compressed: gunzip it"},
		{"PK\x03\x04", "; it is an archive: unzip it"},
		{"\x7fELF", "; it is a program for this system, not for WebAssembly: build it for WASI preview 1"},
		{"!<arch>\n", "; it is a library of object files: link it"},
	} {
		if bytes.HasPrefix(code, []byte(f.start)) {
			return f.hint
		}
	}
	return ""
}

// openSection takes the bytes of the section with the given id off r.
func openSection(r *reader, start int, id byte) (reader, error) {
	size := r.u32()
	if id == sectionTag {
		r.off(start, "exceptions", "section 13")
	} else if int(id) >= len(sectionNames) {
		r.invalid(start, "unknown section %d", id)
	}
	if r.err == nil && int64(size) > int64(r.left()) {
		r.invalid(start, "section %d has %d bytes, but %d are left", id, size, r.left())
	}
	if r.err != nil {
		return reader{}, r.err
	}
	body := reader{code: r.code[:r.at+int(size)], at: r.at}
	r.at += int(size)
	return body, nil
}

func (m *Module) readSection(r *reader, id byte, rules Rules) {
	switch id {
	case sectionType:
		m.readTypes(r)
	case sectionImport:
		m.readImports(r, rules)
	case sectionFunction:
		m.readFunctions(r)
	case sectionTable:
		m.readTables(r)
	case sectionMemory:
		m.readMemory(r)
	case sectionGlobal:
		m.readGlobals(r)
	case sectionExport:
		m.readExports(r)
	case sectionStart:
		m.readStart(r)
	case sectionElement:
		m.readElements(r)
	case sectionDataCount:
		m.dataCount, m.hasDataCount = r.u32(), true
	case sectionCode:
		m.readCode(r)
	case sectionData:
		m.readData(r)
	}
}

// readCustom looks for the name section, the first of which is kept.
func (m *Module) readCustom(r *reader) {
	m.Customs++
	name := r.name()
	if r.err == nil && string(name) == "name" && m.namesAt == (part{}) {
		m.namesAt = part{uint32(r.at), uint32(len(r.code))}
	}
}

// checkWhole judges what only the end of the module can tell.
func (m *Module) checkWhole() error {
	if len(m.bodies) != m.Functions {
		return &Error{Section: "code", Offset: len(m.code), Code: codeInvalid, Reason: "no bodies for the declared functions"}
	}
	if m.hasDataCount && int(m.dataCount) != m.DataSegments {
		return &Error{Section: "data", Offset: len(m.code), Code: codeInvalid, Reason: "another number of segments than the data count section says"}
	}
	return nil
}
