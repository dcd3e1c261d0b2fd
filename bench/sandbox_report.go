package main

import (
	"fmt"
	"strings"
)

// report turns what was measured into rows, ratios last, and goals.
func (m *sandboxProbes) report(r *report) {
	for _, s := range m.order {
		r.add(s.name, "us", s.took)
	}
	for _, p := range m.runaways {
		r.add(p.name, "ms", p.late)
		r.add(p.name+", p99", "ms", p.p99())
	}
	for _, p := range m.deep {
		r.add(p.title(), "ms", p.late)
		r.add(p.title()+", p99", "ms", p.late.p99())
	}
	r.add("heartbeat: longest gap", "ms", m.beats.gaps)
	for _, p := range m.crowds {
		r.add(p.name, "ms", p.late)
		r.add(p.name+", p99", "ms", p.p99())
		r.add(p.name+": longest gap between heartbeats", "ms", p.gaps)
	}
	r.add("memory: one more warm go cell", "KiB", m.memory.each)
	r.add("start: to the first task done", "ms", m.start.took)
	m.reportTasks(r)
	m.reportMetering(r)
	m.reportLimits(r)
}

// took gives what a task took with one goroutine.
func (m *sandboxProbes) took(guest, way string) sample {
	return m.series[taskName(guest, way, goroutines[0])].took
}

func (m *sandboxProbes) reportTasks(r *report) {
	for _, g := range taskGuests {
		for _, n := range goroutines {
			for _, w := range taskWays {
				s, cell := m.series[taskName(g.name, w.name, n)], m.series[taskName(g.name, wayCell, n)]
				if s != nil && s != cell {
					r.add("ratio "+s.name+" / cell", "x", s.took.over(cell.took))
				}
			}
		}
	}
	cell := m.took("go", wayCell)
	r.atLeast("go JSON task, clean state: faster than a fresh wazero instance", 100, "x", m.took("go", wayWazero).over(cell))
	r.atLeast("go JSON task, clean state: faster than wasmtime", 15, "x", best(m.took("go", wayDefault), m.took("go", wayPooling)).over(cell))
	r.atMost("go JSON task, clean state: to the same cell without restore", 2, "x", cell.over(m.took("go", wayUncleared)))
	for _, g := range []string{"c", "rust", "assemblyscript"} {
		cell := m.took(g, wayCell)
		r.atMost(g+" task, clean state: to a fresh wazero instance", 0.25, "x", cell.over(m.took(g, wayWazero)))
		r.atMost(g+" task, clean state: to wasmtime's pooling allocator", 1, "x", cell.over(m.took(g, wayPooling)))
	}
}

// reportMetering compares the ways of the compute set in each language, and judges the first.
func (m *sandboxProbes) reportMetering(r *report) {
	for i, guest := range computeGuests {
		price := m.meanRatio(r, guest, meterMetered, meterStock)
		faster := m.meanRatio(r, guest, meterDeadline, meterMetered)
		m.meanRatio(r, guest, meterUnmetered, meterStock)
		m.meanRatio(r, guest, meterCell, meterStock)
		if i == 0 {
			r.atMost("metering, geometric mean: to unmetered wazero", 1.25, "x", price)
			r.atLeast("metering, geometric mean: faster than WithCloseOnContextDone", 3, "x", faster)
		}
	}
}

// meanRatio adds a row for each work and one for their mean, and returns that.
func (m *sandboxProbes) meanRatio(r *report, guest, above, below string) sample {
	var all []sample
	for _, work := range worksOf(guest) {
		a, b := m.series[meterName(work.Name, guest, above)], m.series[meterName(work.Name, guest, below)]
		all = append(all, a.took.over(b.took))
		r.add(fmt.Sprintf("ratio %s / %s", a.name, below), "x", a.took.over(b.took))
	}
	language, _, _ := strings.Cut(guest, "/")
	mean := geometricMean(all)
	r.add(fmt.Sprintf("ratio geometric mean in %s: %s / %s", language, above, below), "x", mean)
	return mean
}

func (m *sandboxProbes) reportLimits(r *report) {
	for _, p := range m.runaways {
		r.atMost(p.name+": p99 after its limit", 10, "ms", p.p99())
	}
	for _, p := range m.deep {
		r.atMost(p.title()+": p99 after its limit", 10, "ms", p.late.p99())
	}
	gaps := m.beats.gaps
	for _, p := range m.crowds {
		r.atMost(p.name+": p99 after their limit", 10, "ms", p.p99())
		gaps = append(gaps, p.gaps...)
	}
	r.atMost("heartbeats never miss: longest gap while guests run away", beatGapMax.Seconds()*1e3, "ms", gaps.highest())
	r.atMost("memory for one more warm Go cell", 256, "KiB", m.memory.each)
	r.atMost("worker start to first task done, 3 MB module, warm compile cache", 150, "ms", m.start.took)
}
