package wasm

// constant reads a constant expression of type want into c: one instruction, then its end.
// Of globals, core 2.0 lets it read imported ones only, and a task has none.
func (m *Module) constant(r *reader, c *instr, want ValueType) {
	d := decoder{reader: *r}
	m.readConstant(&d, c, want)
	*r = d.reader
}

func (m *Module) readConstant(d *decoder, c *instr, want ValueType) {
	start := d.at
	if d.next(c) != nil {
		return
	}
	var got ValueType
	switch c.op {
	case opI32Const:
		got = I32
	case opI64Const:
		got = I64
	case opF32Const:
		got = F32
	case opF64Const:
		got = F64
	case opV128Const:
		got = V128
	case opRefNull:
		got = c.typ
	case opRefFunc:
		got = FuncRef
		if int(c.a) >= len(m.funcs) {
			d.missing(start, "function", c.a, len(m.funcs))
			return
		}
		m.declare(c.a)
	case opGlobalGet:
		d.fail(start, codeUnsupported, "a constant that reads global %d: only imported globals can be read here, and a task has none", c.a)
		return
	default:
		d.invalid(start, "instruction %v in a constant expression", c.op)
		return
	}
	if got != want {
		d.invalid(start, "a constant of type %v where %v is wanted", got, want)
		return
	}
	var end instr
	if start = d.at; d.next(&end) == nil && end.op != opEnd {
		d.off(start, "extended constant expressions", "a constant expression of more than one instruction")
	}
}

// declare notes that ref.func may name function i in a body.
func (m *Module) declare(i uint32) {
	if m.declared == nil {
		m.declared = make([]uint64, (len(m.funcs)+63)/64)
	}
	if !m.isDeclared(i) { // after Read all are, so that reading again writes nothing
		m.declared[i/64] |= 1 << (i % 64)
	}
}

func (m *Module) isDeclared(i uint32) bool {
	return m.declared != nil && m.declared[i/64]&(1<<(i%64)) != 0
}

// Flags of an element segment.
// Source: https://webassembly.github.io/spec/core/binary/modules.html#element-section
const (
	elementPassive  = 1 // or declarative
	elementExplicit = 2 // active: names its table; otherwise: declarative
	elementExprs    = 4 // items are expressions
)

// An element is the head of an element segment.
type element struct {
	flags  uint32
	table  uint32    // of an active one
	offset instr     // of an active one
	typ    ValueType // of the items
	count  int       // items that follow, each read by elementItem
}

func (e *element) active() bool { return e.flags&elementPassive == 0 }

// elements gives the entries of the element section to be read again: m.Elements times readElement, with its items after each.
func (m *Module) elements() reader { return m.reader(m.elementsAt) }

// readElement reads the head of a segment.
func (m *Module) readElement(r *reader, e *element) {
	start := r.at
	e.flags = r.u32()
	if r.err == nil && e.flags > 7 {
		r.invalid(start, "unknown flags %#x of an element segment", e.flags)
	}
	e.table, e.typ = 0, FuncRef
	if e.active() {
		start = r.at
		if e.flags&elementExplicit != 0 {
			e.table = r.u32()
		}
		if r.err == nil && int(e.table) >= len(m.Tables) {
			r.missing(start, "table", e.table, len(m.Tables))
		}
		m.constant(r, &e.offset, I32)
	}
	if start = r.at; e.flags&(elementPassive|elementExplicit) != 0 {
		if e.flags&elementExprs != 0 {
			e.typ = r.refType()
		} else if kind := r.byte(); r.err == nil && kind != 0 {
			r.invalid(start, "unknown element kind %#x", kind)
		}
	}
	if r.err == nil && e.active() && m.Tables[e.table].Type != e.typ {
		r.invalid(start, "elements of type %v for a table of %v", e.typ, m.Tables[e.table].Type)
	}
	size := 1
	if e.flags&elementExprs != 0 {
		size = 3
	}
	e.count = r.count("elements of a segment", segmentElementsMax, size)
}

// elementItem reads one item of e: the index of a function, or null.
func (m *Module) elementItem(r *reader, e *element) (index uint32, null bool) {
	if e.flags&elementExprs == 0 {
		index = m.funcIndex(r)
		if r.err == nil {
			m.declare(index)
		}
		return index, false
	}
	var c instr
	m.constant(r, &c, e.typ)
	return c.a, c.op == opRefNull
}

func (m *Module) readElements(r *reader) {
	m.Elements = r.count("element segments", segmentsMax, 3)
	m.elementsAt = part{uint32(r.at), uint32(len(r.code))}
	var e element
	for range m.Elements {
		m.readElement(r, &e)
		for range e.count {
			m.elementItem(r, &e)
			if r.err != nil {
				return
			}
		}
	}
}

// A dataSegment is one entry of the data section.
type dataSegment struct {
	active bool
	offset instr // of an active one
	bytes  []byte
}

// datas gives the entries of the data section to be read again: m.DataSegments times readDataSegment.
func (m *Module) datas() reader { return m.reader(m.dataAt) }

// readDataSegment reads one segment.
// Source: https://webassembly.github.io/spec/core/binary/modules.html#data-section
func (m *Module) readDataSegment(r *reader, s *dataSegment) {
	start := r.at
	flags := r.u32()
	if s.active = flags != 1; s.active {
		if flags == 2 {
			memoryAt := r.at
			if memory := r.u32(); r.err == nil && memory != 0 {
				r.off(memoryAt, "multiple memories", "data for memory %d", memory)
			}
		}
		if r.err == nil && flags > 2 {
			r.invalid(start, "unknown flags %#x of a data segment", flags)
		}
		if r.err == nil && m.Memory == nil {
			r.invalid(start, "data without a memory")
		}
		m.constant(r, &s.offset, I32)
	}
	s.bytes = r.take(r.count("bytes of a data segment", moduleSizeMax, 1))
}

func (m *Module) readData(r *reader) {
	m.DataSegments = r.count("data segments", segmentsMax, 2)
	m.dataAt = part{uint32(r.at), uint32(len(r.code))}
	var s dataSegment
	for range m.DataSegments {
		m.readDataSegment(r, &s)
		if r.err != nil {
			return
		}
	}
}
