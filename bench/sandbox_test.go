package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// smallLab has engines of this program's own, and the tiny guest.
func smallLab(t *testing.T) *lab {
	t.Helper()
	folder := t.TempDir()
	limits, err := startSelf(context.Background(), "cell", cacheFolder(folder, "cell")) // close ends it, after the context of t
	if err != nil {
		t.Fatal(err)
	}
	var faults strings.Builder
	l := &lab{
		ctx: context.Background(), o: options{quick: true, rounds: 2, progress: io.Discard}, folder: folder, limits: limits,
		guests: map[string]string{"tiny": writeTest(t, folder, "tiny", tinyGuest())}, processes: map[place]*process{}, loaded: map[load]bool{},
	}
	t.Cleanup(func() {
		l.o.progress = &faults
		if l.close(); faults.Len() > 0 {
			t.Error(faults.String())
		}
	})
	return l
}

func writeTest(t *testing.T, folder, name string, guest []byte) string {
	t.Helper()
	path := filepath.Join(folder, name+".wasm")
	if err := os.WriteFile(path, guest, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTinyTasks measures the cheapest rows for real, and nothing else.
func TestTinyTasks(t *testing.T) {
	l := smallLab(t)
	l.o.only = regexp.MustCompile(`^tiny: (wazero fresh|cell|cell without restore) x2$`)
	m := newSandboxProbes(l, time.Millisecond)
	if _, err := measureRounds(t.Context(), l.o, m.all()); err != nil {
		t.Fatal(err)
	}
	var r report
	m.report(&r)
	var names []string
	for _, q := range r.rows {
		names = append(names, q.Row)
		if !(q.Low > 0 && q.Low <= q.Median && q.Median <= q.High) {
			t.Errorf("%+v", q)
		}
	}
	want := []string{"tiny: wazero fresh x2", "tiny: cell x2", "tiny: cell without restore x2",
		"ratio tiny: wazero fresh x2 / cell", "ratio tiny: cell without restore x2 / cell"}
	if !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	for _, g := range r.goals {
		if g.Met || g.Got != "not measured" {
			t.Errorf("%+v, and it was not measured", g)
		}
	}
	if len(r.goals) < 10 {
		t.Errorf("only %d goals", len(r.goals))
	}
}

// TestGuestsApart: ways of an engine share a process, guests do not, since one's garbage changes what rows of another cost.
func TestGuestsApart(t *testing.T) {
	l := smallLab(t)
	l.guests["other"] = l.guests["tiny"]
	tiny, other := place{ownEngine, "tiny"}, place{ownEngine, "other"}
	l.load(map[load]bool{{tiny, "fresh"}: true, {tiny, "cell"}: true, {other, "fresh"}: true, {place{ownEngine, "none such"}, "fresh"}: true})
	if len(l.loaded) != 3 || len(l.processes) != 2 {
		t.Fatalf("loaded %v in %d processes, want 3 in 2", l.loaded, len(l.processes))
	}
	if _, err := l.processes[tiny].ask(line.Request{Op: "run", Way: "cell", Guest: "tiny", Count: 1, Workers: 1}); err != nil {
		t.Error(err)
	}
	if _, err := l.processes[tiny].ask(line.Request{Op: "run", Way: "fresh", Guest: "other", Count: 1, Workers: 1}); err == nil {
		t.Error("the process of one guest has another")
	}
}

// TestEngineWithoutGuest: what an engine cannot do is left out, and the rest goes on.
func TestEngineWithoutGuest(t *testing.T) {
	l := smallLab(t)
	var progress strings.Builder
	l.o.progress = &progress
	at := place{ownEngine, "tiny"}
	l.load(map[load]bool{{at, "fresh"}: true, {at, "no such way"}: true})
	one := func(want string) *series {
		return &series{name: "wants " + want, process: l.processes[at], slot: time.Millisecond,
			request: line.Request{Op: "run", Way: "fresh", Guest: "tiny", Want: want, Workers: 1}}
	}
	bad, good := one("something"), one("")
	if _, err := measureRounds(t.Context(), l.o, []probe{bad, good}); err != nil {
		t.Fatal(err)
	}
	if len(bad.took) != 0 || len(good.took) != 2 {
		t.Errorf("%d and %d numbers", len(bad.took), len(good.took))
	}
	for _, want := range []string{`no way "no such way" here`, `wants something: left out: own: run fresh tiny: result "", want "something"`} {
		if !strings.Contains(progress.String(), want) {
			t.Errorf("progress %q does not say %q", &progress, want)
		}
	}
}

// TestRunaways runs each guest of the list into its limit, which shows that it is what its name says.
func TestRunaways(t *testing.T) {
	l := smallLab(t)
	beats := &beatProbe{lab: l}
	if err := (beatStart{beats}).measure(); err != nil {
		t.Fatal(err)
	}
	for _, a := range runaways() {
		t.Run(a.name, func(t *testing.T) {
			l.guests[a.name] = writeTest(t, l.folder, a.name, a.guest)
			p := newRunawayProbe(l, a.name, "wall", 2)
			p.request.Count = 4
			if err := p.measure(); err != nil {
				t.Fatal(err)
			}
			if len(p.late) != 4 || p.late.low() < 0 || len(p.p99()) != 1 {
				t.Errorf("late %v", p.late)
			}
		})
	}
	if err := beats.measure(); err != nil {
		t.Fatal(err)
	}
	if len(beats.gaps) != 1 || beats.gaps[0] < 1 {
		t.Errorf("gaps %v, of a beat of a millisecond", beats.gaps)
	}
}
