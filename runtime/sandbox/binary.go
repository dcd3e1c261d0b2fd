package sandbox

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Section ids of a Wasm module.
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
)

// sectionOrder is the order in which sections must stand; the data count stands before the code.
var sectionOrder = [...]byte{sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionGlobal: 6,
	sectionExport: 7, sectionStart: 8, sectionElement: 9, sectionDataCount: 10, sectionCode: 11, sectionData: 12}

// A layout is what the admission check needs to know of a module.
type layout struct {
	code      []byte // the module as wazero gets it: custom sections dropped, table maxima clamped
	types     []signature
	imports   []importedFunction
	functions []uint32 // type of each function, imported ones first
	exports   map[string]exported
	hasMemory bool
	memoryMin uint64 // bytes
	memoryMax uint64 // bytes; 0 when the module states none
	locals    int    // of all functions together
	bodies    int
}

type signature struct{ params, results []byte }

func (s signature) equal(t signature) bool {
	return slices.Equal(s.params, t.params) && slices.Equal(s.results, t.results)
}

type importedFunction struct {
	module, name string
	signature    signature
}

type exported struct {
	kind  byte // 0 function, 1 table, 2 memory, 3 global
	index uint32
}

var (
	magic          = []byte{0, 'a', 's', 'm'}
	versionModule  = uint32(0x00000001)
	layerComponent = uint32(1) // the upper half of the version word; 0 is a module
)

// readLayout reads a module as far as it must to keep wazero from allocating by numbers that the bytes do not back: every vector's count against the
// bytes left and a bound, every section but the code down to its leaves. It does not read instructions and proves no validity.
func readLayout(module []byte) (*layout, error) {
	if len(module) > moduleSizeMax {
		return nil, admission("module.invalid", "%d bytes, at most %d", len(module), moduleSizeMax)
	}
	if len(module) < 8 || !slices.Equal(module[:4], magic) {
		return nil, admission("module.invalid", "these bytes are not a Wasm module (no \\0asm at their start)")
	}
	if version := binary.LittleEndian.Uint32(module[4:]); version>>16 == layerComponent {
		return nil, admission("module.unsupported", "this is a component; build a core module for WASI preview 1 instead: "+
			"GOOS=wasip1 in Go, target wasm32-wasip1 in Rust, --target=wasm32-wasip1 in clang, and no wasm-tools component step")
	} else if version != versionModule {
		return nil, admission("module.invalid", "version %#x is not 1", version)
	}
	l := &layout{exports: make(map[string]exported), code: append(make([]byte, 0, len(module)), module[:8]...)}
	in := &reader{data: module, at: 8}
	last := byte(0)
	for in.err == nil && in.left() > 0 {
		id := in.byte()
		start := in.at
		body := &reader{data: module, at: 0}
		body.data, body.base = in.take(int(in.count(len(module), "section size")))
		if in.err != nil {
			break
		}
		if id == sectionCustom {
			continue
		}
		if int(id) >= len(sectionOrder) {
			return nil, admission("module.unsupported", "section %d at offset %d belongs to a feature that is off (exceptions, threads, ...)", id, start)
		}
		if sectionOrder[id] <= last {
			return nil, admission("module.invalid", "section %d at offset %d is out of order or repeated", id, start)
		}
		last = sectionOrder[id]
		if err := l.section(id, body); err != nil {
			return nil, err
		}
		if body.err == nil && body.left() > 0 {
			body.fail("bytes after the last entry")
		}
		if body.err != nil {
			return nil, admission("module.invalid", "section %d: %v", id, body.err)
		}
		if id != sectionTable { // written anew by section
			l.code = append(l.code, module[start-1:in.at]...)
		}
	}
	if in.err != nil {
		return nil, admission("module.invalid", "%v", in.err)
	}
	return l, nil
}

// section reads one section into l. Errors are refusals that are not about form; those are left in r.
func (l *layout) section(id byte, r *reader) error {
	switch id {
	case sectionType:
		l.readTypes(r)
	case sectionImport:
		return l.readImports(r)
	case sectionFunction:
		for range r.count(functionsMax, "functions") {
			l.functions = append(l.functions, r.u32())
		}
	case sectionTable:
		return l.readTables(r)
	case sectionMemory:
		return l.readMemory(r)
	case sectionGlobal:
		for range r.count(globalsMax, "globals") {
			r.take(2)
			r.constant()
		}
	case sectionExport:
		for range r.count(exportsMax, "exports") {
			name := r.name()
			l.exports[name] = exported{kind: r.byte(), index: r.u32()}
		}
	case sectionStart, sectionDataCount:
		r.u32()
	case sectionElement:
		for range r.count(segmentsMax, "element segments") {
			r.element()
		}
	case sectionCode:
		l.readCode(r)
	case sectionData:
		for range r.count(segmentsMax, "data segments") {
			r.dataSegment()
		}
	}
	return nil
}

func (l *layout) readTypes(r *reader) {
	for range r.count(typesMax, "types") {
		if r.byte() != 0x60 {
			r.fail("a type that is no function type")
			return
		}
		var s signature
		s.params, _ = r.take(int(r.count(paramsMax, "parameters")))
		s.results, _ = r.take(int(r.count(paramsMax, "results")))
		l.types = append(l.types, s)
	}
}

func (l *layout) readImports(r *reader) error {
	kinds := [...]string{"function", "table", "memory", "global"}
	for range r.count(importsMax, "imports") {
		f := importedFunction{module: r.name(), name: r.name()}
		kind := r.byte()
		if r.err == nil && kind != 0 {
			if int(kind) >= len(kinds) {
				r.fail("an import of unknown kind")
				return nil
			}
			return admission("module.shape", "imports the %s %q.%q; a task brings its own", kinds[kind], f.module, f.name)
		}
		t := r.u32()
		if r.err != nil || uint64(t) >= uint64(len(l.types)) {
			r.fail("an import of a type that does not exist")
			return nil
		}
		f.signature = l.types[t]
		l.imports = append(l.imports, f)
		l.functions = append(l.functions, t)
	}
	return nil
}

// readTables writes the section anew with every maximum at most tableElementsMax, so that table.grow has an end.
func (l *layout) readTables(r *reader) error {
	n := r.count(tablesMax, "tables")
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		kind := r.byte()
		if kind != 0x70 && kind != 0x6f { // funcref, externref
			r.fail("a table of unknown elements")
		}
		least, most, stated := r.limits()
		if r.err != nil {
			return nil
		}
		if least > tableElementsMax {
			return admission("module.shape", "a table of %d elements, at most %d", least, tableElementsMax)
		}
		if !stated || most > tableElementsMax {
			most = tableElementsMax
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(binary.AppendUvarint(out, least), most)
	}
	l.code = append(l.code, sectionTable)
	l.code = append(binary.AppendUvarint(l.code, uint64(len(out))), out...)
	return nil
}

func (l *layout) readMemory(r *reader) error {
	n := r.count(memoriesMax, "memories")
	if n == 0 {
		return nil
	}
	least, most, stated := r.limits()
	if r.err != nil {
		return nil
	}
	l.hasMemory = true
	l.memoryMin = least * pageSize
	if stated {
		l.memoryMax = most * pageSize
	}
	if l.memoryMin > memoryMax {
		return admission("module.shape", "a memory of %d bytes from the start, at most %d", l.memoryMin, int64(memoryMax))
	}
	return nil
}

// readCode reads the declared locals of every body, which wazero expands.
func (l *layout) readCode(r *reader) {
	for range r.count(functionsMax, "function bodies") {
		var body reader
		body.data, body.base = r.take(int(r.count(bodySizeMax, "body size")))
		locals := uint64(0)
		for range body.count(localGroupsMax, "local groups") {
			locals += uint64(body.u32())
			body.byte()
		}
		l.locals += int(min(locals, localsMax+1))
		l.bodies++
		switch {
		case locals > localsMax:
			body.fail(fmt.Sprintf("%d locals in one function, at most %d", locals, localsMax))
		case l.locals > localsAllMax:
			body.fail(fmt.Sprintf("more than %d locals", localsAllMax))
		}
		if body.err != nil {
			r.err = body.err
			return
		}
	}
}

// function returns the signature of an exported function.
func (l *layout) function(name string) (signature, bool) {
	e, ok := l.exports[name]
	if !ok || e.kind != 0 || uint64(e.index) >= uint64(len(l.functions)) {
		return signature{}, false
	}
	t := l.functions[e.index]
	if uint64(t) >= uint64(len(l.types)) {
		return signature{}, false
	}
	return l.types[t], true
}
