package sandbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tetratelabs/wazero"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/wasm"
)

// admitModule is admission up to the compiler: the gate with the imports, the form, the instrumenter. It is the same in the worker and in the
// child, and depends on nothing but the code and on what h knows; what h offers, and what a manifest needs, Load judges. The error is an *AdmissionError.
func admitModule(h *host.Host, digest [32]byte, code []byte) (*artifact, error) {
	m, err := wasm.Read(code, wasm.Rules{Import: func(module, name string, t wasm.FuncType) error { return checkImport(h, module, name, t) }})
	if err != nil {
		return nil, gateRefusal(err)
	}
	form, err := checkForm(m)
	if err != nil {
		return nil, err
	}
	a := &artifact{digest: digest, facts: factsOf(m, form), names: m.Names()}
	out, err := m.Instrument(wasm.Options{MemoryPagesMax: memoryMax / pageSize, TableElementsMax: tableElementsMax, SparePage: true})
	if err != nil {
		return nil, gateRefusal(err)
	}
	a.code, a.data, a.globals, a.start, a.facts.kept = out.Code, out.Data, out.Globals, out.Start, out.Kept
	return a, nil
}

// gateRefusal is what the gate or the instrumenter says, as ours. What checkImport said stands as it is.
func gateRefusal(err error) error {
	var ours *AdmissionError
	if errors.As(err, &ours) {
		return ours
	}
	var theirs *wasm.Error
	if errors.As(err, &theirs) {
		return admission(theirs.Code, "%s", strings.TrimPrefix(theirs.Error(), "wasm: "))
	}
	return err
}

func factsOf(m *wasm.Module, f form) moduleFacts {
	facts := moduleFacts{
		form: f, size: uint64(m.Size), imports: m.Imports, functions: uint32(m.Functions),
		tables: uint32(len(m.Tables)), globals: uint32(m.Globals), dataSegments: uint32(m.DataSegments), customs: uint32(m.Customs),
	}
	if m.Memory != nil {
		facts.hasMemory, facts.memoryMin, facts.memoryMax = true, uint64(m.Memory.Min)*pageSize, uint64(m.Memory.Max)*pageSize
	}
	for _, t := range m.Tables {
		facts.elements += t.Min // the gate bounds both
	}
	for _, e := range m.Exports {
		facts.exports = append(facts.exports, wasm.Export{Name: e.Name, Kind: e.Kind})
	}
	return facts
}

// An admissions turns modules into compiled ones: from the cache on disk where it has them, else by admitting them, in a child
// process if one is configured. Any number of goroutines use it at once.
type admissions struct {
	host    *host.Host
	log     hclog.Logger
	child   []string                   // command line of the process that admits; nil: this one
	limits  func(size int) admitLimits // of the child, for a module of size bytes
	disk    *diskCache                 // nil: none
	patient time.Duration              // how long a lock of disk is waited for; 0: as long as the module's admission may take
	runtime wazero.Runtime

	// For machine code that was compiled elsewhere or earlier; unused without disk and child.
	engine   [32]byte
	dir      string   // private to this sandbox
	dirLock  *os.File // says that it is in use
	machines wazero.CompilationCache
	placing  sync.Mutex // while a file is there for wazero to find: two modules can have the same code, and so the same file

	turns *turns // bounds how many are admitted at once: it is the most memory that this worker ever uses

	admitted, costly, cacheHits, cacheRejects atomic.Int64
}

// openAdmissions prepares for c, and the runtime that load will compile in; the host's modules are not in it yet.
func openAdmissions(ctx context.Context, c Config, log hclog.Logger) (*admissions, error) {
	a := &admissions{host: c.Host, log: log, child: c.Admit, limits: limitsFor, turns: newTurns()}
	config := engineConfig()
	if c.CacheDir != "" || len(c.Admit) > 0 {
		if err := a.openMachines(ctx, c); err != nil {
			return nil, errors.Join(err, a.close(ctx))
		}
		config = config.WithCompilationCache(a.machines)
	}
	a.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	return a, nil
}

// openMachines prepares for machine code that was compiled elsewhere or earlier.
func (a *admissions) openMachines(ctx context.Context, c Config) (err error) {
	if c.CacheDir != "" {
		if a.disk, err = openDiskCache(c.CacheDir); err != nil {
			return fmt.Errorf("sandbox: CacheDir: %w", err)
		}
	}
	clearLeft(os.TempDir(), a.log)
	if a.dir, a.dirLock, err = makeOwnedDir(os.TempDir()); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	if a.engine, err = engineIdentity(ctx, c.Host, a.dir); err != nil {
		return err
	}
	// One for this runtime only: runtimes that share a cache can mix up each other's imports (wazero #2511).
	if a.machines, err = wazero.NewCompilationCacheWithDir(a.dir); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// close frees everything, the runtime too.
func (a *admissions) close(ctx context.Context) error {
	var errs []error
	if a.runtime != nil {
		errs = append(errs, a.runtime.Close(ctx))
	}
	if a.machines != nil {
		errs = append(errs, a.machines.Close(ctx))
	}
	if a.dir != "" {
		errs = append(errs, removeOwnedDir(a.dir, a.dirLock))
	}
	return errors.Join(errs...)
}

// load returns the module of this digest admitted and compiled. Its artifact has lost code and machine, which nobody needs any more.
// Errors: *AdmissionError; ctx's; or that this attempt failed for a reason that is not the module's.
func (a *admissions) load(ctx context.Context, m *Module) (*artifact, wazero.CompiledModule, error) {
	switch {
	case sha256.Sum256(m.Bytes) != m.Digest:
		return nil, nil, errDigest
	case len(m.Bytes) > moduleSizeMax:
		return nil, nil, admission("module.invalid", "%d bytes, at most %d", len(m.Bytes), moduleSizeMax)
	case a.disk != nil:
		return a.loadKept(ctx, m)
	}
	art, err := a.admit(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	compiled, err := a.compile(art)
	return art, compiled, err
}

// loadKept is load by way of the cache on disk. Of several workers that need the same module at once, one admits it and the others wait.
func (a *admissions) loadKept(ctx context.Context, m *Module) (*artifact, wazero.CompiledModule, error) {
	name := entryName(a.engine, m.Digest)
	if art, compiled := a.fromDisk(name, m.Digest); art != nil {
		return art, compiled, nil
	}
	unlock, err := a.lockEntry(ctx, name, len(m.Bytes))
	switch {
	case err == nil:
		defer unlock()
	case ctx.Err() != nil:
		return nil, nil, err
	default:
		a.log.Warn("compile cache cannot be locked, so a module may be compiled twice", "error", err)
	}
	if art, compiled := a.fromDisk(name, m.Digest); art != nil {
		return art, compiled, nil
	}
	art, err := a.admit(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	if err := a.disk.put(name, art.encode()); err != nil {
		a.log.Warn("compiled module not kept", "module", hexOf(m.Digest), "error", err)
	}
	compiled, err := a.compile(art)
	return art, compiled, err
}

// lockEntry waits no longer than an admission may take: a process that was stopped, as by Ctrl-Z, keeps its locks for as long as it is.
func (a *admissions) lockEntry(ctx context.Context, name string, size int) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(a.patient, limitsFor(size).wall), errLockHeld)
	defer cancel()
	return a.disk.lock(ctx, name)
}

// errLockHeld is that another process holds the lock of an entry, and has no end.
var errLockHeld = errors.New("another process holds the lock of its entry for longer than an admission may take")

// fromDisk returns what the cache has, or nil. An entry that cannot be used for any reason is removed, and a changed one is reported.
func (a *admissions) fromDisk(name string, digest [32]byte) (*artifact, wazero.CompiledModule) {
	payload, err := a.disk.get(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var art *artifact
		if art, err = a.decode(payload, digest); err == nil {
			var m wazero.CompiledModule
			if m, err = a.compile(art); err == nil {
				a.cacheHits.Add(1)
				return art, m
			}
		}
	}
	a.cacheRejects.Add(1)
	a.log.Warn("entry of the compile cache not used: the module is compiled again", "module", hexOf(digest), "entry", name, "error", err)
	if err := a.disk.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("entry of the compile cache cannot be removed", "entry", name, "error", err)
	}
	return nil, nil
}

// decode reads an artifact that was made elsewhere or earlier, and checks that it is of this engine and module, and that its
// imports are still those that this host has.
func (a *admissions) decode(payload []byte, digest [32]byte) (*artifact, error) {
	art, err := decodeArtifact(payload)
	switch {
	case err != nil:
		return nil, err
	case art.engine != a.engine:
		return nil, errors.New("made by another version of this program")
	case art.digest != digest:
		return nil, errors.New("made of another module")
	}
	if len(art.machine) > 0 {
		if err := checkMachine(art.machineName, art.machine, art.facts.functions); err != nil {
			return nil, err
		}
	}
	for _, im := range art.facts.imports {
		if err := checkImport(a.host, im.Module, im.Name, im.Type); err != nil {
			return nil, err
		}
	}
	return art, nil
}

// admit makes the artifact, when its turn has come.
func (a *admissions) admit(ctx context.Context, m *Module) (art *artifact, err error) {
	leave, err := a.turns.enter(ctx, m.Tenant, len(m.Bytes))
	if err != nil {
		return nil, err
	}
	defer leave()
	a.admitted.Add(1)
	begun := time.Now()
	defer func() {
		if err == nil {
			a.log.Info("module compiled", "module", hexOf(m.Digest), "bytes", len(m.Bytes), "ms", time.Since(begun).Milliseconds())
		}
	}()
	if len(a.child) > 0 {
		return a.admitInChild(ctx, m.Digest, m.Bytes)
	}
	if art, err = admitModule(a.host, m.Digest, m.Bytes); err != nil || a.disk == nil {
		return art, err
	}
	dir, err := a.tempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	art.engine = a.engine
	if err := compileApart(ctx, dir, art); err != nil {
		return nil, err
	}
	return art, hollowOut(ctx, dir, art)
}

// compile makes art's module in the sandbox's runtime: from its machine code, which costs some tenth of compiling, where it has that.
func (a *admissions) compile(art *artifact) (wazero.CompiledModule, error) {
	defer art.settle()
	if len(art.machine) == 0 {
		return compileCode(context.Background(), a.runtime, art.code)
	}
	a.placing.Lock()
	defer a.placing.Unlock()
	name := filepath.Join(a.dir, filepath.FromSlash(art.machineName))
	if err := errors.Join(makeOwn(a.dir), makeOwn(filepath.Dir(name))); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, cacheFileMode)
	if err != nil {
		return nil, err
	}
	defer os.Remove(name)
	defer file.Close()
	if _, err := file.Write(art.machine); err != nil {
		return nil, err
	}
	m, err := compileCode(context.Background(), a.runtime, art.code)
	if err == nil && !isAlone(file, name) {
		// Wazero did not find the machine code, or did not like it, and compiled the hollow module, every function of which traps.
		return nil, errors.Join(errNotPlaced, m.Close(context.Background()), os.RemoveAll(filepath.Dir(name)))
	}
	return m, err
}

// errNotPlaced is that somebody took the machine code away before wazero read it.
var errNotPlaced = errors.New("sandbox: machine code was not found where it had been written")

// isAlone says whether name is the open file and nothing else is in its folder: when wazero compiles, it writes what it compiled there, in the place of a file that it
// did not take.
func isAlone(file *os.File, name string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Lstat(name)
	if err != nil || !os.SameFile(opened, now) {
		return false
	}
	all, err := os.ReadDir(filepath.Dir(name))
	return err == nil && len(all) == 1
}

// tempDir makes an empty folder for the compiler's file.
func (a *admissions) tempDir() (string, error) {
	if err := makeOwn(a.dir); err != nil {
		return "", err
	}
	return os.MkdirTemp(a.dir, "admit-")
}

// makeOwn makes a folder for this user alone, unless it is there. Systems clear old things out of the folder for temporary ones while a worker runs, and whoever
// then makes one of the same name must not get machine code of ours to change.
func makeOwn(dir string) error {
	if err := os.Mkdir(dir, cacheDirMode); !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir) // a link may lead elsewhere the next time
	if err != nil {
		return err
	}
	if !info.IsDir() || !ownedByUs(info) || modesMean && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("sandbox: %s: not a folder of this user alone", dir)
	}
	return nil
}

func hexOf(digest [32]byte) string { return fmt.Sprintf("%x", digest) }
