package guesttest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// buildTimeMax bounds one build. The first of Zig compiles its C library, and the first of Go its standard library; each takes a minute.
	buildTimeMax = 10 * time.Minute
	// outputSizeMax bounds what of a compiler's complaint an error repeats, in bytes.
	outputSizeMax = 8 << 10
)

// Build returns the bytes of the guest or program name, building it if it must. It fails the test when that cannot be done.
func Build(tb testing.TB, name string) []byte {
	tb.Helper()
	wasm, err := Wasm(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

// Names lists the guests that are built from source, sorted.
func Names() []string {
	var names []string
	for name, t := range toolchains {
		found, err := fs.Glob(testdata, "testdata/guests/"+strings.ReplaceAll(t.source, "%", "*"))
		if err != nil {
			panic("internal error: " + err.Error())
		}
		before, _, _ := strings.Cut(t.source, "%")
		for _, file := range found {
			guest, _, _ := strings.Cut(strings.TrimPrefix(file, "testdata/guests/"+before), "/")
			names = append(names, name+"/"+strings.TrimSuffix(guest, path.Ext(guest)))
		}
	}
	slices.Sort(names)
	return names
}

// Reactor reports whether a guest of this name is a reactor; the others are commands.
func Reactor(name string) bool {
	return path.Base(name) != "echo" && !strings.HasPrefix(name, "programs/")
}

// Wasm returns the bytes of the guest or program name, building it if it must.
// Errors: *MissingError, ctx's, or that there is no such guest or that it does not build, with the compiler's words.
func Wasm(ctx context.Context, name string) ([]byte, error) {
	if p, ok := programs[name]; ok {
		found, err := installed(p.pins, p.file)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(found)
	}
	language, guest, _ := strings.Cut(name, "/")
	t := toolchains[language]
	if t == nil {
		return nil, fmt.Errorf("guesttest: no toolchain %q", language)
	}
	source, err := testdata.ReadFile("testdata/guests/" + strings.ReplaceAll(t.source, "%", guest))
	if err != nil {
		return nil, fmt.Errorf("guesttest: no guest %q: %w", name, err)
	}
	return Source(ctx, language, guest, Reactor(name), source)
}

// Source builds a text of the toolchain's language as a guest of that name.
// Errors: as Wasm.
func Source(ctx context.Context, language, guest string, reactor bool, source []byte) ([]byte, error) {
	t := toolchains[language]
	b := build{toolchain: t, guest: guest, source: source, line: strings.Fields(Command(language, guest, reactor))}
	var err error
	if b.tool, err = t.tool(b.line[0]); err != nil {
		return nil, err
	}
	if t.env != nil {
		if b.env, err = t.env(); err != nil {
			return nil, err
		}
	}
	building.Lock() // one compiler at a time: they are heavy, and a second caller may want the same guest
	defer building.Unlock()
	ctx, cancel := context.WithTimeout(ctx, buildTimeMax)
	defer cancel()
	out, err := b.path(ctx)
	if err != nil {
		return nil, err
	}
	wasm, err := os.ReadFile(out)
	if !errors.Is(err, fs.ErrNotExist) {
		return wasm, err
	}
	if err := b.run(ctx, out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

var (
	building sync.Mutex
	versions = map[string]string{} // what tools said, by path; under building
)

// A build is one guest on its way.
type build struct {
	*toolchain
	guest  string
	source []byte
	tool   string   // path of the compiler
	line   []string // the command, its first word being the compiler's name
	env    []string
}

// path returns where the module is or will be: a name made of all that it depends on.
func (b *build) path(ctx context.Context) (string, error) {
	said, known := versions[b.tool]
	if !known {
		text, err := exec.CommandContext(ctx, b.tool, b.version...).Output()
		if err != nil {
			return "", fmt.Errorf("guesttest: version of %s: %w", b.tool, err)
		}
		said = string(text)
		versions[b.tool] = said
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q", b.line, b.source, said, b.files)
	for _, file := range b.uses {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		fmt.Fprintf(sum, " %x", sha256.Sum256(content))
	}
	cache, err := Cache()
	return filepath.Join(cache, "built", fmt.Sprintf("%s-%.16x.wasm", b.guest, sum.Sum(nil))), err
}

// run builds in a folder of its own and puts the module to out whole, so that other processes see all of it or nothing.
func (b *build) run(ctx context.Context, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(filepath.Dir(out), ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := b.fill(folder); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.tool, b.line[1:]...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), b.env...)
	cmd.WaitDelay = time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("guesttest: %s: %w\n%s", strings.Join(b.line, " "), err, said[:min(len(said), outputSizeMax)])
	}
	return os.Rename(filepath.Join(folder, b.guest+".wasm"), out)
}

// fill writes the source and what must lie beside it.
func (b *build) fill(folder string) error {
	name := path.Base(strings.ReplaceAll(b.toolchain.source, "%", b.guest))
	if err := os.WriteFile(filepath.Join(folder, name), b.source, 0o644); err != nil {
		return err
	}
	for name, text := range b.files {
		file := filepath.Join(folder, name)
		if target, link := strings.CutPrefix(text, "->"); link {
			found, err := installed(npmPins, target)
			if err != nil {
				return err
			}
			if err := os.Symlink(found, file); err != nil {
				return err
			}
		} else if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
