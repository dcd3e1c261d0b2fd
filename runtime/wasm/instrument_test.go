package wasm

import (
	"bytes"
	"testing"
)

var roomy = Options{MemoryPagesMax: 4096, TableElementsMax: 1 << 16}

// TestInstrumentGoGuest: what the Go toolchain makes is rewritten, the same way each time, also by many at once.
func TestInstrumentGoGuest(t *testing.T) {
	m, err := Read(goGuest(t, "reactor"), anyImport)
	if err != nil {
		t.Fatal(err)
	}
	first, err := m.Instrument(roomy)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Resettable || len(first.Data) < 1000 || len(first.Globals) == 0 || first.Start != "" {
		t.Errorf("resettable %v %v, %d segments, %d globals, start %q", first.Resettable, first.Kept, len(first.Data), len(first.Globals), first.Start)
	}
	again := make(chan []byte)
	for range 4 {
		go func() {
			out, err := m.Instrument(roomy)
			if err != nil {
				t.Error(err)
			}
			again <- out.Code
		}()
	}
	for range 4 {
		if !bytes.Equal(<-again, first.Code) {
			t.Error("the same module gave other bytes")
		}
	}
}

func BenchmarkInstrument(b *testing.B) {
	m, err := Read(goGuest(b, "reactor"), anyImport)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(m.Size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Instrument(roomy); err != nil {
			b.Fatal(err)
		}
	}
}
