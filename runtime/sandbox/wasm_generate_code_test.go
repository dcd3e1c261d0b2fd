package sandbox_test

// value leaves one value of type t.
func (g *generator) value(t byte, depth int) {
	g.size++
	if depth <= 0 || g.size > genSizeMax {
		if g.rand.IntN(2) == 0 {
			g.constant(t)
		} else {
			g.index(0x20, g.local(t))
		}
		return
	}
	if g.rand.IntN(3) == 0 {
		g.structured(t, depth-1)
		return
	}
	switch t {
	case tI32:
		g.valueI32(depth - 1)
	case tI64:
		g.valueI64(depth - 1)
	case tV128:
		g.valueV128(depth - 1)
	default:
		g.valueFloat(t, depth-1)
	}
}

func (g *generator) constant(t byte) {
	small := int64(g.rand.IntN(200) - 20)
	switch t {
	case tI32:
		if g.rand.IntN(8) == 0 {
			small = int64(int32(g.rand.Uint32()))
		}
		g.emit(0x41)
		g.text(genS(small))
	case tI64:
		g.emit(0x42)
		g.text(genS(small << g.rand.IntN(50)))
	case tF32:
		g.emit(0x43, 0, 0, byte(small), 0x41)
	case tF64:
		g.emit(0x44, 0, 0, 0, 0, 0, 0, byte(small), 0x40)
	case tV128:
		g.emit(0xfd, 0x0c)
		for range 16 {
			g.emit(byte(g.rand.Uint32()))
		}
	}
}

// structured leaves a value by a block, an if, a call, a select or a local.tee.
func (g *generator) structured(t byte, depth int) {
	switch g.rand.IntN(6) {
	case 0: // a block that may be left early with its value
		g.emit(0x02, t)
		g.labels = append(g.labels, genLabel{takes: []byte{t}})
		g.statement(depth)
		g.value(t, depth)
		if g.rand.IntN(2) == 0 {
			g.value(tI32, depth)
			g.emit(0x0d, 0)
		}
		g.close()
	case 1:
		g.value(tI32, depth)
		g.emit(0x04, t)
		g.labels = append(g.labels, genLabel{takes: []byte{t}})
		g.value(t, depth)
		g.emit(0x05)
		g.statement(depth)
		g.value(t, depth)
		g.close()
	case 2:
		g.value(t, depth)
		g.value(t, depth)
		g.value(tI32, depth)
		if t == tV128 || g.rand.IntN(2) == 0 {
			g.emit(0x1c, 1, t)
		} else {
			g.emit(0x1b)
		}
	case 3:
		g.value(t, depth)
		g.index(0x22, g.local(t))
	default:
		g.callFor(t, depth)
	}
}

func (g *generator) close() {
	g.labels = g.labels[:len(g.labels)-1]
	g.emit(0x0b)
}

// callFor calls a function whose last result is t, if there is one, and drops the others.
func (g *generator) callFor(t byte, depth int) {
	if g.size > genSizeMax {
		g.constant(t)
		return
	}
	for start, i := g.rand.IntN(len(g.funcs)), 0; i < len(g.funcs); i++ {
		f := (start + i) % len(g.funcs)
		sig := g.types[g.funcs[f]]
		if n := len(sig.results); n == 0 || sig.results[n-1] != t {
			continue
		}
		g.call(f, depth)
		if n := len(sig.results); n > 1 { // (rest..., t): keep t
			keep := g.local(t)
			g.index(0x21, keep)
			for range n - 1 {
				g.emit(0x1a)
			}
			g.index(0x20, keep)
		}
		return
	}
	g.constant(t)
}

// call calls function f, directly or through the table, where it may find another.
func (g *generator) call(f, depth int) {
	g.size += 3
	g.values(g.types[g.funcs[f]].params, depth)
	if g.rand.IntN(3) > 0 {
		g.index(0x10, uint32(f))
		return
	}
	if g.rand.IntN(4) == 0 {
		g.value(tI32, 0)
	} else {
		g.emit(0x41, byte(f))
	}
	g.index(0x11, g.funcs[f])
	g.emit(0)
}

func (g *generator) valueI32(depth int) {
	switch g.rand.IntN(11) {
	case 0, 1, 2:
		g.value(tI32, depth)
		g.value(tI32, depth)
		g.emit(0x6a + byte(g.rand.IntN(15))) // add to rotr; division may trap
	case 3:
		g.value(tI64, depth)
		g.value(tI64, depth)
		g.emit(0x51 + byte(g.rand.IntN(10)))
	case 4:
		g.value(tF64, depth)
		g.value(tF64, depth)
		g.emit(0x61 + byte(g.rand.IntN(6)))
	case 5:
		g.address(depth)
		g.emit([]byte{0x28, 0x2c, 0x2d, 0x2e, 0x2f}[g.rand.IntN(5)], 0, byte(g.rand.IntN(100)))
	case 6:
		g.value(tF32, depth)
		g.emit(0xfc, 0) // i32.trunc_sat_f32_s
	case 7:
		g.value(tV128, depth)
		g.emit(0xfd, 0x1b, byte(g.rand.IntN(4)))
	case 8:
		g.emit(0x23, genI32)
	case 9:
		g.sizes(depth)
	default:
		g.value(tI64, depth)
		g.emit(0xa7)
	}
}

// sizes leaves a size of memory or table, or grows one.
func (g *generator) sizes(depth int) {
	switch g.rand.IntN(5) {
	case 0:
		g.emit(0x3f, 0)
	case 1:
		g.emit(0x41, byte(g.rand.IntN(3)), 0x40, 0)
	case 2:
		g.emit(0xfc, 0x10, 0)
	case 3:
		g.emit(0xd0, 0x6f) // ref.null extern
		g.value(tI32, depth-1)
		g.emit(0xfc, 0x0f, 1)
	default:
		g.emit(0xd2, byte(g.rand.IntN(len(g.funcs))), 0x41, byte(g.rand.IntN(4)), 0xfc, 0x0f, 0)
	}
}

// address leaves an address that is mostly in bounds.
func (g *generator) address(depth int) {
	g.value(tI32, depth)
	if g.rand.IntN(12) > 0 {
		g.emit(0x41)
		g.text(genS(0xffff >> g.rand.IntN(8)))
		g.emit(0x71)
	}
}

func (g *generator) valueI64(depth int) {
	switch g.rand.IntN(6) {
	case 0, 1:
		g.value(tI64, depth)
		g.value(tI64, depth)
		g.emit(0x7c + byte(g.rand.IntN(15)))
	case 2:
		g.address(depth)
		g.emit([]byte{0x29, 0x30, 0x35}[g.rand.IntN(3)], 0, byte(g.rand.IntN(100)))
	case 3:
		g.emit(0x23, genI64)
	case 4:
		g.value(tF64, depth)
		g.emit(0xfc, 7) // i64.trunc_sat_f64_u
	default:
		g.value(tI32, depth)
		g.emit(0xac + byte(g.rand.IntN(2)))
	}
}

func (g *generator) valueFloat(t byte, depth int) {
	unary, binary := byte(0x8b), byte(0x92)
	if t == tF64 {
		unary, binary = 0x99, 0xa0
	}
	switch g.rand.IntN(4) {
	case 0:
		g.value(t, depth)
		g.emit(unary + byte(g.rand.IntN(7)))
	case 1:
		g.value(t, depth)
		g.value(t, depth)
		g.emit(binary + byte(g.rand.IntN(6)))
	case 2:
		g.value(tI32, depth)
		if t == tF32 {
			g.emit(0xb2)
		} else {
			g.emit(0xb7)
		}
	default:
		if t == tF64 {
			g.emit(0x23, genF64)
		} else {
			g.value(tF64, depth)
			g.emit(0xb6)
		}
	}
}

func (g *generator) valueV128(depth int) {
	switch g.rand.IntN(5) {
	case 0:
		g.value(tI32, depth)
		g.emit(0xfd, 0x11) // i32x4.splat
	case 1:
		g.value(tV128, depth)
		g.value(tV128, depth)
		g.emit(0xfd, 0xae, 1) // i32x4.add
	case 2:
		g.value(tV128, depth)
		g.value(tV128, depth)
		g.emit(0xfd, 0x0d)
		for range 16 {
			g.emit(byte(g.rand.IntN(32)))
		}
	case 3:
		g.address(depth)
		g.emit(0xfd, 0x00, 0, 0)
	default:
		g.emit(0x23, genV128)
	}
}

// statement leaves the stack as it is.
func (g *generator) statement(depth int) {
	g.size++
	if depth <= 0 || g.size > genSizeMax {
		g.set(0)
		return
	}
	depth--
	switch g.rand.IntN(14) {
	case 0, 1, 2:
		g.set(depth)
	case 3:
		g.store(depth)
	case 4, 5:
		g.loop(depth)
	case 6:
		g.value(tI32, depth)
		g.emit(0x04, 0x40)
		g.labels = append(g.labels, genLabel{})
		g.statement(depth)
		if g.rand.IntN(2) == 0 {
			g.emit(0x05)
			g.statement(depth)
		}
		g.close()
	case 7:
		g.table(depth)
	case 8:
		g.bulk(depth)
	case 9:
		g.leave(depth)
	case 10:
		f := g.rand.IntN(len(g.funcs))
		g.call(f, depth)
		for range g.types[g.funcs[f]].results {
			g.emit(0x1a)
		}
	case 11:
		g.multi(depth)
	case 12:
		g.dispatch(depth)
	default:
		g.emit(0x02, 0x40)
		g.labels = append(g.labels, genLabel{})
		for range 1 + g.rand.IntN(3) {
			g.statement(depth)
		}
		g.close()
	}
}

func (g *generator) set(depth int) {
	t := []byte{tI32, tI64, tF32, tF64, tV128}[g.rand.IntN(5)]
	global, ok := map[byte]byte{tI32: genI32, tI64: genI64, tF64: genF64, tV128: genV128}[t]
	g.value(t, depth)
	if ok && g.rand.IntN(3) == 0 {
		g.emit(0x24, global)
	} else {
		g.index(0x21, g.local(t))
	}
}

func (g *generator) store(depth int) {
	g.address(depth)
	switch g.rand.IntN(3) {
	case 0:
		g.value(tI32, depth)
		g.emit([]byte{0x36, 0x3a, 0x3b}[g.rand.IntN(3)], 0, byte(g.rand.IntN(100)))
	case 1:
		g.value(tI64, depth)
		g.emit(0x37, 0, byte(g.rand.IntN(100)))
	default:
		g.value(tV128, depth)
		g.emit(0xfd, 0x0b, 0, byte(g.rand.IntN(100)))
	}
}

// loop makes a loop with one or two ways back; each turn takes from the budget.
func (g *generator) loop(depth int) {
	g.emit(0x03, 0x40)
	g.labels = append(g.labels, genLabel{})
	g.takeBudget()
	g.statement(depth)
	if g.rand.IntN(3) == 0 {
		g.value(tI32, depth)
		g.emit(0x0d, 0)
		g.statement(depth)
	}
	if g.rand.IntN(4) > 0 {
		g.value(tI32, depth)
		g.emit(0x0d, 0)
	} else {
		g.value(tI32, depth)
		g.emit(0x04, 0x40, 0x0c, 1, 0x0b)
	}
	g.close()
}

// table makes a br_table to labels that take nothing, loops among them, inside a few blocks.
func (g *generator) table(depth int) {
	n := 1 + g.rand.IntN(3)
	for range n {
		g.emit(0x02, 0x40)
		g.labels = append(g.labels, genLabel{})
	}
	var targets []string
	for i := range g.labels {
		if at := len(g.labels) - 1 - i; len(g.labels[at].takes) == 0 && (at > 0 || len(g.result) == 0) {
			targets = append(targets, genU(uint64(i)))
		}
	}
	g.value(tI32, depth)
	g.emit(0x41, byte(2+g.rand.IntN(6)), 0x70, 0x0e) // rem_u
	var list []string
	for range g.rand.IntN(5) {
		list = append(list, targets[g.rand.IntN(len(targets))])
	}
	g.text(genVector(list) + targets[g.rand.IntN(len(targets))])
	for range n {
		g.statement(depth) // the first cannot run
		g.close()
	}
}

// dispatch makes a loop around blocks, a br_table on a local that chooses one of them, and jumps, as Go's compiler writes what it cannot nest.
func (g *generator) dispatch(depth int) {
	n := 1 + g.rand.IntN(4)
	chosen := g.local(tI32)
	g.emit(0x03, 0x40)
	g.labels = append(g.labels, genLabel{})
	for range n {
		g.emit(0x02, 0x40)
		g.labels = append(g.labels, genLabel{})
	}
	g.index(0x20, chosen)
	g.emit(0x0e)
	var list []string
	for range g.rand.IntN(6) {
		list = append(list, genU(uint64(g.rand.IntN(n))))
	}
	g.text(genVector(list) + genU(uint64(g.rand.IntN(n))))
	for outside := n - 1; outside >= 0; outside-- {
		g.close()
		g.takeBudget()
		g.statement(depth)
		if g.rand.IntN(8) == 0 { // another one than the br_table looks at, mostly
			chosen = g.local(tI32)
		}
		g.value(tI32, depth)
		g.emit(0x04, 0x40, 0x41, byte(g.rand.IntN(7)))
		g.index(0x21, chosen)
		g.emit(0x0c, byte(outside+1), 0x0b)
		if g.rand.IntN(4) == 0 {
			g.emit(0x41, byte(g.rand.IntN(7)))
			g.index(0x21, chosen)
			g.emit(0x0c, byte(outside))
		}
	}
	g.close()
}

// bulk makes one of the instructions that work by length.
func (g *generator) bulk(depth int) {
	switch g.rand.IntN(9) {
	case 0:
		g.address(depth)
		g.value(tI32, depth)
		g.lengthOf(depth)
		g.emit(0xfc, 0x0b, 0)
	case 1, 2:
		g.address(depth)
		g.address(depth)
		g.lengthOf(depth)
		g.emit(0xfc, 0x0a, 0, 0)
	case 3: // from the passive segment; active ones are dropped by then, which wazero v1.12.0 forgets (see TestWasmActiveDataIsDropped)
		g.address(depth)
		g.emit(0x41, byte(g.rand.IntN(8)), 0x41, byte(g.rand.IntN(12)), 0xfc, 0x08, 1, 0)
	case 4:
		g.emit(0xfc, 0x09, byte(g.rand.IntN(3)))
	case 5:
		g.emit(0x41, byte(g.rand.IntN(8)), 0x41, byte(g.rand.IntN(2)), 0x41, byte(g.rand.IntN(4)), 0xfc, 0x0c, 1, 0)
	case 6:
		g.emit(0x41, byte(g.rand.IntN(8)), 0xd2, byte(g.rand.IntN(len(g.funcs))), 0x41, byte(g.rand.IntN(4)), 0xfc, 0x11, 0)
	case 7:
		g.emit(0x41, byte(g.rand.IntN(8)), 0x41, byte(g.rand.IntN(8)), 0x41, byte(g.rand.IntN(4)), 0xfc, 0x0e, 0, 0)
	default:
		g.emit(0x41, byte(g.rand.IntN(9)), 0xd2, byte(g.rand.IntN(len(g.funcs))), 0x26, 0)
	}
}

func (g *generator) lengthOf(depth int) {
	g.value(tI32, depth)
	if g.rand.IntN(10) > 0 {
		g.emit(0x41)
		g.text(genS(0x3ff))
		g.emit(0x71)
	}
}

// leave makes a branch, mostly conditional, and at times code behind it that cannot run.
func (g *generator) leave(depth int) {
	i := g.rand.IntN(len(g.labels))
	takes := g.labels[len(g.labels)-1-i].takes
	conditional := g.rand.IntN(5) > 0
	if conditional {
		g.value(tI32, depth)
		g.emit(0x04, 0x40)
		g.labels = append(g.labels, genLabel{})
		i++
	}
	g.values(takes, depth)
	if i == len(g.labels)-1 && g.rand.IntN(2) == 0 {
		g.emit(0x0f)
	} else {
		g.index(0x0c, uint32(i))
	}
	if conditional {
		g.close()
	}
	if !conditional && g.rand.IntN(2) == 0 {
		g.emit(0x1a, 0x1b, 0x1a) // of any type
	}
}

// multi makes a block with a parameter and two results, left early at times.
func (g *generator) multi(depth int) {
	t := genType{params: []byte{tI32}, results: []byte{tI64, tI32}}
	g.value(tI32, depth)
	g.emit(0x02)
	g.text(genS(int64(g.typeIndex(t))))
	g.labels = append(g.labels, genLabel{takes: t.results})
	keep := g.local(tI32)
	g.index(0x21, keep)
	g.values(t.results, depth)
	g.value(tI32, depth)
	g.emit(0x0d, 0)
	g.close()
	g.index(0x21, keep)
	g.index(0x21, g.local(tI64))
}
