package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// sources is where the peers are, below the top of the repository, which `go run ./bench` runs in.
const sources = "bench"

// tasks holds the small task in each language. The guests of package guesttest refuse to run twice in one instance, and have no direct call.
//
//go:embed testdata
var tasks embed.FS

// taskSources names the toolchain of guesttest and the source of each built guest of taskGuests.
var taskSources = map[string]struct{ toolchain, file string }{
	"c":              {"c", "json.c"},
	"rust":           {"rust", "json.rs"},
	"assemblyscript": {"as", "json.ts"},
	"go":             {"go", "json.go"},
}

// buildTask builds the small task of that name.
func buildTask(ctx context.Context, name string) ([]byte, error) {
	from := taskSources[name]
	source, err := tasks.ReadFile("testdata/" + from.file)
	if err != nil {
		return nil, err
	}
	return guesttest.Source(ctx, from.toolchain, "bench", true, source)
}

// workFolder is where what is built stays from run to run.
func workFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "caisson-bench")
	return folder, os.MkdirAll(folder, 0o700)
}

// buildPeer builds the engine of that name, with its own go.mod.
func buildPeer(ctx context.Context, folder, name string) (path string, err error) {
	path = filepath.Join(folder, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./"+name)
	cmd.Dir = filepath.Join(sources, "peers")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build of peer %s: %w\n%s", name, err, out[max(0, len(out)-tailSize):])
	}
	return path, nil
}
