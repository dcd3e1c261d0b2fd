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

// BenchmarkWarm is what it gives that the SDK takes a task's types through its codecs before the template is taken: the same task, whose types it knows, and does not.
func BenchmarkWarm(b *testing.B) {
	input := []byte(`{"id":"o-1","to":{"Name":"A","Street":"B 1","City":"C"},"lines":[{"item":"x","count":2,"each":1.5},{"item":"y","count":1,"each":4}],"notes":{"gift":"no"}}`)
	for _, bm := range []struct {
		name  string
		flags []string
	}{{"warm", nil}, {"cold", []string{"-tags=cold"}}} {
		b.Run(bm.name, func(b *testing.B) {
			s := openConfig(b, host.Config{}, sandbox.Config{})
			p := load(b, s, module(goGuest(b, "warm", bm.flags...), reactorNeeds...))
			var fuel int64
			begun := s.Stats()
			for b.Loop() {
				out := p.Run(context.Background(), sandbox.Job{Input: input})
				if out.Verdict != sandbox.Done {
					b.Fatal(out)
				}
				fuel += out.Usage.Fuel
			}
			ended := s.Stats()
			b.ReportMetric(float64(fuel)/float64(b.N), "fuel/op")
			b.ReportMetric(float64(ended.Pages-begun.Pages)/float64(ended.Restored-begun.Restored), "pages/op")
		})
	}
}
