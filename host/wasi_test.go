package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

const (
	badf, fault, inval, nosys, notsup, spipe, notcapable = 8, 21, 28, 52, 58, 70, 76

	page = 1 << 16
	high = 0xffffffff
)

// iovecs puts an array of (ptr, len) pairs at ptr.
func (g *guest) iovecs(ptr uint32, pairs ...uint32) {
	var b []byte
	for _, v := range pairs {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	g.put(ptr, b)
}

func TestReadGivesThePayloadThenTheEnd(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Input: []byte("payload")}, true)
	g.iovecs(0, 100, 4, 200, 100)
	if e := g.must("fd_read", 0, 0, 2, 16); e != 0 || g.u32(16) != 7 {
		t.Fatalf("errno %d, %d bytes", e, g.u32(16))
	}
	if a, b := g.get(100, 4), g.get(200, 3); string(a)+string(b) != "payload" {
		t.Errorf("%q %q", a, b)
	}
	if e := g.must("fd_read", 0, 0, 2, 16); e != 0 || g.u32(16) != 0 {
		t.Errorf("at the end: errno %d, %d bytes", e, g.u32(16))
	}
}

// TestReadOverItsOwnArray: the spans cover the array and the total.
func TestReadOverItsOwnArray(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Input: bytes.Repeat([]byte{0xff}, 200)}, true)
	g.iovecs(0, 0, 16, 8, 50, 60, 100)
	if e := g.must("fd_read", 0, 0, 3, 4); e != 0 || g.u32(4) != 166 {
		t.Errorf("errno %d, %d bytes", e, g.u32(4))
	}
}

func TestWriteGoesToResultAndLog(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	g.put(100, []byte("one\ntwo\npart"))
	g.iovecs(0, 100, 4, 104, 8)
	for _, fd := range []uint64{1, 2} {
		if e := g.must("fd_write", fd, 0, 2, 16); e != 0 || g.u32(16) != 12 {
			t.Errorf("errno %d, %d bytes", e, g.u32(16))
		}
	}
	g.run.Finish()
	if string(g.run.Result()) != "one\ntwo\npart" || strings.Join(*g.log, "|") != "info: one|info: two|info: part" {
		t.Errorf("%q %q", g.run.Result(), *g.log)
	}
}

func TestStdoutIsALogWithResultWrite(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{StdoutLogs: true}, true)
	g.put(100, []byte("stray\n"))
	g.iovecs(0, 100, 6)
	g.must("fd_write", 1, 0, 1, 16)
	g.put(200, []byte("result"))
	g.must(abi.ResultWrite, 200, 3)
	g.must(abi.ResultWrite, 203, 3)
	if string(g.run.Result()) != "result" || len(*g.log) != 1 {
		t.Errorf("%q %q", g.run.Result(), *g.log)
	}
}

// TestSpansOutside tries what a hostile guest passes as pointer and length: an error each time, no ending, no allocation.
func TestSpansOutside(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Held: hold(t, "kv rw a/*", "clock fine"), Args: []string{"a"}, Env: []string{"A=b"}}, true)
	pairs := [][2]uint64{{0, page + 1}, {page, 1}, {page - 1, 2}, {high, 1}, {1, high}, {high, high}, {page, high - page + 1}, {high - 1, 2}}
	for _, p := range pairs {
		for _, name := range []string{abi.ResultWrite, abi.ErrorWrite, abi.KVGet, abi.KVPut, abi.KVList, abi.ClockFine, abi.HTTPFetch} {
			if code := g.must(name, p[0], p[1]); code != abi.Invalid {
				t.Errorf("%s(%#x, %#x) = %d", name, p[0], p[1], code)
			}
		}
		if code := g.must(abi.LogWrite, 1, p[0], p[1]); code != abi.Invalid {
			t.Errorf("log_write(%#x, %#x) = %d", p[0], p[1], code)
		}
		if e := g.must("random_get", p[0], p[1]); e != fault {
			t.Errorf("random_get(%#x, %#x) = %d", p[0], p[1], e)
		}
		g.iovecs(0, uint32(p[0]), uint32(p[1]))
		if e := g.must("fd_write", 1, 0, 1, 16); e != fault {
			t.Errorf("fd_write of (%#x, %#x) = %d", p[0], p[1], e)
		}
		if e := g.must("fd_read", 0, 0, 1, 16); e != fault {
			t.Errorf("fd_read to (%#x, %#x) = %d", p[0], p[1], e)
		}
	}
	for name, params := range map[string][]uint64{
		"args_get":          {high, 0},
		"args_sizes_get":    {0, high - 2},
		"environ_get":       {0, page - 1},
		"environ_sizes_get": {page - 3, 0},
		"clock_time_get":    {0, 0, page - 7},
		"clock_res_get":     {0, high},
		"fd_fdstat_get":     {0, page - 23},
		"fd_filestat_get":   {0, page - 63},
		"fd_write":          {1, page - 7, 1, 0},
		"fd_read":           {0, 0, 1, page - 3},
		"poll_oneoff":       {page - 47, 0, 1, 0},
	} {
		if e := g.must(name, params...); e != fault {
			t.Errorf("%s%#x = %d", name, params, e)
		}
	}
	if e := g.must("fd_write", 1, 0, 1025, 0); e != inval {
		t.Errorf("1025 spans: %d", e)
	}
	if e := g.must("poll_oneoff", 0, 0, high, 0); e != inval {
		t.Errorf("2^32-1 events: %d", e)
	}
	if len(g.run.Result()) != 0 || g.run.Ending().Kind != host.EndingNone {
		t.Error("a bad span did something")
	}
}

func TestWithoutMemory(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, false)
	if code := g.must(abi.ResultWrite, 0, 0); code != abi.Invalid {
		t.Errorf("result_write = %d", code)
	}
	for _, name := range []string{"random_get", "args_sizes_get", "fd_filestat_get"} {
		if e := g.must(name, 0, 0); e != fault {
			t.Errorf("%s = %d", name, e)
		}
	}
	if e := g.must("fd_write", 1, 0, 0, 0); e != fault {
		t.Errorf("fd_write = %d", e)
	}
}

// TestAbsentPowers: everything else of preview 1 exists and has nothing to give, on any descriptor.
func TestAbsentPowers(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	for _, f := range allFunctions(t, g.host) {
		switch {
		case strings.HasPrefix(f.name, "path_"), strings.HasPrefix(f.name, "sock_"), strings.HasPrefix(f.name, "fd_"):
		default:
			continue
		}
		for _, fd := range []uint64{0, 1, 2, 3, 4, high} {
			params := make([]uint64, len(f.params))
			params[0] = fd
			if f.name == "path_symlink" {
				params[0], params[2] = 0, fd
			}
			e := g.must(f.name, params...)
			if fd > 2 && e != badf {
				t.Errorf("%s(%d) = %d, want EBADF", f.name, fd, e)
			}
			if fd <= 2 && (strings.HasPrefix(f.name, "path_") || strings.HasPrefix(f.name, "sock_")) && e != notcapable {
				t.Errorf("%s(%d) = %d, want ENOTCAPABLE", f.name, fd, e)
			}
			if f.name == "fd_close" {
				g.again(host.RunConfig{})
			}
		}
	}
	if e := g.must("proc_raise", 9); e != nosys {
		t.Errorf("proc_raise = %d", e)
	}
	if e := g.must("fd_seek", 1, 0, 0, 0); e != spipe {
		t.Errorf("fd_seek = %d", e)
	}
	if e := g.must("fd_prestat_get", 3, 0); e != badf {
		t.Errorf("fd_prestat_get = %d", e)
	}
}

func TestClosedDescriptors(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Input: []byte("x")}, true)
	for fd := range uint64(3) {
		if e := g.must("fd_close", fd); e != 0 {
			t.Error(e)
		}
		if e := g.must("fd_close", fd); e != badf {
			t.Error(e)
		}
		if e := g.must("fd_fdstat_get", fd, 0); e != badf {
			t.Error(e)
		}
	}
	g.iovecs(0, 100, 1)
	if r, w := g.must("fd_read", 0, 0, 1, 16), g.must("fd_write", 1, 0, 1, 16); r != badf || w != badf {
		t.Errorf("%d %d", r, w)
	}
	g.again(host.RunConfig{})
	if e := g.must("fd_fdstat_get", 0, 0); e != 0 {
		t.Errorf("the next run finds fd 0 closed: %d", e)
	}
}

func TestArgsAndEnvironAreTheManifests(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Args: []string{"task", ""}, Env: []string{"A=1"}}, true)
	t.Setenv("CAISSON_LEAK", "1")
	g.must("args_sizes_get", 0, 4)
	if g.u32(0) != 2 || g.u32(4) != 6 {
		t.Errorf("%d args of %d bytes", g.u32(0), g.u32(4))
	}
	g.must("args_get", 0, 100)
	if g.u32(0) != 100 || g.u32(4) != 105 || string(g.get(100, 6)) != "task\x00\x00" {
		t.Errorf("%d %d %q", g.u32(0), g.u32(4), g.get(100, 6))
	}
	g.must("environ_sizes_get", 0, 4)
	if g.u32(0) != 1 || g.u32(4) != 4 {
		t.Errorf("%d variables of %d bytes", g.u32(0), g.u32(4))
	}
}

func TestClocks(t *testing.T) {
	now := time.Unix(1_700_000_000, 123_456_789)
	hc := host.Config{Now: func() time.Time { now = now.Add(1500 * time.Microsecond); return now }}
	g := newGuest(t, hc, host.RunConfig{}, true)
	read := func(clock uint64) uint64 {
		if e := g.must("clock_time_get", clock, 1, 0); e != 0 {
			t.Fatalf("clock %d: %d", clock, e)
		}
		v, _ := g.mod.Memory().ReadUint64Le(0)
		return v
	}
	for _, clock := range []uint64{0, 1} {
		a, b := read(clock), read(clock)
		if a%1e6 != 0 || b%1e6 != 0 || b <= a {
			t.Errorf("clock %d is not coarse: %d %d", clock, a, b)
		}
	}
	if m := read(1); m < 1e9 || m > 2e9 {
		t.Errorf("monotonic begins at %d", m)
	}
	for _, clock := range []uint64{2, 3} {
		if e := g.must("clock_time_get", clock, 1, 0); e != notsup {
			t.Errorf("clock %d: %d", clock, e)
		}
	}
	if e := g.must("clock_time_get", 4, 1, 0); e != inval {
		t.Errorf("clock 4: %d", e)
	}
	if code, _ := g.ask(abi.ClockFine); code != abi.Denied {
		t.Errorf("clock_fine = %d", code)
	}
	now = now.Add(-time.Hour) // a step of the machine's clock
	if m := read(1); m != 1e9 {
		t.Errorf("monotonic went behind its begin: %d", m)
	}
	now = now.Add(time.Hour)
	g.again(host.RunConfig{Held: hold(t, "clock fine")})
	if v := read(0); v%1e6 == 0 {
		t.Errorf("clock is coarse: %d", v)
	}
	if _, answer := g.ask(abi.ClockFine); len(answer) != 2 || !strings.HasPrefix(answer[0], "17000000") {
		t.Errorf("clock_fine gave %q", answer)
	}
}

// TestRandomIsCounted: entropy is fresh, crosses chunks, and is bounded by the limit on calls.
func TestRandomIsCounted(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Limits: capability.Limits{Calls: 3}}, true)
	g.must("random_get", 0, 32)
	first := bytes.Clone(g.get(0, 32))
	g.must("random_get", 0, 32)
	if bytes.Equal(first, g.get(0, 32)) || bytes.Equal(first, make([]byte, 32)) {
		t.Error("random repeats")
	}
	for range 3 {
		if e := g.must("random_get", 0, page); e != 0 {
			t.Fatal(e)
		}
	}
	if g.run.Calls() != 3 {
		t.Errorf("%d calls for 192 KiB", g.run.Calls())
	}
	g.ends(host.EndingLimit, "limit.calls", "random_get", 0, page)
}

func TestExitKeepsEveryStatus(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	for _, status := range []uint64{0, 1, 65, 256, high, 0xefffffff} {
		g.again(host.RunConfig{})
		if e := g.ends(host.EndingExit, "", "proc_exit", status); e.Status != int32(uint32(status)) {
			t.Errorf("exit %d became %d", status, e.Status)
		}
	}
}

// subscription is one clock of poll_oneoff.
func subscription(userdata uint64, kind byte, id uint32, timeout uint64, flags uint16) []byte {
	b := make([]byte, 48)
	binary.LittleEndian.PutUint64(b, userdata)
	b[8] = kind
	binary.LittleEndian.PutUint32(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], timeout)
	binary.LittleEndian.PutUint16(b[40:], flags)
	return b
}

func TestPoll(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Input: []byte("abc")}, true)
	events := func(subs ...[]byte) []string {
		t.Helper()
		g.put(0, cat(subs...))
		// In and out are the same place.
		if e := g.must("poll_oneoff", 0, 0, uint64(len(subs)), 4096); e != 0 {
			t.Fatalf("errno %d", e)
		}
		var list []string
		for i := range g.u32(4096) {
			b := g.get(i*32, 32)
			list = append(list, strings.Join([]string{string('a' + rune(b[0])), string('0' + rune(b[10])), string('0' + rune(b[8]))}, ""))
		}
		return list
	}
	begin := time.Now()
	if got := events(subscription(0, 0, 1, 5e6, 0), subscription(1, 0, 0, 3600e9, 0)); strings.Join(got, " ") != "a00" {
		t.Errorf("two clocks: %q", got)
	}
	if d := time.Since(begin); d < 5*time.Millisecond {
		t.Errorf("slept %s", d)
	}
	year := uint64(365 * 24 * time.Hour)
	if got := events(subscription(0, 0, 1, year, 0), subscription(1, 1, 0, 0, 0), subscription(2, 2, 1, 0, 0)); strings.Join(got, " ") != "b10 c20" {
		t.Errorf("ready descriptors: %q", got)
	}
	if got := events(subscription(0, 1, 7, 0, 0), subscription(1, 9, 0, 0, 0)); strings.Join(got, " ") != "a18 b9L" {
		t.Errorf("errors: %q", got)
	}
	if got := events(subscription(0, 0, 0, 1, 1)); strings.Join(got, " ") != "a00" {
		t.Errorf("a time that has passed: %q", got)
	}
	if e := g.must("poll_oneoff", 0, 0, 0, 0); e != inval {
		t.Errorf("no subscription: %d", e)
	}
}

func TestSleepEndsWithTheRun(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	ctx, cancel := context.WithTimeout(g.ctx, 20*time.Millisecond)
	defer cancel()
	g.ctx = ctx
	g.put(0, subscription(0, 0, 1, 1<<63, 0))
	g.ends(host.EndingInterrupted, "", "poll_oneoff", 0, 100, 1, 200)
}

func TestContextThatHasEnded(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	ctx, cancel := context.WithCancel(g.ctx)
	cancel()
	g.ctx = ctx
	if _, err := g.call("sched_yield"); err == nil {
		t.Error("a host function ran for a run that has ended")
	}
}

func TestYieldAndStat(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	if e := g.must("sched_yield"); e != 0 {
		t.Error(e)
	}
	g.put(0, bytes.Repeat([]byte{0xff}, 64))
	if e := g.must("fd_fdstat_get", 1, 0); e != 0 || g.get(0, 1)[0] != 0 || binary.LittleEndian.Uint64(g.get(8, 8)) != 1<<6|1<<27 {
		t.Errorf("%d %x", e, g.get(0, 24))
	}
	if e := g.must("fd_fdstat_set_flags", 1, 4); e != 0 {
		t.Error(e)
	}
	if e := g.must("fd_sync", 1); e != 0 {
		t.Error(e)
	}
}

// TestBeginAtLeavesNothing: a record that served a run is as new for the next one, and what the first gave away stays as it was.
func TestBeginAtLeavesNothing(t *testing.T) {
	first := host.RunConfig{Tenant: "acme", Input: []byte("in"), Held: hold(t, "clock fine"), Args: []string{"a"}}
	g := newGuest(t, host.Config{}, first, true)
	g.put(100, []byte("ring"))
	g.iovecs(0, 100, 4)
	g.must("fd_read", 0, 0, 1, 32)
	g.must("fd_write", 1, 0, 1, 32)
	g.must("fd_write", 2, 0, 1, 32)
	g.must("fd_close", 2)
	g.must("clock_time_get", 1, 1, 40)
	g.must("random_get", 64, 8)
	g.ends(host.EndingExit, "", "proc_exit", 3)
	result := g.run.Result()
	g.host.BeginAt(g.run, host.RunConfig{Tenant: "other"})
	if want := g.host.Begin(host.RunConfig{Tenant: "other"}); !reflect.DeepEqual(g.run, want) {
		t.Errorf("%+v, want %+v", g.run, want)
	}
	g.run.Enter()
	g.ctx = g.run.Context(context.Background())
	g.must("fd_write", 1, 0, 1, 32)
	if string(result) != "inng" {
		t.Errorf("the first run's result became %q", result)
	}
}
