package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caisson-run/caisson/runtime/sandbox"
)

// admitVerb makes this program the process that admits modules for another of its kind: `caisson sandbox-admit`. It is no
// command for people, and so stands in no help.
const admitVerb = "sandbox-admit"

// serveAdmission is what the verb does. It returns the exit status.
func serveAdmission() int {
	if err := sandbox.ServeAdmission(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "caisson: %v\n", err)
		return exitFailed
	}
	return exitDone
}

// admitCommandLine is this very program with that verb. On Linux it is also found once the file has been replaced by a newer
// version, whose artifacts this one could not use.
func admitCommandLine() ([]string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return []string{self, admitVerb}, nil
	}
	path, err := os.Executable()
	return []string{path, admitVerb}, err
}

// openSandbox opens a sandbox for modules of others, as c says: they are admitted in a process of their own.
func openSandbox(ctx context.Context, c sandbox.Config) (_ *sandbox.Sandbox, err error) {
	if c.Admit, err = admitCommandLine(); err != nil {
		return nil, err
	}
	return sandbox.Open(ctx, c)
}

// authorCache is where compiled modules are kept for whoever tries them out, or "" where a user has no such place.
func authorCache() string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(caches, "caisson", "modules")
	if _, err := os.Stat(filepath.Dir(caches)); err != nil { // do not make a home
		return ""
	}
	if err := os.MkdirAll(dir, stateMode); err != nil {
		return ""
	}
	return dir
}
