package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// admitVerb is the verb of the child process that admits modules for a worker: `caisson sandbox-admit`. It is not for people, so no help
// lists it.
const admitVerb = "sandbox-admit"

// serveAdmission runs the child process and returns its exit status.
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

// openAuthorSandbox opens a sandbox for whoever tries modules out. What a worker would have in its log as a warning, such as an entry of the compile cache
// that somebody changed, goes to w.
func openAuthorSandbox(ctx context.Context, rights *host.Host, w io.Writer) (*sandbox.Sandbox, error) {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: prefixed{w}, DisableTime: true})
	return openSandbox(ctx, sandbox.Config{Host: rights, CacheDir: authorCache(), Logger: log})
}

// prefixed puts our name before each write, which is a line of a log.
type prefixed struct{ w io.Writer }

func (p prefixed) Write(line []byte) (int, error) {
	_, err := fmt.Fprintf(p.w, "caisson: %s", line)
	return len(line), err
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
