package sandbox_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

const (
	i32x2 = "\x60\x02\x7f\x7f\x01\x7f" // (i32, i32) -> i32
	void  = "\x60\x00\x00"
)

// refused loads m and returns the code and text of the refusal.
func refused(t *testing.T, s *sandbox.Sandbox, m sandbox.Module) (code, text string) {
	t.Helper()
	_, err := s.Load(context.Background(), m)
	var e *sandbox.AdmissionError
	if !errors.As(err, &e) {
		t.Fatalf("%v is no AdmissionError", err)
	}
	return e.Code(), e.Error()
}

func TestAdmissionRefuses(t *testing.T) {
	types := section(1, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 0, 0}, []byte{0x60, 1, 0x7f, 0})
	run := cat(str("caisson_run"), []byte{0, 0})
	body := section(10, function("\x41\x00\x0b"))
	status := "\x41\x00\x0b"
	tests := []struct {
		name, code, text string
		wasm             []byte
	}{
		{"empty", "module.invalid", "not a Wasm module", nil},
		{"text", "module.invalid", "not a Wasm module", []byte("(module)")},
		{"version 2", "module.invalid", "version", []byte("\x00asm\x02\x00\x00\x00")},
		{"component", "module.unsupported", "wasm32-wasip1", []byte("\x00asm\x0d\x00\x01\x00\x00\x00")},
		{"cut short", "module.invalid", "unexpected end", assemble(nil, status)[:20]},
		{"no exports", "module.shape", "caisson_run", header},
		{"order", "module.invalid", "out of order", cat(header, types, section(5, []byte{0, 1}), section(3))},
		{"twice", "module.invalid", "repeated", cat(header, types, types)},
		{"exceptions", "module.unsupported", "section 13", cat(header, section(13))},
		{"count bomb in types", "module.invalid", "types", cat(header, []byte{1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		{"count bomb in data", "module.invalid", "data segments", cat(header, []byte{11, 5, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		{"count bomb in elements", "module.invalid", "elements", cat(header, section(4, []byte{0x70, 0, 1}), []byte{9, 10, 1, 0, 0x41, 0, 0x0b, 0xff, 0xff, 0xff, 0xff, 0x0f})},
		{"overlong integer", "module.invalid", "more than 32 bits", cat(header, []byte{1, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0})},
		{"locals bomb", "module.invalid", "locals", cat(header, types, section(3, []byte{0}), section(7, run),
			section(10, []byte{10, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x41, 0, 0x0b}))},
		{"two memories", "module.unsupported", "memories", cat(header, section(5, []byte{0, 1}, []byte{0, 1}))},
		{"shared memory", "module.unsupported", "shared", cat(header, section(5, []byte{3, 1, 1}))},
		{"64-bit memory", "module.unsupported", "64-bit", cat(header, section(5, []byte{4, 1}))},
		{"4 GiB memory", "module.shape", "memory", cat(header, section(5, []byte{0, 0x80, 0x80, 0x04}))},
		{"huge table", "module.shape", "table", cat(header, section(4, []byte{0x70, 0, 0x80, 0x80, 0x80, 0x40}))},
		{"imported memory", "module.shape", "memory", cat(header, section(2, cat(str("env"), str("memory"), []byte{2, 0, 1})))},
		{"imported table", "module.shape", "table", cat(header, section(2, cat(str("env"), str("t"), []byte{1, 0x70, 0, 1})))},
		{"imported global", "module.shape", "global", cat(header, section(2, cat(str("env"), str("g"), []byte{3, 0x7f, 0})))},
		{"loops around locals", "module.costly", "code section at", bombLoops(200, 1000)},
		{"run with a parameter", "module.shape", "() -> i32", cat(header, types, section(3, []byte{2}), section(7, run), body)},
		{"run that is a memory", "module.shape", "neither", cat(header, types, section(5, []byte{0, 1}), section(7, cat(str("caisson_run"), []byte{2, 0})))},
		{"run that does not exist", "module.invalid", "does not exist", cat(header, types, section(7, cat(str("caisson_run"), []byte{0, 9})))},
		{"two entries", "module.shape", "--exportStart _initialize in AssemblyScript", cat(header, types, section(3, []byte{0}, []byte{1}),
			section(7, run, cat(str("_start"), []byte{0, 1})), section(10, function(status), function("\x0b")))},
		{"start and initialize", "module.shape", "both", cat(header, types, section(3, []byte{1}),
			section(7, cat(str("_initialize"), []byte{0, 0}), cat(str("_start"), []byte{0, 0})), section(10, function("\x0b")))},
		{"start with a result", "module.shape", "() -> ()", cat(header, types, section(3, []byte{0}), section(7, cat(str("_start"), []byte{0, 0})), body)},
		{"initialize with a result", "module.shape", "() -> ()", cat(header, types, section(3, []byte{0}), section(7, run, cat(str("_initialize"), []byte{0, 0})), body)},
		{"does not validate", "module.invalid", "", assemble(nil, "\x0b")},
		{"import of nothing", "module.import", "env.frob", assemble([]asmImport{{"env", "frob", void}}, status)},
		{"import of AssemblyScript", "module.import", "wasi-shim", assemble([]asmImport{{"env", "abort", void}}, status)},
		{"import of preview 2", "module.import", "preview 2", assemble([]asmImport{{"wasi:io/poll@0.2.0", "poll", void}}, status)},
		{"import of another signature", "module.import", "(i32, i32) -> (i32)", assemble([]asmImport{{"caisson", "kv_get", void}}, status)},
		{"unknown name with escapes", "module.import", `\x1b`, assemble([]asmImport{{"env", "\x1b[31m", void}}, status)},
		{"undeclared kv", "module.capability", "kind kv", assemble([]asmImport{{"caisson", "kv_get", i32x2}}, status)},
		{"undeclared http", "module.capability", "kind http", assemble([]asmImport{{"caisson", "http_fetch", i32x2}}, status)},
		{"undeclared clock", "module.capability", "kind clock", assemble([]asmImport{{"caisson", "clock_fine", i32x2}}, status)},
	}
	here, child := openSandbox(t, host.Config{}), openKept(t, sandbox.Config{Admit: admitSelf()})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range []*sandbox.Sandbox{here, child, here} { // at last from memory
				code, text := refused(t, s, module(tt.wasm))
				if code != tt.code || !strings.Contains(text, tt.text) {
					t.Errorf("%s: %s, want %s with %q", code, text, tt.code, tt.text)
				}
			}
		})
	}
}

func TestModuleTooLarge(t *testing.T) {
	m := sandbox.Module{Bytes: append(assemble(nil, "\x41\x00\x0b"), make([]byte, 64<<20)...)}
	m.Digest = sha256.Sum256(m.Bytes)
	if code, text := refused(t, sharedSandbox(t), m); code != "module.invalid" || !strings.Contains(text, "at most 67108864") {
		t.Errorf("%s %s", code, text)
	}
}

func TestNotOffered(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, CheckRate: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	code, text := refused(t, s, module(assemble([]asmImport{{"caisson", "kv_get", i32x2}}, "\x41\x00\x0b"), "kv ro a/*"))
	if code != "module.capability" || !strings.Contains(text, "does not offer") {
		t.Errorf("%s %s", code, text)
	}
}

func TestDigestIsChecked(t *testing.T) {
	s := openSandbox(t, host.Config{})
	good := assemble(nil, "\x41\x00\x0b")
	bad := sandbox.Module{Digest: sha256.Sum256(good), Bytes: assemble(nil, "\x00\x0b")}
	if code, text := refused(t, s, bad); code != "module.invalid" || !strings.Contains(text, "digest") {
		t.Errorf("%s %s", code, text)
	}
	// The digest itself is not spoiled.
	check(t, load(t, s, module(good)).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
}

// TestNeedsAreJudgedPerManifest: one compiled module, two manifests.
func TestNeedsAreJudgedPerManifest(t *testing.T) {
	s := openSandbox(t, host.Config{})
	wasm := assemble([]asmImport{{"caisson", "kv_get", i32x2}}, "\x41\x00\x0b")
	load(t, s, module(wasm, "kv ro a/*"))
	if code, _ := refused(t, s, module(wasm)); code != "module.capability" {
		t.Error(code)
	}
}

// TestLoadOnceForMany: loads of one digest at once compile it once.
func TestLoadOnceForMany(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{}) // compiles are counted: nothing is kept on disk
	m := module(assemble(nil, strings.Repeat("\x41\x00\x1a", 50_000)+"\x41\x00\x0b"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { load(t, s, m) })
	}
	wg.Wait()
	if n := s.Stats().Compiles; n != 1 {
		t.Errorf("compiled %d times", n)
	}
}

// TestLoadReturnsWithItsContext while the compile goes on for others.
func TestLoadReturnsWithItsContext(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{}) // compiles are counted: nothing is kept on disk
	m := module(assemble(nil, strings.Repeat("\x41\x00\x1a", 50_000)+"\x41\x00\x0b"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Load(ctx, m); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	load(t, s, m)
	if n := s.Stats().Compiles; n != 1 {
		t.Errorf("compiled %d times", n)
	}
}

// TestEviction loads more modules than are kept: all of them still run.
func TestEviction(t *testing.T) {
	s := openSandbox(t, host.Config{})
	var programs []*sandbox.Program
	for i := range 150 {
		// i32.const i, drop, i32.const 0: each has another digest.
		programs = append(programs, load(t, s, module(assemble(nil, string(cat([]byte{0x41}, []byte{byte(i & 0x3f)}, []byte{0x41, byte(i >> 6), 0x1a, 0x1a, 0x41, 0, 0x0b}))))))
	}
	if n := s.Stats().Modules; n != 64 {
		t.Errorf("%d modules are kept", n)
	}
	for _, p := range programs {
		check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
	}
}

// logThenLoop calls log_write(1, 0, 1) and then loops.
var logThenLoop = assemble([]asmImport{{"caisson", "log_write", "\x60\x03\x7f\x7f\x7f\x01\x7f"}},
	"\x41\x01\x41\x00\x41\x01\x10\x00\x1a\x03\x40\x0c\x00\x0b\x00\x0b")

// TestRefusedModulesEvictNoGoodOnes: whoever can have bad modules looked at does not make the worker compile the good ones again.
func TestRefusedModulesEvictNoGoodOnes(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{}) // compiles are counted: nothing is kept on disk
	good := module(assemble(nil, bodyDone))
	load(t, s, good)
	const bad = 100
	for i := range bad {
		if _, err := s.Load(context.Background(), module(append([]byte("no module"), byte(i)))); err == nil {
			t.Fatal("loaded")
		}
	}
	load(t, s, good)
	if n := s.Stats().Compiles; n != 1+bad {
		t.Errorf("%d compiles, want %d", n, 1+bad)
	}
}

// TestEvictionSparesWhatRuns: a module is dropped only when nobody is inside; its code would be gone under the guest.
func TestEvictionSparesWhatRuns(t *testing.T) {
	s := openSandbox(t, host.Config{})
	m := module(logThenLoop)
	p := load(t, s, m)
	inside := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan sandbox.Outcome)
	go func() {
		done <- p.Run(ctx, sandbox.Job{Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute}, Log: func(string, string) { close(inside) }})
	}()
	<-inside
	for i := range 100 {
		load(t, s, module(assemble(nil, string([]byte{0x41, byte(i & 0x3f), 0x41, byte(i >> 6), 0x1a, 0x1a, 0x41, 0, 0x0b}))))
	}
	compiles := s.Stats().Compiles
	load(t, s, m)
	if n := s.Stats().Compiles; n != compiles {
		t.Error("the module that runs was dropped")
	}
	cancel()
	check(t, <-done, expect{sandbox.Crash, "task.cancelled", "", ""})
	if n := s.Stats().Modules; n > 64 {
		t.Errorf("%d modules are kept", n)
	}
}

func TestFacts(t *testing.T) {
	s := sharedSandbox(t)
	f := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...)).Facts()
	if f.Form != "reactor" || f.Functions < 100 || f.MemoryMin < 1<<20 || len(f.Imports) < 10 {
		t.Errorf("%+v", f)
	}
}

func TestBadModuleConfig(t *testing.T) {
	s := sharedSandbox(t)
	m := module(assemble(nil, "\x41\x00\x0b"))
	m.Start = "sometimes"
	if _, err := s.Load(context.Background(), m); err == nil {
		t.Error("start = sometimes is accepted")
	}
	m.Start, m.Env = "each", []string{"A=\x00"}
	if _, err := s.Load(context.Background(), m); err == nil {
		t.Error("a NUL in env is accepted")
	}
	if _, err := sandbox.Open(context.Background(), sandbox.Config{}); err == nil {
		t.Error("a sandbox without host opens")
	}
}

// TestTableGrowth: a table without maximum ends at ours. The body asks for 2^20 elements and returns -1's complement, 0.
func TestTableGrowth(t *testing.T) {
	s := sharedSandbox(t)
	wasm := assembleTable("\xd0\x70\x41\x80\x80\xc0\x00\xfc\x0f\x00\x41\x01\x6a\x0b")
	check(t, load(t, s, module(wasm)).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
}
