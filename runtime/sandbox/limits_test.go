package sandbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// Bodies of assembled guests.
const (
	bodyDone = "\x41\x00\x0b"
	bodyLoop = "\x03\x40\x0c\x00\x0b\x00\x0b"
)

// TestEachLimit ends a run at each limit that the sandbox judges itself; host judges the others.
func TestEachLimit(t *testing.T) {
	s := sharedSandbox(t)
	long := func(l capability.Limits) capability.Limits {
		l.Wall, l.CPU = time.Minute, time.Minute
		return l
	}
	tests := []struct {
		name   string
		wasm   []byte
		job    sandbox.Job
		expect expect
	}{
		{"fuel", assemble(nil, bodyLoop), sandbox.Job{Limits: long(capability.Limits{Fuel: 12_345})}, expect{sandbox.Limit, "limit.fuel", "", "fuel"}},
		{"payload", assemble(nil, bodyDone), sandbox.Job{Limits: capability.Limits{Payload: 3}, Input: []byte("four")}, expect{sandbox.Limit, "limit.payload", "", "4 bytes, more than 3"}},
		// table.grow of 2^20 elements answers -1, which is the status.
		{"tables", assembleTable("\xd0\x70\x41\x80\x80\xc0\x00\xfc\x0f\x00\x0b"), sandbox.Job{}, expect{sandbox.Limit, "limit.tables", "", "table"}},
		{"tables as stated", assembleTable("\xd0\x70\x41\x0a\xfc\x0f\x00\x0b"), sandbox.Job{Limits: capability.Limits{Tables: 10}}, expect{sandbox.Limit, "limit.tables", "", "table"}},
		{"stack", assemble(nil, "\x10\x00\x0b"), sandbox.Job{Limits: capability.Limits{Stack: 64 << 10}}, expect{sandbox.Limit, "limit.stack", "", "stack"}},
		{"cpu", assemble(nil, bodyLoop), sandbox.Job{Limits: capability.Limits{CPU: 20 * time.Millisecond, Wall: time.Minute}}, expect{sandbox.Limit, "limit.cpu", "", "CPU"}},
		{"wall", assemble(nil, bodyLoop), sandbox.Job{Limits: capability.Limits{Wall: 20 * time.Millisecond}}, expect{sandbox.Limit, "limit.wall", "", "wall"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, s, module(tt.wasm))
			for range 3 { // the cell of a task that was ended is not the next one's
				check(t, p.Run(context.Background(), tt.job), tt.expect)
			}
		})
	}
}

// TestTableRoom: a run may add elements up to its own limit, of all tables together, the first ones included.
func TestTableRoom(t *testing.T) {
	s := sharedSandbox(t)
	// Grows by 10 and then by 5, and returns the second answer: 11, or -1.
	p := load(t, s, module(assembleTable("\xd0\x70\x41\x0a\xfc\x0f\x00\x1a\xd0\x70\x41\x05\xfc\x0f\x00\x0b")))
	for _, tt := range []struct {
		tables int64
		want   expect
	}{
		{16, expect{sandbox.Retry, "task.error", "", "status 11"}},
		{15, expect{sandbox.Limit, "limit.tables", "", ""}},
		{1, expect{sandbox.Limit, "limit.tables", "", ""}},
		{16, expect{sandbox.Retry, "task.error", "", "status 11"}},
	} {
		check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Tables: tt.tables}}), tt.want)
	}
	// A Go module has some thousand from the start.
	p = load(t, s, module(goGuest(t, "command")))
	check(t, p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Tables: 100}}), expect{sandbox.Limit, "limit.tables", "", ""})
}

// TestFuelIsExact: the same task on the same input spends the same fuel, to the unit; that much is enough, and one less is not.
func TestFuelIsExact(t *testing.T) {
	wasm := goGuest(t, "command")
	spend := func(s *sandbox.Sandbox, fuel int64) sandbox.Outcome {
		p := load(t, s, module(wasm))
		return p.Run(context.Background(), sandbox.Job{Input: []byte("echo hello"), Limits: capability.Limits{Fuel: fuel, Wall: time.Minute, CPU: time.Minute}})
	}
	// A Go program looks at the clock and draws hash seeds: these are inputs, too.
	still := host.Config{Rand: zeroReader{}, Now: func() time.Time { return time.Unix(1e9, 0) }}
	s := openSandbox(t, still)
	first := spend(s, 0)
	check(t, first, expect{sandbox.Done, "", "hello", ""})
	used := first.Usage.Fuel
	for range 20 {
		if out := spend(s, 0); out.Usage.Fuel != used {
			t.Errorf("fuel %d, then %d", used, out.Usage.Fuel)
		}
	}
	other := openSandbox(t, still)
	if out := spend(other, 0); out.Usage.Fuel != used {
		t.Errorf("fuel %d, in another sandbox %d", used, out.Usage.Fuel)
	}
	check(t, spend(s, used), expect{sandbox.Done, "", "hello", ""})
	check(t, spend(s, used-1), expect{sandbox.Limit, "limit.fuel", "", ""})
}

// TestHostCallsAreFuel: a host call is charged by what it moves. A limit that it exceeds ends the guest, or takes the result of one that has
// returned by then.
func TestHostCallsAreFuel(t *testing.T) {
	draw := func(n string) []byte { // random_get(0, n), n being a LEB128
		return assemble([]asmImport{{"wasi_snapshot_preview1", "random_get", i32x2}}, "\x41\x00\x41"+n+"\x10\x00\x1a\x41\x00\x0b")
	}
	s := openSandbox(t, host.Config{})
	run := func(wasm []byte, fuel int64) sandbox.Outcome {
		return load(t, s, module(wasm)).Run(context.Background(), sandbox.Job{Limits: capability.Limits{Fuel: fuel}})
	}
	none, many := draw("\x00"), draw("\x80\x80\x02") // 32 KiB
	less, more := run(none, 0).Usage.Fuel, run(many, 0).Usage.Fuel
	if less < 128 || more-less != 32<<10/8 {
		t.Errorf("fuel %d without a byte, %d with 32 KiB", less, more)
	}
	check(t, run(many, more), expect{sandbox.Done, "", "", ""})
	check(t, run(many, more-1), expect{sandbox.Limit, "limit.fuel", "", ""})
	again := assemble([]asmImport{{"wasi_snapshot_preview1", "random_get", i32x2}}, "\x03\x40\x41\x00\x41\x80\x80\x02\x10\x00\x1a\x0c\x00\x0b\x00\x0b")
	check(t, run(again, 1_000_000), expect{sandbox.Limit, "limit.fuel", "", ""})
}

// TestFuelOfThePage: what docs/reference/sandbox.md says that things cost.
func TestFuelOfThePage(t *testing.T) {
	s := openSandbox(t, host.Config{})
	fuel := func(body string) int64 { // of a run; what is compared has as many instructions
		return load(t, s, module(assemble(nil, body+"\x41\x00\x0b"))).Run(context.Background(), sandbox.Job{}).Usage.Fuel
	}
	const fill, grow = "\x41\x00\x41\x00\x41%s\xfc\x0b\x00", "\x41%s\x40\x00\x1a"
	none, page := fuel(fmt.Sprintf(fill, "\x00")), fuel(fmt.Sprintf(fill, "\x80\x80\x04")) // 64 KiB
	if page-none != 64<<10/8 {
		t.Errorf("filling a page costs %d", page-none)
	}
	still, grown := fuel(fmt.Sprintf(grow, "\x00")), fuel(fmt.Sprintf(grow, "\x01"))
	if grown-still != page-none || still < 512 || still > 512+16 {
		t.Errorf("growing by a page costs %d, by none %d", grown-still, still)
	}
	if free, paid := fuel(strings.Repeat("\x41\x00\x1a", 20)), fuel(strings.Repeat("\x41\x00\x1a", 200)); free != 0 || paid < 400 {
		t.Errorf("60 instructions that the host calls cost %d, 600 cost %d", free, paid)
	}
}

// zeroReader is a source of randomness that is none, so that a guest's hash seeds are the same.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
