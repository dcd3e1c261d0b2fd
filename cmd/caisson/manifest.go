package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/manifest"
)

const manifestName = "task.toml"

func manifestCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "manifest",
		Short:   "Check what a task declares",
		Long:    "A manifest, task.toml, says what a task is called, which module it is, its limits and the powers that it needs.",
		Example: "  caisson manifest check examples/thumbnail",
	}
	c.AddCommand(manifestCheckCommand())
	return c
}

// manifestInfo is what a manifest comes to, defaults filled in.
type manifestInfo struct {
	File   string     `json:"file"`
	Task   string     `json:"task"`
	Module string     `json:"module"`
	Start  string     `json:"start"`
	Limits limitsInfo `json:"limits"`
	Retry  retryInfo  `json:"retry"`
	Needs  []string   `json:"needs"`
}

type limitsInfo struct {
	Memory   int64  `json:"memory_bytes"`
	Stack    int64  `json:"stack_bytes"`
	Result   int64  `json:"result_bytes"`
	Log      int64  `json:"log_bytes"`
	LogLines int64  `json:"log_lines"`
	Payload  int64  `json:"payload_bytes"`
	Wall     string `json:"wall"`
	CPU      string `json:"cpu"`
	Calls    int64  `json:"calls"`
	Fuel     int64  `json:"fuel"`
	Tables   int64  `json:"table_elements"`
}

type retryInfo struct {
	Max     int    `json:"max"`
	Backoff string `json:"backoff"`
	Base    string `json:"base"`
	Cap     string `json:"cap"`
}

func manifestCheckCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "check [FILE|FOLDER]",
		Short:   "Report every fault of a manifest with its line, or what it comes to",
		Example: "  caisson manifest check\n  caisson manifest check examples/thumbnail --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := manifestPath(args)
			m, err := readManifest(path)
			if err != nil {
				return err
			}
			info := describeManifest(path, m)
			if asJSON {
				return printJSON(c.OutOrStdout(), info)
			}
			return printManifest(c, info)
		},
	}
	jsonFlag(c, &asJSON, shape{"", manifestInfo{}})
	return c
}

// manifestPath is the file that args name: a file, a folder with a task.toml, or the current folder.
func manifestPath(args []string) string {
	path := "."
	if len(args) > 0 {
		path = args[0]
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, manifestName)
	}
	return path
}

func readManifest(path string) (manifest.Manifest, error) {
	data, err := readFile(path, textFileMax)
	if err != nil {
		return manifest.Manifest{}, err
	}
	return manifest.Parse(path, data)
}

func describeManifest(path string, m manifest.Manifest) manifestInfo {
	l := m.Limits
	return manifestInfo{
		File: path, Task: m.Task, Module: m.Module, Start: string(m.Start), Needs: m.Needs.Lines(),
		Limits: limitsInfo{Memory: l.Memory, Stack: l.Stack, Result: l.Result, Log: l.Log, LogLines: l.LogLines,
			Payload: l.Payload, Wall: l.Wall.String(), CPU: l.CPU.String(), Calls: l.Calls, Fuel: l.Fuel, Tables: l.Tables},
		Retry: retryInfo{Max: m.Retry.Max, Backoff: string(m.Retry.Backoff), Base: m.Retry.Base.String(), Cap: m.Retry.Cap.String()},
	}
}

func printManifest(c *cobra.Command, info manifestInfo) error {
	w := c.OutOrStdout()
	l := info.Limits
	fmt.Fprintf(w, "task     %s\nmodule   %s\nstart    %s\n", info.Task, info.Module, info.Start)
	fmt.Fprintf(w, "limits   memory %d, stack %d, payload %d, result %d, log %d bytes in %d lines, wall %s, cpu %s, %d calls, %d fuel, %d table elements\n",
		l.Memory, l.Stack, l.Payload, l.Result, l.Log, l.LogLines, l.Wall, l.CPU, l.Calls, l.Fuel, l.Tables)
	fmt.Fprintf(w, "retry    at most %d, %s from %s to %s\n", info.Retry.Max, info.Retry.Backoff, info.Retry.Base, info.Retry.Cap)
	for _, need := range info.Needs {
		fmt.Fprintf(w, "need     %s\n", need)
	}
	_, err := fmt.Fprintf(w, "ok       %s\n", oneLine(info.File))
	return err
}
