package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/wasm"
)

// engineConfig is how every runtime is made, in the worker and in the child that admits: machine code of the one runs in the other.
// The compiler where there is one (amd64, arm64), else the interpreter. Features beyond version 2 of the language stay off.
func engineConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCloseOnContextDone(false). // the instrumenter's fuel does this
		WithDebugInfoEnabled(false).
		WithCustomSections(false).
		WithMemoryCapacityFromMax(false)
}

// engineIdentity says which engine this is: what it answers differs whenever machine code or an artifact of one could not be used by
// the other. It admits a small module that uses a bit of everything and hashes the whole artifact: the gate's facts, the instrumented
// code, wazero's machine code and the name that it gives it, which holds wazero's version and the processor's features.
// dir is an empty folder, and is empty afterwards.
func engineIdentity(ctx context.Context, h *host.Host, dir string) ([32]byte, error) {
	probe := []byte(probeModule)
	a, err := admitModule(h, sha256.Sum256(probe), probe)
	if err == nil {
		err = compileApart(ctx, dir, a)
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("sandbox: the engine's probe: %w", err)
	}
	return sha256.Sum256(a.encode()), nil
}

// probeModule is a reactor with a memory, a table, globals, a loop, direct and indirect calls, bulk memory and a data segment:
//
//	(type (func (result i32))) (type (func))
//	(func $run (type 0) (local i32)
//	  (loop (br_if 0 (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9))))
//	  (call 1) (call_indirect (type 1) (i32.const 0))
//	  (memory.fill (i32.const 64) (i32.const 1) (i32.const 8)) (drop (memory.grow (i32.const 1)))
//	  (global.set 0 (i64.add (global.get 0) (i64.const 1))) (i32.load (i32.const 0)))
//	(func (type 1) (if (i32.eqz (i32.const 1)) (then (drop (call 0)))))
//	(table 1 funcref) (memory 1 2) (global (mut i64) (i64.const 7))
//	(export "caisson_run" (func 0)) (elem (i32.const 0) 1) (data (i32.const 0) "\00\00\00\00")
const probeModule = "\x00asm\x01\x00\x00\x00" +
	"\x01\x08\x02\x60\x00\x01\x7f\x60\x00\x00" +
	"\x03\x03\x02\x00\x01" +
	"\x04\x04\x01\x70\x00\x01" +
	"\x05\x04\x01\x01\x01\x02" +
	"\x06\x06\x01\x7e\x01\x42\x07\x0b" +
	"\x07\x0f\x01\x0bcaisson_run\x00\x00" +
	"\x09\x07\x01\x00\x41\x00\x0b\x01\x01" +
	"\x0a\x43\x02" +
	"\x35\x01\x01\x7f" +
	"\x03\x40\x20\x00\x41\x01\x6a\x22\x00\x41\x09\x48\x0d\x00\x0b" +
	"\x10\x01\x41\x00\x11\x01\x00" +
	"\x41\xc0\x00\x41\x01\x41\x08\xfc\x0b\x00\x41\x01\x40\x00\x1a" +
	"\x23\x00\x42\x01\x7c\x24\x00\x41\x00\x28\x02\x00\x0b" +
	"\x0b\x00\x41\x01\x45\x04\x40\x10\x00\x1a\x0b\x0b" +
	"\x0b\x0a\x01\x00\x41\x00\x0b\x04\x00\x00\x00\x00"

// compileWorkers is how many functions wazero compiles at once: the second halves the time; more would take what running tasks need.
const compileWorkers = 2

// compileApart compiles a's code in an engine of its own and gives a the machine code as wazero's own cache writes it. Where
// wazero has no compiler there is none. dir is an empty folder, and is empty afterwards. The error is an *AdmissionError when wazero takes the code for invalid.
func compileApart(ctx context.Context, dir string, a *artifact) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return err
	}
	defer func() {
		files, readErr := os.ReadDir(dir)
		err = errors.Join(err, readErr)
		for _, f := range files {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}()
	defer cache.Close(ctx)
	rt := wazero.NewRuntimeWithConfig(ctx, engineConfig().WithCompilationCache(cache))
	defer rt.Close(ctx)
	if _, err := compileCode(experimental.WithCompilationWorkers(ctx, compileWorkers), rt, a.code); err != nil {
		return err
	}
	a.machineName, a.machine, err = machineFile(dir)
	return err
}

// hollowOut puts a hollow module in the place of a's code, where a has machine code, and gives the machine code the name that wazero looks for it by then. Loading it, wazero
// decodes and validates what it is given, before it looks for the machine code: for a standard-Go guest a fifth of all that a worker's start takes. What was to be
// validated, was, before the machine code was made of it. dir is an empty folder, and is empty afterwards.
func hollowOut(ctx context.Context, dir string, a *artifact) error {
	if len(a.machine) == 0 {
		return nil
	}
	hollow := &artifact{code: wasm.Hollow(a.code)}
	if err := compileApart(ctx, dir, hollow); err != nil {
		return err
	}
	a.code, a.machineName = hollow.code, hollow.machineName
	return nil
}

// compileCode hands the code to wazero, which panics on some. Its error is then, or when the code is not valid, an *AdmissionError.
func compileCode(ctx context.Context, rt wazero.Runtime, code []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case isNoMemory(p): // it panics also when it cannot map its code
			err = fmt.Errorf("sandbox: compile: %v", p)
		default:
			err = admission("module.invalid", "the compiler cannot take this module: %s", quote(fmt.Sprint(p)))
		}
	}()
	m, err = rt.CompileModule(ctx, code)
	if err != nil {
		return nil, admission("module.invalid", "%s", host.Escape([]byte(err.Error()[:min(len(err.Error()), errorLineMax)])))
	}
	return m, nil
}

func isNoMemory(p any) bool {
	err, ok := p.(error)
	return ok && errors.Is(err, syscall.ENOMEM)
}

// machineFile returns the one file that wazero's cache wrote below dir, and its path from there; none where wazero interprets.
func machineFile(dir string) (name string, machine []byte, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if machine != nil {
			return errors.New("sandbox: the engine's cache wrote more than one file for a module")
		}
		if name, err = filepath.Rel(dir, path); err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		machine, err = readWhole(path, artifactSizeMax)
		return err
	})
	return name, machine, err
}

// checkMachine says whether name and head of a machine code file are those that wazero v1.12.0 writes, so that a foreign file can
// neither be placed elsewhere nor make wazero allocate by its counts:
//
//	"WAZEVO"  u8 length and the version  u32 functions  u64 offset of each  u64 length and the code  u32 CRC-32C  ...
//
// It is no check of the code itself: that it is ours, the seal says.
// Source: internal/engine/wazevo/engine_cache.go and cache.go of wazero.
func checkMachine(name string, machine []byte, functions uint32) error {
	dir, file, ok := strings.Cut(name, "/")
	if !ok || len(file) != 2*sha256.Size || strings.Trim(file, "0123456789abcdef") != "" ||
		!strings.HasPrefix(dir, "wazero-") || !strings.HasSuffix(dir, "-"+goruntime.GOARCH+"-"+goruntime.GOOS) || strings.ContainsAny(dir, `\:`) {
		return fmt.Errorf("sandbox: %q is no name of machine code", name)
	}
	u := unpacker{data: machine}
	magic := string(u.take(6))
	u.take(int(u.u8()))
	n := u.u32()
	if u.bad || magic != "WAZEVO" || n < functions || // the instrumenter adds some
		uint64(n)*8 > uint64(len(u.data)) {
		return errors.New("sandbox: not machine code of this module")
	}
	u.take(int(n) * 8)
	if size := u.u64(); u.bad || size > uint64(len(u.data)) {
		return errors.New("sandbox: machine code that is cut short")
	}
	return nil
}
