package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts call this very command as `caisson`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"caisson": func() { os.Exit(Main()) }})
}

// TestScripts runs every testdata/script/*.txtar: stdout, stderr and exit status of each verb.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CHECKOUT", root)
			// The Go toolchain, for `module build`, needs its caches; nothing else of this machine is passed on.
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOPATH"} {
				e.Setenv(name, goEnv(name))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": scriptStatus},
	})
}
