package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDemo runs the whole demo once, as a person would who keeps it open, and reads its table and its last line. In between, what it prints for a second
// terminal is done there: the queue is paused, a task that waits is cancelled, and the queue resumed.
func TestDemo(t *testing.T) {
	var out, progress bytes.Buffer
	demo := exec.CommandContext(t.Context(), "caisson", "demo", "--keep", "--source", filepath.Join("..", ".."))
	said, err := demo.StderrPipe()
	check(t, err)
	demo.Stdout = &out
	check(t, demo.Start())
	var printed []string // for the second terminal
	dir := ""
	lines := bufio.NewScanner(said)
	for open := false; lines.Scan(); {
		fmt.Fprintln(&progress, lines.Text())
		if open = open || strings.HasPrefix(lines.Text(), "kept open"); !open {
			continue
		}
		command, _, _ := strings.Cut(strings.TrimSpace(lines.Text()), "    #")
		if d, ok := strings.CutPrefix(command, "export DEMO="); ok {
			dir = d
		} else if strings.HasPrefix(command, "caisson ") {
			printed = append(printed, command)
		} else if strings.HasPrefix(command, "key ") && dir != "" && len(printed) > 0 {
			secondTerminal(t, dir, printed)
			dir = ""
			check(t, demo.Process.Signal(os.Interrupt))
		}
	}
	if err := demo.Wait(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), progress.String())
	}
	if len(printed) != 6 {
		t.Errorf("it printed %q", printed)
	}
	checkDemo(t, out.String(), progress.String())
}

// secondTerminal does what the demo printed, and fails unless it does what it says.
func secondTerminal(t *testing.T, dir string, commands []string) {
	t.Helper()
	id := ""
	want := []string{"<!DOCTYPE html>", "queue default paused", "", "ordered", "queue default resumed", "task.cancelled"}
	for i, command := range commands {
		command = strings.Replace(command, " ID ", " "+id+" ", 1)
		for tries := 0; ; tries++ { // the last one looks at what a worker does in its own time
			sh := exec.CommandContext(t.Context(), "sh", "-c", command)
			sh.Env = append(os.Environ(), "DEMO="+dir)
			got, err := sh.CombinedOutput()
			if i == 2 {
				id = strings.TrimSpace(string(got))
			}
			if err == nil && i < len(want) && strings.Contains(string(got), want[i]) {
				break
			}
			if i < len(commands)-1 || tries == 300 {
				t.Fatalf("%s: %v\n%s", command, err, got)
			}
		}
	}
}

// checkDemo reads what the demo said.
func checkDemo(t *testing.T, out, progress string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if want := "demo: 500 done, 12 refused or stopped as expected, 0 lost"; lines[len(lines)-1] != want {
		t.Errorf("last line is %q, want %q", lines[len(lines)-1], want)
	}
	if !regexp.MustCompile(`^[0-9]+ tasks per second$`).MatchString(lines[len(lines)-2]) {
		t.Errorf("line before the last is %q", lines[len(lines)-2])
	}
	if !regexp.MustCompile(`^WHAT WAS TRIED +OUTCOME +CODE$`).MatchString(lines[0]) || !strings.HasPrefix(lines[1], "500 signed tasks") {
		t.Errorf("the table begins %q, %q", lines[0], lines[1])
	}
	rows := lines[2 : len(lines)-3]
	trials := (&trials{}).list()
	if len(rows) != len(trials) {
		t.Fatalf("%d rows for %d trials:\n%s", len(rows), len(trials), out)
	}
	for i, trial := range trials {
		want := regexp.QuoteMeta(trial.name) + ` +` + trial.outcome + ` +` + regexp.QuoteMeta(trial.code)
		if !regexp.MustCompile(`^` + want + `$`).MatchString(rows[i]) {
			t.Errorf("row %d is %q, want %s", i, rows[i], want)
		}
	}
	for _, want := range []string{"TLS with client certificates", "tasks     500 of 500", "500 verified and checked"} {
		if !strings.Contains(progress, want) {
			t.Errorf("the progress does not say %q:\n%s", want, progress)
		}
	}
}

// TestDemoSummary: whatever goes otherwise than expected is said, and is a failure.
func TestDemoSummary(t *testing.T) {
	good := trialRow{Tried: "a key that is unknown", Outcome: "refused", Code: "envelope.key_unknown", Expected: true}
	ran := trialRow{Tried: "an endless loop", Outcome: "done", Note: "expected failed limit.cpu"}
	for name, row := range map[string]struct {
		summary demoSummary
		text    string // in the table
		err     string
	}{
		"all well":    {demoSummary{Done: 500, Trials: []trialRow{good}, AsTheySay: 1}, "1 refused or stopped as expected, 0 lost", ""},
		"a trial ran": {demoSummary{Done: 500, Trials: []trialRow{good, ran}, AsTheySay: 1}, "NOT AS EXPECTED: expected failed limit.cpu", "1 of the trials not as expected"},
		"a task lost": {demoSummary{Done: 499, Lost: 1, Trials: []trialRow{good}, AsTheySay: 1}, "demo: 499 done, 1 refused or stopped as expected, 1 lost", "1 of the tasks lost"},
	} {
		err := row.summary.err()
		if row.err == "" && err != nil || row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err) || statusOf(err) != exitFailed) {
			t.Errorf("%s: %v, want %q", name, err, row.err)
		}
		var out bytes.Buffer
		check(t, printDemo(demoOptions{out: &out}, row.summary))
		if !strings.Contains(out.String(), row.text) {
			t.Errorf("%s: the table has no %q:\n%s", name, row.text, out.String())
		}
		out.Reset()
		check(t, printDemo(demoOptions{out: &out, json: true}, row.summary))
		var back demoSummary
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Lost != row.summary.Lost || len(back.Trials) != len(row.summary.Trials) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: JSON %s, %v", name, out.String(), err)
		}
	}
}

// TestTrialOtherwise: a trial that ends with another code, or with another outcome, does not count as expected.
func TestTrialOtherwise(t *testing.T) {
	want := trial{name: "a loop", outcome: "failed", code: "limit.cpu"}
	for name, row := range map[string]struct {
		got      trialRow
		expected bool
	}{
		"as expected":   {trialRow{Outcome: "failed", Code: "limit.cpu"}, true},
		"another code":  {trialRow{Outcome: "failed", Code: "limit.wall"}, false},
		"it ran":        {trialRow{Outcome: "done"}, false},
		"said too much": {trialRow{Outcome: "failed", Code: "limit.cpu", Note: "expected it to say nothing"}, false},
	} {
		got := want.judge(row.got)
		if got.Expected != row.expected || got.Tried != want.name || row.expected != (got.Note == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestDemoNeedsTheSources(t *testing.T) {
	var out, progress bytes.Buffer
	if status := run(t.Context(), []string{"demo", "--source", t.TempDir()}, nil, &out, &progress); status != exitMisused {
		t.Errorf("exit status %d for a folder that is no checkout", status)
	}
	if !strings.Contains(progress.String(), "is no checkout of Caisson") || out.Len() > 0 {
		t.Errorf("said %q and %q", out.String(), progress.String())
	}
	t.Chdir(t.TempDir())
	progress.Reset()
	if status := run(t.Context(), []string{"demo"}, nil, &out, &progress); status != exitFailed || !strings.Contains(progress.String(), "hint: run it inside a checkout of Caisson, or name one with --source") {
		t.Errorf("outside a checkout: status %d, %q", status, progress.String())
	}
}
