package wasm

import (
	"slices"
	"strings"
)

// Names that begin so belong to the instrumenter.
const reservedPrefix = "caisson:"

func (m *Module) readTypes(r *reader) {
	n := r.count("types", typesMax, 3)
	m.Types = n
	m.types = make([]typeRange, n)
	m.values = make([]ValueType, 0, r.left()-3*n+1)
	for i := range m.types {
		start := r.at
		switch form := r.byte(); form {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			r.off(start, "garbage collection", "type %d: form %#x", i, form)
		default:
			r.invalid(start, "type %d: form %#x is no function type", i, form)
		}
		m.types[i].at = uint32(len(m.values))
		m.types[i].params = uint16(m.readTypeList(r, "parameters"))
		m.readTypeList(r, "results")
		if r.err != nil {
			return
		}
	}
}

func (m *Module) readTypeList(r *reader, what string) int {
	n := r.count(what, paramsMax, 1)
	for range n {
		m.values = append(m.values, r.valueType())
		if r.err != nil {
			return 0
		}
	}
	return n
}

// typeIndex reads the index of a function type.
func (m *Module) typeIndex(r *reader) uint32 {
	start := r.at
	i := r.u32()
	if r.err == nil && i >= uint32(m.Types) {
		r.missing(start, "type", i, m.Types)
		return 0
	}
	return i
}

func (m *Module) readImports(r *reader, rules Rules) {
	n := r.count("imports", importsMax, 4)
	m.Imports = make([]Import, 0, n)
	m.funcs = make([]uint32, 0, n)
	for range n {
		start := r.at
		module, name := string(r.name()), string(r.name())
		kindAt := r.at
		kind := Kind(r.byte())
		if r.err != nil {
			return
		}
		switch {
		case kind == 4:
			r.off(kindAt, "exceptions", "imports the tag %s %s", quote(module), quote(name))
		case kind > KindGlobal:
			r.invalid(kindAt, "import %s %s is of unknown %v", quote(module), quote(name), kind)
		case kind != KindFunc:
			r.fail(kindAt, codeShape, "imports the %v %s %s; a task brings its own", kind, quote(module), quote(name))
		case strings.HasPrefix(module, reservedPrefix):
			r.fail(start, codeImport, "imports %s of %s, a name that is reserved", quote(name), quote(module))
		}
		t := m.typeIndex(r)
		if r.err != nil {
			return
		}
		im := Import{Module: module, Name: name, Type: m.funcType(t)}
		if err := rules.allow(im); err != nil {
			r.fail(start, codeImport, "%v", err)
			r.err.cause = err
			return
		}
		m.Imports = append(m.Imports, im)
		m.funcs = append(m.funcs, t)
	}
}

func (m *Module) readFunctions(r *reader) {
	m.Functions = r.count("functions", functionsMax-len(m.funcs), 1)
	funcs := make([]uint32, len(m.funcs), len(m.funcs)+m.Functions)
	copy(funcs, m.funcs)
	for range m.Functions {
		funcs = append(funcs, m.typeIndex(r))
		if r.err != nil {
			return
		}
	}
	m.funcs = funcs
}

// funcIndex reads the index of a function.
func (m *Module) funcIndex(r *reader) uint32 {
	start := r.at
	i := r.u32()
	if r.err == nil && int(i) >= len(m.funcs) {
		r.missing(start, "function", i, len(m.funcs))
		return 0
	}
	return i
}

// limits reads the least and the most of a table or memory.
func (r *reader) limits(what, unit string, most uint32) (minimum, maximum uint32, hasMax bool) {
	start := r.at
	switch flags := r.byte(); {
	case flags == 2 || flags == 3:
		r.off(start, "threads", "a shared %s", what)
	case flags >= 4 && flags <= 7:
		r.off(start, "memory64", "a 64-bit %s", what)
	case flags > 7:
		r.invalid(start, "unknown limits %#x of a %s", flags, what)
	default:
		hasMax = flags == 1
	}
	start = r.at
	minimum = r.u32()
	if hasMax {
		maximum = r.u32()
	}
	if r.err == nil && (minimum > most || maximum > most) {
		r.invalid(start, "a %s of more than %d %s", what, most, unit)
	}
	if r.err == nil && hasMax && minimum > maximum {
		r.invalid(start, "a %s of at least %d and at most %d %s", what, minimum, maximum, unit)
	}
	return minimum, maximum, hasMax
}

func (m *Module) readTables(r *reader) {
	n := r.count("tables", tablesMax, 3)
	m.Tables = make([]Table, n)
	for i := range m.Tables {
		if r.left() > 0 && r.code[r.at] == 0x40 {
			r.off(r.at, "typed function references", "table %d: an initializer", i)
			return
		}
		t := &m.Tables[i]
		t.Type = r.refType()
		start := r.at
		t.Min, t.Max, t.HasMax = r.limits("table", "elements", 1<<32-1)
		if r.err == nil && t.Min > tableElementsMax {
			r.fail(start, codeShape, "table %d: %d elements from the start, at most %d", i, t.Min, tableElementsMax)
		}
	}
}

func (m *Module) readMemory(r *reader) {
	start := r.at
	switch n := r.u32(); {
	case n == 0:
		return
	case n > 1:
		r.off(start, "multiple memories", "%d memories", n)
		return
	}
	var memory Memory
	start = r.at
	memory.Min, memory.Max, memory.HasMax = r.limits("memory", "pages", 1<<16)
	if r.err == nil && memory.Min > pagesMax {
		r.fail(start, codeShape, "a memory of %d pages from the start, at most %d", memory.Min, pagesMax)
	}
	m.Memory = &memory
}

func (m *Module) readGlobals(r *reader) {
	n := r.count("globals", globalsMax, 4)
	m.Globals = n
	m.globals = make([]global, n)
	for i := range m.globals {
		g := &m.globals[i]
		g.typ = r.valueType()
		start := r.at
		mutable := r.byte()
		if r.err == nil && mutable > 1 {
			r.invalid(start, "global %d: unknown mutability %#x", i, mutable)
		}
		g.mutable = mutable == 1
		g.init = uint32(r.at)
		var c instr
		m.constant(r, &c, g.typ)
		if r.err != nil {
			return
		}
	}
}

func (m *Module) readExports(r *reader) {
	n := r.count("exports", exportsMax, 3)
	first := r.at
	text := string(r.code[first:]) // one string for all names
	m.Exports = make([]Export, n)
	for i := range m.Exports {
		e := &m.Exports[i]
		start := r.at
		name := r.name()
		e.Name = text[r.at-len(name)-first : r.at-first]
		if r.err == nil && strings.HasPrefix(e.Name, reservedPrefix) {
			r.fail(start, codeShape, "exports %s, a name that is reserved", quote(e.Name))
		}
		e.Kind = Kind(r.byte())
		e.Index = m.exported(r, e.Kind)
		if r.err != nil {
			return
		}
	}
	if i, found := m.sameExport(); found {
		again := reader{code: r.code, at: first}
		for range i {
			again.name()
			again.byte()
			again.u32()
		}
		r.invalid(again.at, "two exports named %s", quote(m.Exports[i].Name))
	}
}

// sameExport finds an export whose name an earlier one has.
func (m *Module) sameExport() (index int, found bool) {
	order := make([]uint32, len(m.Exports))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(m.Exports[a].Name, m.Exports[b].Name) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; m.Exports[a].Name == m.Exports[b].Name {
			return int(max(a, b)), true
		}
	}
	return 0, false
}

// exported reads the index of what an export of the given kind names.
func (m *Module) exported(r *reader, kind Kind) uint32 {
	if kind == KindFunc {
		i := m.funcIndex(r)
		if r.err == nil {
			m.declare(i)
		}
		return i
	}
	start := r.at
	i := r.u32()
	there := 0
	switch kind {
	case KindTable:
		there = len(m.Tables)
	case KindMemory:
		there = m.memories()
	case KindGlobal:
		there = m.Globals
	default:
		r.invalid(start-1, "export of unknown %v", kind)
	}
	if int(i) >= there {
		r.missing(start, kind.String(), i, there)
	}
	return i
}

func (m *Module) memories() int {
	if m.Memory == nil {
		return 0
	}
	return 1
}

func (m *Module) readStart(r *reader) {
	start := r.at
	m.start, m.hasStart = m.funcIndex(r), true
	if r.err != nil {
		return
	}
	if t := m.funcType(m.funcs[m.start]); len(t.Params)+len(t.Results) > 0 {
		r.invalid(start, "the start function is %v, not () -> ()", t)
	}
}
