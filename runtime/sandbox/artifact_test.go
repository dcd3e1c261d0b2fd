package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// sampleArtifact has something in every field.
func sampleArtifact() *artifact {
	return &artifact{
		engine: sha256.Sum256([]byte("engine")), digest: sha256.Sum256([]byte("module")),
		facts: moduleFacts{
			form: reactor, size: 0x123, functions: 2, hasMemory: true, memoryMin: 0x10000, memoryMax: 0x20000,
			imports: []wasm.Import{{Module: "m", Name: "f", Type: wasm.FuncType{Params: []wasm.ValueType{wasm.I32}, Results: []wasm.ValueType{wasm.I64}}}},
			exports: []wasm.Export{{Name: "run", Kind: wasm.KindFunc}}, tables: 1, elements: 5, globals: 3, dataSegments: 2, customs: 4, kept: []string{"why"},
		},
		code:    []byte("code"),
		data:    []wasm.Segment{{Offset: 8, Bytes: []byte("ab")}, {Offset: 0x1000, Bytes: []byte("cde")}},
		globals: []wasm.SavedGlobal{{Export: "g", Type: wasm.I64}},
		start:   "go", names: wasm.NameMap{Ends: []uint32{0, 4}, Text: "main"},
		machineName: "dir/file", machine: []byte("machine"),
	}
}

// TestArtifactWire states the form byte by byte.
func TestArtifactWire(t *testing.T) {
	want := strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(hexOfText("caisson-artifact") + `
		04000000` + // version
		hexOfSum("engine") + hexOfSum("module") + `
		02 2301000000000000
		01000000 01000000 6d 01000000 66 01000000 7f 01000000 7e
		01000000 03000000 72756e 00
		02000000 01 0000010000000000 0000020000000000
		01000000 05000000 03000000 02000000 04000000 01000000 03000000 776879
		04000000 636f6465
		02000000 08000000 02000000 00100000 03000000 6162636465
		01000000 01000000 67 7e
		02000000 676f
		02000000 00000000 04000000 04000000 6d61696e
		08000000 6469722f66696c65 07000000 6d616368696e65`)
	if got := hex.EncodeToString(sampleArtifact().encode()); got != want {
		t.Errorf("encoded as\n%s, want\n%s", got, want)
	}
}

func hexOfText(s string) string { return hex.EncodeToString([]byte(s)) }

func hexOfSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestArtifactRoundTrip(t *testing.T) {
	a := sampleArtifact()
	data := a.encode()
	got, err := decodeArtifact(data)
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Fatalf("%+v, %v, want %+v", got, err, a)
	}
	// Once it is settled it shares nothing with what it was read from.
	got.settle()
	clear(data)
	if got.code != nil || got.machine != nil || string(got.data[0].Bytes) != "ab" || string(got.data[1].Bytes) != "cde" || got.names.Func(1) != "main" || got.names.Func(0) != "" || got.names.Func(2) != "" {
		t.Errorf("%+v", got)
	}
	for n := range len(data) {
		if _, err := decodeArtifact(a.encode()[:n]); err == nil {
			t.Errorf("its first %d bytes are accepted", n)
		}
	}
	if _, err := decodeArtifact(append(a.encode(), 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
}

// TestArtifactAllocates: counts without the bytes for them allocate nothing.
func TestArtifactAllocates(t *testing.T) {
	head := sampleArtifact().encode()[:len(artifactMagic)+4+64+9] // up to the count of imports
	lie := append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 1, 2, 3)
	if grown := allocated(func() {
		if _, err := decodeArtifact(lie); err == nil {
			t.Error("accepted")
		}
	}); grown > 1<<16 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// FuzzArtifact: no bytes panic the decoder or make it allocate much more than they are, and what decodes encodes to the same.
func FuzzArtifact(f *testing.F) {
	f.Add(sampleArtifact().encode())
	f.Add((&artifact{facts: moduleFacts{form: command}}).encode())
	f.Add(append([]byte(artifactMagic), 1, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a *artifact
		var err error
		grown := allocated(func() { a, err = decodeArtifact(data) })
		if most := uint64(64*len(data) + 1<<16); grown > most {
			t.Errorf("%d bytes allocated for %d", grown, len(data))
		}
		if err == nil && !bytes.Equal(a.encode(), data) {
			t.Errorf("%x is encoded as %x", data, a.encode())
		}
	})
}
