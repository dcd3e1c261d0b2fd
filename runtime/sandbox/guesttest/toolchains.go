package guesttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A toolchain is how one language becomes a module.
type toolchain struct {
	source string // path of a guest's source under testdata/guests, % being the guest
	// What a person types in a folder that holds the source and nothing else, % being the guest. The guide shows the same lines.
	command string
	reactor string
	tool    func(word string) (string, error) // where the first word of a command is
	version []string                          // arguments after the first word, to make it say its version
	uses    []string                          // files whose content is in the module too, where they exist
	env     func() ([]string, error)          // more environment
	files   map[string]string                 // more files in the folder, by name; a text that begins with -> is a link into the tools
}

var toolchains = map[string]*toolchain{
	"go": {
		source:  "go/%/main.go",
		command: "go build -trimpath -ldflags=-s -o %.wasm .",
		reactor: "go build -buildmode=c-shared -trimpath -ldflags=-s -o %.wasm .",
		tool:    onPath,
		version: []string{"version"},
		env:     fixed("GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"),
		files:   map[string]string{"go.mod": "module guest\n\ngo 1.26\n"},
	},
	"c": {
		source:  "c/%.c",
		command: "clang --target=wasm32-wasi -O2 %.c -o %.wasm",
		reactor: "clang --target=wasm32-wasi -O2 -mexec-model=reactor %.c -o %.wasm",
		tool:    onPath,
		version: []string{"--version"},
		uses:    []string{"/usr/lib/wasm32-wasi/libc.a"},
	},
	"zigcc": {
		source:  "c/%.c",
		command: "zig cc --target=wasm32-wasi -O2 -s %.c -o %.wasm",
		reactor: "zig cc --target=wasm32-wasi -O2 -s -mexec-model=reactor %.c -o %.wasm",
		tool:    inPyPI("ziglang"),
		version: []string{"version"},
		env:     zigCaches,
	},
	"rust": {
		source:  "rust/%.rs",
		command: "rustc --target wasm32-wasi -O -C strip=debuginfo %.rs -o %.wasm",
		reactor: "rustc --target wasm32-wasi -O -C strip=debuginfo --crate-type cdylib %.rs -o %.wasm",
		tool:    ofDebian,
		version: []string{"--version"},
	},
	"as": {
		source:  "as/%.ts",
		command: "node_modules/.bin/asc %.ts --config ./node_modules/@assemblyscript/wasi-shim/asconfig.json -O -o %.wasm",
		reactor: "node_modules/.bin/asc %.ts --config ./node_modules/@assemblyscript/wasi-shim/asconfig.json --exportStart _initialize -O -o %.wasm",
		tool:    inNPM,
		version: []string{"--version"},
		files:   map[string]string{"node_modules": "->node_modules"},
	},
	"zig": {
		source:  "zig/%.zig",
		command: "zig build-exe -target wasm32-wasi -O ReleaseSmall %.zig -femit-bin=%.wasm",
		reactor: "zig build-exe -target wasm32-wasi -O ReleaseSmall -fno-entry -rdynamic %.zig -femit-bin=%.wasm",
		tool:    inPyPI("ziglang"),
		version: []string{"version"},
		env:     zigCaches,
	},
}

// Command returns the line that builds a guest of the toolchain, as a person would type it beside the source.
// It panics on a toolchain that is not one of doc.go.
func Command(toolchain, guest string, reactor bool) string {
	line := toolchains[toolchain].command
	if reactor {
		line = toolchains[toolchain].reactor
	}
	return strings.ReplaceAll(line, "%", guest)
}

// A MissingError reports that a tool is not on this machine.
type MissingError struct{ Tool, Looked string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("guesttest: %s is not %s: run `make install-tools`", e.Tool, e.Looked)
}

func onPath(word string) (string, error) {
	path, err := exec.LookPath(word)
	if err != nil {
		return "", &MissingError{Tool: word, Looked: "on PATH"}
	}
	return filepath.Abs(path)
}

// ofDebian takes the distribution's tool: a rustc that rustup has put before it on PATH has no standard library for WASI.
func ofDebian(word string) (string, error) {
	path := filepath.Join("/usr/bin", word)
	if _, err := os.Stat(path); err != nil {
		return "", &MissingError{Tool: word, Looked: "in /usr/bin"}
	}
	return path, nil
}

func inPyPI(folder string) func(word string) (string, error) {
	return func(word string) (string, error) { return installed(pypiPins, filepath.Join(folder, word)) }
}

func inNPM(word string) (string, error) { return installed(npmPins, word) }

func fixed(env ...string) func() ([]string, error) {
	return func() ([]string, error) { return env, nil }
}

// zigCaches keeps what Zig compiles of its own libraries, which takes a minute, for the next time.
func zigCaches() ([]string, error) {
	cache, err := Cache()
	return []string{"ZIG_GLOBAL_CACHE_DIR=" + filepath.Join(cache, "zig"), "ZIG_LOCAL_CACHE_DIR=" + filepath.Join(cache, "zig")}, err
}
