package wasm

// A scanner walks each body once, for what the plan must know before the first byte is written: what it calls, what it costs, how much stack it takes.
type scanner struct {
	*plan
	d      decoder
	in     instr
	f      *funcFacts
	blocks []scanBlock
	trail  trail
	frame  frameEstimate
}

// A scanBlock is an open block: how high the operand stack is below its parameters, and what it leaves there.
type scanBlock struct {
	op      opcode
	base    int
	params  int
	results int
	sets    int // writes to locals before it
}

// scan fills in the facts of own function i.
func (s *scanner) scan(i int) error {
	m, f := s.m, &s.funcs[i]
	s.f = f
	f.callsAt = uint32(len(s.calls))
	groups, r := m.body(i)
	t := m.funcType(m.funcs[len(m.Imports)+i])
	s.frame.begin(t)
	for range groups {
		n, typ := r.localGroup()
		s.frame.locals(n, typ)
	}
	s.d.reader = r
	s.blocks = append(s.blocks[:0], scanBlock{op: opBlock, results: len(t.Results)})
	for s.d.left() > 0 {
		if err := s.d.next(&s.in); err != nil {
			return err
		}
		s.instr()
	}
	f.callsEnd = uint32(len(s.calls))
	if f.hasLoop {
		s.frame.slots++ // for the fuel, see loop.go
	}
	f.frame = s.frame.bytes()
	return nil
}

func (s *scanner) instr() {
	in := &s.in
	s.f.cost = addCapped(s.f.cost, unitsOf(in.op))
	s.frame.vector = s.frame.vector || in.op>>8 == prefixVector
	if s.trail = s.trail.after(in); s.trail == trailDispatch {
		s.f.dispatches = true
	}
	switch in.op {
	case opBlock, opLoop, opIf:
		s.open()
	case opElse:
		b := s.blocks[len(s.blocks)-1]
		s.frame.reset(b.base + b.params)
	case opEnd:
		s.close()
	case opBr, opBrTable, opReturn, opUnreachable:
		// What follows cannot run; its stack is whatever it takes it to be.
		s.frame.reset(s.base())
	case opCall:
		t := s.m.funcType(s.m.funcs[in.a])
		s.frame.call(len(t.Params), len(t.Results), s.base())
		if in.a >= s.imports {
			s.calls = append(s.calls, in.a-s.imports)
		} else {
			s.f.host = true
		}
	case opCallIndirect:
		t := s.m.funcType(in.a)
		s.frame.call(len(t.Params)+1, len(t.Results), s.base())
		s.calls = append(s.calls, uint32(s.m.Functions)+s.types.number[in.a])
	default:
		s.plain()
	}
}

// plain takes an instruction that neither branches nor calls.
func (s *scanner) plain() {
	in := &s.in
	switch in.op {
	case opGlobalSet:
		s.written[in.a] = true
	case opRefFunc:
		s.reference(in.a)
	case opTableGrow:
		s.grows = true
	case opMemoryInit, opDataDrop:
		s.usesData = true
		s.dropsPassive = s.dropsPassive || in.op == opDataDrop && s.passive[in.a]
	}
	if in.op == opLocalSet || in.op == opLocalTee {
		s.frame.set(in.a)
	}
	s.needs.add(in, s.plan)
	pops, pushes := effectOf(in)
	if bulky(in.op) { // written as a call, or with one behind it
		s.f.hasBulk = true
		s.frame.call(pops, pushes, s.base())
		return
	}
	s.frame.pop(pops, s.base())
	s.frame.push(pushes)
}

func (s *scanner) base() int { return s.blocks[len(s.blocks)-1].base }

func (s *scanner) open() {
	in := &s.in
	b := scanBlock{op: in.op}
	if in.op == opIf {
		s.frame.pop(1, s.base())
	}
	switch in.typ {
	case typeIndexed:
		t := s.m.funcType(in.a)
		b.params, b.results = len(t.Params), len(t.Results)
	case typeEmpty:
	default:
		b.results = 1
	}
	b.base = max(s.frame.height-b.params, s.base())
	s.frame.reset(b.base + b.params)
	b.sets = s.frame.sets
	s.f.hasLoop = s.f.hasLoop || in.op == opLoop
	s.blocks = append(s.blocks, b)
}

// close ends a block. Ways meet here, and what they left in locals and results becomes new values.
func (s *scanner) close() {
	top := len(s.blocks) - 1
	b := s.blocks[top]
	s.blocks = s.blocks[:top]
	s.frame.reset(b.base)
	s.frame.push(b.results)
	s.frame.meet(b.sets)
	if b.op == opLoop {
		s.frame.call(0, 0, b.base) // its way back looks at the fuel
	}
}

// addCapped adds without wrapping.
func addCapped(a, b uint32) uint32 {
	if a+b < a {
		return 1<<32 - 1
	}
	return a + b
}
