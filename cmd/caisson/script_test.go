package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// otherProcesses are what this test program can be besides, by its first argument. They return the exit status.
var otherProcesses = map[string]func(args []string) int{admitVerb: func([]string) int { return serveAdmission() }}

// TestMain builds the command as anybody would and puts it first on the path. It is the real binary and not this test
// under another name, so that what is tried from the outside is what people run, and so that the race detector,
// under which compiling a guest takes ten times as long, watches the tests inside the process only.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if other := otherProcesses[os.Args[1]]; other != nil {
			os.Exit(other(os.Args[2:]))
		}
	}
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "caisson-command-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(folder)
		build := exec.Command("go", "build", "-o", filepath.Join(folder, "caisson"), ".")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
			return 1
		}
		if err := keepCaches(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
		return m.Run()
	}())
}

// keepCaches gives the command a cache of compiled modules that is the tests' own and outlives them, and leaves Go's build cache, whose place follows
// from the same variable, where it is.
func keepCaches() error {
	builds, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	modules, err := guesttest.Cache()
	if err != nil {
		return err
	}
	return errors.Join(os.Setenv("GOCACHE", strings.TrimSpace(string(builds))), os.Setenv("XDG_CACHE_HOME", modules))
}

// TestScripts runs every testdata/script/*.txtar: stdout, stderr and exit status of each verb.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds:                scriptCommands(),
	})
}

// TestDeployedScripts runs every testdata/deployed/*.txtar with a deployment of its own around it: a real redis-server
// with TLS and users, and in the script's folder the keys, policy, settings and published examples of the demo.
func TestDeployedScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "deployed"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			tb, err := testTB(e)
			if err != nil {
				return err
			}
			if err := setUpScript(e); err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(e.WorkDir, "ca.pem")); err != nil {
				return err // the deployment brings its server's own
			}
			server := queuetest.Start(tb, queuetest.Options{})
			newDeploymentIn(tb, e.WorkDir, server, "page", "callout", "hostile", "words")
			return writeNew(filepath.Join(e.WorkDir, "address"), []byte(server.Addr()+"\n"), 0o644)
		},
		Cmds: scriptCommands(),
	})
}
