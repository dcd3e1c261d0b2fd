package wasm

import (
	"bytes"
	"testing"

	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// TestToolchains: the gate takes what every toolchain makes and what others ship, the largest with 32,000 functions, and the instrumenter writes all of
// it anew, the same way each time.
func TestToolchains(t *testing.T) {
	for _, name := range append(guesttest.Names(), guesttest.Programs()...) {
		t.Run(name, func(t *testing.T) {
			code := guesttest.Build(t, name)
			m, err := Read(code, anyImport)
			if err != nil {
				t.Fatal(err)
			}
			if m.Size != len(code) || m.Memory == nil {
				t.Errorf("size %d of %d, memory %v", m.Size, len(code), m.Memory)
			}
			first, err := m.Instrument(roomy)
			if err != nil {
				t.Fatal(err)
			}
			if m.Size < 8<<20 { // the larger ones take 10 s each time under the race detector
				second, err := m.Instrument(roomy)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(first.Code, second.Code) {
					t.Error("the same module gave other bytes")
				}
			}
			t.Logf("%d bytes, written anew %d; %d functions, %d data segments, %d globals to restore, resettable %v %v",
				len(code), len(first.Code), m.Functions, m.DataSegments, len(first.Globals), first.Resettable, first.Kept)
		})
	}
}
