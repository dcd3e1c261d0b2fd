package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestTablesOfInit: what _initialize puts into a table is there for every task, though no image of the memory can hold it.
func TestTablesOfInit(t *testing.T) {
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, _ string) {
		// _initialize: mem[0] = 7; table.set 0 (ref.func caisson_run). caisson_run: is_null(table.get 0)
		p := load(t, s, module(assembleParts(guestParts{
			memory: []byte{0, 1}, table: true, initialize: "\x41\x00\x41\x07\x36\x02\x00\x41\x00\xd2\x03\x26\x00\x0b", run: "\x41\x00\x25\x00\xd1\x0b",
		})))
		for range 3 {
			check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
		}
	})
}

// TestInitThatWasRefusedMemory: what init makes of a refusal is for the task whose limit it was. Others, with a wider one, get what it makes of the memory.
func TestInitThatWasRefusedMemory(t *testing.T) {
	s := openSandbox(t, host.Config{})
	// _initialize: mem[0] = memory.grow 3. caisson_run gives mem[0]: the old size of one page, or -1.
	p := load(t, s, module(assembleParts(guestParts{
		memory: []byte{0, 1}, initialize: "\x41\x00\x41\x03\x40\x00\x36\x02\x00\x0b", run: "\x41\x00\x41\x04\x10\x00\x1a" + done,
	})))
	const refused, granted = "\xff\xff\xff\xff", "\x01\x00\x00\x00"
	for _, tt := range []struct {
		pages int64
		want  string
	}{{1, refused}, {4, granted}, {1, refused}, {4, granted}} {
		check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: tt.pages << 16}}), expect{sandbox.Done, "", tt.want, ""})
	}
}

// TestTemplateFailsUnderItsLimitsOnly: a task whose limits are too tight for init fails, and another of the same tenant does not.
func TestTemplateFailsUnderItsLimitsOnly(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 1}, data: "x", initialize: logByte + logByte + "\x0b", run: done})))
	check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{LogLines: 1}}), expect{sandbox.Limit, "limit.log", "", ""})
	check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
}

// TestInitIsCounted: what initialising a module for its template takes is in the stats, though in no task's usage.
func TestInitIsCounted(t *testing.T) {
	s := openSandbox(t, host.Config{})
	// _initialize: for (i = 5,000,000; --i;); with mem[0] as i
	p := load(t, s, module(assembleParts(guestParts{
		memory: []byte{0, 1}, run: done,
		initialize: "\x41\x00\x41\xc0\x96\xb1\x02\x36\x02\x00\x03\x40\x41\x00\x41\x00\x28\x02\x00\x41\x01\x6b\x36\x02\x00\x41\x00\x28\x02\x00\x0d\x00\x0b\x0b",
	})))
	const turns = 5_000_000
	for range 3 {
		out := p.Run(context.Background(), sandbox.Job{Limits: guestLimits})
		check(t, out, expect{sandbox.Done, "", "", ""})
		if out.Usage.Fuel >= turns {
			t.Errorf("a task used %d fuel, its module's init among it", out.Usage.Fuel)
		}
	}
	if got := s.Stats(); got.Templates != 1 || got.Fuel < turns || got.Fuel > 20*turns || got.Ticks == 0 || got.CPU < time.Millisecond {
		t.Errorf("%d templates took %d fuel in %d ticks and %v", got.Templates, got.Fuel, got.Ticks, got.CPU)
	}
}

// TestImageAboveTheLimit: a task that may not have the memory of the image has no cell, be there an idle one or not.
func TestImageAboveTheLimit(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(assembleParts(guestParts{memory: []byte{0, 1}, initialize: grow3 + "\x0b", run: done})))
	for _, tt := range []struct {
		pages int64
		want  expect
	}{{4, expect{sandbox.Done, "", "", ""}}, {3, expect{sandbox.Limit, "limit.memory", "", ""}}, {4, expect{sandbox.Done, "", "", ""}}} {
		check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: tt.pages << 16}}), tt.want)
	}
}

// TestMemoryThatBeginsEmpty: a memory of no pages is one again after a task that grew and filled it, and so is one that began with all that it may have.
func TestMemoryThatBeginsEmpty(t *testing.T) {
	eachWay(t, func(t *testing.T, s *sandbox.Sandbox, _ string) {
		// Fails unless memory.size is 0, then grows by 3 and sees that the last page is zeros before it fills all.
		look := "\x3f\x00\x04\x40\x00\x0b" + grow3 + "\x41\xf8\xff\x0b\x29\x03\x00\x50\x45\x04\x40\x00\x0b" + fillAll
		for name, memory := range map[string][]byte{"without a maximum": {0, 0}, "with one": {1, 0, 8}, "up to its maximum": {1, 0, 3}} {
			p := load(t, s, module(assembleParts(guestParts{memory: memory, run: look + done})))
			for range 3 {
				if out := p.Run(context.Background(), sandbox.Job{}); out.Verdict != sandbox.Done {
					t.Errorf("%s: %+v", name, out)
				}
			}
		}
	})
}

// TestHostFunctionAsTheTask: an export can be an imported function; it is called as it would be by the guest.
func TestHostFunctionAsTheTask(t *testing.T) {
	s := openSandbox(t, host.Config{})
	p := load(t, s, module(cat(header, section(1, []byte{0x60, 0, 1, 0x7f}), section(2, cat(str("wasi_snapshot_preview1"), str("sched_yield"), []byte{0, 0})),
		section(7, cat(str("caisson_run"), []byte{0, 0})))))
	for range 3 {
		check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Done, "", "", ""})
	}
}
