package sandbox_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
)

// unraced reports whether the test that calls it has been run elsewhere: under the race detector, in a process of its own without it, beside other such
// tests. It is for tests of one goroutine whose time is wazero's, compiling or computing, which the race detector makes ten times as long and has nothing to say to.
func unraced(t *testing.T) (elsewhere bool) {
	t.Helper()
	if !underRace() {
		return false
	}
	t.Parallel()
	binary, err := unracedBinary()
	if err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), binary, "-test.v", "-test.run=^"+t.Name()+"$").CombinedOutput()
	if err != nil || !bytes.Contains(said, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("without the race detector: %v\n%s", err, said)
	}
	return true
}

func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// unracedFolder is where unracedBinary puts it; TestMain removes it.
var unracedFolder string

// unracedBinary builds this test without the race detector, once.
var unracedBinary = sync.OnceValues(func() (string, error) {
	var err error
	if unracedFolder, err = os.MkdirTemp("", "caisson-unraced-"); err != nil {
		return "", err
	}
	binary := filepath.Join(unracedFolder, "sandbox.test")
	if said, err := exec.Command("go", "test", "-race=false", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build without the race detector: %w\n%s", err, said)
	}
	return binary, nil
})
