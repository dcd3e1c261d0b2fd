package host_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

func TestAnswerRead(t *testing.T) {
	kv := newKV()
	kv.values["acme a/b"] = "value"
	rc := host.RunConfig{Tenant: "acme", Held: hold(t, "kv rw a/*")}
	g := newGuest(t, host.Config{KV: kv}, rc, true)
	if code := g.must(abi.AnswerRead, 0, 100); code != abi.NotFound {
		t.Errorf("none waits: %d", code)
	}
	request := host.AppendFrame(nil, [][]byte{[]byte("a/b")})
	g.put(0, request)
	n := g.must(abi.KVGet, 0, uint64(len(request)))
	if n != 9 {
		t.Fatalf("kv_get = %d", n)
	}
	for _, size := range []uint64{0, 8} {
		if code := g.must(abi.AnswerRead, 100, size); code != abi.TooSmall {
			t.Errorf("into %d bytes: %d", size, code)
		}
	}
	if string(g.get(100, 9)) != strings.Repeat("\x00", 9) {
		t.Error("something was written all the same")
	}
	for _, ptr := range []uint64{page - 8, high} {
		if code := g.must(abi.AnswerRead, ptr, high); code != abi.Invalid {
			t.Errorf("outside of memory: %d", code)
		}
	}
	for _, size := range []uint64{9, high} { // the very length, and one beyond the memory, of which only the answer's is looked at
		g.put(0, request)
		g.must(abi.KVGet, 0, uint64(len(request)))
		if code := g.must(abi.AnswerRead, 100, size); code != 9 || string(g.get(104, 5)) != "value" {
			t.Errorf("into %d bytes: %d %q", size, code, g.get(100, 9))
		}
	}
	if code := g.must(abi.AnswerRead, 100, 100); code != abi.NotFound {
		t.Errorf("it was read: %d", code)
	}
	// A next call drops the answer before.
	g.must(abi.KVGet, 0, uint64(len(request)))
	g.ask(abi.KVGet, "not/granted")
	if code := g.must(abi.AnswerRead, 100, 100); code != abi.NotFound {
		t.Errorf("it was dropped: %d", code)
	}
	// The next run finds nothing of it.
	g.put(0, request)
	g.must(abi.KVGet, 0, uint64(len(request)))
	g.again(rc)
	if code := g.must(abi.AnswerRead, 100, 100); code != abi.NotFound {
		t.Errorf("the next run reads: %d", code)
	}
}

func TestKV(t *testing.T) {
	kv := newKV()
	rc := host.RunConfig{Tenant: "acme", Held: hold(t, "kv ro read/*", "kv wo write/*", "kv rw both/*")}
	g := newGuest(t, host.Config{KV: kv}, rc, true)
	long := strings.Repeat("k", abi.KVKeySizeMax)
	tests := []struct {
		name   string
		fields []string
		want   int32
		answer string
	}{
		{abi.KVPut, []string{"both/x", "one", ""}, 0, ""},
		{abi.KVGet, []string{"both/x"}, 7, "one"},
		{abi.KVPut, []string{"both/x", "", "60"}, 0, ""},
		{abi.KVGet, []string{"both/x"}, 4, ""},
		{abi.KVDelete, []string{"both/x"}, 0, ""},
		{abi.KVGet, []string{"both/x"}, abi.NotFound, ""},
		{abi.KVPut, []string{"read/x", "v", ""}, abi.Denied, ""},
		{abi.KVDelete, []string{"read/x"}, abi.Denied, ""},
		{abi.KVGet, []string{"write/x"}, abi.Denied, ""},
		{abi.KVGet, []string{"other/x"}, abi.Denied, ""},
		{abi.KVGet, []string{"both"}, abi.Denied, ""},
		{abi.KVGet, []string{""}, abi.Invalid, ""},
		{abi.KVGet, []string{"both/*"}, abi.Invalid, ""},
		{abi.KVGet, []string{"both/../x"}, abi.Invalid, ""},
		{abi.KVGet, []string{"both/\x00"}, abi.Invalid, ""},
		{abi.KVGet, []string{"both/" + long}, abi.TooLarge, ""},
		{abi.KVGet, []string{}, abi.Invalid, ""},
		{abi.KVGet, []string{"both/x", "y"}, abi.Invalid, ""},
		{abi.KVPut, []string{"both/x", "v"}, abi.Invalid, ""},
		{abi.KVPut, []string{"both/x", "v", "0"}, abi.Invalid, ""},
		{abi.KVPut, []string{"both/x", "v", "-1"}, abi.Invalid, ""},
		{abi.KVPut, []string{"both/x", "v", "01"}, abi.Invalid, ""},
		{abi.KVPut, []string{"both/x", "v", "99999999999999999999"}, abi.Invalid, ""},
		{abi.KVList, []string{"both/", "", "2"}, 20, "both/0 both/1"},
		{abi.KVList, []string{"read/", "z", "1"}, 11, "read/z0"},
		{abi.KVList, []string{"write/", "", "1"}, abi.Denied, ""},
		{abi.KVList, []string{"both", "", "1"}, abi.Invalid, ""},
		{abi.KVList, []string{"", "", "1"}, abi.Invalid, ""},
		{abi.KVList, []string{"*/", "", "1"}, abi.Invalid, ""},
		{abi.KVList, []string{"both/", "", "0"}, abi.Invalid, ""},
		{abi.KVList, []string{"both/", "", "1001"}, abi.Invalid, ""},
		{abi.KVList, []string{"both/", "", "x"}, abi.Invalid, ""},
	}
	for _, tt := range tests {
		g.again(rc)
		code, answer := g.ask(tt.name, tt.fields...)
		if code != tt.want || strings.Join(answer, " ") != tt.answer {
			t.Errorf("%s%q = %d %q, want %d %q", tt.name, tt.fields, code, answer, tt.want, tt.answer)
		}
		if tt.want < 0 && len(*g.log) == 0 {
			t.Errorf("%s%q: nothing in the log", tt.name, tt.fields)
		}
		*g.log = nil
	}
	g.again(host.RunConfig{Tenant: "other", Held: rc.Held})
	kv.values["acme both/x"] = "of acme"
	if code, _ := g.ask(abi.KVGet, "both/x"); code != abi.NotFound {
		t.Errorf("another tenant reads it: %d", code)
	}
}

func TestKVErrors(t *testing.T) {
	kv := newKV()
	rc := host.RunConfig{Tenant: "acme", Held: hold(t, "kv rw a/*")}
	g := newGuest(t, host.Config{KV: kv}, rc, true)
	for err, code := range map[error]int32{
		fmt.Errorf("full: %w", host.ErrQuota):                    abi.Quota,
		errors.New("redis: connection refused"):                  abi.Unavailable,
		fmt.Errorf("redis: %w", context.DeadlineExceeded):        abi.Timeout,
		&host.ActError{Code: abi.TooLarge, Text: "is too large"}: abi.TooLarge,
	} {
		kv.err = err
		if got, _ := g.ask(abi.KVPut, "a/b", "v", "5"); got != code {
			t.Errorf("%v became %d", err, got)
		}
	}
	if kv.ttl != 5*time.Second {
		t.Errorf("ttl %s", kv.ttl)
	}
	kv.err = nil
	kv.values["acme a/b"] = strings.Repeat("v", abi.KVValueSizeMax+1)
	if code, _ := g.ask(abi.KVGet, "a/b"); code != abi.TooLarge {
		t.Errorf("a value that is too large: %d", code)
	}
}

// TestMalformedFrames: every prefix of a good frame, and lengths that lie.
func TestMalformedFrames(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Held: hold(t, "kv rw a/*")}, true)
	frame := host.AppendFrame(nil, [][]byte{[]byte("a/b"), []byte("v"), nil})
	for n := range frame {
		g.put(0, frame)
		if code := g.must(abi.KVPut, 0, uint64(n)); code != abi.Invalid {
			t.Errorf("%d bytes of it: %d", n, code)
		}
	}
	for _, lie := range []string{"\xff\xff\xff\xff", "\x05\x00\x00\x00abcd", "\x00\x00\x00\x80x"} {
		g.put(0, []byte(lie))
		if code := g.must(abi.KVPut, 0, uint64(len(lie))); code != abi.Invalid {
			t.Errorf("%q: %d", lie, code)
		}
	}
}

func TestRequestSize(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Held: hold(t, "kv rw a/*")}, true)
	if _, ok := g.mod.Memory().Grow(32); !ok {
		t.Fatal("no memory")
	}
	for _, name := range []string{abi.KVPut, abi.ErrorWrite} {
		if code := g.must(name, 0, abi.RequestSizeMax+1); code != abi.TooLarge {
			t.Errorf("%s = %d", name, code)
		}
	}
	empty := make([]byte, 4*(abi.FieldsMax+1))
	g.put(0, empty)
	if code := g.must(abi.KVPut, 0, uint64(len(empty))); code != abi.Invalid {
		t.Errorf("too many fields: %d", code)
	}
}

func TestErrorWrite(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{}, true)
	write := func(fields ...string) int32 {
		var in [][]byte
		for _, f := range fields {
			in = append(in, []byte(f))
		}
		b := host.AppendFrame(nil, in)
		g.put(0, b)
		return g.must(abi.ErrorWrite, 0, uint64(len(b)))
	}
	for _, bad := range [][]string{{}, {"retry"}, {"retry", "0"}, {"maybe", "0", "x"}, {"retry", "", "x"}, {"retry", "-1", "x"}, {"retry", "1.5", "x"},
		{"retry", "2592000001", "x"}, {"retry", "0", "x", "y"}, {strings.Repeat("retry", 1000), "0", "x"}} {
		if code := write(bad...); code != abi.Invalid {
			t.Errorf("%.40q = %d", bad, code)
		}
	}
	if kind, _, _ := g.run.Error(); kind != "" {
		t.Errorf("a bad frame left %q", kind)
	}
	write("retry", "1500", "first")
	write("fail", "0", "bad\x00line\n\x1b[2J"+strings.Repeat("é", 4000))
	kind, text, after := g.run.Error()
	if kind != "fail" || after != 0 || !strings.HasPrefix(text, `bad\x00line\n\x1b[2Jéé`) || !strings.HasSuffix(text, "é [cut]") {
		t.Errorf("%q %.60q %s", kind, text, after)
	}
}

func TestLogWrite(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Limits: capability.Limits{Log: 20000, LogLines: 6}}, true)
	g.put(0, []byte("one\ntwo\n"))
	if code := g.must(abi.LogWrite, 3, 0, 8); code != 0 {
		t.Error(code)
	}
	for _, level := range []uint64{4, high} {
		if code := g.must(abi.LogWrite, level, 0, 8); code != abi.Invalid {
			t.Errorf("level %d: %d", level, code)
		}
	}
	g.put(0, []byte(strings.Repeat("x", 5000)))
	g.must(abi.LogWrite, 0, 0, 5000)
	want := []string{"error: one", "error: two", "debug: " + strings.Repeat("x", 4096) + " [cut]"}
	if strings.Join(*g.log, "|") != strings.Join(want, "|") {
		t.Errorf("%.200q", *g.log)
	}
	if g.run.LogSize() != 5008 {
		t.Errorf("%d bytes", g.run.LogSize())
	}
	g.ends(host.EndingLimit, "limit.log", abi.LogWrite, 0, 0, 30000)
	last := (*g.log)[len(*g.log)-1]
	if last != "warn: [log ends here: more log bytes than allowed]" {
		t.Error(last)
	}
	g.run.Finish()
}

// TestLongLinesWithoutNewline: a stream keeps no more than one line, however much is written.
func TestLongLinesWithoutNewline(t *testing.T) {
	g := newGuest(t, host.Config{}, host.RunConfig{Limits: capability.Limits{Log: 1 << 20}}, true)
	g.put(4096, []byte(strings.Repeat("é", 10000)))
	g.iovecs(0, 4097, 19998) // begins and ends inside a rune
	for range 10 {
		g.must("fd_write", 2, 0, 1, 16)
	}
	g.run.Finish()
	if len(*g.log) != 1 || len((*g.log)[0]) > 4096+50 || !strings.HasSuffix((*g.log)[0], "é [cut]") || !strings.HasPrefix((*g.log)[0], `info: \xa9é`) {
		t.Errorf("%d lines, %.60q", len(*g.log), *g.log)
	}
}

func TestLimitsEndTheGuest(t *testing.T) {
	limits := capability.Limits{Result: 10, Calls: 2, Log: 100, LogLines: 3}
	rc := host.RunConfig{Held: hold(t, "kv rw a/*"), Limits: limits}
	g := newGuest(t, host.Config{}, rc, true)
	g.must(abi.ResultWrite, 0, 10)
	g.ends(host.EndingLimit, "limit.result", abi.ResultWrite, 0, 1)
	if n := len(g.run.Result()); n != 10 {
		t.Errorf("result of %d bytes", n)
	}
	g.again(rc)
	g.ask(abi.KVGet, "a/b")
	g.ask(abi.KVGet, "a/b")
	g.ends(host.EndingLimit, "limit.calls", abi.KVGet, 0, 0)
	g.again(rc)
	g.put(100, []byte("\n\n\n\n"))
	g.iovecs(0, 100, 4)
	g.ends(host.EndingLimit, "limit.log", "fd_write", 2, 0, 1, 16)
	g.again(rc)
	g.iovecs(0, 0, page)
	g.ends(host.EndingLimit, "limit.result", "fd_write", 1, 0, 1, 16)
}

type panickingKV struct{ host.KV }

func TestPanicIsACrash(t *testing.T) {
	g := newGuest(t, host.Config{KV: panickingKV{}}, host.RunConfig{Held: hold(t, "kv rw a/*")}, true)
	request := host.AppendFrame(nil, [][]byte{[]byte("a/b")})
	g.put(0, request)
	e := g.ends(host.EndingCrash, "sandbox.crash", abi.KVGet, 0, uint64(len(request)))
	if e.Text != "internal error in host function kv_get" {
		t.Error(e.Text)
	}
}

// TestImportsMatchTheTable: abi.Imports and the host say the same, and the kinds are those of package capability.
func TestImportsMatchTheTable(t *testing.T) {
	h, err := host.New(host.Config{KV: newKV()})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, m := range abi.Imports() {
		f, ok := h.Function(abi.Module, m.Name)
		if !ok || !f.Offered || len(f.Params) != m.Params || len(f.Results) != 1 || string(f.Kind) != m.Kind {
			t.Errorf("%+v, host has %+v", m, f)
		}
	}
	if abi.KindClock != capability.Clock || abi.KindHTTP != capability.HTTP || abi.KindKV != capability.KV {
		t.Error("the kinds differ")
	}
	if _, ok := h.Function(abi.Module, "exec"); ok {
		t.Error("exec is known")
	}
	without, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	if f, ok := without.Function(abi.Module, abi.KVGet); !ok || f.Offered {
		t.Errorf("without a store: %+v %v", f, ok)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"plain text, ünïcode ✓ 漢字": "plain text, ünïcode ✓ 漢字",
		"\x1b[31m\x07\x7f":         `\x1b[31m\x07\x7f`,
		"a\r\n\tb":                 `a\r\n\tb`,
		"\u202e\u2066\u200f\u061c": `\u202e\u2066\u200f\u061c`,
		"\u2028\u0085\ufeff\u00ad": `\u2028\u0085\ufeff\u00ad`,
		"\xff\xc3(":                `\xff\xc3(`,
		"\U000e0001":               `\U000e0001`,
		`\n`:                       `\n`,
	} {
		if got := host.Escape([]byte(in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := host.EscapeCut([]byte("aé"), 2); got != "a [cut]" {
		t.Errorf("%q", got)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, ok := host.ReadFrame(b)
		if ok && string(host.AppendFrame(nil, fields)) != string(b) {
			t.Errorf("%x is printed as %x", b, host.AppendFrame(nil, fields))
		}
	})
}

// FuzzCalls calls random functions with random numbers: the host answers or ends the guest by a limit, and never crashes.
func FuzzCalls(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(2))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		rc := host.RunConfig{Input: []byte("input"), Held: hold(t, "kv rw a/*", "clock fine"), Args: []string{"x"}}
		g := newGuest(t, host.Config{}, rc, true)
		ctx, cancel := context.WithTimeout(g.ctx, 200*time.Millisecond)
		defer cancel()
		g.ctx = ctx
		list := allFunctions(t, g.host)
		odd := []uint64{0, 1, 2, 3, 4, 16, 48, page - 1, page, page + 1, 1 << 31, high - 7, high, 1<<64 - 1}
		for range 200 {
			f := list[r.IntN(len(list))]
			params := make([]uint64, len(f.params))
			for i := range params {
				if params[i] = odd[r.IntN(len(odd))]; r.IntN(2) == 0 {
					params[i] = r.Uint64N(page)
				}
			}
			_, err := g.call(f.name, params...)
			if e := g.run.Ending(); e.Kind == host.EndingCrash || (err != nil) != (e.Kind != host.EndingNone) {
				t.Fatalf("%s%#x: %v, %+v", f.name, params, err, e)
			}
			if err != nil {
				return
			}
		}
	})
}
