package wasm

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestSpec: of the specification's modules, the gate takes those that are valid but for what a task may not have (imports other than functions),
// refuses all that are malformed, and of those that are invalid it takes only the ones whose fault is in the types of operands.
func TestSpec(t *testing.T) {
	shape := map[string]bool{ // reasons to refuse what is valid, without the names
		"imports the table": true, "imports the memory": true, "imports the global": true,
	}
	counts := map[string]int{}
	specModules(t, func(c specCommand, code []byte) {
		_, err := Read(code, anyImport)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		reason := ""
		if e != nil {
			reason, _, _ = strings.Cut(e.Reason, ` "`)
		}
		verdict := c.Type
		if verdict == "assert_invalid" {
			verdict += ", " + c.Text
		}
		switch {
		case err == nil:
			verdict += ": taken"
		case e.Code == "module.shape":
			verdict += ": refused, " + reason
		default:
			verdict += ": refused"
		}
		counts[verdict]++
		switch c.Type {
		case "module", "assert_uninstantiable", "assert_unlinkable":
			if err != nil && !(e.Code == "module.shape" && shape[reason]) {
				t.Errorf("%s is valid, but %v", c.Filename, err)
			}
		case "assert_malformed":
			if err == nil {
				t.Errorf("%s is taken: %s", c.Filename, c.Text)
			}
		case "assert_invalid":
			if err == nil && c.Text != "type mismatch" && c.Text != "invalid result arity" {
				t.Errorf("%s is taken: %s", c.Filename, c.Text)
			}
		default:
			t.Errorf("unknown command %s", c.Type)
		}
	})
	for _, verdict := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[verdict], verdict)
	}
	if counts["module: taken"] < 1500 || counts["assert_malformed: refused"] < 700 {
		t.Error("the suite is not whole")
	}
}
