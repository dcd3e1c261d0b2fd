package gobuild

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	old := installRoot
	t.Cleanup(func() { installRoot = old })
	installRoot = filepath.Join(t.TempDir(), "none")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("GOROOT", filepath.Join(t.TempDir(), "empty"))
	err := Build(t.Context(), filepath.Join("testdata", "here"), filepath.Join(t.TempDir(), "task.wasm"))
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Code() != "build.go_missing" || !strings.Contains(missing.Hint(), "install Go") {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), installRoot) || len(missing.Looked) != 2 {
		t.Errorf("does not say where it looked: %v", err)
	}
}

func TestTimeError(t *testing.T) {
	err := &TimeError{Dir: "task"}
	if err.Code() != "build.time" || err.Error() != "gobuild: task: not done within 10m0s" {
		t.Errorf("got %q, %q", err.Code(), err)
	}
}
