package gobuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
)

// Build compiles the main package in the folder dir to the module file out. The folder of out must exist; out appears
// whole or not at all, and an older one stays when the build fails. env holds more environment, as "KEY=value", which
// wins over the caller's but not over what makes the build a task.
// Two builds at the same time are fine.
// Errors: *DirError, *MissingError, *BuildError (the source does not compile), *TimeError, ctx's cause, or an error of
// the file system about out.
func Build(ctx context.Context, dir, out string, env ...string) error {
	if err := checkDir(dir); err != nil {
		return err
	}
	command, err := Find()
	if err != nil {
		return err
	}
	out, err = filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("gobuild: %w", err)
	}
	folder, err := os.MkdirTemp(filepath.Dir(out), ".build-")
	if err != nil {
		return fmt.Errorf("gobuild: %w", err)
	}
	defer os.RemoveAll(folder)
	fresh := filepath.Join(folder, "task.wasm")
	output := &keeper{sizeMax: outputSizeMax}
	err = run(ctx, dir, env, output, output, command, "build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath",
		"-ldflags=-s -w -buildid=", "-o", fresh, ".")
	if err != nil {
		return err
	}
	if err := checkModule(dir, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, out); err != nil {
		return fmt.Errorf("gobuild: %w", err)
	}
	return nil
}

// Find returns the path of the go command: the one on PATH, else in GOROOT, else where Go's installer puts it.
// Errors: *MissingError.
func Find() (string, error) {
	if path, err := exec.LookPath("go"); err == nil {
		// A relative path would change its meaning with the folder that go runs in.
		if path, err = filepath.Abs(path); err == nil {
			return path, nil
		}
	}
	var roots []string
	if root := os.Getenv("GOROOT"); root != "" {
		roots = append(roots, root)
	}
	if goruntime.GOOS == "windows" {
		roots = append(roots, `C:\Program Files\Go`)
	} else {
		roots = append(roots, installRoot)
	}
	for _, root := range roots {
		if path, err := exec.LookPath(filepath.Join(root, "bin", "go")); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", &MissingError{Looked: roots}
}

// installRoot is where Go's installer puts it. A variable, so that a test can be without Go.
// Source: https://go.dev/doc/install
var installRoot = "/usr/local/go"

// checkDir tells a missing folder apart from a fault of the source, and does so without the toolchain.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &DirError{Dir: dir, Text: "does not exist"}
	case err != nil:
		return fmt.Errorf("gobuild: %w", err)
	case !info.IsDir():
		return &DirError{Dir: dir, Text: "is not a folder; give the folder of the task's package"}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("gobuild: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return filepath.Ext(e.Name()) == ".go" }) {
		return &DirError{Dir: dir, Text: "holds no Go files"}
	}
	return nil
}

// run runs the go command in dir, for the platform of tasks.
// Errors: *BuildError with what it wrote to faults, *TimeError, ctx's cause.
func run(ctx context.Context, dir string, env []string, output, faults *keeper, command string, args ...string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, TimeMax, &TimeError{Dir: dir})
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	// The caller's environment holds where caches and modules are. The last of equal keys wins.
	cmd.Env = append(append(os.Environ(), env...), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = output, faults
	// An interrupted go command ends its compilers and removes its work folder; a killed one does neither.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopMax
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return &BuildError{Dir: dir, Output: faults.text(), Err: err}
	}
	return nil
}

// checkModule looks whether what was built is a module at all: with an odd GOFLAGS the toolchain can succeed and
// write something else.
func checkModule(dir, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return &BuildError{Dir: dir, Output: "the go command succeeded but wrote no module", Err: err}
	}
	defer file.Close()
	var first [8]byte
	if _, err := file.Read(first[:]); err != nil || string(first[:]) != "\x00asm\x01\x00\x00\x00" {
		return &BuildError{Dir: dir, Output: "the go command succeeded but what it wrote is not a WebAssembly module", Err: err}
	}
	return nil
}

// A keeper is a Writer that keeps the first sizeMax bytes.
type keeper struct {
	sizeMax int
	kept    []byte
	more    bool
}

func (k *keeper) Write(p []byte) (int, error) {
	take := min(len(p), k.sizeMax-len(k.kept))
	k.kept = append(k.kept, p[:take]...)
	k.more = k.more || take < len(p)
	return len(p), nil
}

func (k *keeper) text() string {
	text := strings.TrimSpace(string(k.kept))
	if k.more {
		text += "\n(more output was dropped)"
	}
	return text
}
