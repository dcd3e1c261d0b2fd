package wasm

import "fmt"

// A change is an instruction that leaves more behind than memory and globals, so that restoring these does not restore the module.
type change struct {
	found    bool
	function uint32 // the first that has it
}

// changesCount is the number of changingOps.
const changesCount = 7

// changingOps are those instructions, and what people call them.
var changingOps = [changesCount]struct {
	op   opcode
	name string
}{
	{opTableSet, "table.set"}, {opTableGrow, "table.grow"}, {opTableFill, "table.fill"}, {opTableCopy, "table.copy"}, {opTableInit, "table.init"},
	{opDataDrop, "data.drop"}, {opElemDrop, "elem.drop"},
}

// A checker walks the bodies of a module: everything that an instruction names exists, blocks are balanced, and a body ends where it says.
type checker struct {
	m      *Module
	d      decoder
	in     instr
	index  uint32   // of the function, imported ones counted
	locals uint32   // parameters among them
	all    int      // locals of all functions so far
	loops  int      // how many of these are loops
	values uint64   // what the blocks of this function can merge so far: see mergesMax
	blocks []opcode // what is open: block, loop, if, else; the function itself first, as a block
}

func (m *Module) readCode(r *reader) {
	n := r.count("bodies", functionsMax, 3)
	if r.err == nil && n != m.Functions {
		r.invalid(r.at, "%d bodies for %d functions", n, m.Functions)
		return
	}
	m.bodies = make([]uint32, n)
	c := checker{m: m}
	for i := range m.bodies {
		start := r.at
		m.bodies[i] = uint32(start)
		size := r.count("bytes of a body", bodySizeMax, 1)
		c.index = uint32(len(m.Imports) + i)
		c.d.reader = reader{code: r.code[:r.at+size], at: r.at, err: r.err}
		if err := c.body(m.funcType(m.funcs[c.index])); err != nil {
			err.Reason = fmt.Sprintf("function %d: %s", c.index, err.Reason)
			r.err = err
			return
		}
		r.at += size
	}
}

// body checks the body that d stands before.
func (c *checker) body(t FuncType) *Error {
	c.readLocals(t)
	c.blocks, c.loops, c.values = append(c.blocks[:0], opBlock), 0, 0
	for len(c.blocks) > 0 {
		if c.d.next(&c.in) != nil {
			return c.d.err
		}
		switch c.in.shape {
		case shapePlain:
			if op := c.in.op; op == opEnd || op == opElse {
				c.close(op)
			}
		case shapeLocal:
			c.below("local", c.in.a, c.locals)
		default:
			c.operand(c.in.shape)
		}
	}
	if c.d.err == nil && c.d.left() > 0 {
		c.d.invalid(c.d.at, "%d bytes after its end", c.d.left())
	}
	return c.d.err
}

func (c *checker) readLocals(t FuncType) {
	d := &c.d
	locals := uint64(len(t.Params))
	start := d.at
	for range d.count("groups of locals", localGroupsMax, 2) {
		n, _ := d.localGroup()
		locals += uint64(n)
		if locals > localsMax {
			d.invalid(start, "%d locals, at most %d", locals, localsMax)
			return
		}
		if d.err != nil {
			return
		}
	}
	c.locals = uint32(locals)
	if c.all += int(locals); c.all > localsAllMax {
		d.invalid(start, "more than %d locals in all functions", localsAllMax)
	}
}

// close takes an else or an end.
func (c *checker) close(op opcode) {
	top := len(c.blocks) - 1
	if op == opEnd {
		if c.blocks[top] == opLoop {
			c.loops--
		}
		c.blocks = c.blocks[:top]
	} else if c.blocks[top] == opIf {
		c.blocks[top] = opElse
	} else {
		c.d.invalid(c.in.at, "else outside of if")
	}
}

// operand checks what the instruction names, and opens blocks.
func (c *checker) operand(s shape) {
	m, in := c.m, &c.in
	switch s {
	case shapeGlobal:
		if c.below("global", in.a, uint32(m.Globals)); in.op == opGlobalSet && c.d.err == nil && !m.globals[in.a].mutable {
			c.d.invalid(in.at, "global.set of global %d, which is immutable", in.a)
		}
	case shapeMemarg, shapeMemory, shapeMemories, shapeMemargLane:
		c.needMemory()
	case shapeLabel:
		c.below("label", in.a, uint32(len(c.blocks)))
	case shapeFunc:
		if c.below("function", in.a, uint32(len(m.funcs))); in.op == opRefFunc && c.d.err == nil && !m.isDeclared(in.a) {
			c.d.invalid(in.at, "ref.func of function %d, which no element, export or global names", in.a)
		}
	case shapeBlock:
		c.open()
	case shapeLabels:
		for _, label := range in.targets {
			c.below("label", label, uint32(len(c.blocks)))
		}
		c.below("label", in.a, uint32(len(c.blocks)))
	case shapeIndirect:
		c.below("type", in.a, uint32(m.Types))
		c.below("table", in.b, uint32(len(m.Tables)))
	case shapeTable, shapeTables, shapeElem, shapeElemInit, shapeData, shapeDataInit:
		c.segmentOrTable(s)
	}
}

func (c *checker) open() {
	values := uint64(c.locals)
	switch c.in.typ {
	case typeIndexed:
		if c.below("type", c.in.a, uint32(c.m.Types)); c.d.err == nil {
			t := c.m.funcType(c.in.a)
			values += uint64(len(t.Params) + len(t.Results))
		}
	case typeEmpty:
	default:
		values++
	}
	if c.in.op == opLoop {
		c.loops++
		values *= uint64(c.loops)
	}
	c.values += values
	if c.values > mergesMax {
		c.d.fail(c.in.at, codeCostly, "its blocks can merge more than %d values: each merges all locals, its parameters and its results", mergesMax)
	}
	if len(c.blocks) > blocksMax {
		c.d.invalid(c.in.at, "more than %d blocks inside each other", blocksMax)
	}
	c.blocks = append(c.blocks, c.in.op)
}

func (c *checker) segmentOrTable(s shape) {
	m, in := c.m, &c.in
	tables := uint32(len(m.Tables))
	switch s {
	case shapeTable:
		c.below("table", in.a, tables)
	case shapeTables:
		c.below("table", in.a, tables)
		c.below("table", in.b, tables)
	case shapeElem:
		c.below("element segment", in.a, uint32(m.Elements))
	case shapeElemInit:
		c.below("element segment", in.a, uint32(m.Elements))
		c.below("table", in.b, tables)
	case shapeData, shapeDataInit:
		if !m.hasDataCount {
			c.d.invalid(in.at, "instruction %v without a data count section", in.op)
		}
		c.below("data segment", in.a, m.dataCount)
		if s == shapeDataInit {
			c.needMemory()
		}
	}
	for i := range changingOps {
		if changingOps[i].op == in.op && !m.changes[i].found {
			m.changes[i] = change{found: true, function: c.index}
		}
	}
}

func (c *checker) needMemory() {
	if c.m.Memory == nil {
		c.d.invalid(c.in.at, "instruction %v without a memory", c.in.op)
	}
}

// below refuses an index that names nothing.
func (c *checker) below(what string, index, count uint32) {
	if index >= count {
		c.d.missing(c.in.at, what, index, int(count))
	}
}
