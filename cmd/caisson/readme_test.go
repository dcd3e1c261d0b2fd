package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

// TestReadme holds what README.md shows against what is: the demo's rows, and a task that builds under a manifest
// that parses.
func TestReadme(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	check(t, err)
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	check(t, err)
	row := regexp.MustCompile(`(?m)^(.+?) {2,}(\S+) {2,}(\S+)$`)
	shown := map[string][2]string{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		shown[m[1]] = [2]string{m[2], m[3]}
	}
	for _, trial := range (&trials{}).list() {
		if got, want := shown[trial.name], [2]string{trial.outcome, trial.code}; got != want {
			t.Errorf("README.md shows %q as %v, the demo expects %v", trial.name, got, want)
		}
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile("(?ms)^```(go|toml)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		blocks[m[1]] = m[2]
	}
	if _, err := manifest.Parse("task.toml", []byte(blocks["toml"])); err != nil {
		t.Errorf("the manifest on the page: %v", err)
	}
	dir := t.TempDir()
	module := "module example.com/upper\n\ngo 1.26.0\n\nrequire github.com/caisson-run/caisson v0.0.0\n\nreplace github.com/caisson-run/caisson => " + root + "\n"
	check(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(blocks["go"]), 0o644))
	if err := gobuild.Build(t.Context(), dir, filepath.Join(dir, "upper.wasm")); err != nil {
		t.Errorf("the task on the page: %v", err)
	}
	if !strings.Contains(string(page), "demo: 500 done, 12 refused or stopped as expected, 0 lost") {
		t.Error("the page does not show the demo's last line")
	}
}
