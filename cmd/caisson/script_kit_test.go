package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caisson-run/caisson/queue/devtls"
)

// awaitTime bounds how long a script waits for a worker to say something, on two busy cores under the race detector.
const awaitTime = 60 * time.Second

// scriptCommands are what our scripts know beside testscript's own commands.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"status": scriptStatus, "fields": scriptFields, "fill": scriptFill, "await": scriptAwait, "mode": scriptMode, "last": scriptLast,
	}
}

// goSettings are what `module build` needs of this machine to find its caches; they are asked for once.
var goSettings = sync.OnceValue(func() map[string]string {
	settings := map[string]string{}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOPATH"} {
		if text, err := exec.Command("go", "env", name).Output(); err == nil {
			settings[name] = strings.TrimSpace(string(text))
		}
	}
	return settings
})

// scriptAuthority is any authority: settings that are never dialled need one that can be read.
var scriptAuthority = sync.OnceValues(func() (*devtls.Authority, error) { return devtls.NewAuthority(time.Now()) })

// setUpScript gives each script the checkout's place, Go's caches, and ca.pem; nothing else of this machine.
func setUpScript(e *testscript.Env) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	e.Setenv("CHECKOUT", root)
	for name, value := range goSettings() {
		e.Setenv(name, value)
	}
	authority, err := scriptAuthority()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.WorkDir, "ca.pem"), authority.CertPEM(), 0o644)
}

// scriptStatus runs `status N command...`: the command must end with exactly that exit status, which
// testscript's own `! exec` does not look at. stdout and stderr can be matched afterwards as after exec.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// scriptFill runs `fill FILE`: each @{NAME} in it becomes the text of the file of that name.
func scriptFill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	text := regexp.MustCompile(`@\{[^}]+\}`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(name string) string {
		return strings.TrimSpace(ts.ReadFile(name[2 : len(name)-1]))
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// scriptMode runs `mode 600 FILE`: the file must have exactly that mode.
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("mode of %s is %s, want %s", args[1], got, args[0])
	}
}

// scriptLast runs `last NAME`: the last word of stdout becomes the variable NAME.
func scriptLast(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || len(words) == 0 {
		ts.Fatalf("usage: last NAME, after a command that printed something")
	}
	ts.Setenv(args[0], words[len(words)-1])
}

// scriptAwait runs `await FILE REGEXP [N]`: it waits until N lines of the file, one unless said, match.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await FILE REGEXP [N]")
	}
	want := 1
	if len(args) == 3 {
		var err error
		want, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	expr, err := regexp.Compile(args[1])
	ts.Check(err)
	tick, late := time.NewTicker(20*time.Millisecond), time.After(awaitTime)
	defer tick.Stop()
	for {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		got := 0
		for line := range bytes.Lines(text) {
			if expr.Match(bytes.TrimSuffix(line, []byte("\n"))) {
				got++
			}
		}
		if got >= want {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%d of %d lines like %q came in %v; the end is:\n%s", got, want, args[1], awaitTime, text[max(0, len(text)-2000):])
		}
	}
}

// testTB is the test behind a script. Source: testscript's doc of Env.T.
func testTB(e *testscript.Env) (testing.TB, error) {
	if tb, ok := e.T().(testing.TB); ok {
		return tb, nil
	}
	return nil, errors.New("testscript no longer gives a testing.TB")
}
