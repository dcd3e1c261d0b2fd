package wasm

import "fmt"

// A ValueType is the type of a value, as its byte in a module.
type ValueType byte

// The value types of WebAssembly core 2.0.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f

	typeEmpty   ValueType = 0x40 // of a block: no result
	typeIndexed ValueType = 0    // of a block: a type of the module says it
)

func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return fmt.Sprintf("type %#x", byte(t))
}

func (t ValueType) isRef() bool { return t == FuncRef || t == ExternRef }

func (t ValueType) known() bool { return t >= V128 && t <= I32 || t.isRef() }

// A FuncType is the signature of a function. Its slices belong to the module and must not be changed.
type FuncType struct{ Params, Results []ValueType }

// String gives, for example, "(i32, i32) -> (i64)"; long lists are cut.
func (t FuncType) String() string { return typeList(t.Params) + " -> " + typeList(t.Results) }

func typeList(list []ValueType) string {
	const shownMax = 16
	text := "("
	for i, t := range list {
		if i > 0 {
			text += ", "
		}
		if i == shownMax {
			text += "..."
			break
		}
		text += t.String()
	}
	return text + ")"
}

// A Kind is what an export names.
type Kind byte

// The kinds of exports.
const (
	KindFunc   Kind = 0
	KindTable  Kind = 1
	KindMemory Kind = 2
	KindGlobal Kind = 3
)

func (k Kind) String() string {
	names := [...]string{"function", "table", "memory", "global"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %#x", byte(k))
}

// An Import is a function that the module wants from its host.
type Import struct {
	Module, Name string // UTF-8, as the module says; escape them before they go into a log
	Type         FuncType
}

// An Export is what the module shows under a name.
type Export struct {
	Name  string // UTF-8, as the module says
	Kind  Kind
	Index uint32
}

// A Memory is the module's own linear memory, in pages of 64 KiB.
type Memory struct {
	Min, Max uint32
	HasMax   bool // otherwise Max is 0 and the module states none
}

// A Table is one of the module's own tables.
type Table struct {
	Type     ValueType // FuncRef or ExternRef
	Min, Max uint32    // elements
	HasMax   bool      // otherwise Max is 0 and the module states none
}

// A Segment is active data: bytes that belong at an offset in memory before the module starts.
type Segment struct {
	Offset uint32
	Bytes  []byte // the module's; not to be changed
}

// A SavedGlobal is a mutable global, under the name that it is exported by for its host.
type SavedGlobal struct {
	Export string
	Type   ValueType
}

// Rules say what a module may ask of its host.
type Rules struct {
	// Import judges one imported function. Read returns its error wrapped in an *Error with code "module.import". nil refuses all.
	Import func(module, name string, t FuncType) error
}

// allow asks for im.
func (r Rules) allow(im Import) error {
	if r.Import == nil {
		return fmt.Errorf("imports %s of %s, but nothing may be imported", quote(im.Name), quote(im.Module))
	}
	return r.Import(im.Module, im.Name, im.Type)
}

// A Module is what Read saw. It keeps the bytes that it was read from, which must not change, and next to nothing per instruction, segment or
// name: whoever wants those reads them again. All of it is read-only, and safe for use by many goroutines.
type Module struct {
	Size         int // bytes
	Types        int // how many; see FuncType
	Imports      []Import
	Functions    int // own ones, without the imported
	Tables       []Table
	Memory       *Memory // nil when there is none
	Globals      int
	Exports      []Export // in the order of the module
	Elements     int      // segments
	DataSegments int
	Customs      int // custom sections, which nobody but Names reads

	code     []byte
	types    []typeRange
	values   []ValueType // of all types, one after the other
	funcs    []uint32    // type of each function, imported ones first
	globals  []global
	start    uint32
	hasStart bool
	bodies   []uint32 // offset of each own function's body, where its size stands

	elementsAt, dataAt, namesAt part // the entries of those sections, after their count
	dataCount                   uint32
	hasDataCount                bool
	declared                    []uint64 // one bit for each function that ref.func may name in a body
	changes                     [changesCount]change
}

// A part is a range of the module's bytes; zero is none.
type part struct{ from, to uint32 }

type typeRange struct {
	at     uint32 // in values
	params uint16
}

type global struct {
	typ     ValueType
	mutable bool
	init    uint32 // offset of its constant expression
}

// funcType gives type i of the module.
func (m *Module) funcType(i uint32) FuncType {
	t, end := m.types[i], len(m.values)
	if int(i)+1 < len(m.types) {
		end = int(m.types[i+1].at)
	}
	values := m.values[t.at:end:end]
	return FuncType{Params: values[:t.params:t.params], Results: values[t.params:]}
}

// ExportedFunc gives the signature of the function exported as name, and whether there is one.
func (m *Module) ExportedFunc(name string) (FuncType, bool) {
	for _, e := range m.Exports {
		if e.Name == name && e.Kind == KindFunc {
			return m.funcType(m.funcs[e.Index]), true
		}
	}
	return FuncType{}, false
}

// reader reads a range of the module again, which Read has found well formed.
func (m *Module) reader(p part) reader { return reader{code: m.code[:p.to], at: int(p.from)} }

// body gives the number of local groups of own function i, and what follows it to the body's end: the groups, then the instructions.
func (m *Module) body(i int) (groups int, r reader) {
	r = reader{code: m.code, at: int(m.bodies[i])}
	size := int(r.u32())
	r.code = r.code[:r.at+size]
	return int(r.u32()), r
}

// localGroup reads how many locals of which type come next.
func (r *reader) localGroup() (n uint32, t ValueType) { return r.u32(), r.valueType() }
