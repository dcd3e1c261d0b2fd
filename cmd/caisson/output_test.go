package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

func TestEscape(t *testing.T) {
	for name, row := range map[string][3]string{
		"plain":        {"naïve 日本 \"x\"", "naïve 日本 \"x\"", "naïve 日本 \"x\""},
		"colour":       {"\x1b[31mred", `\x1b[31mred`, `\x1b[31mred`},
		"C1 control":   {"a\u009b31m", `a\u009b31m`, `a\u009b31m`},
		"other way":    {"a\u202eb", `a\u202eb`, `a\u202eb`},
		"not UTF-8":    {"a\xffb\x9b", `a\xffb\x9b`, `a\xffb\x9b`},
		"two lines":    {"a\n\tb", `a\n\x09b`, "a\n\tb"},
		"over itself":  {"done\rok\b", `done\x0dok\x08`, `done\x0dok\x08`},
		"zero and del": {"\x00\x7f", `\x00\x7f`, `\x00\x7f`},
	} {
		if got := oneLine(row[0]); got != row[1] {
			t.Errorf("%s: one line %q, want %q", name, got, row[1])
		}
		if got := someLines(row[0]); got != row[2] {
			t.Errorf("%s: some lines %q, want %q", name, got, row[2])
		}
	}
}

// TestTasksCannotSpeakForUs: what a task says of its failure stands in one line, however it is written.
func TestTasksCannotSpeakForUs(t *testing.T) {
	r := envelope.Result{Task: "a", Status: envelope.StatusFailed, Code: "task.failed", Error: "no\ncaisson: hint: run this\x1b[2J"}
	for _, err := range []error{&client.FailedError{Result: r}, fmt.Errorf("stage: %w", &client.RefusedError{Result: r}), &endedError{r.Code, r.Error}} {
		lines := linesOf(err)
		if len(lines) != 1 || strings.ContainsAny(lines[0], "\n\x1b") || !strings.Contains(lines[0], `no\ncaisson: hint: run this\x1b[2J`) {
			t.Errorf("got %q", lines)
		}
	}
	if got := linesOf(errors.New("two\nfaults\x1b\n")); len(got) != 2 || got[1] != `faults\x1b` {
		t.Errorf("faults of a file: %q", got)
	}
	var out bytes.Buffer
	c := newRoot()
	c.SetOut(&out)
	info := describeResult(r)
	check(t, printTask(c, taskInfo{ID: "1", Queue: "default", Phase: "done", Result: &info}))
	if strings.Contains(out.String(), "\ncaisson: hint") || strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "took") {
		t.Errorf("shown as %q", out.String())
	}
}

func TestDescribeResult(t *testing.T) {
	for name, row := range map[string][2]string{
		"JSON":                  {`{"a": 1}`, `"output":{"a":1}`},
		"text":                  {"hello", `"output_base64":"aGVsbG8="`},
		"a string, no UTF-8":    {"\"\xff\"", `"output_base64":"Iv8i"`},
		"null":                  {"null", `"output":null`},
		"nothing":               {"", `"worker":"` + strings.Repeat("0", 32) + `"}`},
		"markup stays as it is": {`"<b>"`, `"output":"<b>"`},
	} {
		var out bytes.Buffer
		check(t, printJSON(&out, describeResult(envelope.Result{Output: []byte(row[0])})))
		if !strings.Contains(out.String(), row[1]) || strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "started") {
			t.Errorf("%s: %s, want %s", name, out.String(), row[1])
		}
	}
}

// TestHints: a room's own hint is said, and a hint that is a command can be copied whatever the file is called.
func TestHints(t *testing.T) {
	if got := hintOf(fmt.Errorf("stage: %w", &gobuild.MissingError{})); !strings.Contains(got, "install Go") {
		t.Errorf("hint for a missing Go is %q", got)
	}
	if got := hintOf(errors.New("plain")); got != "" {
		t.Errorf("hint %q for nothing", got)
	}
	for word, want := range map[string]string{"keys/a-b.key": "keys/a-b.key", "my key": "'my key'", "a'b": `'a'\''b'`, "$(x)": "'$(x)'", "": "''", "a\nb": "'a\nb'"} {
		if got := shellWord(word); got != want {
			t.Errorf("%q becomes %s, want %s", word, got, want)
		}
	}
}

// writeClient writes the settings of a sender whose broker is not there, and returns their path.
func writeClient(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	authority, err := scriptAuthority()
	check(t, err)
	check(t, writeNew(filepath.Join(dir, "ca.pem"), authority.CertPEM(), 0o644))
	check(t, writeNew(filepath.Join(dir, "pass"), []byte("secret\n"), 0o600))
	submit, err := envelope.GenerateKey(envelope.Submit, nil)
	check(t, err)
	check(t, writeKey(filepath.Join(dir, "submit.key"), submit))
	worker, err := envelope.GenerateKey(envelope.Worker, nil)
	check(t, err)
	path := filepath.Join(dir, "client.toml")
	check(t, writeNew(path, fmt.Appendf(nil, "audience = \"test\"\ntenant = \"acme\"\nworkers = [%q]\n"+
		"[redis]\naddress = \"127.0.0.1:1\"\nuser = \"shop\"\npassword_file = \"pass\"\nca = \"ca.pem\"\n", worker.Public()), 0o644))
	return path
}

// TestInterrupt: an interrupt ends a wait, and a read of a terminal at which nobody types.
func TestInterrupt(t *testing.T) {
	path := writeClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	const id = "00112233445566778899aabbccddeeff"
	var out, errs bytes.Buffer
	if status := run(ctx, []string{"task", "wait", id, "--config", path}, nil, &out, &errs); status != exitFailed {
		t.Errorf("exit status %d", status)
	}
	if want := "caisson: interrupted; the task itself goes on\ncaisson: hint: caisson task wait " + id + "\n"; errs.String() != want || out.Len() > 0 {
		t.Errorf("said %q and %q, want %q", out.String(), errs.String(), want)
	}
	rules := filepath.Join(t.TempDir(), "policy.toml")
	check(t, writeNew(rules, []byte("version = 1\naudience = \"test\"\n[[tenant]]\nname = \"acme\"\n"), 0o644))
	silent, held := io.Pipe()
	defer held.Close() // lets the read end
	for _, args := range [][]string{
		{"task", "send", "a", "--config", path, "--file", "-"},
		{"policy", "explain", "-", "--policy", rules},
	} {
		errs.Reset()
		if status := run(ctx, args, silent, &out, &errs); status != exitFailed || errs.String() != "caisson: interrupted\n" {
			t.Errorf("%v: exit status %d, said %q", args, status, errs.String())
		}
	}
}

// TestWriteNew: a file appears whole or not at all, and never in another's place.
func TestWriteNew(t *testing.T) {
	if err := writeNew("/dev/full", []byte("x"), 0o600); !errors.Is(err, os.ErrExist) {
		t.Errorf("in another's place: %v", err)
	}
	if err := writeKey(filepath.Join(t.TempDir(), "no", "key"), envelope.PrivateKey{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
}
