package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// An artifact is an admitted module: what admission yields, what the compile cache keeps, what templates are made of.
type artifact struct {
	engine  [32]byte // who admitted it: what engineIdentity answers there
	digest  [32]byte // of the module that was admitted
	facts   moduleFacts
	code    []byte             // instrumented, or hollow where there is machine code: what wazero gets; nil once it is compiled
	data    []wasm.Segment     // active data, to be written to memory in order before anything runs
	globals []wasm.SavedGlobal // to be recorded and restored
	start   string             // export name of what is to be called first, or ""
	names   wasm.NameMap       // by the indices of the module as it was: the instrumented one has one import more, before its own functions

	// machine is the file that wazero's compilation cache wrote for the instrumented code, and machineName the name that it looks for by the hollow one.
	// Both are empty where wazero interprets, or where nothing is kept. nil once it is loaded.
	machine     []byte
	machineName string
}

// moduleFacts are what Load, Inspect and a run need to know of a module without its code.
type moduleFacts struct {
	form         form
	size         uint64 // of the module, bytes
	imports      []wasm.Import
	exports      []wasm.Export // in the order of the module; Index is 0
	functions    uint32        // its own
	hasMemory    bool
	memoryMin    uint64 // bytes
	memoryMax    uint64 // bytes; 0 when the module states none
	tables       uint32
	elements     uint32 // of all tables, from the start
	globals      uint32
	dataSegments uint32
	customs      uint32   // custom sections, which were dropped
	kept         []string // what a restore of memory and globals would leave changed, for people; empty: nothing
}

// resettable: memory and saved globals are all that a run can leave changed.
func (f *moduleFacts) resettable() bool { return len(f.kept) == 0 }

// The form of an encoded artifact, all integers little-endian; bytes are a u32 length and as many bytes, a list is a u32 count and its entries:
//
//	"caisson-artifact"  u32 artifactVersion  engine [32]  digest [32]
//	facts    u8 form  u64 size  list of imports  list of exports  u32 functions  u8 hasMemory  u64 memoryMin  u64 memoryMax
//	         u32 tables  u32 elements  u32 globals  u32 dataSegments  u32 customs  list of kept: bytes
//	         an import is bytes module  bytes name  bytes params  bytes results; an export is bytes name  u8 kind
//	code     bytes
//	data     list of: u32 offset  u32 size; then the bytes of all of them
//	globals  list of: bytes export  u8 type
//	start    bytes
//	names    list of: u32 end; then bytes text
//	machine  bytes machineName  bytes machine
//
// Nothing follows. There is one encoding of an artifact, so what decodes encodes to the same bytes again.
const artifactMagic = "caisson-artifact"

// artifactVersion is part of the identity of the engine, so that an entry of another form is not even looked at.
const artifactVersion = 4

// errArtifact is that bytes are not an artifact of this version. They were sealed by us or come from our own child, so a detail helps nobody.
var errArtifact = errors.New("not an encoded artifact")

func (a *artifact) encode() []byte {
	p := packer{buf: make([]byte, 0, 1<<20+len(a.code)+len(a.machine))} // mostly enough for the rest
	p.buf = append(p.buf, artifactMagic...)
	p.u32(artifactVersion)
	p.buf = append(append(p.buf, a.engine[:]...), a.digest[:]...)
	a.facts.pack(&p)
	p.bytes(a.code)
	p.count(len(a.data))
	for _, d := range a.data {
		p.u32(d.Offset)
		p.count(len(d.Bytes))
	}
	for _, d := range a.data {
		p.buf = append(p.buf, d.Bytes...)
	}
	p.count(len(a.globals))
	for _, g := range a.globals {
		p.string(g.Export)
		p.u8(byte(g.Type))
	}
	p.string(a.start)
	p.count(len(a.names.Ends))
	for _, end := range a.names.Ends {
		p.u32(end)
	}
	p.string(a.names.Text)
	p.string(a.machineName)
	p.bytes(a.machine)
	return p.buf
}

// decodeArtifact reads what encode wrote. Code, data and machine share data; all else is copied. It allocates by the bytes that are
// there, never by a count alone. Its error is errArtifact.
func decodeArtifact(data []byte) (*artifact, error) {
	u := unpacker{data: data}
	if string(u.take(len(artifactMagic))) != artifactMagic || u.u32() != artifactVersion {
		return nil, errArtifact
	}
	a := &artifact{}
	copy(a.engine[:], u.take(len(a.engine)))
	copy(a.digest[:], u.take(len(a.digest)))
	a.facts.unpack(&u)
	a.code = u.bytes()
	a.data = u.segments()
	a.globals = make([]wasm.SavedGlobal, u.count(5))
	for i := range a.globals {
		a.globals[i] = wasm.SavedGlobal{Export: u.string(), Type: wasm.ValueType(u.u8())}
	}
	a.start = u.string()
	a.names.Ends = make([]uint32, u.count(4))
	last := uint32(0)
	for i := range a.names.Ends {
		a.names.Ends[i] = u.u32()
		u.bad = u.bad || a.names.Ends[i] < last
		last = a.names.Ends[i]
	}
	a.names.Text = u.string()
	u.bad = u.bad || uint64(last) != uint64(len(a.names.Text))
	a.machineName = u.string()
	a.machine = u.bytes()
	if u.bad || len(u.data) > 0 {
		return nil, errArtifact
	}
	return a, nil
}

// settle drops what only compiling needs, and what is left then shares nothing with the bytes that a was read from.
func (a *artifact) settle() {
	a.code, a.machine = nil, nil
	size := 0
	for _, d := range a.data {
		size += len(d.Bytes)
	}
	all := make([]byte, 0, size)
	for i, d := range a.data {
		all = append(all, d.Bytes...)
		a.data[i].Bytes = all[len(all)-len(d.Bytes) : len(all) : len(all)]
	}
}

func (f *moduleFacts) pack(p *packer) {
	p.u8(byte(f.form))
	p.u64(f.size)
	p.count(len(f.imports))
	for _, im := range f.imports {
		p.string(im.Module)
		p.string(im.Name)
		p.types(im.Type.Params)
		p.types(im.Type.Results)
	}
	p.count(len(f.exports))
	for _, e := range f.exports {
		p.string(e.Name)
		p.u8(byte(e.Kind))
	}
	p.u32(f.functions)
	p.bool(f.hasMemory)
	p.u64(f.memoryMin)
	p.u64(f.memoryMax)
	for _, n := range []uint32{f.tables, f.elements, f.globals, f.dataSegments, f.customs} {
		p.u32(n)
	}
	p.count(len(f.kept))
	for _, why := range f.kept {
		p.string(why)
	}
}

func (f *moduleFacts) unpack(u *unpacker) {
	f.form = form(u.u8())
	f.size = u.u64()
	f.imports = make([]wasm.Import, u.count(16))
	for i := range f.imports {
		f.imports[i] = wasm.Import{Module: u.string(), Name: u.string(), Type: wasm.FuncType{Params: u.types(), Results: u.types()}}
	}
	f.exports = make([]wasm.Export, u.count(5))
	for i := range f.exports {
		f.exports[i] = wasm.Export{Name: u.string(), Kind: wasm.Kind(u.u8())}
	}
	f.functions = u.u32()
	f.hasMemory = u.bool()
	f.memoryMin = u.u64()
	f.memoryMax = u.u64()
	for _, n := range []*uint32{&f.tables, &f.elements, &f.globals, &f.dataSegments, &f.customs} {
		*n = u.u32()
	}
	f.kept = make([]string, u.count(4))
	for i := range f.kept {
		f.kept[i] = u.string()
	}
	u.bad = u.bad || f.form != command && f.form != reactor
}

// A packer appends values in the form of an artifact.
type packer struct{ buf []byte }

func (p *packer) u8(v byte)      { p.buf = append(p.buf, v) }
func (p *packer) u32(v uint32)   { p.buf = binary.LittleEndian.AppendUint32(p.buf, v) }
func (p *packer) u64(v uint64)   { p.buf = binary.LittleEndian.AppendUint64(p.buf, v) }
func (p *packer) bytes(b []byte) { p.count(len(b)); p.buf = append(p.buf, b...) }
func (p *packer) string(s string) {
	p.count(len(s))
	p.buf = append(p.buf, s...)
}

func (p *packer) types(list []wasm.ValueType) {
	p.count(len(list))
	for _, t := range list {
		p.u8(byte(t))
	}
}

func (p *packer) bool(v bool) {
	if v {
		p.u8(1)
	} else {
		p.u8(0)
	}
}

func (p *packer) count(n int) {
	if uint64(n) > math.MaxUint32 {
		panic(fmt.Sprintf("internal error: %d entries in an artifact", n)) // every one is bounded far below, by limits.go
	}
	p.u32(uint32(n))
}

// An unpacker reads values in the form of an artifact. After its first fault every read gives zeros, and bad stays.
type unpacker struct {
	data []byte // what is left
	bad  bool
}

// take returns the next n bytes, shared.
func (u *unpacker) take(n int) []byte {
	if n > len(u.data) {
		u.bad, u.data = true, nil
		return nil
	}
	b := u.data[:n:n]
	u.data = u.data[n:]
	return b
}

func (u *unpacker) u8() byte {
	if b := u.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (u *unpacker) u32() uint32 {
	if b := u.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (u *unpacker) u64() uint64 {
	if b := u.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (u *unpacker) bool() bool {
	v := u.u8()
	u.bad = u.bad || v > 1
	return v == 1
}

// bytes returns a length's bytes, shared; nil for none.
func (u *unpacker) bytes() []byte {
	n := u.count(1)
	if n == 0 {
		return nil
	}
	return u.take(n)
}

func (u *unpacker) string() string { return string(u.bytes()) }

func (u *unpacker) types() []wasm.ValueType {
	list := make([]wasm.ValueType, 0, 8)
	for _, b := range u.bytes() {
		list = append(list, wasm.ValueType(b))
	}
	return list
}

func (u *unpacker) segments() []wasm.Segment {
	list := make([]wasm.Segment, u.count(8))
	sizes := u.data // read twice: the bytes stand behind the sizes
	u.take(8 * len(list))
	for i := range list {
		list[i].Offset = binary.LittleEndian.Uint32(sizes[8*i:])
		list[i].Bytes = u.take(int(min(binary.LittleEndian.Uint32(sizes[8*i+4:]), math.MaxInt32)))
	}
	return list
}

// count reads how many entries follow, each of which takes at least size bytes.
func (u *unpacker) count(size int) int {
	n := u.u32()
	if uint64(n)*uint64(size) > uint64(len(u.data)) {
		u.bad, u.data = true, nil
		return 0
	}
	return int(n)
}
