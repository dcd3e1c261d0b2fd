package wasm

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// specDir is where the engine keeps the specification's test suite of core 2.0.
func specDir(tb testing.TB) string {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "internal/integration_test/spectest/v2/testdata")
}

// specCommand is what the suite says of one module.
type specCommand struct {
	Type       string // "module", "assert_malformed", "assert_invalid", ...
	Filename   string
	Text       string // why it is malformed or invalid
	ModuleType string `json:"module_type"` // "binary" or "text"; "" is binary
}

// specModules calls f with every binary module of the suite.
func specModules(tb testing.TB, f func(c specCommand, code []byte)) {
	tb.Helper()
	dir := specDir(tb)
	lists, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, list := range lists {
		var suite struct{ Commands []specCommand }
		text, err := os.ReadFile(list)
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(text, &suite); err != nil {
			tb.Fatal(err)
		}
		for _, c := range suite.Commands {
			if c.Filename == "" || c.ModuleType == "text" {
				continue
			}
			code, err := os.ReadFile(filepath.Join(dir, c.Filename))
			if err != nil {
				tb.Fatal(err)
			}
			f(c, code)
		}
	}
}

func TestSpec(t *testing.T) {
	counts := map[string]int{}
	specModules(t, func(c specCommand, code []byte) {
		_, err := Read(code, anyImport)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		key := c.Type
		if c.Type == "assert_invalid" || c.Type == "assert_malformed" {
			key += " " + c.Text
		}
		if err == nil {
			key += " ACCEPTED"
		} else {
			key += " REFUSED " + e.Code
		}
		counts[key]++
		if c.Type[0] != 'a' && err != nil && e.Code != "module.shape" || c.Type == "assert_malformed" && err == nil {
			t.Log(c.Type, c.Filename, c.Text, err)
		}
	})
	for k, n := range counts {
		t.Log(n, k)
	}
}
