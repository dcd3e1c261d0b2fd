package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// TestEnterForgetsInit: what a module does before the task begins, as its _initialize may, leaves it no power, no input and nothing in the record, but what it spent.
func TestEnterForgetsInit(t *testing.T) {
	rc := host.RunConfig{Tenant: "acme", Held: hold(t, "kv ro a/*", "clock fine"), Input: []byte("payload"), StdoutLogs: true}
	g := newGuest(t, host.Config{}, rc, true)
	g.run = g.host.Begin(rc)
	g.ctx = g.run.Context(t.Context())
	g.iovecs(0, 100, 50)
	if e := g.must("fd_read", 0, 0, 1, 90); e != 0 || g.u32(90) != 0 {
		t.Errorf("%d: it reads %d bytes of the input", e, g.u32(90))
	}
	if code, _ := g.ask(abi.KVGet, "a/b"); code != abi.Denied {
		t.Errorf("it holds a power: %d", code)
	}
	if e := g.must("clock_res_get", 1, 0); e != 0 || g.u32(0) != 1e6 {
		t.Errorf("%d: its clock shows %d ns", e, g.u32(0))
	}
	g.put(0, []byte("result"))
	g.must(abi.ResultWrite, 0, 6)
	g.ask(abi.ErrorWrite, abi.ErrorRetry, "5000", "not ready")
	for fd := range uint64(3) {
		g.must("fd_close", fd)
	}

	g.run.Enter()
	if kind, text, after := g.run.Error(); len(g.run.Result()) > 0 || kind != "" || text != "" || after != 0 {
		t.Errorf("left %q, %q, %q, %v", g.run.Result(), kind, text, after)
	}
	g.iovecs(0, 100, 50)
	if e := g.must("fd_read", 0, 0, 1, 90); e != 0 || g.u32(90) != 7 || string(g.get(100, 7)) != "payload" {
		t.Errorf("%d: it reads %q", e, g.get(100, 7))
	}
	if code, _ := g.ask(abi.KVGet, "a/b"); code != abi.NotFound {
		t.Errorf("it holds no power: %d", code)
	}
	if e := g.must("clock_res_get", 1, 0); e != 0 || g.u32(0) != 1 {
		t.Errorf("%d: its clock shows %d ns", e, g.u32(0))
	}
	if g.run.Calls() != 2 {
		t.Errorf("%d calls, want both of init and task", g.run.Calls())
	}
}

// TestEnterDropsAnswers: an answer that waits from before is no answer of the task's.
func TestEnterDropsAnswers(t *testing.T) {
	rc := host.RunConfig{Held: hold(t, "clock fine")}
	g := newGuest(t, host.Config{}, rc, true)
	if n := g.must(abi.ClockFine, 0, 0); n <= 0 {
		t.Fatal(n)
	}
	g.run.Enter()
	if code := g.must(abi.AnswerRead, 0, 100); code != abi.NotFound {
		t.Errorf("it is read: %d", code)
	}
}

// keeper is a KV that keeps what it is given, as an act may.
type keeper struct {
	*kvMap
	value []byte
}

func (k *keeper) Put(_ context.Context, _, _ string, value []byte, _ time.Duration) error {
	k.value = value
	return nil
}

// TestRequestIsACopy: what a guest writes after a call changes nothing of what it asked for.
func TestRequestIsACopy(t *testing.T) {
	kv := &keeper{kvMap: newKV()}
	g := newGuest(t, host.Config{KV: kv}, host.RunConfig{Held: hold(t, "kv wo a/*")}, true)
	if code, _ := g.ask(abi.KVPut, "a/b", "value", ""); code != 0 {
		t.Fatal(code)
	}
	g.put(0, []byte(strings.Repeat("x", 100)))
	if string(kv.value) != "value" {
		t.Errorf("it became %q", kv.value)
	}
}

// units is a host.Meter that counts.
type units struct{ spent int64 }

func (u *units) Charge(n int64)         { u.spent += n }
func (u *units) Leave() context.Context { return context.Background() }
func (u *units) Return()                {}

// TestCallsAreChargedBySize: each function that moves bytes costs a unit of fuel for every eight of them, beside what any call costs.
func TestCallsAreChargedBySize(t *testing.T) {
	const size = 800
	var u units
	var g *guest
	frame := func(fields ...string) int {
		var in [][]byte
		for _, f := range fields {
			in = append(in, []byte(f))
		}
		b := host.AppendFrame(nil, in)
		g.put(0, b)
		return len(b)
	}
	long := strings.Repeat("x", size)
	rows := []struct {
		name string
		call func() // moves size bytes and some that stand in extra
		more int64  // bytes
	}{
		{abi.ResultWrite, func() { g.must(abi.ResultWrite, 0, size) }, 0},
		{abi.ErrorWrite, func() { g.must(abi.ErrorWrite, 0, uint64(frame(abi.ErrorFail, "0", long))) }, 4*3 + 5},
		{abi.LogWrite, func() { g.must(abi.LogWrite, 1, 0, size) }, 0},
		{abi.ProgressWrite, func() { g.must(abi.ProgressWrite, 0, size) }, 0},
		{abi.KVPut, func() { g.must(abi.KVPut, 0, uint64(frame("a/b", long, ""))) }, 4*3 + 3},
		{"random_get", func() { g.must("random_get", 0, size) }, 0},
		{"fd_write", func() { g.iovecs(0, 100, size); g.must("fd_write", 2, 0, 1, 90) }, 8},
		{"fd_read", func() { g.iovecs(0, 100, size); g.must("fd_read", 0, 0, 1, 90) }, 8},
		{"poll_oneoff", func() { g.put(0, make([]byte, size)); g.must("poll_oneoff", 0, 2000, size/48, 90) }, size/48*48 - size},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rc := host.RunConfig{Held: hold(t, "kv wo a/*", "progress"), Input: []byte(long), Meter: &u, StdoutLogs: true}
			g = newGuest(t, host.Config{}, rc, true)
			u.spent = 0
			g.must("sched_yield")
			call := u.spent
			row.call()
			if got, want := u.spent-2*call, (size+row.more)/8; call <= 0 || got < want-1 || got > want {
				t.Errorf("%d units beside %d of the call, want %d", got, call, want)
			}
		})
	}
}

// TestRandomEndsWithTheRun: a run whose time is over gets no further than the chunk that is being drawn.
func TestRandomEndsWithTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	drawn := 0
	g := newGuest(t, host.Config{Rand: reader(func(p []byte) { drawn += len(p); cancel() })}, host.RunConfig{}, true)
	if _, ok := g.mod.Memory().Grow(16); !ok {
		t.Fatal("no memory")
	}
	g.ctx = g.run.Context(ctx)
	g.ends(host.EndingInterrupted, "", "random_get", 0, 16*page)
	if drawn != page {
		t.Errorf("%d bytes were drawn", drawn)
	}
}

type reader func(p []byte)

func (r reader) Read(p []byte) (int, error) { r(p); return len(p), nil }

// TestLogBounds: the last byte and the last line that are allowed are written, what is left of a line when the run ends is no further one.
func TestLogBounds(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Limits: capability.Limits{Log: 10}}, true)
	g.put(0, []byte("123456789\n0"))
	if code := g.must(abi.LogWrite, 1, 0, 10); code != 0 || strings.Join(*g.log, "") != "info: 123456789" {
		t.Errorf("%d %q", code, *g.log)
	}
	g.ends(host.EndingLimit, "limit.log", abi.LogWrite, 1, 10, 1)

	g = newGuest(t, host.Config{}, host.RunConfig{Limits: capability.Limits{LogLines: 1}}, true)
	g.iovecs(0, 100, 4)
	g.put(100, []byte("a\nbc"))
	g.must("fd_write", 2, 0, 1, 90)
	g.run.Finish()
	if strings.Join(*g.log, "; ") != "info: a" {
		t.Errorf("%q", *g.log)
	}
}

// TestProgressIsBounded: a text that escaping makes longer is cut to its bound.
func TestProgressIsBounded(t *testing.T) {
	var got string
	rc := host.RunConfig{Held: hold(t, "progress"), Progress: func(text string) { got = text }}
	g := newGuest(t, host.Config{}, rc, true)
	text := strings.Repeat("é", abi.ProgressSizeMax/2-3) + "\n\n\nxxx"
	g.put(0, []byte(text))
	if code := g.must(abi.ProgressWrite, 0, uint64(len(text))); code != 0 || got != strings.Repeat("é", abi.ProgressSizeMax/2-3)+`\n\n\n` {
		t.Errorf("%d, %d bytes, ends %q", code, len(got), got[max(0, len(got)-10):])
	}
	if code := g.must(abi.ProgressWrite, 0, abi.ProgressSizeMax+1); code != abi.TooLarge {
		t.Errorf("one byte more: %d", code)
	}
	for range 2000 { // a task that reports for each of its items is not ended for it
		g.must(abi.ProgressWrite, 0, 1)
	}
	if n := g.run.Calls(); n != 0 {
		t.Errorf("reports count as %d calls", n)
	}
}
