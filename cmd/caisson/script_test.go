package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caisson-run/caisson/queue/queuetest"
)

// TestMain lets scripts call this very command as `caisson`.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"caisson": func() { os.Exit(Main()) }})
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
			newDeploymentIn(tb, e.WorkDir, server, "page", "callout", "hostile")
			return writeNew(filepath.Join(e.WorkDir, "address"), []byte(server.Addr()+"\n"), 0o644)
		},
		Cmds: scriptCommands(),
	})
}
