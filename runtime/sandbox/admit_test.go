package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/hashicorp/go-hclog"
)

// admitArgument makes this test program an admission process; TestMain looks for it.
const admitArgument = "sandbox-admit"

// admitSelf is the command line of such a process.
func admitSelf() []string { return []string{os.Args[0], admitArgument} }

// loadArgument makes it a worker that loads the module on its stdin from the cache in the folder that follows, and prints its stats.
const loadArgument = "sandbox-load"

// asOtherProcess does what the arguments of this test program ask for, if they are one of the above.
func asOtherProcess() (status int, asked bool) {
	if len(os.Args) < 2 {
		return 0, false
	}
	var err error
	switch os.Args[1] {
	case admitArgument:
		err = sandbox.ServeAdmission(context.Background(), os.Stdin, os.Stdout)
	case loadArgument:
		err = loadAndPrint(os.Args[2])
	default:
		other, ok := otherProcesses[os.Args[1]]
		if !ok {
			return 0, false
		}
		err = other()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

func loadAndPrint(dir string) error {
	wasm, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	h, err := host.New(host.Config{KV: newKV()})
	if err != nil {
		return err
	}
	defer h.Close()
	s, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, CacheDir: dir, Admit: admitSelf()})
	if err != nil {
		return err
	}
	defer s.Close(context.Background())
	p, err := s.Load(context.Background(), module(wasm))
	if err != nil {
		return err
	}
	if out := p.Run(context.Background(), sandbox.Job{}); out.Verdict != sandbox.Done {
		return fmt.Errorf("%+v", out)
	}
	return json.NewEncoder(os.Stdout).Encode(s.Stats())
}

// openKept opens a sandbox that admits as c says.
func openKept(tb testing.TB, c sandbox.Config) *sandbox.Sandbox {
	tb.Helper()
	h, err := host.New(host.Config{KV: newKV()})
	if err != nil {
		tb.Fatal(err)
	}
	c.Host = h
	s, err := sandbox.Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		h.Close()
	})
	return s
}

// answer is a module that does nothing and is done.
var answer = assemble(nil, "\x41\x00\x0b")

// allocated is all that this process has allocated so far, in bytes.
func allocated() uint64 {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.TotalAlloc
}

// TestKept: a module is compiled once, whoever admits it, and is then taken from the disk, where it runs as it did before.
func TestKept(t *testing.T) {
	if unraced(t) {
		return
	}
	wasm := goGuest(t, "reactor")
	for name, admit := range map[string][]string{"here": nil, "in a child": admitSelf()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, want := range []sandbox.Stats{{Compiles: 1}, {CacheHits: 1}, {CacheHits: 1}} {
				s := openKept(t, sandbox.Config{CacheDir: dir, Admit: admit})
				p := load(t, s, module(wasm, reactorNeeds...))
				check(t, p.Run(context.Background(), sandbox.Job{Input: []byte("echo hello")}), expect{sandbox.Done, "", "hello", ""})
				if got := s.Stats(); got.Compiles != want.Compiles || got.CacheHits != want.CacheHits || got.CacheRejects != 0 || got.Costly != 0 {
					t.Errorf("%+v, want %+v", got, want)
				}
				if got := p.Facts(); got.Form != "reactor" || got.Functions < 100 || len(got.Imports) < 10 {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}

// TestChangedEntry: an entry of which a byte was changed does not run. It is reported, compiled again and replaced.
func TestChangedEntry(t *testing.T) {
	dir := t.TempDir()
	open := func(log io.Writer) *sandbox.Sandbox {
		return openKept(t, sandbox.Config{CacheDir: dir, Logger: hclog.New(&hclog.LoggerOptions{Output: log})})
	}
	load(t, open(io.Discard), module(answer))
	entries, err := filepath.Glob(filepath.Join(dir, "*.module"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	good, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"seal": 0, "head": 32, "middle": len(good) / 2, "end": len(good) - 1} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[at] ^= 0x10
			if err := os.WriteFile(entries[0], bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := open(&log)
			check(t, load(t, s, module(answer)).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
			if got := s.Stats(); got.Compiles != 1 || got.CacheRejects != 1 || got.CacheHits != 0 {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(log.String(), "[WARN]") || !strings.Contains(log.String(), "its seal does not hold") ||
				!strings.Contains(log.String(), strings.TrimSuffix(filepath.Base(entries[0]), ".module")) {
				t.Errorf("logged %q", log.String())
			}
			if now, err := os.ReadFile(entries[0]); err != nil || !bytes.Equal(now, good) {
				t.Errorf("the entry was not replaced by what it was: %v", err)
			}
		})
	}
}

// TestTwoWorkersCompileOnce: of two processes that need a module at once, one compiles it and the other takes what it kept.
func TestTwoWorkersCompileOnce(t *testing.T) {
	dir := t.TempDir()
	wasm := assemble(nil, strings.Repeat("\x41\x00\x1a", 200_000)+"\x41\x00\x0b")
	release := openKept(t, sandbox.Config{CacheDir: dir}).LockEntry(t, module(wasm).Digest) // so that neither is done before the other has begun
	var workers []*exec.Cmd
	for range 2 {
		w := exec.Command(os.Args[0], loadArgument, dir)
		w.Stdin, w.Stdout, w.Stderr = bytes.NewReader(wasm), &bytes.Buffer{}, os.Stderr
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		workers = append(workers, w)
	}
	release()
	var sum sandbox.Stats
	for _, w := range workers {
		var s sandbox.Stats
		if err := w.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(w.Stdout.(*bytes.Buffer).Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		sum.Compiles += s.Compiles
		sum.CacheHits += s.CacheHits
	}
	if sum.Compiles != 1 || sum.CacheHits != 1 {
		t.Errorf("together %+v, want one compile and one hit", sum)
	}
}

// TestStoppedHolder: a process that was stopped while it admits, as by Ctrl-Z, keeps the lock. Others do not wait for it for ever: they say so and compile the module
// themselves.
func TestStoppedHolder(t *testing.T) {
	dir := t.TempDir()
	defer openKept(t, sandbox.Config{CacheDir: dir}).LockEntry(t, module(answer).Digest)()
	var log bytes.Buffer
	s := openKept(t, sandbox.Config{CacheDir: dir, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	s.PatientWithLocks(10 * time.Millisecond)
	check(t, load(t, s, module(answer)).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
	if got := s.Stats(); got.Compiles != 1 || !strings.Contains(log.String(), "[WARN]") || !strings.Contains(log.String(), "another process holds the lock") {
		t.Errorf("%+v, logged %q", got, log.String())
	}
}

// TestCacheThatCannotBeUsed is an error of Open, and says which.
func TestCacheThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, CacheDir: file}); err == nil || !strings.Contains(err.Error(), "CacheDir") {
		t.Error(err)
	}
}

// TestNoAdmissionProcess: what is no admission process is a fault of ours and no refusal of the module, and does not hold us up.
func TestNoAdmissionProcess(t *testing.T) {
	shell := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for name, command := range map[string][]string{
		"not there":        {"/does/not/exist"},
		"ends at once":     shell("exit 0"),
		"fails":            shell("exit 1"),
		"says other":       shell("echo hello, world, this is another program"),
		"says much":        shell("while :; do echo hello, world; done"),
		"complains much":   shell("i=0; while [ $i -lt 10000 ]; do echo complaint >&2; i=$((i+1)); done; exit 1"),
		"leaves one alone": shell("sleep 600 & echo hello, world, this is another program"),
	} {
		t.Run(name, func(t *testing.T) {
			s := openKept(t, sandbox.Config{Admit: command})
			_, err := s.Load(context.Background(), module(answer))
			if err == nil || errors.As(err, new(*sandbox.AdmissionError)) || !strings.Contains(err.Error(), "admission process") {
				t.Errorf("%v", err)
			}
			if got := s.Stats(); got.Costly != 0 || got.Modules != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAdmissionSeesNoEnvironment: a secret of the worker's is not there, whatever the compiler may be made to do.
func TestAdmissionSeesNoEnvironment(t *testing.T) {
	t.Setenv("CAISSON_TEST_SECRET", "hunter2")
	var log bytes.Buffer
	s := openKept(t, sandbox.Config{Admit: []string{"/bin/sh", "-c", `echo "secret=$CAISSON_TEST_SECRET home=$HOME." >&2`}, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if _, err := s.Load(context.Background(), module(answer)); err == nil {
		t.Error("loaded")
	}
	if !strings.Contains(log.String(), "secret= home=.") {
		t.Errorf("logged %q", log.String())
	}
}

// TestCloseEndsAdmission: the process does not outlive the sandbox, and Load answers.
func TestCloseEndsAdmission(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, Admit: admitSelf()})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	s.AdmissionStarts(func() { close(started) })
	loaded := make(chan error)
	go func() {
		_, err := s.Load(context.Background(), module(bombLoops(50, 1000)))
		loaded <- err
	}()
	<-started
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-loaded; err == nil || errors.As(err, new(*sandbox.AdmissionError)) {
		t.Errorf("%v", err)
	}
}

// TestAdmissionIsFair: while a hostile large module is being admitted, a small one of another tenant is admitted meanwhile, and so is another small one that a tenant with
// a small bomb does not hold up.
func TestAdmissionIsFair(t *testing.T) {
	s := openKept(t, sandbox.Config{Admit: admitSelf(), CacheDir: t.TempDir()})
	large := module(slices.Concat(bombLoops(50, 1000), section(0, str("fill"), make([]byte, 5<<20))))
	small := module(bombParams(35, 1000))
	hostile := make(chan error, 4)
	started := make(chan struct{}, 4)
	s.AdmissionStarts(func() { started <- struct{}{} })
	for i, m := range []sandbox.Module{large, small} {
		m.Tenant = "hostile"
		go func() {
			_, err := s.Load(context.Background(), m)
			hostile <- err
		}()
		<-started
		began := time.Now()
		honest := module(assemble(nil, strings.Repeat("\x01", 1+i)+"\x41\x00\x0b"))
		honest.Tenant = "honest"
		check(t, load(t, s, honest).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
		<-started
		t.Logf("admitted and run in %s", time.Since(began))
	}
	select {
	case err := <-hostile:
		t.Errorf("a bomb was over meanwhile: %v", err)
	default: // the cleanup ends them
	}
}

// TestOrphan: the process ends when its worker is gone, which is when its stdin ends.
func TestOrphan(t *testing.T) {
	c := exec.Command(os.Args[0], admitArgument)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(sandbox.AdmitRequest(1<<30, time.Minute, t.TempDir(), bombLoops(50, 1000))); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 16)); err != nil { // its hello: it has begun
		t.Fatal(err)
	}
	in.Close()
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v", err)
	}
}

// TestBombs: a module that takes its compiler too much costs the process that admits it. The worker answers, and its own memory stays.
func TestBombs(t *testing.T) {
	tests := []struct {
		name, text string
		wasm       []byte
		memory     uint64
		cpu, wall  time.Duration
	}{
		{"time in loops", "more than 1s of CPU time", bombLoops(50, 1000), 1 << 30, time.Second, time.Minute},
		{"time in parameters", "more than 1s of CPU time", bombParams(35, 1000), 1 << 30, time.Second, time.Minute},
		{"memory in branches", "more than 96 MiB of memory", bombIfs(1200, 1200), 96 << 20, 10 * time.Minute, 20 * time.Minute},
		{"deadline", "more than 300ms on this machine", bombLoops(50, 1000), 1 << 30, time.Minute, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openKept(t, sandbox.Config{Admit: admitSelf(), CacheDir: t.TempDir()})
			s.BoundAdmission(tt.memory, tt.cpu, tt.wall)
			before := allocated()
			if code, text := refused(t, s, module(tt.wasm)); code != "module.costly" || !strings.Contains(text, tt.text) {
				t.Errorf("%s: %s, want %q", code, text, tt.text)
			}
			if grown := allocated() - before; grown > 16<<20 {
				t.Errorf("this process allocated %d MiB", grown>>20)
			}
			if got := s.Stats(); got.Costly != 1 || got.Compiles != 1 {
				t.Errorf("%+v", got)
			}
			check(t, load(t, s, module(answer)).Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
		})
	}
}

// BenchmarkLoadWarm loads a standard-Go guest from the cache, in a sandbox opened anew each time, as a worker's start does.
func BenchmarkLoadWarm(b *testing.B) {
	wasm, dir := goGuest(b, "reactor"), b.TempDir()
	h, err := host.New(host.Config{KV: newKV()})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	once := func() sandbox.Stats {
		s, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close(context.Background())
		load(b, s, module(wasm, reactorNeeds...))
		return s.Stats()
	}
	once()
	b.ReportMetric(float64(len(wasm)), "module-bytes")
	for b.Loop() {
		if once().CacheHits != 1 {
			b.Fatal("not from the cache")
		}
	}
}

// TestTemporaryFolderCleared: a system that clears old temporary things away does not keep modules from being loaded, and who makes the folder in our place is not trusted.
func TestTemporaryFolderCleared(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s := openKept(t, sandbox.Config{CacheDir: t.TempDir()})
	own, err := filepath.Glob(filepath.Join(temp, "caisson-sandbox-*[0-9]"))
	if err != nil || len(own) != 1 {
		t.Fatal(own, err)
	}
	try := func(start string) error { // another module each time
		_, err := s.Load(context.Background(), module(assemble(nil, start+"\x41\x00\x0b")))
		return err
	}
	remove := func() {
		if err := os.RemoveAll(own[0]); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	if err := try("\x01"); err != nil {
		t.Error(err)
	}
	remove()
	if err := os.Symlink(t.TempDir(), own[0]); err != nil {
		t.Fatal(err)
	}
	if err := try("\x01\x01"); err == nil || !strings.Contains(err.Error(), "not a folder of this user alone") {
		t.Error(err)
	}
	remove()
	if err := os.Mkdir(own[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(own[0], 0o777); err != nil {
		t.Fatal(err)
	}
	if err := try("\x01\x01\x01"); err == nil || !strings.Contains(err.Error(), "not a folder of this user alone") {
		t.Error(err)
	}
	remove()
}
