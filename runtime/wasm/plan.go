package wasm

// A plan is what the instrumenter knows of a module before it writes the first byte.
type plan struct {
	m       *Module
	o       Options
	funcs   []funcFacts // own functions
	calls   []uint32    // what they call, all together; see funcFacts.calls
	types   typeSet     // the module's types by structure
	written []bool      // for each global, whether an instruction sets it
	grows   bool        // there is a table.grow

	usesData     bool   // an instruction names a data segment
	dropsPassive bool   // a data.drop of a passive one
	passive      []bool // for each data segment
	sizes        []uint32

	indirectCost []uint32 // for each structural type, the most that one of its small functions costs
	needs        helperSet

	imports                          uint32 // imported functions of the guest; also the index of tick
	fuel, depth, denied, room, count uint32 // globals
	helpers                          uint32 // index of the first helper function
	resultTypes                      map[uint32]uint32
	resultTypeList                   []uint32
}

// funcFacts is what is known of one own function.
type funcFacts struct {
	cost       uint32 // units of all its instructions, saturating
	frame      uint32 // bytes of stack that one activation of it takes, estimated from above; see depth.go
	callsAt    uint32 // in plan.calls
	callsEnd   uint32
	hasLoop    bool
	dispatches bool   // has a loop that begins with a dispatch, see jump.go
	hasBulk    bool   // has an instruction that is charged by a length
	host       bool   // calls imported functions, by itself or through small ones
	small      bool   // charged by its callers: cost is then all that a call can cost
	checks     bool   // looks at the fuel when it is entered
	stack      uint32 // bytes charged at entry and given back at the exit; 0 for none
	below      uint32 // bytes that it and what it calls can take without charging them
	inElement  bool   // its reference can be made, so that call_indirect may reach it
}

// plan scans every body, then decides who charges what.
func (m *Module) plan(o Options) (*plan, error) {
	p := &plan{m: m, o: o, imports: uint32(len(m.Imports)), funcs: make([]funcFacts, m.Functions), written: make([]bool, m.Globals)}
	p.types = newTypeSet(m)
	p.readSegments()
	s := scanner{plan: p}
	for i := range p.funcs {
		if err := s.scan(i); err != nil {
			return nil, err
		}
	}
	p.markReferences()
	p.needs.need[helperRefuel] = true
	p.decide()
	p.fuel = uint32(m.Globals)
	p.depth, p.denied, p.room, p.count = p.fuel+1, p.fuel+2, p.fuel+3, p.fuel+4
	p.helpers = p.imports + 1 + uint32(m.Functions)
	return p, nil
}

func (p *plan) readSegments() {
	r := p.m.datas()
	var s dataSegment
	for range p.m.DataSegments {
		p.m.readDataSegment(&r, &s)
		p.passive = append(p.passive, !s.active)
		size := 0
		if !s.active {
			size = len(s.bytes)
		}
		p.sizes = append(p.sizes, uint32(size))
	}
}

// markReferences finds the functions that a table can come to hold: those that an element segment or a global names. What ref.func
// names in a body was marked by the scan.
func (p *plan) markReferences() {
	m := p.m
	r := m.elements()
	var e element
	for range m.Elements {
		m.readElement(&r, &e)
		for range e.count {
			if i, null := m.elementItem(&r, &e); !null {
				p.reference(i)
			}
		}
	}
	for _, g := range m.globals {
		r, c := reader{code: m.code, at: int(g.init)}, instr{}
		if m.constant(&r, &c, g.typ); c.op == opRefFunc {
			p.reference(c.a)
		}
	}
}

// reference notes that function i can be called indirectly. Imported ones charge by themselves.
func (p *plan) reference(i uint32) {
	if i >= p.imports {
		p.funcs[i-p.imports].inElement = true
	}
}

// shift gives the index of function i in the module that is written: tick stands behind the imports.
func (p *plan) shift(i uint32) uint32 {
	if i >= p.imports {
		return i + 1
	}
	return i
}

// A typeSet numbers the types of a module by structure: types that are equal have one number.
type typeSet struct {
	number []uint32 // of each type
	count  int
}

func newTypeSet(m *Module) typeSet {
	s := typeSet{number: make([]uint32, m.Types)}
	known := make(map[string]uint32, m.Types)
	var key []byte
	for i := range s.number {
		t := m.funcType(uint32(i))
		key = append(key[:0], byte(len(t.Params)), byte(len(t.Params)>>8))
		for _, list := range [2][]ValueType{t.Params, t.Results} {
			for _, v := range list {
				key = append(key, byte(v))
			}
		}
		n, ok := known[string(key)]
		if !ok {
			n = uint32(len(known))
			known[string(key)] = n
		}
		s.number[i] = n
	}
	s.count = len(known)
	return s
}
