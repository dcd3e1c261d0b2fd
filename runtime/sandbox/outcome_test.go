package sandbox_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// expect is what an outcome must be; Output and Error are judged when set.
type expect struct {
	verdict sandbox.Verdict
	code    string
	output  string
	text    string
}

func check(t *testing.T, out sandbox.Outcome, want expect) {
	t.Helper()
	if out.Verdict != want.verdict || out.Code != want.code {
		t.Errorf("%s %q (%s), want %s %q", out.Verdict, out.Code, out.Error, want.verdict, want.code)
	}
	if want.output != "" && string(out.Output) != want.output {
		t.Errorf("output %q, want %q", out.Output, want.output)
	}
	if !strings.Contains(out.Error, want.text) {
		t.Errorf("error %q, want %q in it", out.Error, want.text)
	}
	if (out.Verdict == sandbox.Done) != (out.Error == "") {
		t.Errorf("%s with error %q", out.Verdict, out.Error)
	}
	if strings.Contains(out.Error, ".go") || strings.Contains(out.Error, "\n") {
		t.Errorf("error %q shows the inside", out.Error)
	}
}

// TestOutcomes runs honest and hostile guests, and after each of them the next task in a clean state.
func TestOutcomes(t *testing.T) {
	const kb = 1 << 10
	short := capability.Limits{Wall: 300 * time.Millisecond}
	tests := []struct {
		guest, input string
		limits       capability.Limits
		want         expect
	}{
		{"command", "echo hello", capability.Limits{}, expect{sandbox.Done, "", "hello", ""}},
		{"command", "exit 0", capability.Limits{}, expect{sandbox.Done, "", "", ""}},
		{"command", "exit 65", capability.Limits{}, expect{sandbox.Failed, "task.failed", "", "for good"}},
		{"command", "exit 1", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status 1"}},
		{"command", "exit -1", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status -1"}},
		{"command", "exit 4026531839", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status -268435457"}},
		{"command", "passwd", capability.Limits{}, expect{sandbox.Done, "", "0 bytes, open /etc/passwd: Bad file number", ""}},
		{"command", "environ", capability.Limits{}, expect{sandbox.Done, "", `["task" "--x=1"] ["MODE=test"]`, ""}},
		{"command", "dial", capability.Limits{}, expect{sandbox.Done, "", "dial tcp 127.0.0.1:80: address 127.0.0.1:80: connect: Connection refused", ""}},
		{"command", "flood1", capability.Limits{Result: 100 * kb}, expect{sandbox.Limit, "limit.result", "", "result"}},
		{"command", "flood2", capability.Limits{Log: 100 * kb}, expect{sandbox.Limit, "limit.log", "", "log bytes"}},
		{"command", "lines", capability.Limits{LogLines: 50}, expect{sandbox.Limit, "limit.log", "", "log lines"}},
		{"command", "year", short, expect{sandbox.Limit, "limit.wall", "", "wall"}},
		{"command", "nap", capability.Limits{}, expect{sandbox.Done, "", "true", ""}},
		{"command", "panic", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status 2"}},
		{"command", "state", capability.Limits{}, expect{sandbox.Done, "", "1 true true", ""}},
		{"reactor", "echo hello", capability.Limits{}, expect{sandbox.Done, "", "hello", ""}},
		{"reactor", "count", capability.Limits{}, expect{sandbox.Done, "", "1", ""}},
		{"reactor", "status 7", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status 7"}},
		{"reactor", "status 65", capability.Limits{}, expect{sandbox.Failed, "task.failed", "", ""}},
		{"reactor", "retry", capability.Limits{}, expect{sandbox.Retry, "task.error", "", `later,\x1b[0m please`}},
		{"reactor", "fail", capability.Limits{}, expect{sandbox.Failed, "task.failed", "", "never"}},
		{"reactor", "exit 4", capability.Limits{}, expect{sandbox.Retry, "task.error", "", "status 4"}},
		{"reactor", "loop", short, expect{sandbox.Limit, "limit.wall", "", ""}},
		{"reactor", "loop", capability.Limits{CPU: 100 * time.Millisecond, Wall: time.Minute}, expect{sandbox.Limit, "limit.cpu", "", ""}},
		{"reactor", "grow", capability.Limits{Memory: 32 << 20}, expect{sandbox.Limit, "limit.memory", "", ""}},
		{"reactor", "divide", capability.Limits{}, expect{sandbox.Retry, "task.trap", "", "trap: unreachable"}},
		{"reactor", "big", capability.Limits{}, expect{sandbox.Limit, "limit.result", "", ""}},
		{"reactor", "logs", capability.Limits{}, expect{sandbox.Limit, "limit.log", "", ""}},
		{"reactor", "calls", capability.Limits{Calls: 20}, expect{sandbox.Limit, "limit.calls", "", "host calls"}},
		{"reactor", "kv a/b", capability.Limits{}, expect{sandbox.Done, "", "value of acme", ""}},
		{"reactor", "init", capability.Limits{}, expect{sandbox.Done, "", "0 bytes of input, kv_get answers -1", ""}},
		{"reactor", "kv b/b", capability.Limits{}, expect{sandbox.Done, "", "-1", ""}},
		{"reactor", "kv a/c", capability.Limits{}, expect{sandbox.Done, "", "-2", ""}},
	}
	s := sharedSandbox(t)
	needs := reactorNeeds
	held := hold(t, needs...)
	for _, tt := range tests {
		t.Run(tt.guest+" "+tt.input, func(t *testing.T) {
			m := module(goGuest(t, tt.guest), needs...)
			m.Args, m.Env = []string{"task", "--x=1"}, []string{"MODE=test"}
			p := load(t, s, m)
			job := sandbox.Job{ID: "1", Tenant: "acme", Held: held, Limits: tt.limits, Input: []byte(tt.input)}
			if job.Limits.Wall == 0 {
				job.Limits.Wall = time.Minute // the race detector is slow
			}
			if job.Limits.CPU == 0 {
				job.Limits.CPU = time.Minute
			}
			check(t, p.Run(context.Background(), job), tt.want)
			if tt.guest == "reactor" {
				job.Input = []byte("count")
				check(t, p.Run(context.Background(), job), expect{sandbox.Done, "", "1", ""})
			}
		})
	}
}

func TestRecursionEndsAtTheStack(t *testing.T) {
	s := sharedSandbox(t)
	// A Go guest has a stack of its own in linear memory, whose limit Go reports; the native one is left to small modules.
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	out := p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: 4 << 30, Wall: time.Minute, CPU: time.Minute}, Input: []byte("recurse")})
	if out.Verdict == sandbox.Done || out.Verdict == sandbox.Crash {
		t.Errorf("%s %s", out.Verdict, out.Code)
	}
	p = load(t, s, module(assemble(nil, "\x10\x00\x0b")))
	check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Limit, "limit.stack", "", "stack"})
}

func TestRetryAfter(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	out := p.Run(context.Background(), sandbox.Job{Input: []byte("retry"), Limits: capability.Limits{CPU: time.Minute, Wall: time.Minute}})
	if out.RetryAfter != 1500*time.Millisecond {
		t.Errorf("retry after %s", out.RetryAfter)
	}
}

func TestLogIsSplitAndEscaped(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "command")))
	var lines []string
	out := p.Run(context.Background(), sandbox.Job{Input: []byte("log"), Log: func(level, line string) { lines = append(lines, level+": "+line) }})
	want := []string{"info: plain", `info: \x1b[31mred`, `info: \xff\u202etxt`, "info: no newline"}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("log %q, want %q", lines, want)
	}
	if out.Usage.LogBytes != int64(len("plain\n\x1b[31mred\r\n\xff\u202etxt\nno newline")) {
		t.Errorf("log bytes %d", out.Usage.LogBytes)
	}
}

// TestTraps runs modules of a few bytes: what a toolchain would not emit.
func TestTraps(t *testing.T) {
	s := sharedSandbox(t)
	tests := []struct {
		name, body string
		want       expect
	}{
		{"unreachable", "\x00\x0b", expect{sandbox.Retry, "task.trap", "", "trap: unreachable"}},
		{"division by zero", "\x41\x01\x41\x00\x6d\x0b", expect{sandbox.Retry, "task.trap", "", "trap: integer divide by zero"}},
		{"out of bounds", "\x41\x7f\x28\x02\x00\x0b", expect{sandbox.Retry, "task.trap", "", "trap: out of bounds"}},
		{"NaN to integer", "\x43\x00\x00\xc0\x7f\xa8\x0b", expect{sandbox.Retry, "task.trap", "", "trap: invalid conversion"}},
		{"grows, then traps", "\x41\x80\x20\x40\x00\x1a\x00\x0b", expect{sandbox.Limit, "limit.memory", "", "memory"}},
		{"growth denied, copes", "\x41\x80\x20\x40\x00\x41\x01\x6a\x0b", expect{sandbox.Done, "", "", ""}},
		{"loop", "\x03\x40\x0c\x00\x0b\x00\x0b", expect{sandbox.Limit, "limit.wall", "", ""}},
		{"grows for ever", "\x03\x40\x41\x01\x40\x00\x1a\x0c\x00\x0b\x00\x0b", expect{sandbox.Limit, "limit.wall", "", ""}},
		{"status 0", "\x41\x00\x0b", expect{sandbox.Done, "", "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, s, module(assemble(nil, tt.body)))
			limits := capability.Limits{Wall: time.Minute, CPU: time.Minute}
			if tt.want.code == "limit.wall" {
				limits.Wall = 200 * time.Millisecond
			}
			check(t, p.Run(context.Background(), sandbox.Job{Limits: limits}), tt.want)
		})
	}
}

func TestStartSectionRunsUnderTheLimits(t *testing.T) {
	s := sharedSandbox(t)
	for body, code := range map[string]string{"\x03\x40\x0c\x00\x0b\x0b": "limit.wall", "\x00\x0b": "task.trap"} {
		p := load(t, s, module(assembleStart(body)))
		out := p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Wall: 100 * time.Millisecond}})
		if out.Code != code {
			t.Errorf("%s %s, want %s", out.Code, out.Error, code)
		}
	}
}

func TestMemoryAboveTheLimitFromTheStart(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	out := p.Run(context.Background(), sandbox.Job{Limits: capability.Limits{Memory: 1 << 16}})
	check(t, out, expect{sandbox.Limit, "limit.memory", "", "memory"})
}

func TestUsage(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	out := p.Run(context.Background(), sandbox.Job{Input: []byte("loop"), Limits: capability.Limits{CPU: 50 * time.Millisecond, Wall: time.Minute}})
	u := out.Usage
	if u.CPU < 50*time.Millisecond || u.Wall < 50*time.Millisecond || u.Memory < 1<<20 || u.Memory%(64<<10) != 0 {
		t.Errorf("%+v", u)
	}
}

// TestCancel ends runs of every kind from outside: each returns at once, for the same reason.
func TestCancel(t *testing.T) {
	s := sharedSandbox(t)
	for _, guest := range []struct{ name, input string }{{"reactor", "loop"}, {"command", "year"}} {
		p := load(t, s, module(goGuest(t, guest.name), reactorNeeds...))
		ctx, cancel := context.WithCancel(context.Background())
		stop := time.AfterFunc(50*time.Millisecond, cancel)
		begin := time.Now()
		out := p.Run(ctx, sandbox.Job{Input: []byte(guest.input), Limits: capability.Limits{Wall: time.Hour, CPU: time.Hour}})
		check(t, out, expect{sandbox.Crash, "task.cancelled", "", "cancelled"})
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("%s took %s", guest.input, d)
		}
		stop.Stop()
		cancel()
	}
}

// TestBegin ends a run in Begin, when its cell is there: Begin is called once, and of the guest, which would log, nothing runs.
func TestBegin(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	for _, cancelled := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		begun, lines := 0, 0
		out := p.Run(ctx, sandbox.Job{Input: []byte("logs"), Log: func(string, string) { lines++ }, Begin: func() {
			begun++
			if cancelled {
				cancel()
			}
		}})
		cancel()
		if cancelled {
			check(t, out, expect{sandbox.Crash, "task.cancelled", "", "cancelled"})
		}
		if begun != 1 || (lines == 0) != cancelled || (out.Usage.Fuel == 0) != cancelled {
			t.Errorf("cancelled %t: Begin was called %d times, the guest logged %d lines and used %d fuel", cancelled, begun, lines, out.Usage.Fuel)
		}
	}
}

func TestCloseEndsRuns(t *testing.T) {
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := sandbox.Open(context.Background(), sandbox.Config{Host: h, CheckRate: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := module(logThenLoop)
	p := load(t, s, m)
	started := make(chan struct{})
	done := make(chan sandbox.Outcome)
	for range 3 {
		go func() {
			done <- p.Run(context.Background(), sandbox.Job{
				Limits: capability.Limits{Wall: time.Hour, CPU: time.Hour},
				Log:    func(string, string) { started <- struct{}{} },
			})
		}()
		<-started
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for range 3 {
		check(t, <-done, expect{sandbox.Crash, "task.cancelled", "", ""})
	}
	check(t, p.Run(context.Background(), sandbox.Job{}), expect{sandbox.Crash, "task.cancelled", "", "closing"})
	if _, err := s.Load(context.Background(), m); err == nil {
		t.Error("a closed sandbox loads")
	}
}

// TestHTTPThatHangs: the deadline of the run ends a fetch whose server never answers.
func TestHTTPThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	need := "http GET " + server.URL + "/*"
	s := openSandbox(t, host.Config{HTTP: host.HTTPConfig{RootCAs: roots, AllowAddr: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
	request := frame("GET", server.URL+"/slow", "")
	call := string(cat([]byte{0x41, 0, 0x41, byte(len(request)), 0x10, 0, 0x0b})) // http_fetch(0, len)
	p := load(t, s, module(assembleData([]asmImport{{"caisson", "http_fetch", i32x2}}, call, request), need))
	begin := time.Now()
	out := p.Run(context.Background(), sandbox.Job{
		Held: hold(t, need), Limits: capability.Limits{Wall: 300 * time.Millisecond},
	})
	check(t, out, expect{sandbox.Limit, "limit.wall", "", ""})
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
}

// TestMany runs many tasks of three modules at once; each has its own state, tenant and outcome.
func TestMany(t *testing.T) {
	s := sharedSandbox(t)
	held := hold(t, reactorNeeds...)
	long := capability.Limits{Wall: time.Minute, CPU: time.Minute}
	r := load(t, s, module(goGuest(t, "reactor"), reactorNeeds...))
	c := load(t, s, module(goGuest(t, "command")))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 4 {
				text := fmt.Sprintf("%d-%d", i, n)
				check(t, r.Run(context.Background(), sandbox.Job{Input: []byte("echo " + text), Limits: long}), expect{sandbox.Done, "", text, ""})
				check(t, c.Run(context.Background(), sandbox.Job{Input: []byte("echo " + text), Limits: long}), expect{sandbox.Done, "", text, ""})
				tenant, want := "acme", "value of acme"
				if i%2 == 0 {
					tenant, want = "other", "value of other"
				}
				check(t, r.Run(context.Background(), sandbox.Job{Tenant: tenant, Held: held, Input: []byte("kv a/b"), Limits: long}), expect{sandbox.Done, "", want, ""})
				check(t, r.Run(context.Background(), sandbox.Job{Input: []byte("exit 9"), Limits: long}), expect{sandbox.Retry, "task.error", "", "status 9"})
			}
		})
	}
	wg.Wait()
}

// TestHostPanicIsACrash: a store that panics costs its run, and its message stays inside.
func TestHostPanicIsACrash(t *testing.T) {
	s := openSandbox(t, host.Config{KV: &panicKV{}})
	p := load(t, s, module(assembleData([]asmImport{{"caisson", "kv_get", i32x2}}, "\x41\x00\x41\x07\x10\x00\x0b", frame("a/b")), "kv ro a/*"))
	out := p.Run(context.Background(), sandbox.Job{Held: hold(t, "kv ro a/*")})
	check(t, out, expect{sandbox.Crash, "sandbox.crash", "", "internal error in host function kv_get"})
	if strings.Contains(out.Error, "secret") {
		t.Error(out.Error)
	}
}

type panicKV struct{ kvMap }

func (*panicKV) Get(context.Context, string, string) ([]byte, bool, error) {
	panic(errors.New("secret /etc/worker path"))
}

func TestPayloadIsNotChanged(t *testing.T) {
	s := sharedSandbox(t)
	p := load(t, s, module(goGuest(t, "command")))
	input := []byte("echo " + strings.Repeat("abc", 100_000))
	kept := bytes.Clone(input)
	out := p.Run(context.Background(), sandbox.Job{Input: input, Limits: capability.Limits{Wall: time.Minute, CPU: time.Minute, Payload: 1 << 20}})
	check(t, out, expect{sandbox.Done, "", string(kept[5:]), ""})
	if !bytes.Equal(input, kept) {
		t.Error("the payload was changed")
	}
}
