package wasm

import (
	"encoding/binary"
	"math"
)

// A writer writes a planned module, section by section.
type writer struct {
	*plan
	out     []byte
	section []byte // of the one at hand, without its head
	body    bodyWriter
}

func (w *writer) module() error {
	w.out = append(w.out, "\x00asm\x01\x00\x00\x00"...)
	w.prepareTypes()
	w.writeTypes()
	w.writeImports()
	w.writeFunctions()
	w.writeTables()
	w.writeMemory()
	w.writeGlobals()
	w.writeExports()
	w.writeElements()
	if w.usesData {
		w.section = appendU32(w.section, uint32(w.m.DataSegments))
		w.close(sectionDataCount)
	}
	if err := w.writeCode(); err != nil {
		return err
	}
	w.writeData()
	return nil
}

// close ends the section at hand.
func (w *writer) close(id byte) {
	w.out = append(w.out, id)
	w.out = appendU32(w.out, uint32(len(w.section)))
	w.out = append(w.out, w.section...)
	w.section = w.section[:0]
}

func (w *writer) count(n int)  { w.section = appendU32(w.section, uint32(n)) }
func (w *writer) u32(v uint32) { w.section = appendU32(w.section, v) }

func (w *writer) name(s string) {
	w.count(len(s))
	w.section = append(w.section, s...)
}

// Types that stand behind the module's own.
const (
	typeTick  = iota // (i64, i64) -> i64
	typeNone         // () -> ()
	typeThree        // (i32, i32, i32) -> ()
	typeOne          // (i32) -> i32
	extraTypesCount
)

var extraTypes = [extraTypesCount]FuncType{
	typeTick:  {Params: []ValueType{I64, I64}, Results: []ValueType{I64}},
	typeNone:  {},
	typeThree: {Params: []ValueType{I32, I32, I32}},
	typeOne:   {Params: []ValueType{I32}, Results: []ValueType{I32}},
}

func (p *plan) extra(t int) uint32 { return uint32(p.m.Types + t) }

// prepareTypes numbers the types of blocks around whole bodies that leave more than one result: () -> (the results).
func (w *writer) prepareTypes() {
	w.resultTypes = map[uint32]uint32{}
	for i := range w.funcs {
		t := w.m.funcs[len(w.m.Imports)+i]
		if w.funcs[i].stack == 0 || w.o.Unmetered || len(w.m.funcType(t).Results) < 2 {
			continue
		}
		if n := w.types.number[t]; w.resultTypes[n] == 0 {
			w.resultTypes[n] = w.extra(extraTypesCount) + uint32(len(w.resultTypeList))
			w.resultTypeList = append(w.resultTypeList, t)
		}
	}
}

func (w *writer) writeTypes() {
	w.count(w.m.Types + extraTypesCount + len(w.resultTypeList))
	for i := range w.m.Types {
		w.funcType(w.m.funcType(uint32(i)))
	}
	for _, t := range extraTypes {
		w.funcType(t)
	}
	for _, t := range w.resultTypeList {
		w.funcType(FuncType{Results: w.m.funcType(t).Results})
	}
	w.close(sectionType)
}

func (w *writer) funcType(t FuncType) {
	w.section = append(w.section, 0x60)
	for _, list := range [2][]ValueType{t.Params, t.Results} {
		w.count(len(list))
		for _, v := range list {
			w.section = append(w.section, byte(v))
		}
	}
}

func (w *writer) writeImports() {
	w.count(len(w.m.Imports) + 1)
	for i, im := range w.m.Imports {
		w.importFunc(im.Module, im.Name, w.m.funcs[i])
	}
	w.importFunc(ModuleTick, ImportTick, w.extra(typeTick))
	w.close(sectionImport)
}

func (w *writer) importFunc(module, name string, t uint32) {
	w.name(module)
	w.name(name)
	w.section = append(w.section, byte(KindFunc))
	w.u32(t)
}

func (w *writer) writeFunctions() {
	types, _ := w.helperBodies()
	w.count(w.m.Functions + len(types))
	for _, t := range w.m.funcs[len(w.m.Imports):] {
		w.u32(t)
	}
	for _, t := range types {
		w.u32(t)
	}
	w.close(sectionFunction)
}

func (w *writer) writeTables() {
	if len(w.m.Tables) == 0 {
		return
	}
	w.count(len(w.m.Tables))
	for _, t := range w.m.Tables {
		maximum := w.o.TableElementsMax
		if t.HasMax {
			maximum = min(maximum, t.Max)
		}
		w.section = append(w.section, byte(t.Type), 1)
		w.u32(t.Min)
		w.u32(maximum)
	}
	w.close(sectionTable)
}

func (w *writer) writeMemory() {
	if w.m.Memory == nil {
		return
	}
	maximum := w.o.MemoryPagesMax
	if w.m.Memory.HasMax {
		maximum = min(maximum, w.m.Memory.Max)
	}
	if w.o.SparePage && maximum > 0 {
		maximum++
	}
	w.section = append(w.section, 1, 1)
	w.u32(w.m.Memory.Min)
	w.u32(maximum)
	w.close(sectionMemory)
}

func (w *writer) writeGlobals() {
	w.count(len(w.m.globals) + w.globalsAdded())
	for _, g := range w.m.globals {
		w.section = append(w.section, byte(g.typ), 0)
		if g.mutable {
			w.section[len(w.section)-1] = 1
		}
		r := reader{code: w.m.code, at: int(g.init)}
		w.constant(&r, g.typ)
	}
	zero := stretch(nil).i64(0).op(opEnd)
	w.section = append(append(w.section, byte(I64), 1), zero...) // fuel
	w.section = append(append(w.section, byte(I64), 1), zero...) // depth
	w.section = append(append(w.section, byte(I32), 1), stretch(nil).i32(0).op(opEnd)...)
	w.section = append(append(w.section, byte(I64), 1), stretch(nil).i64(math.MaxInt64).op(opEnd)...) // room
	if w.o.Counted {
		w.section = append(append(w.section, byte(I64), 1), zero...)
	}
	w.close(sectionGlobal)
}

func (p *plan) globalsAdded() int {
	if p.o.Counted {
		return 5
	}
	return 4
}

// constant writes the constant expression that r stands before.
func (w *writer) constant(r *reader, t ValueType) {
	var c instr
	w.m.constant(r, &c, t)
	w.constantOf(&c)
}

func (w *writer) constantOf(c *instr) {
	if c.op == opRefFunc {
		c.a = w.shift(c.a)
	}
	w.section = append(appendInstr(w.section, c), byte(opEnd))
}

func (w *writer) writeExports() {
	saved := w.m.savedGlobals()
	n := len(w.m.Exports) + len(saved) + w.globalsAdded()
	if w.m.hasStart {
		n++
	}
	w.count(n)
	for _, e := range w.m.Exports {
		index := e.Index
		if e.Kind == KindFunc {
			index = w.shift(index)
		}
		w.export(e.Name, e.Kind, index)
	}
	for i, g := range w.m.globals {
		if g.mutable && settable(g.typ) {
			w.export(globalName(i), KindGlobal, uint32(i))
		}
	}
	w.export(ExportFuel, KindGlobal, w.fuel)
	w.export(ExportDepth, KindGlobal, w.depth)
	w.export(ExportTableDenied, KindGlobal, w.denied)
	w.export(ExportTableRoom, KindGlobal, w.room)
	if w.o.Counted {
		w.export(ExportCount, KindGlobal, w.plan.count)
	}
	if w.m.hasStart {
		w.export(exportStart, KindFunc, w.shift(w.m.start))
	}
	w.close(sectionExport)
}

func (w *writer) export(name string, kind Kind, index uint32) {
	w.name(name)
	w.section = append(w.section, byte(kind))
	w.u32(index)
}

func (w *writer) writeElements() {
	if w.m.Elements == 0 {
		return
	}
	w.count(w.m.Elements)
	r := w.m.elements()
	var e element
	for range w.m.Elements {
		w.m.readElement(&r, &e)
		w.element(&r, &e)
	}
	w.close(sectionElement)
}

func (w *writer) element(r *reader, e *element) {
	if e.active() && e.table == 0 && e.typ == FuncRef {
		e.flags &^= elementExplicit // the short form
	}
	w.u32(e.flags)
	if e.active() {
		if e.flags&elementExplicit != 0 {
			w.u32(e.table)
		}
		w.constantOf(&e.offset)
	}
	exprs := e.flags&elementExprs != 0
	if e.flags&(elementPassive|elementExplicit) != 0 {
		if exprs {
			w.section = append(w.section, byte(e.typ))
		} else {
			w.section = append(w.section, 0)
		}
	}
	w.count(e.count)
	for range e.count {
		index, null := w.m.elementItem(r, e)
		switch {
		case !exprs:
			w.u32(w.shift(index))
		case null:
			w.constantOf(&instr{op: opRefNull, shape: shapeRefType, typ: e.typ})
		default:
			w.constantOf(&instr{op: opRefFunc, shape: shapeFunc, a: index})
		}
	}
}

func (w *writer) writeCode() error {
	_, helpers := w.helperBodies()
	w.count(w.m.Functions + len(helpers))
	w.body.plan = w.plan
	for i := range w.funcs {
		if err := w.function(i); err != nil {
			return err
		}
	}
	for _, body := range helpers {
		w.count(len(body))
		w.section = append(w.section, body...)
	}
	w.close(sectionCode)
	return nil
}

// function writes one of the module's own functions: locals, entry, body, exit.
func (w *writer) function(i int) error {
	t := w.m.funcs[len(w.m.Imports)+i]
	groups, r := w.m.body(i)
	locals := uint32(len(w.m.funcType(t).Params))
	var head stretch
	kept := 0
	for range groups {
		if n, typ := r.localGroup(); n > 0 {
			head = append(appendU32(head, n), byte(typ))
			locals += n
			kept++
		}
	}
	units, err := w.body.write(i, r, locals)
	if err != nil {
		return err
	}
	if w.body.holds {
		head = append(appendU32(head, 1), byte(I64))
		kept++
	}
	if n := w.body.used; n > 0 {
		head = append(appendU32(head, n), byte(I32))
		kept++
	}
	head = w.body.entry(head, units)
	if w.body.wrapped {
		head = w.wrap(head, t)
		w.body.exit()
	}
	w.body.out = append(w.body.out, byte(opEnd))
	size := len(head) + len(w.body.out)
	w.count(size + sizeOfU32(uint32(kept)))
	w.count(kept)
	w.section = append(append(w.section, head...), w.body.out...)
	return nil
}

// wrap opens the block that a body stands in so that it has one exit. Branches to the function's own label then lead to the block's end.
func (w *writer) wrap(s stretch, t uint32) stretch {
	block := instr{op: opBlock, shape: shapeBlock, typ: typeEmpty}
	switch results := w.m.funcType(t).Results; len(results) {
	case 0:
	case 1:
		block.typ = results[0]
	default:
		block.typ, block.a = typeIndexed, w.resultTypes[w.types.number[t]]
	}
	return appendInstr(s, &block)
}

func sizeOfU32(v uint32) int { return len(binary.AppendUvarint(nil, uint64(v))) }

// writeData writes the passive segments. Of active ones only an empty place is left, and none at all when no instruction can name one.
func (w *writer) writeData() {
	if !w.usesData {
		return
	}
	w.count(w.m.DataSegments)
	r := w.m.datas()
	var s dataSegment
	for range w.m.DataSegments {
		w.m.readDataSegment(&r, &s)
		if s.active {
			s.bytes = nil
		}
		w.section = append(w.section, 1)
		w.count(len(s.bytes))
		w.section = append(w.section, s.bytes...)
	}
	w.close(sectionData)
}
