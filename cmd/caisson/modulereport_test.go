package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestInspectKnowsEveryNeed: a module is shown whatever it imports, so there is a line of needs for each import.
func TestInspectKnowsEveryNeed(t *testing.T) {
	unused := unusedNeeds()
	for _, i := range abi.Imports() {
		if i.Kind == "" {
			continue
		}
		if need, err := capability.Parse(unused[i.Kind]); err != nil || string(need.Kind()) != i.Kind {
			t.Errorf("%s needs %s: %q, %v", i.Name, i.Kind, unused[i.Kind], err)
		}
	}
}

func TestPercentiles(t *testing.T) {
	for _, row := range []struct {
		samples []float64
		want    percentiles
	}{
		{[]float64{7}, percentiles{7, 7, 7, 7}},
		{[]float64{2, 1}, percentiles{1, 2, 2, 2}},
		{upTo(100), percentiles{50, 95, 99, 100}},
		{upTo(1000), percentiles{500, 950, 990, 1000}},
	} {
		if got := percentilesOf(row.samples); got != row.want {
			t.Errorf("%d samples: got %+v, want %+v", len(row.samples), got, row.want)
		}
	}
}

// upTo gives n, n-1, ..., 1.
func upTo(n int) []float64 {
	var list []float64
	for ; n > 0; n-- {
		list = append(list, float64(n))
	}
	return list
}

func TestSamples(t *testing.T) {
	s := runSamples{}
	if s.describe() != nil {
		t.Error("no run has percentiles")
	}
	for i, same := range []bool{true, false, true} {
		s.add(sandbox.Usage{Wall: time.Duration(i+1) * time.Millisecond, CPU: time.Microsecond, Pages: int64(i), Fuel: int64(10 - i)}, same)
	}
	got := s.describe()
	want := repeatInfo{Runs: 3, Differ: 1, Wall: percentiles{2000, 3000, 3000, 3000}, CPU: percentiles{1, 1, 1, 1},
		Pages: percentiles{1, 2, 2, 2}, FuelMin: 8, FuelMax: 10}
	if *got != want {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestSpanText(t *testing.T) {
	for us, want := range map[float64]string{0: "0.0 us", 21.34: "21.3 us", 5123: "5.12 ms", 2.5e6: "2.50 s"} {
		if got := spanText(us); got != want {
			t.Errorf("%v us: %q, want %q", us, got, want)
		}
	}
}

// What ends soon is not said to be waited for; what lasts is said again and again, until it is over.
func TestWhileWaiting(t *testing.T) {
	var quick strings.Builder
	whileWaiting(time.Hour, time.Hour, &quick, "compiling")()
	if quick.Len() > 0 {
		t.Errorf("%q", quick.String())
	}
	lines := make(chan string)
	done := whileWaiting(time.Millisecond, time.Millisecond, writerFunc(func(p []byte) (int, error) {
		select {
		case lines <- string(p):
		case <-t.Context().Done():
		}
		return len(p), nil
	}), "compiling a\nb")
	said := regexp.MustCompile(`^caisson: compiling a\\nb: [0-9]+s so far\n$`) // 0, unless the machine stands still
	for range 3 {
		if got := <-lines; !said.MatchString(got) {
			t.Errorf("%q", got)
		}
	}
	over := make(chan struct{})
	go func() { done(); close(over) }()
	for ended := false; !ended; {
		select {
		case <-lines: // one that was on its way
		case <-over:
			ended = true
		}
	}
}

// A writerFunc is a writer that is a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Work that ends soon says nothing of how far it is; what lasts says it from where it is by then.
func TestProgressAfter(t *testing.T) {
	for _, row := range []struct {
		wait time.Duration
		want string
	}{
		{time.Hour, ""},
		{-1, "runs      2 of 20\nruns      4 of 20\n"},
	} {
		var out bytes.Buffer
		step := progressAfter(row.wait, 20, "runs", &out)
		for range 20 {
			step()
		}
		if got := out.String(); row.want == "" && got != "" || !strings.HasPrefix(got, row.want) {
			t.Errorf("after %v: %q", row.wait, got)
		}
	}
}

// TestUndeclared: a release whose module no worker would admit, for want of a need in its manifest, is not signed.
func TestUndeclared(t *testing.T) {
	needs, err := capability.ParseSet([]string{"kv ro a/*"})
	check(t, err)
	imports := []sandbox.Imported{{Module: "caisson", Name: "kv_get", Needs: "kv"}, {Module: "caisson", Name: "log_write"}}
	if err := undeclared("a.wasm", imports, needs); err != nil {
		t.Errorf("declared: %v", err)
	}
	err = undeclared("a.wasm", append(imports, sandbox.Imported{Module: "caisson", Name: "http_fetch", Needs: "http"}), needs)
	if err == nil || !strings.Contains(err.Error(), "module.capability: imports caisson.http_fetch, but its manifest needs no capability of kind http") {
		t.Errorf("undeclared: %v", err)
	}
}
