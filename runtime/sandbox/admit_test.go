package sandbox_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/hashicorp/go-hclog"
)

// admitArgument makes this test program an admission process; TestMain looks for it.
const admitArgument = "sandbox-admit"

// admitSelf is the command line of such a process.
func admitSelf() []string { return []string{os.Args[0], admitArgument} }

// openKept opens a sandbox that admits as c says.
func openKept(tb testing.TB, c sandbox.Config) *sandbox.Sandbox {
	tb.Helper()
	h, err := host.New(host.Config{KV: newKV()})
	if err != nil {
		tb.Fatal(err)
	}
	c.Host = h
	s, err := sandbox.Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		h.Close()
	})
	return s
}

func TestKept(t *testing.T) {
	dir := t.TempDir()
	wasm := goGuest(t, "reactor")
	for _, c := range []sandbox.Config{{CacheDir: dir, Admit: admitSelf()}, {CacheDir: dir}, {CacheDir: t.TempDir()}, {Admit: admitSelf()}} {
		start := time.Now()
		s := openKept(t, c)
		t.Log("open", time.Since(start))
		start = time.Now()
		load(t, s, module(wasm, reactorNeeds...))
		t.Log(time.Since(start), s.Stats())
	}
}

// TestBombs: a module that takes its compiler too much costs the process that admits it. The worker answers, and its own memory stays.
func TestBombs(t *testing.T) {
	tests := []struct {
		name, text string
		wasm       []byte
		memory     uint64
		cpu, wall  time.Duration
	}{
		{"time in loops", "more than 1s of CPU time", bombLoops(3000, 1000), 1 << 30, time.Second, time.Minute},
		{"time in parameters", "more than 1s of CPU time", bombParams(2000, 1000), 1 << 30, time.Second, time.Minute},
		{"memory in branches", "more than 192 MiB of memory", bombIfs(7000, 7000), 192 << 20, time.Minute, 2 * time.Minute},
		{"deadline", "more than 300ms on this machine", bombLoops(3000, 1000), 1 << 30, time.Minute, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openKept(t, sandbox.Config{Admit: admitSelf(), CacheDir: t.TempDir(), Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Debug})})
			s.BoundAdmission(tt.memory, tt.cpu, tt.wall)
			before := peakMemory(t)
			if code, text := refused(t, s, module(tt.wasm)); code != "module.costly" || !strings.Contains(text, tt.text) {
				t.Errorf("%s: %s, want %q", code, text, tt.text)
			}
			if grown := peakMemory(t) - before; grown > 32<<20 {
				t.Errorf("this process grew by %d MiB", grown>>20)
			}
			if got := s.Stats(); got.Costly != 1 || got.Compiles != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}
