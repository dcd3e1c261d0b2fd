package capability_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

func set(t testing.TB, lines ...string) capability.Set {
	t.Helper()
	s, err := capability.ParseSet(lines)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSet(t *testing.T) {
	s := set(t, "log", "clock fine", "log", "http GET https://a.com/*")
	if got := s.Lines(); !reflect.DeepEqual(got, []string{"clock fine", "http GET https://a.com/*", "log"}) {
		t.Errorf("got %q", got)
	}
	if k := s.Kinds(); !k[capability.Log] || !k[capability.HTTP] || k[capability.KV] {
		t.Errorf("kinds: %v", k)
	}
	var none capability.Set
	if len(none.Lines()) != 0 || none.Allows(parse(t, "log")) || none.Allows(capability.Capability{}) || len(none.Missing(none)) != 0 {
		t.Error("the zero value is not nothing")
	}
	if missing := s.Missing(set(t, "log", "http * https://a.com/b")); fmt.Sprint(missing) != "[clock fine http GET https://a.com/*]" {
		t.Errorf("missing: %v", missing)
	}
	// Reading and writing may be granted by two lines.
	if !set(t, "kv ro a/*", "kv wo a/b").Allows(parse(t, "kv rw a/b")) || set(t, "kv ro a/*").Allows(parse(t, "kv rw a/b")) {
		t.Error("rw from two lines")
	}
}

func TestSetErrorNamesEveryLine(t *testing.T) {
	_, err := capability.ParseSet([]string{"log", "nope", "kv rw *", "clock fine"})
	var bad *capability.SetError
	if !errors.As(err, &bad) || len(bad.Lines) != 2 || bad.Lines[0].Index != 1 || bad.Lines[1].Index != 2 || bad.Lines[1].Err.Column != 7 {
		t.Fatalf("got %v", err)
	}
	want := `line 2: capability: "nope": column 1: unknown power "nope"; there are log, progress, clock, http, kv, blob, secret, enqueue
line 3: capability: "kv rw *": column 7: "*" alone would be every key; name a prefix: PREFIX/*`
	if err.Error() != want {
		t.Errorf("got %s", err)
	}
	var one *capability.SyntaxError
	if !errors.As(err, &one) || one.Line != "nope" {
		t.Errorf("no SyntaxError within: %v", one)
	}
	lines := make([]string, capability.SetLinesMax+5)
	for i := range lines {
		lines[i] = "log"
	}
	if _, err := capability.ParseSet(lines); !errors.As(err, &bad) || len(bad.Lines) != 1 || bad.Lines[0].Index != capability.SetLinesMax {
		t.Errorf("too many lines: %v", err)
	}
}

func TestHoldShortfall(t *testing.T) {
	need := set(t, "log", "kv rw a/*", "http GET https://a.com/*")
	_, err := capability.Hold(need, set(t, "kv ro a/*", "log"), nil)
	var short *capability.ShortfallError
	if !errors.As(err, &short) || short.Code() != "capability.shortfall" || short.Layer != capability.Policy || fmt.Sprint(short.Missing) != "[http GET https://a.com/* kv rw a/*]" {
		t.Errorf("got %v", err)
	}
}

// Each layer alone can refuse, and the first that does is named.
func TestHeldCheck(t *testing.T) {
	need := set(t, "kv rw a/*", "clock fine")
	wide := set(t, "kv rw a/*", "kv rw b/*", "clock fine", "log")
	narrow := set(t, "kv ro a/x", "kv rw b/*", "log")
	none := capability.Set{}
	tests := []struct {
		name     string
		narrowed *capability.Set
		request  string
		layer    capability.Layer
	}{
		{"all allow", nil, "kv wo a/x", ""},
		{"the manifest does not", nil, "kv ro b/x", capability.Manifest},
		{"the manifest is asked first", &none, "kv ro b/x", capability.Manifest},
		{"the sender kept it", &narrow, "kv ro a/x", ""},
		{"the sender gave writing up", &narrow, "kv wo a/x", capability.Sender},
		{"the sender gave the clock up", &narrow, "clock fine", capability.Sender},
		{"the sender kept what was never needed", &narrow, "log", capability.Manifest},
		{"the sender kept nothing", &none, "kv ro a/x", capability.Sender},
	}
	for _, c := range tests {
		h, err := capability.Hold(need, wide, c.narrowed)
		if err != nil {
			t.Fatal(err)
		}
		err = h.Check(parse(t, c.request))
		var denied *capability.DeniedError
		if c.layer == "" && err != nil || c.layer != "" && (!errors.As(err, &denied) || denied.Layer != c.layer || denied.Code() != "capability.denied") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var zero capability.Held
	var denied *capability.DeniedError
	if err := zero.Check(parse(t, "log")); !errors.As(err, &denied) || denied.Layer != capability.Manifest || err.Error() != `capability: "log" is not allowed by the manifest` {
		t.Errorf("the zero value holds something: %v", err)
	}
	// The sender's set is the layer's own: a caller's later change is not seen.
	mine := set(t, "clock fine")
	h, err := capability.Hold(need, wide, &mine)
	if err != nil || h.Check(capability.Capability{}) == nil {
		t.Errorf("no power is held, or %v", err)
	}
	mine = capability.Set{}
	if h.Check(capability.ClockFine()) != nil {
		t.Error("Hold kept the caller's pointer")
	}
}

func TestTightest(t *testing.T) {
	a := capability.Limits{Memory: 10, Stack: 5, Wall: time.Second, Calls: 7, Fuel: 11}
	b := capability.Limits{Memory: 20, Result: 3, Wall: time.Millisecond, CPU: time.Hour, Calls: 7, LogLines: 1, Log: 2, Payload: 9, Fuel: 12, Tables: 13}
	want := capability.Limits{Memory: 10, Stack: 5, Result: 3, Wall: time.Millisecond, CPU: time.Hour, Calls: 7, LogLines: 1, Log: 2, Payload: 9, Fuel: 11, Tables: 13}
	if got := a.Tightest(b); got != want || b.Tightest(a) != want {
		t.Errorf("got %+v", got)
	}
	// Every field takes part: one that is forgotten would be a limit that does not hold.
	var one, two capability.Limits
	v, w := reflect.ValueOf(&one).Elem(), reflect.ValueOf(&two).Elem()
	for i := 0; i < v.NumField(); i++ {
		v.Field(i).SetInt(int64(2 + i))
		w.Field(i).SetInt(1)
	}
	if one.Tightest(two) != two || one.Tightest(capability.Limits{}) != one {
		t.Error("a field takes no part")
	}
}
