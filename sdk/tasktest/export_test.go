package tasktest

import (
	"encoding/binary"
	"testing"
)

// Imports names what the module of the task in dir imports of ours, in the order of the module. It does not compile it.
func Imports(t testing.TB, dir string) []string {
	t.Helper()
	_, mod := load(t, dir)
	r := reader{b: mod.bytes[8:]}
	for len(r.b) > 0 {
		id := r.bytes(1)[0]
		section := reader{b: r.bytes(r.number())}
		if id == 2 {
			return section.imports(t)
		}
	}
	return nil
}

// A reader takes a module that Go's own linker wrote apart. It panics on any other.
// Source: WebAssembly Core Specification 2.0, section 5.5.5.
type reader struct{ b []byte }

func (r *reader) bytes(n int) (b []byte) {
	b, r.b = r.b[:n], r.b[n:]
	return b
}

func (r *reader) number() int {
	n, size := binary.Uvarint(r.b)
	r.b = r.b[size:]
	return int(n)
}

func (r *reader) imports(t testing.TB) (names []string) {
	for range r.number() {
		module, name := string(r.bytes(r.number())), string(r.bytes(r.number()))
		if kind := r.bytes(1)[0]; kind != 0 {
			t.Fatalf("import %s.%s is of kind %d, not a function", module, name, kind)
		}
		r.number() // its type
		if module == "caisson" {
			names = append(names, name)
		}
	}
	return names
}
