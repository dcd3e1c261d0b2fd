package main

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildInfo is what `caisson version` says.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	System   string `json:"system"`
	Engine   string `json:"engine"`
}

func versionCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print which build this is",
		Example: "  caisson version --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			b := readBuild()
			if asJSON {
				return printJSON(c.OutOrStdout(), b)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "caisson %s (%s, %s, wazero %s)\n", b.Version, b.Go, b.System, b.Engine)
			return err
		},
	}
	jsonFlag(c, &asJSON, shape{"", buildInfo{}})
	return c
}

func readBuild() buildInfo {
	b := buildInfo{Version: "devel", Go: goruntime.Version(), System: goruntime.GOOS + "/" + goruntime.GOARCH, Engine: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/tetratelabs/wazero" {
			b.Engine = d.Version
		}
	}
	return b
}
