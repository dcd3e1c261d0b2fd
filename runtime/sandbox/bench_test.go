package sandbox_test

import (
	"context"
	"testing"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// BenchmarkRun is the cost of one task in a fresh instance.
func BenchmarkRun(b *testing.B) {
	s := openConfig(b, host.Config{}, sandbox.Config{})
	for _, bm := range []struct {
		name, input string
		wasm        []byte
	}{
		{"tiny", "", assemble(nil, "\x41\x00\x0b")},
		{"go reactor", "json", goGuest(b, "reactor")},
		{"go command", "echo hello", goGuest(b, "command")},
	} {
		p := load(b, s, module(bm.wasm, reactorNeeds...))
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if out := p.Run(context.Background(), sandbox.Job{Input: []byte(bm.input)}); out.Verdict != sandbox.Done {
					b.Fatal(out)
				}
			}
		})
	}
}

func BenchmarkLoadKnown(b *testing.B) {
	s := openSandbox(b, host.Config{})
	m := module(goGuest(b, "reactor"), reactorNeeds...)
	load(b, s, m)
	for b.Loop() {
		load(b, s, m)
	}
}
