package gobuild_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/sdk/gobuild"
)

const goodSource = `package main

//go:wasmexport caisson_run
func run() int32 { return 0 }

func main() {}
`

// source makes a folder with a module of its own, outside this one, and returns it.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/task\n\ngo 1.26\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuild(t *testing.T) {
	// Two folders with the same source: the bytes must not depend on where they are.
	var modules [2][]byte
	for i := range modules {
		out := filepath.Join(t.TempDir(), "task.wasm")
		if err := gobuild.Build(t.Context(), source(t, map[string]string{"main.go": goodSource}), out); err != nil {
			t.Fatal(err)
		}
		module, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		modules[i] = module
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
			t.Errorf("beside the module: %v, %v", entries, err)
		}
	}
	if !bytes.Equal(modules[0], modules[1]) {
		t.Errorf("two builds differ: %d and %d bytes", len(modules[0]), len(modules[1]))
	}
	if !bytes.Contains(modules[0], []byte("caisson_run")) || !bytes.Contains(modules[0], []byte("_initialize")) {
		t.Error("the module is not a reactor with caisson_run")
	}
}

// The folder may be inside this module, and be named relative to the working folder.
func TestBuildHere(t *testing.T) {
	t.Chdir("..")
	out := filepath.Join(t.TempDir(), "task.wasm")
	if err := gobuild.Build(t.Context(), filepath.Join("gobuild", "testdata", "here"), out); err != nil {
		t.Fatal(err)
	}
}

// The module can be named relative to the working folder, which is not the one that go runs in.
func TestBuildRelativeOut(t *testing.T) {
	dir := source(t, map[string]string{"main.go": goodSource})
	t.Chdir(t.TempDir())
	if err := gobuild.Build(t.Context(), dir, "task.wasm"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("task.wasm"); err != nil {
		t.Error(err)
	}
}

func TestBuildFaults(t *testing.T) {
	rows := []struct {
		name, source, want string
	}{
		{"does not compile", "package main\n\nfunc main() { return 1 }\n", "main.go:3:22: too many return values"},
		{"does not parse", "package main\n\nfunc main( {}\n", "main.go:3:12: syntax error"},
		{"not a command", "package task\n", "main"},
		{"unknown import", "package main\n\nimport _ \"example.com/none\"\n\nfunc main() {}\n", "example.com/none"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "task.wasm")
			if err := os.WriteFile(out, []byte("the older one"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := gobuild.Build(t.Context(), source(t, map[string]string{"main.go": row.source}), out, "GOPROXY=off")
			var fault *gobuild.BuildError
			if !errors.As(err, &fault) || fault.Code() != "build.failed" || !strings.Contains(fault.Error(), row.want) {
				t.Fatalf("got %v", err)
			}
			if old, err := os.ReadFile(out); err != nil || string(old) != "the older one" {
				t.Errorf("the older module is gone: %q, %v", old, err)
			}
		})
	}
}

func TestBuildFolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(goodSource), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, dir, want string }{
		{"none", filepath.Join(t.TempDir(), "none"), "does not exist"},
		{"file", file, "is not a folder"},
		{"no source", t.TempDir(), "holds no Go files"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := gobuild.Build(t.Context(), row.dir, filepath.Join(t.TempDir(), "task.wasm"))
			var fault *gobuild.DirError
			if !errors.As(err, &fault) || fault.Code() != "build.folder" || !strings.Contains(fault.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := gobuild.Build(t.Context(), source(t, map[string]string{"main.go": goodSource}), filepath.Join(file, "task.wasm")); err == nil {
		t.Error("a module inside a file was built")
	}
}

func TestBuildEnds(t *testing.T) {
	dir := source(t, map[string]string{"main.go": goodSource})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := gobuild.Build(ctx, dir, filepath.Join(t.TempDir(), "task.wasm")); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// fakeGo puts a go command on PATH that is a shell script, and returns a folder to build.
func fakeGo(t *testing.T, script string) string {
	t.Helper()
	if goruntime.GOOS == "windows" {
		t.Fatal("this test needs a POSIX shell")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return source(t, map[string]string{"main.go": goodSource})
}

func TestBuildIsInterrupted(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	ended := started + " and ended"
	dir := fakeGo(t, "trap ': >\""+ended+"\"; exit 1' INT\n: >"+started+"\nwhile :; do sleep 0.01; done\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- gobuild.Build(ctx, dir, filepath.Join(t.TempDir(), "task.wasm")) }()
	waitFor(t, started)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("the go command could not clean up: %v", err)
	}
}

// waitFor returns when the file is there: the process on the other side has no other way to say so.
func waitFor(t *testing.T, file string) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case <-poll.C:
			if _, err := os.Stat(file); err == nil {
				return
			}
		case <-deadline.C:
			t.Fatalf("%s is not there after 30 s", file)
		}
	}
}

func TestBuildOutputIsBounded(t *testing.T) {
	dir := fakeGo(t, "i=0; while [ $i -lt 3000 ]; do echo 'main.go:1:1: a fault that is said again and again'; i=$((i+1)); done; exit 1\n")
	err := gobuild.Build(t.Context(), dir, filepath.Join(t.TempDir(), "task.wasm"))
	var fault *gobuild.BuildError
	if !errors.As(err, &fault) || len(fault.Output) > 65<<10 || !strings.HasSuffix(fault.Output, "(more output was dropped)") {
		t.Errorf("got %T with %d bytes", err, len(err.Error()))
	}
}

func TestBuildIsNoModule(t *testing.T) {
	for name, script := range map[string]string{
		"nothing":      "exit 0\n",
		"other bytes":  `while [ "$1" != -o ]; do shift; done; echo "!<arch> not a module" >"$2"` + "\n",
		"too short":    `while [ "$1" != -o ]; do shift; done; : >"$2"` + "\n",
		"silent fault": "exit 3\n",
	} {
		t.Run(name, func(t *testing.T) {
			err := gobuild.Build(t.Context(), fakeGo(t, script), filepath.Join(t.TempDir(), "task.wasm"))
			var fault *gobuild.BuildError
			if !errors.As(err, &fault) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSources(t *testing.T) {
	dir := source(t, map[string]string{
		"main.go":        "package main\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.com/task/part\"\n)\n\n//go:embed data/words.txt\nvar words string\n\nfunc main() { println(words) }\n",
		"part/part.go":   "package part\n",
		"data/words.txt": "words\n",
	})
	got, err := gobuild.Sources(t.Context(), dir)
	want := []string{dir, filepath.Join(dir, "data", "words.txt"), filepath.Join(dir, "go.mod"), filepath.Join(dir, "part")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
	var fault *gobuild.BuildError
	if _, err := gobuild.Sources(t.Context(), source(t, map[string]string{"main.go": "package main\n\nimport _ \"example.com/none\"\n"}), "GOPROXY=off"); !errors.As(err, &fault) {
		t.Errorf("unknown import: %v", err)
	}
	var folder *gobuild.DirError
	if _, err := gobuild.Sources(t.Context(), t.TempDir()); !errors.As(err, &folder) {
		t.Errorf("no source: %v", err)
	}
}

// A task outside of this repository builds against a checkout of it, as docs/start.md does.
func TestBuildAgainstCheckout(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/task\n\ngo 1.26.0\n\nrequire github.com/caisson-run/caisson v0.0.0\n\nreplace github.com/caisson-run/caisson => " + root + "\n",
		"main.go": `package main

import (
	"context"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() {
	guest.Handle(func(_ context.Context, in string) (string, error) { return in, nil })
}

func main() { guest.Main() }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := gobuild.Build(t.Context(), dir, filepath.Join(t.TempDir(), "task.wasm"), "GOPROXY=off"); err != nil {
		t.Error(err)
	}
}
