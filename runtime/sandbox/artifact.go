package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An artifact is an admitted module: what admission yields, what the compile cache keeps, what templates are made of.
type artifact struct {
	engine [32]byte // who admitted it: what engineIdentity answers there
	digest [32]byte // of the module that was admitted
	facts  moduleFacts
	code   []byte // what wazero gets; nil once it is compiled
	names  []functionName

	// machine is the file that wazero's compilation cache wrote for code, and machineName its name there.
	// Both are empty where wazero interprets, or where nothing is kept. nil once it is loaded.
	machine     []byte
	machineName string
}

// moduleFacts are what Load, Inspect and a run need to know of a module without its code.
type moduleFacts struct {
	form      form
	size      uint64 // of the module, bytes
	imports   []importedFunction
	exports   []exportedThing // in the order of the module
	functions uint32          // its own
	hasMemory bool
	memoryMin uint64 // bytes
	memoryMax uint64 // bytes; 0 when the module states none
}

type exportedThing struct {
	name string
	kind byte // 0 function, 1 table, 2 memory, 3 global
}

// A functionName is what the name section calls a function.
type functionName struct {
	index uint32
	name  string
}

// The form of an encoded artifact, all integers little-endian; bytes are a u32 length and as many bytes, a list is a u32 count and its entries:
//
//	"caisson-artifact"  u32 artifactVersion  engine [32]  digest [32]
//	facts: u8 form  u64 size  list of imports  list of exports  u32 functions  u8 hasMemory  u64 memoryMin  u64 memoryMax
//	       an import: bytes module  bytes name  bytes params  bytes results        an export: bytes name  u8 kind
//	code bytes
//	list of names: u32 index  bytes name
//	machineName bytes  machine bytes
//
// Nothing follows. There is one encoding of an artifact, so what decodes encodes to the same bytes again.
const artifactMagic = "caisson-artifact"

// artifactVersion is part of the identity of the engine, so that an entry of another form is not even looked at.
const artifactVersion = 1

// errArtifact is that bytes are not an artifact of this version. They were sealed by us or come from our own child, so a detail helps nobody.
var errArtifact = errors.New("not an encoded artifact")

func (a *artifact) encode() []byte {
	p := packer{buf: make([]byte, 0, 4096+len(a.code)+len(a.machine))}
	p.buf = append(p.buf, artifactMagic...)
	p.u32(artifactVersion)
	p.buf = append(append(p.buf, a.engine[:]...), a.digest[:]...)
	a.facts.pack(&p)
	p.bytes(a.code)
	p.count(len(a.names))
	for _, n := range a.names {
		p.u32(n.index)
		p.string(n.name)
	}
	p.string(a.machineName)
	p.bytes(a.machine)
	return p.buf
}

// decodeArtifact reads what encode wrote. Code and machine share data; all else is copied. It allocates by the bytes that are there,
// never by a count alone. Its error is errArtifact.
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
	a.names = make([]functionName, u.count(8))
	for i := range a.names {
		a.names[i] = functionName{u.u32(), u.string()}
	}
	a.machineName = u.string()
	a.machine = u.bytes()
	if u.bad || len(u.data) > 0 {
		return nil, errArtifact
	}
	return a, nil
}

func (f *moduleFacts) pack(p *packer) {
	p.u8(byte(f.form))
	p.u64(f.size)
	p.count(len(f.imports))
	for _, im := range f.imports {
		p.string(im.module)
		p.string(im.name)
		p.bytes(im.signature.params)
		p.bytes(im.signature.results)
	}
	p.count(len(f.exports))
	for _, e := range f.exports {
		p.string(e.name)
		p.u8(e.kind)
	}
	p.u32(f.functions)
	p.bool(f.hasMemory)
	p.u64(f.memoryMin)
	p.u64(f.memoryMax)
}

func (f *moduleFacts) unpack(u *unpacker) {
	f.form = form(u.u8())
	f.size = u.u64()
	f.imports = make([]importedFunction, u.count(16))
	for i := range f.imports {
		f.imports[i] = importedFunction{module: u.string(), name: u.string(), signature: signature{params: u.copied(), results: u.copied()}}
	}
	f.exports = make([]exportedThing, u.count(5))
	for i := range f.exports {
		f.exports[i] = exportedThing{name: u.string(), kind: u.u8()}
	}
	f.functions = u.u32()
	f.hasMemory = u.bool()
	f.memoryMin = u.u64()
	f.memoryMax = u.u64()
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

func (u *unpacker) copied() []byte { return append([]byte(nil), u.bytes()...) }
func (u *unpacker) string() string { return string(u.bytes()) }

// count reads how many entries follow, each of which takes at least size bytes.
func (u *unpacker) count(size int) int {
	n := u.u32()
	if uint64(n)*uint64(size) > uint64(len(u.data)) {
		u.bad, u.data = true, nil
		return 0
	}
	return int(n)
}
