package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
)

// A taskWay is one manner to run a task from a clean state, or from one that is not cleared.
type taskWay struct {
	name   string // of the row
	engine string
	way    string
	many   bool // measured with many goroutines too
}

// Names of the ways that goals speak of.
const (
	wayWazero    = "wazero fresh"
	wayDefault   = "wasmtime fresh, direct call"
	wayPooling   = "wasmtime pooling, direct call"
	wayCell      = "cell"
	wayUncleared = "cell without restore"
)

var taskWays = []taskWay{
	{wayWazero, ownEngine, "fresh", true},
	{"wazero fresh, deadline", ownEngine, "fresh, deadline", false},
	{"wazero fresh, direct call", ownEngine, "direct", false},
	{"extism fresh", "extism", "fresh", false},
	{"extism reused, not cleared", "extism", "reused", true},
	{wayDefault, "wasmtime", "default", false},
	{wayPooling, "wasmtime", "pooling", true},
	{wayCell, ownEngine, "cell", true},
	{wayUncleared, ownEngine, "bare", true},
}

// A taskGuest is one guest of the tasks, with its payload.
type taskGuest struct {
	name        string
	input, want string
	many        bool // measured with many goroutines too
}

var taskGuests = []taskGuest{
	{"tiny", "", "", true},
	{"c", goInput, goWant, false},
	{"rust", goInput, goWant, false},
	{"assemblyscript", goInput, goWant, false},
	{"go", goInput, goWant, true},
}

// goroutines are how many share the runs of a series; where not many, the first only.
var goroutines = []int{1, 2, 16, 64}

// A meterWay is one manner to run the compute set. An instance is kept from run to run, so that only the guest's own work differs, and its exports
// are called; all but the whole cell, which has a task and restores.
type meterWay struct{ name, engine, way string }

const (
	meterStock     = "wazero"
	meterDeadline  = "wazero, deadline"
	meterMetered   = "metered"
	meterUnmetered = "rewritten, unmetered"
	meterCell      = "cell"
)

var meterWays = []meterWay{
	{meterStock, ownEngine, "works"},
	{meterDeadline, ownEngine, "works, deadline"},
	{meterMetered, ownEngine, "bare works"},
	{meterUnmetered, ownEngine, "bare works, unmetered"},
	{meterCell, ownEngine, "cell"},
}

// computeGuests have the compute set. The first has all of it, and is what goals are judged by.
var computeGuests = []string{"go/compute", "c/compute", "rust/compute"}

// measureSandbox is the suite of the sandbox.
func measureSandbox(ctx context.Context, o options, r *report) error {
	slot := slotFull
	if o.quick {
		slot = slotQuick
	}
	if o.rounds == 0 {
		o.rounds = roundsFull
		if o.quick {
			o.rounds = roundsQuick
		}
	}
	lab, err := openLab(ctx, o)
	if err != nil {
		return err
	}
	defer lab.close()
	m := newSandboxProbes(lab, slot)
	if r.rounds, err = measureRounds(ctx, o, m.all()); r.rounds > 0 {
		m.report(r)
	}
	return err
}

// sandboxProbes are all probes of the suite.
type sandboxProbes struct {
	series   map[string]*series // by name
	order    []*series          // as they are listed
	runaways []*runawayProbe
	deep     []*deepProbe
	crowds   []*crowdProbe
	beats    *beatProbe
	memory   *memoryProbe
	start    *startProbe
}

func taskName(guest, way string, goroutines int) string {
	return fmt.Sprintf("%s: %s x%d", guest, way, goroutines)
}

func meterName(work, guest, way string) string {
	language, _, _ := strings.Cut(guest, "/")
	return fmt.Sprintf("%s in %s: %s", work, language, way)
}

func newSandboxProbes(lab *lab, slot time.Duration) *sandboxProbes {
	m := &sandboxProbes{series: map[string]*series{}}
	m.listTasks(slot)
	m.listWorks(slot)
	m.connect(lab)
	m.beats = &beatProbe{lab: lab}
	for _, a := range runaways() {
		for _, workers := range []int{1, runawaysAtOnce} {
			m.runaways = append(m.runaways, newRunawayProbe(lab, a.name, "wall", workers))
		}
	}
	m.runaways = append(m.runaways, newRunawayProbe(lab, "loop", "cpu", 1))
	m.deep = []*deepProbe{{lab: lab, stack: manifest.StackMax}}
	m.crowds = []*crowdProbe{newCrowdProbe(lab, "", crowdSize), newCrowdProbe(lab, "loop", crowdSize), newCrowdProbe(lab, "", crowdWorker)}
	m.memory, m.start = &memoryProbe{lab: lab}, &startProbe{lab: lab}
	return m
}

func (m *sandboxProbes) listTasks(slot time.Duration) {
	for _, g := range taskGuests {
		for _, n := range goroutines {
			for _, w := range taskWays {
				if n == goroutines[0] || g.many && w.many {
					m.list(&series{name: taskName(g.name, w.name, n), engine: w.engine, slot: slot, request: line.Request{
						Op: "run", Way: w.way, Guest: g.name, Input: g.input, Want: g.want, Workers: n,
					}})
				}
			}
		}
	}
}

func (m *sandboxProbes) listWorks(slot time.Duration) {
	for _, guest := range computeGuests {
		for _, work := range worksOf(guest) {
			for _, w := range meterWays {
				m.list(&series{name: meterName(work.Name, guest, w.name), engine: w.engine, slot: slot, request: line.Request{
					Op: "run", Way: w.way, Guest: guest, Workers: 1,
					Input: fmt.Sprintf("%s %d", work.Name, work.N), Want: fmt.Sprint(work.Want),
				}})
			}
		}
	}
}

// worksOf is the part of the compute set that a guest has.
func worksOf(guest string) []guesttest.Work {
	return slices.DeleteFunc(guesttest.Works(), func(w guesttest.Work) bool { return !slices.Contains(w.Guests, guest) })
}

func (m *sandboxProbes) list(s *series) {
	m.series[s.name] = s
	m.order = append(m.order, s)
}

// connect gives each series its engine, loaded with what it runs. One without stays without numbers.
func (m *sandboxProbes) connect(lab *lab) {
	wanted := map[load]bool{}
	for _, s := range m.order {
		if lab.o.wants(s.name) {
			wanted[s.load()] = true
		}
	}
	lab.load(wanted)
	for _, s := range m.order {
		if lab.loaded[s.load()] {
			s.process = lab.processes[s.load().place]
		}
	}
}

// all lists the probes in the order of a round. Heartbeats are watched while guests run away, and not else.
func (m *sandboxProbes) all() (all []probe) {
	for _, s := range m.order {
		if s.process != nil {
			all = append(all, s)
		}
	}
	all = append(all, beatStart{m.beats})
	for _, p := range m.runaways {
		all = append(all, p)
	}
	for _, p := range m.deep {
		all = append(all, p)
	}
	all = append(all, m.beats)
	for _, p := range m.crowds {
		all = append(all, p)
	}
	return append(all, m.memory, m.start)
}
