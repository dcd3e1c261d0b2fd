package wasm

import (
	"bytes"
	"strings"
	"testing"
)

// TestHollow: a hollow module is all of the module but its code, and another one for other code.
func TestHollow(t *testing.T) {
	write := func(body string) []byte {
		m, err := Read(withBody(noLocals, body), anyImport)
		if err != nil {
			t.Fatal(err)
		}
		in, err := m.Instrument(roomy)
		if err != nil {
			t.Fatal(err)
		}
		return in.Code
	}
	code := write("\x01\x0b")
	other := write("\x01\x01\x0b")
	hollow := Hollow(code)
	if !bytes.Equal(hollow, Hollow(code)) || bytes.Equal(hollow, Hollow(other)) {
		t.Error("what is hollow is not told apart by its code")
	}
	is, was := sections(t, hollow), sections(t, code)
	for id := range byte(13) {
		want := was[id]
		switch id {
		case sectionCustom:
			want = string(appendU32(nil, uint32(len(sectionHollow)))) + sectionHollow
			is[id] = is[id][:len(want)]
		case sectionCode:
			r := reader{code: []byte(want)}
			n := r.u32()
			want = string(appendU32(nil, n)) + strings.Repeat("\x03\x00\x00\x0b", int(n))
		}
		if is[id] != want {
			t.Errorf("section %d is %x, want %x", id, is[id], want)
		}
	}
}

// sections gives the sections of a module by their numbers.
func sections(t *testing.T, code []byte) (list [13]string) {
	r := reader{code: code, at: headerSize}
	for r.left() > 0 {
		id := r.byte()
		list[id] = string(r.take(int(r.u32())))
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return list
}
