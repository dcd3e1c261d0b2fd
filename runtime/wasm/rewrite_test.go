package wasm

// rewrite writes everything that m knows in canonical form, without custom sections. It is the print to Read's parse.
func rewrite(m *Module) []byte {
	out := []byte(header)
	add := func(id byte, count int, entries []byte) {
		if count > 0 {
			out = append(out, section(id, number(count), string(entries))...)
		}
	}
	add(1, m.Types, m.rewriteTypes())
	add(2, len(m.Imports), m.rewriteImports())
	var funcs []byte
	for _, t := range m.funcs[len(m.Imports):] {
		funcs = appendU32(funcs, t)
	}
	add(3, m.Functions, funcs)
	var tables []byte
	for _, t := range m.Tables {
		tables = appendLimits(append(tables, byte(t.Type)), t.Min, t.Max, t.HasMax)
	}
	add(4, len(m.Tables), tables)
	if m.Memory != nil {
		add(5, 1, appendLimits(nil, m.Memory.Min, m.Memory.Max, m.Memory.HasMax))
	}
	add(6, m.Globals, m.rewriteGlobals())
	var exports []byte
	for _, e := range m.Exports {
		exports = appendU32(append(append(exports, sized(e.Name)...), byte(e.Kind)), e.Index)
	}
	add(7, len(m.Exports), exports)
	if m.hasStart {
		out = append(out, section(8, number(int(m.start)))...)
	}
	add(9, m.Elements, m.rewriteElements())
	if m.hasDataCount {
		out = append(out, section(12, number(int(m.dataCount)))...)
	}
	add(10, m.Functions, m.rewriteBodies())
	add(11, m.DataSegments, m.rewriteData())
	return out
}

func (m *Module) rewriteTypes() (out []byte) {
	for i := range m.Types {
		t := m.funcType(uint32(i))
		out = append(out, 0x60)
		for _, list := range [][]ValueType{t.Params, t.Results} {
			out = appendU32(out, uint32(len(list)))
			for _, v := range list {
				out = append(out, byte(v))
			}
		}
	}
	return out
}

func (m *Module) rewriteImports() (out []byte) {
	for i, im := range m.Imports {
		out = append(append(append(out, sized(im.Module)...), sized(im.Name)...), 0)
		out = appendU32(out, m.funcs[i])
	}
	return out
}

func appendLimits(out []byte, least, most uint32, hasMax bool) []byte {
	if hasMax {
		return appendU32(appendU32(append(out, 1), least), most)
	}
	return appendU32(append(out, 0), least)
}

func appendConstant(out []byte, c *instr) []byte { return append(appendInstr(out, c), byte(opEnd)) }

func (m *Module) rewriteGlobals() (out []byte) {
	for _, g := range m.globals {
		mutable := byte(0)
		if g.mutable {
			mutable = 1
		}
		r := reader{code: m.code, at: int(g.init)}
		var c instr
		m.constant(&r, &c, g.typ)
		out = appendConstant(append(out, byte(g.typ), mutable), &c)
	}
	return out
}

func (m *Module) rewriteElements() (out []byte) {
	r := m.elements()
	var e element
	for range m.Elements {
		m.readElement(&r, &e)
		out = appendU32(out, e.flags)
		if e.active() {
			if e.flags&elementExplicit != 0 {
				out = appendU32(out, e.table)
			}
			out = appendConstant(out, &e.offset)
		}
		if e.flags&(elementPassive|elementExplicit) != 0 {
			if e.flags&elementExprs != 0 {
				out = append(out, byte(e.typ))
			} else {
				out = append(out, 0)
			}
		}
		out = appendU32(out, uint32(e.count))
		for range e.count {
			index, null := m.elementItem(&r, &e)
			switch {
			case null:
				out = append(out, byte(opRefNull), byte(e.typ), byte(opEnd))
			case e.flags&elementExprs != 0:
				out = append(appendU32(append(out, byte(opRefFunc)), index), byte(opEnd))
			default:
				out = appendU32(out, index)
			}
		}
	}
	return out
}

func (m *Module) rewriteBodies() (out []byte) {
	for i := range m.Functions {
		groups, r := m.body(i)
		body := appendU32(nil, uint32(groups))
		for range groups {
			n, t := r.localGroup()
			body = append(appendU32(body, n), byte(t))
		}
		d := decoder{reader: r}
		var in instr
		for d.left() > 0 {
			if err := d.next(&in); err != nil {
				panic(err)
			}
			body = appendInstr(body, &in)
		}
		out = append(out, sized(string(body))...)
	}
	return out
}

func (m *Module) rewriteData() (out []byte) {
	r := m.datas()
	var s dataSegment
	for range m.DataSegments {
		m.readDataSegment(&r, &s)
		if s.active {
			out = appendConstant(append(out, 0), &s.offset)
		} else {
			out = append(out, 1)
		}
		out = append(out, sized(string(s.bytes))...)
	}
	return out
}
