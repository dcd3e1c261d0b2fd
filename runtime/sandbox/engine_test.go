package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/wasm"
)

// probeArtifact is the probe, admitted and compiled.
func probeArtifact(t *testing.T) *artifact {
	t.Helper()
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	probe := []byte(probeModule)
	a, err := admitModule(h, sha256.Sum256(probe), probe)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := compileApart(context.Background(), dir, a); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	return a
}

// hasCompiler: where wazero interprets there is no machine code, which is what this says of the system and not of us.
func hasCompiler(a *artifact) bool { return len(a.machine) > 0 }

// TestMachineFile holds what we know of wazero's cache against the version in go.mod: one file for a module, of this name and
// form, the same each time.
func TestMachineFile(t *testing.T) {
	a, again := probeArtifact(t), probeArtifact(t)
	if a.machineName != again.machineName || !bytes.Equal(a.machine, again.machine) {
		t.Error("the same code became other machine code; the cache would never be used")
	}
	if !hasCompiler(a) {
		return
	}
	functions := a.facts.functions
	if err := checkMachine(a.machineName, a.machine, functions); err != nil {
		t.Fatal(err)
	}
	bad := map[string]struct {
		name    string
		machine []byte
	}{
		"no folder":        {filepath.Base(a.machineName), a.machine},
		"parent folder":    {"../" + filepath.Base(a.machineName), a.machine},
		"deeper":           {"wazero-x/" + a.machineName, a.machine},
		"other processor":  {strings.Replace(a.machineName, "-linux/", "-plan9/", 1), a.machine},
		"other file":       {a.machineName[:len(a.machineName)-1] + "g", a.machine},
		"longer name":      {a.machineName + "0", a.machine},
		"empty":            {a.machineName, nil},
		"other magic":      {a.machineName, slices.Concat([]byte("WAZEVA"), a.machine[6:])},
		"no functions":     {a.machineName, a.machine[:6+1+int(a.machine[6])]},
		"many functions":   {a.machineName, slices.Concat(a.machine[:7+int(a.machine[6])], []byte{0xff, 0xff, 0xff, 0xff}, a.machine[11+int(a.machine[6]):])},
		"code cut short":   {a.machineName, a.machine[:len(a.machine)/2]},
		"code of 2^64":     {a.machineName, slices.Concat(a.machine[:11+int(a.machine[6])], bytes.Repeat([]byte{0xff}, 8*int(functions)+8))},
		"version too long": {a.machineName, slices.Concat(a.machine[:6], []byte{0xff}, a.machine[7:40])},
	}
	if strings.Contains(a.machineName, "-linux/") == false {
		delete(bad, "other processor")
	}
	for name, b := range bad {
		if err := checkMachine(b.name, b.machine, functions); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestWazeroReadsTheFile: wazero, given the file in its cache's folder, uses it and does not compile: it stumbles over a changed byte of it.
func TestWazeroReadsTheFile(t *testing.T) {
	a := probeArtifact(t)
	if !hasCompiler(a) {
		return
	}
	load := func(machine []byte) error {
		t.Helper()
		ctx, dir := context.Background(), t.TempDir()
		cache, err := wazero.NewCompilationCacheWithDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close(ctx)
		rt := wazero.NewRuntimeWithConfig(ctx, engineConfig().WithCompilationCache(cache))
		defer rt.Close(ctx)
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(a.machineName)), machine, cacheFileMode); err != nil {
			t.Fatal(err)
		}
		_, err = compileCode(ctx, rt, a.code)
		return err
	}
	if err := load(a.machine); err != nil {
		t.Error(err)
	}
	bad := bytes.Clone(a.machine)
	bad[len(bad)/2] ^= 1
	if err := load(bad); err == nil || !strings.Contains(err.Error(), "checksum mismatch") {
		t.Errorf("a changed byte: %v", err)
	}
}

// TestEngineIdentity is the same each time.
func TestEngineIdentity(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var got [2][32]byte
	for i := range got {
		if got[i], err = engineIdentity(context.Background(), h, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	if got[0] != got[1] {
		t.Errorf("%x and %x", got[0], got[1])
	}
}

// TestDecodeJudges: an artifact is of this engine and this module, with imports that are still there, or is not used.
func TestDecodeJudges(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	good := probeArtifact(t)
	good.engine = sha256.Sum256([]byte("this engine"))
	a := &admissions{host: h, engine: good.engine}
	if _, err := a.decode(good.encode(), good.digest); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		want  string
		spoil func(*artifact)
	}{
		"other engine":  {"another version", func(a *artifact) { a.engine[0] ^= 1 }},
		"other module":  {"another module", func(a *artifact) { a.digest[0] ^= 1 }},
		"import gone":   {"does not exist", func(a *artifact) { a.facts.imports = []wasm.Import{{Module: "caisson", Name: "gone"}} }},
		"machine's way": {"no name of machine code", func(a *artifact) { a.machineName, a.machine = "../x", []byte("x") }},
	} {
		bad := *good
		tt.spoil(&bad)
		if _, err := a.decode(bad.encode(), good.digest); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
