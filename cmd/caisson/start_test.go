package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/queuetest"
)

// startTime bounds the page's commands: two builds with a cold cache, on two cores.
const startTime = 8 * time.Minute

// TestStartPage runs every command of docs/start.md as it stands there, in one shell, and holds what they print
// against what the page says.
func TestStartPage(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	check(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "start.md"))
	check(t, err)
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 10 {
		t.Fatalf("the page has %d blocks of commands; were they renamed?", len(blocks))
	}
	// Whatever fails ends the shell, and what runs in the background ends with it; redis-server, which leaves the
	// shell behind, is ended below.
	script := "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
	for _, block := range blocks {
		script += block[1] + "\n"
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", script)
	c.Dir = root
	temp := t.TempDir()
	c.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", queuetest.FreePort(t)), "TMPDIR="+temp)
	t.Cleanup(func() { endDaemons(t, temp) })
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	check(t, err)
	for _, want := range []string{"\n\"DOWN BELOW\"\n", "\n\"AND AGAIN\"\n", "\nphase    done\n", "task done: task=text.upper"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands did not print %q", want)
		}
	}
}

// endDaemons kills what left its process id in a folder of temp, if it is still there.
func endDaemons(t *testing.T, temp string) {
	files, err := filepath.Glob(filepath.Join(temp, "*", "*.pid"))
	check(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended and removed its file
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		check(t, err)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
