package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// assembleInit is a reactor whose _initialize runs body, of type () -> ().
func assembleInit(body string) []byte {
	return cat(header, section(1, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 0, 0}), section(3, []byte{0}, []byte{1}),
		section(7, cat(str("caisson_run"), []byte{0, 0}), cat(str("_initialize"), []byte{0, 1})), section(10, function("\x41\x00\x0b"), function(body)))
}

// startJob runs j, which goes on until end is called. It returns once it runs.
func startJob(t *testing.T, p *sandbox.Program, j sandbox.Job, runs func() bool) (end func() sandbox.Outcome) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan sandbox.Outcome, 1)
	go func() { done <- p.Run(ctx, j) }()
	for !runs() && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return func() sandbox.Outcome {
		cancel()
		return <-done
	}
}

// TestTemplateIsAwaited: who waits for a template that another task makes waits no longer than its own wall time, and holds nobody up meanwhile.
func TestTemplateIsAwaited(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{Running: 2})
	slow, other := load(t, s, module(assembleInit("\x03\x40\x0c\x00\x0b\x0b"))), load(t, s, module(answer))
	long := capability.Limits{Wall: time.Hour, CPU: time.Hour}
	end := startJob(t, slow, sandbox.Job{Limits: long}, s.Making)
	waiting := make(chan sandbox.Outcome, 1)
	go func() { waiting <- slow.Run(context.Background(), sandbox.Job{Limits: long}) }()
	began := time.Now()
	check(t, slow.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Wall: 30 * time.Millisecond}}), expect{sandbox.Limit, "limit.wall", "", ""})
	if took := time.Since(began); took > latencyBound {
		t.Errorf("it waited %s", took)
	}
	// One place is taken by the task that makes the template, the other is free though a task waits.
	check(t, other.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
	select {
	case out := <-waiting:
		t.Errorf("%+v", out)
	default:
	}
	check(t, end(), expect{sandbox.Crash, "task.cancelled", "", ""})
	// The one that waited makes it now, and is ended with the sandbox.
	s.Close(context.Background())
	check(t, <-waiting, expect{sandbox.Crash, "task.cancelled", "", ""})
}

// TestMemoryOfRunningGuests: what running guests may take together is bounded. A task for which there is no room waits, no longer than its wall time.
func TestMemoryOfRunningGuests(t *testing.T) {
	s := openConfig(t, host.Config{}, sandbox.Config{Memory: 100 << 20})
	loop, small := load(t, s, module(assemble(nil, bodyLoop))), load(t, s, module(answer))
	limits := capability.Limits{Memory: 64 << 20, Stack: 1 << 20, Wall: time.Hour, CPU: time.Hour}
	end := startJob(t, loop, sandbox.Job{Limits: limits}, func() bool { return s.Stats().RunningSize > 0 })
	if got := s.Stats().RunningSize; got != 66<<20 {
		t.Errorf("%d bytes are claimed", got)
	}
	brief := limits
	brief.Wall = 30 * time.Millisecond
	check(t, loop.Run(context.Background(), sandbox.Job{Limits: brief}), expect{sandbox.Crash, "sandbox.busy", "", ""})
	check(t, small.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: 1 << 20, Stack: 1 << 20}}), expect{sandbox.Done, "", "", ""})
	ended := make(chan sandbox.Outcome, 1)
	limits.Memory = 1 << 30 // more than there is: alone
	go func() { ended <- small.Run(context.Background(), sandbox.Job{Limits: limits}) }()
	for s.Waiting() == 0 { // it is on its way there
		time.Sleep(time.Millisecond)
	}
	check(t, end(), expect{sandbox.Crash, "task.cancelled", "", ""})
	check(t, <-ended, expect{sandbox.Done, "", "", ""})
	if got := s.Stats().RunningSize; got != 0 {
		t.Errorf("%d bytes are claimed, and nothing runs", got)
	}
}
