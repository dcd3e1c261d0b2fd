package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"
)

// A setting is what a reader of saved results must know of the run. It names no machine, no path and nobody.
type setting struct {
	Suite  string  `json:"suite"`
	Date   string  `json:"date"`
	Quick  bool    `json:"quick"`
	Rounds int     `json:"rounds"`
	Only   string  `json:"only,omitempty"`
	Took   float64 `json:"took_s"`
	Commit string  `json:"commit,omitempty"` // of the checkout; "+" behind it where files were changed
	CPU    string  `json:"cpu,omitempty"`
	Cores  int     `json:"cores"`
	Memory string  `json:"memory,omitempty"`
	Kernel string  `json:"kernel,omitempty"`
	System string  `json:"system"`
	Go     string  `json:"go"`
	Redis  string  `json:"redis,omitempty"`
}

// describe fills a setting in. What cannot be found out stays empty.
func describe(ctx context.Context, name string, o options, r *report) setting {
	s := setting{Suite: name, Date: o.begun.UTC().Format(time.RFC3339), Quick: o.quick, Rounds: r.rounds, Took: time.Since(o.begun).Round(time.Second).Seconds(),
		Cores: goruntime.NumCPU(), System: goruntime.GOOS + "/" + goruntime.GOARCH, Go: goruntime.Version(), Redis: r.redis,
		CPU: field("/proc/cpuinfo", "model name"), Memory: field("/proc/meminfo", "MemTotal"), Kernel: strings.TrimSpace(contents("/proc/sys/kernel/osrelease"))}
	if o.only != nil {
		s.Only = o.only.String()
	}
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		s.Commit = strings.TrimSpace(string(out))
		if out, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(out) > 0 {
			s.Commit += "+"
		}
	}
	return s
}

func contents(path string) string {
	data, _ := os.ReadFile(path) // "" where there is none
	return string(data)
}

// field is what stands behind the first "name :" of a file of Linux's.
func field(path, name string) string {
	for line := range strings.Lines(contents(path)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// save keeps the report in a new folder of o.out: table.txt, rows.jsonl, setting.json, and pictures. It returns the folder.
func save(ctx context.Context, name string, o options, r *report) (string, error) {
	folder, err := newFolder(filepath.Join(o.out, o.begun.UTC().Format(time.DateOnly)+"-"+name))
	if err != nil {
		return "", err
	}
	var table, rows bytes.Buffer
	about, err := json.MarshalIndent(describe(ctx, name, o, r), "", "  ")
	err = errors.Join(err, r.writeTable(&table), r.writeJSON(&rows))
	if err != nil {
		return "", err
	}
	for file, data := range map[string][]byte{"table.txt": table.Bytes(), "rows.jsonl": rows.Bytes(), "setting.json": append(about, '\n')} {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, file), data, 0o644))
	}
	if err != nil || len(r.rows) == 0 {
		return folder, err
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return folder, err
	}
	cmd := exec.CommandContext(ctx, "go", "run", ".", absolute)
	cmd.Dir, cmd.Stdin = filepath.Join(sources, "plot"), &rows
	if out, err := cmd.CombinedOutput(); err != nil {
		return folder, fmt.Errorf("pictures: %w\n%s", err, out[max(0, len(out)-tailSize):])
	}
	return folder, nil
}

// newFolder makes path, or path-2 and so on where there is one already: nothing is written over.
func newFolder(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	for i := 1; i <= foldersMax; i++ {
		name := path
		if i > 1 {
			name = fmt.Sprintf("%s-%d", path, i)
		}
		if err := os.Mkdir(name, 0o755); !errors.Is(err, os.ErrExist) {
			return name, err
		}
	}
	return "", fmt.Errorf("%s: there are %d already", path, foldersMax)
}
