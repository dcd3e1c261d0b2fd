package caisson_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codeText finds a refusal's code in Go source: a whole string literal of a family and a name.
var codeText = regexp.MustCompile(`"((?:envelope|key|policy|release|module|capability|queue|worker|limit|task|sandbox)\.[a-z][a-z_]*)"`)

// notCodes are literals of that shape that are something else: file names and keys of files.
var notCodes = map[string]bool{"policy.toml": true, "task.toml": true, "worker.toml": true, "worker.key": true, "module.wasm": true, "worker.pass": true}

// TestRefusalsAreListed holds docs/reference/refusals.md against the code: each code that a room can give is
// listed, each that is listed exists, and each stands in a test that produces it.
func TestRefusalsAreListed(t *testing.T) {
	page, err := os.ReadFile("docs/reference/refusals.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if listed[m[1]] {
			t.Errorf("refusals.md lists %s twice", m[1])
		}
		listed[m[1]] = true
	}
	inCode, inTests := codesInSource(t)
	for _, code := range slices.Sorted(maps.Keys(inCode)) {
		if !listed[code] {
			t.Errorf("%s: %s is not listed in docs/reference/refusals.md", inCode[code], code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(listed)) {
		if inCode[code] == "" {
			t.Errorf("refusals.md lists %s, which no room gives", code)
		}
		if !inTests[code] {
			t.Errorf("%s stands in no test that produces it", code)
		}
	}
}

// codesInSource returns the codes of non-test files with the file that holds them, and those named in tests.
func codesInSource(t *testing.T) (inCode map[string]string, inTests map[string]bool) {
	inCode, inTests = map[string]string{}, map[string]bool{}
	names := map[string]string{} // constant name -> code, so that a test may use the constant
	constant := regexp.MustCompile(`\b(Code[A-Z]\w*)\s*=\s*` + codeText.String())
	var tests []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".txtar") || strings.Contains(path, "queuetest/"):
			text, err := os.ReadFile(path)
			tests = append(tests, string(text))
			return err
		case !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "bench/") || strings.HasPrefix(path, "examples/"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range codeText.FindAllStringSubmatch(string(text), -1) {
			if !notCodes[m[1]] && !strings.HasPrefix(path, filepath.Join("cmd", "caisson", "demo")) {
				inCode[m[1]] = path
			}
		}
		for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = m[2]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	bare := regexp.MustCompile(`\b(?:envelope|key|policy|release|module|capability|queue|worker|limit|task|sandbox)\.[a-z][a-z_]*\b`)
	word := regexp.MustCompile(`\bCode[A-Z]\w*\b`)
	for _, text := range tests {
		for _, code := range bare.FindAllString(text, -1) {
			inTests[code] = true
		}
		for _, name := range word.FindAllString(text, -1) {
			if code := names[name]; code != "" {
				inTests[code] = true
			}
		}
	}
	return inCode, inTests
}
