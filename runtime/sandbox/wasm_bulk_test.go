package sandbox_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// movesModule makes a module with 20 pages, and fill, copy and init: (i32, i32, i32) -> (), each around its instruction; init takes from a passive segment of 600 KiB.
// Its function "active" is memory.init of three bytes from an active segment, "grow" is table.grow: (i32) -> (i32).
func movesModule() []byte {
	args := "\x20\x00\x20\x01\x20\x02"
	segment := make([]byte, 600<<10)
	rand.NewChaCha8([32]byte{1}).Read(segment)
	bodies := []string{args + "\xfc\x0b\x00", args + "\xfc\x0a\x00\x00", args + "\xfc\x08\x00\x00", args + "\xfc\x08\x01\x00", "\xd0\x70\x20\x00\xfc\x0f\x00"}
	var code, exports []string
	for i, b := range bodies {
		code = append(code, genSized("\x00"+b+"\x0b"))
		exports = append(exports, genSized([]string{"fill", "copy", "init", "active", "grow"}[i])+"\x00"+genU(uint64(i)))
	}
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01" + genSized("\x02\x60\x03\x7f\x7f\x7f\x00\x60\x01\x7f\x01\x7f") + "\x03\x06\x05\x00\x00\x00\x00\x01" + "\x04\x05\x01\x70\x01\x01\x10" + "\x05\x04\x01\x01\x14\x14" +
		"\x07" + genSized(genVector(exports)) + "\x0c\x01\x02" + "\x0a" + genSized(genVector(code)) +
		"\x0b" + genSized(genVector([]string{"\x01" + genSized(string(segment)), "\x00\x41\x00\x0b\x03abc"})))
}

// TestWasmMoves: memory.fill, memory.copy and memory.init over more than a chunk do what they do at once, overlaps and bounds included: what is out of bounds traps before it writes.
func TestWasmMoves(t *testing.T) {
	if unraced(t) {
		return
	}
	const chunk, size = 256 << 10, 20 << 16
	in, err := instrument(movesModule(), rigOptions)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "compiler")
	ours, err := r.start(in, "")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := newRig(t, "compiler").rt.Instantiate(r.ctx, movesModule())
	if err != nil {
		t.Fatal(err)
	}
	before := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(before)
	traps := 0
	for _, name := range []string{"fill", "copy", "init"} {
		for _, n := range []uint32{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2*chunk + 7, size, size + 1, 1<<32 - 1} {
			for _, a := range [][2]uint32{{0, 0}, {0, 1}, {1, 0}, {5, chunk}, {chunk, 5}, {3, chunk + 9}, {chunk + 9, 3}, {size - n, 0}, {0, size - n}, {size - n + 1, 0}, {0, size - n + 1}, {1<<32 - 1, 0}} {
				ours.Memory().Write(0, before)
				plain.Memory().Write(0, before)
				_, wantErr := plain.ExportedFunction(name).Call(r.ctx, uint64(a[0]), uint64(a[1]), uint64(n))
				charged := ours.spent()
				_, err := ours.ExportedFunction(name).Call(r.ctx, uint64(a[0]), uint64(a[1]), uint64(n))
				charged = ours.spent() - charged
				if trapLine(err) != trapLine(wantErr) {
					t.Errorf("%s(%#x, %#x, %#x): %v, want %v", name, a[0], a[1], n, err, wantErr)
				}
				got, _ := ours.Memory().Read(0, size)
				want, _ := plain.Memory().Read(0, size)
				if !bytes.Equal(got, want) {
					t.Errorf("%s(%#x, %#x, %#x): memory is another", name, a[0], a[1], n)
				}
				if err == nil && charged < int64(n/8) {
					t.Errorf("%s of %#x bytes was charged %d", name, n, charged)
				}
				if err != nil {
					traps++
					if !bytes.Equal(got, before) {
						t.Errorf("%s(%#x, %#x, %#x): trapped, but wrote", name, a[0], a[1], n)
					}
				}
			}
		}
	}
	if traps < 50 || traps > 250 {
		t.Errorf("%d of 360 trapped", traps)
	}
}

// TestWasmActiveDataIsDropped: memory.init from an active segment finds it dropped, as the specification has it. wazero v1.12.0 forgets to drop it.
func TestWasmActiveDataIsDropped(t *testing.T) {
	in, err := instrument(movesModule(), rigOptions)
	if err != nil {
		t.Fatal(err)
	}
	for engine := range rigEngines {
		r := newRig(t, engine)
		g, err := r.start(in, "")
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := g.Memory().Read(0, 3); string(b) != "abc" {
			t.Errorf("%s: the segment is not where it belongs: %q", engine, b)
		}
		if _, err := g.ExportedFunction("active").Call(r.ctx, 9, 0, 0); err != nil {
			t.Errorf("%s: none of it: %v", engine, err)
		}
		if _, err := g.ExportedFunction("active").Call(r.ctx, 9, 0, 1); err == nil || !strings.Contains(err.Error(), "out of bounds memory access") {
			t.Errorf("%s: a byte of it: %v", engine, err)
		}
	}
}

// TestWasmTableDenied: a table that may not grow answers -1, and says so.
func TestWasmTableDenied(t *testing.T) {
	o := rigOptions
	o.TableElementsMax = 4
	in, err := instrument(movesModule(), o)
	if err != nil {
		t.Fatal(err)
	}
	for engine := range rigEngines {
		r := newRig(t, engine)
		g, err := r.start(in, "")
		if err != nil {
			t.Fatal(err)
		}
		denied := g.ExportedGlobal(wasm.ExportTableDenied)
		for _, row := range []struct {
			by, want uint32
			denied   uint64
		}{{3, 1, 0}, {0, 4, 0}, {1, 1<<32 - 1, 1}} {
			got, err := g.ExportedFunction("grow").Call(r.ctx, uint64(row.by))
			if err != nil || uint32(got[0]) != row.want || denied.Get() != row.denied {
				t.Errorf("%s: grown by %d: %d %v, denied %d", engine, row.by, got, err, denied.Get())
			}
		}
	}
}
