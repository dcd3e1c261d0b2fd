package sandbox_test

import (
	"encoding/binary"
	"math/rand/v2"
)

// A generator makes valid modules that end, from a seed: whatever they do is seen in results, traps, memory and globals. Every function and every turn of a loop takes one
// from a budget, and traps when it is spent. Floats never reach memory or integers but by comparison and saturation, since the bits of a NaN may differ between engines.
type generator struct {
	rand    *rand.Rand
	types   []genType
	funcs   []uint32 // type of each; function 0 is imported
	indices map[string]uint32

	out    []byte
	locals []byte // types of the function at hand
	labels []genLabel
	result []byte
	size   int // instructions of the function at hand, roughly
}

type genType struct{ params, results []byte }

// A genLabel is an open block: what a branch to it takes.
type genLabel struct{ takes []byte }

// Value types.
const (
	tI32  = 0x7f
	tI64  = 0x7e
	tF32  = 0x7d
	tF64  = 0x7c
	tV128 = 0x7b
)

// Globals of every module. The first is the budget.
const (
	genBudget = iota
	genI32
	genI64
	genF64
	genV128
)

const (
	genBudgetMax = 1200 // calls and turns; the interpreter ends at 2,000 frames
	genTableSize = 8
	genSizeMax   = 160 // instructions of a function
)

// generateModule makes a module whose functions are exported as f1 to f<n>.
func generateModule(seed uint64) []byte {
	g := &generator{rand: rand.New(rand.NewPCG(seed, 1)), indices: map[string]uint32{}}
	g.typeIndex(genType{params: []byte{tI32}, results: []byte{tI32}}) // type 0, of function 0
	g.funcs = []uint32{0}
	for range 2 + g.rand.IntN(6) {
		g.funcs = append(g.funcs, g.typeIndex(genType{g.someTypes(3), g.someTypes(2)}))
	}
	var bodies []string
	for i := 1; i < len(g.funcs); i++ {
		bodies = append(bodies, g.body(g.types[g.funcs[i]]))
	}
	return g.module(bodies)
}

func (g *generator) someTypes(most int) (list []byte) {
	for range g.rand.IntN(most + 1) {
		list = append(list, g.scalar())
	}
	return list
}

func (g *generator) scalar() byte { return []byte{tI32, tI32, tI64, tF64, tF32}[g.rand.IntN(5)] }

func (g *generator) typeIndex(t genType) uint32 {
	key := string(t.params) + "-" + string(t.results)
	i, ok := g.indices[key]
	if !ok {
		i = uint32(len(g.types))
		g.types = append(g.types, t)
		g.indices[key] = i
	}
	return i
}

func genU(v uint64) string { return string(binary.AppendUvarint(nil, v)) }

func genS(v int64) string {
	var out []byte
	for v < -64 || v > 63 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return string(append(out, byte(v)&0x7f))
}

func genSized(s string) string { return genU(uint64(len(s))) + s }

func genVector(list []string) string {
	out := genU(uint64(len(list)))
	for _, s := range list {
		out += s
	}
	return out
}

func (g *generator) module(bodies []string) []byte {
	var types, funcs, exports, table []string
	for _, t := range g.types {
		types = append(types, "\x60"+genSized(string(t.params))+genSized(string(t.results)))
	}
	for i, t := range g.funcs {
		table = append(table, genU(uint64(i)))
		if i > 0 {
			funcs = append(funcs, genU(uint64(t)))
			exports = append(exports, genSized("f"+string(rune('0'+i)))+"\x00"+genU(uint64(i)))
		}
	}
	exports = append(exports, genSized("mem")+"\x02\x00")
	for i := range 4 {
		exports = append(exports, genSized("g"+string(rune('0'+i)))+"\x03"+genU(uint64(i)))
	}
	globals := []string{"\x7f\x01\x41" + genS(genBudgetMax) + "\x0b", "\x7f\x01\x41\x07\x0b", "\x7e\x01\x42\x09\x0b",
		"\x7c\x01\x44" + string(make([]byte, 8)) + "\x0b", "\x7b\x01\xfd\x0c" + string(make([]byte, 16)) + "\x0b"}
	data := []string{"\x00\x41\x10\x0b" + genSized("active data"), "\x01" + genSized("passive data, a little longer"), "\x00\x41\x80\x08\x0b" + genSized("more")}
	sections := []string{"\x01" + genSized(genVector(types)), "\x02" + genSized(genVector([]string{"\x03env\x01f\x00\x00"})), "\x03" + genSized(genVector(funcs)),
		"\x04" + genSized("\x02\x70\x01\x08\x0c\x6f\x01\x02\x64"), "\x05" + genSized("\x01\x01\x01\x08"), "\x06" + genSized(genVector(globals)),
		"\x07" + genSized(genVector(exports)), "\x09" + genSized(genVector([]string{"\x00\x41\x00\x0b" + genVector(table), "\x01\x00" + genVector(table)})),
		"\x0c\x01\x03", "\x0a" + genSized(genVector(bodies)), "\x0b" + genSized(genVector(data))}
	out := "\x00asm\x01\x00\x00\x00"
	for _, s := range sections {
		out += s
	}
	return []byte(out)
}

// body makes a function body with its size.
func (g *generator) body(t genType) string {
	g.out, g.labels, g.result, g.size = nil, nil, t.results, 0
	g.locals = append([]byte(nil), t.params...)
	var groups []string
	for _, typ := range []byte{tI32, tI64, tF32, tF64, tV128, tI32} {
		n := 1 + g.rand.IntN(2)
		groups = append(groups, genU(uint64(n))+string(typ))
		for range n {
			g.locals = append(g.locals, typ)
		}
	}
	g.labels = append(g.labels, genLabel{takes: t.results})
	if g.rand.IntN(4) > 0 {
		g.takeBudget()
	} else { // small functions have none, and so call nothing
		g.size = genSizeMax
	}
	for range 1 + g.rand.IntN(6) {
		g.statement(3)
	}
	g.values(t.results, 3)
	g.emit(0x0b)
	return genSized(genVector(groups) + string(g.out))
}

func (g *generator) emit(ops ...byte)        { g.out = append(g.out, ops...) }
func (g *generator) text(s string)           { g.out = append(g.out, s...) }
func (g *generator) index(op byte, i uint32) { g.emit(op); g.text(genU(uint64(i))) }

// takeBudget takes one from the budget and traps below zero.
func (g *generator) takeBudget() {
	g.emit(0x23, genBudget, 0x41, 1, 0x6b, 0x24, genBudget, 0x23, genBudget, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b)
}

func (g *generator) values(types []byte, depth int) {
	for _, t := range types {
		g.value(t, depth)
	}
}

// local gives a local of type t.
func (g *generator) local(t byte) uint32 {
	for start, i := g.rand.IntN(len(g.locals)), 0; i < len(g.locals); i++ {
		if at := (start + i) % len(g.locals); g.locals[at] == t {
			return uint32(at)
		}
	}
	panic("no local of that type")
}
