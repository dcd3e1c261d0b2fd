package runtime

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caisson-run/caisson/runtime/sandbox"
)

// sandboxMetrics reads the sandbox's own counts when somebody asks, so that counting costs a run nothing.
type sandboxMetrics struct {
	stats   func() sandbox.Stats
	dropped *prometheus.Desc
	plain   []sandboxMetric
}

// A sandboxMetric is one count without labels.
type sandboxMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(sandbox.Stats) float64
}

var _ prometheus.Collector = (*sandboxMetrics)(nil)

func newSandboxMetrics(stats func() sandbox.Stats) *sandboxMetrics {
	m := &sandboxMetrics{
		stats: stats,
		dropped: prometheus.NewDesc("caisson_cells_dropped_total", "Cells that were not used again, by cause; cause dirty is a defect.",
			[]string{"cause"}, nil),
	}
	add := func(kind prometheus.ValueType, name, help string, of func(sandbox.Stats) float64) {
		m.plain = append(m.plain, sandboxMetric{prometheus.NewDesc(name, help, nil, nil), kind, of})
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	add(counter, "caisson_cells_built_total", "Cells made from a template.", func(s sandbox.Stats) float64 { return float64(s.Built) })
	add(counter, "caisson_cells_restored_total", "Cells made as good as new after a task.", func(s sandbox.Stats) float64 { return float64(s.Restored) })
	add(counter, "caisson_cells_checked_total", "Cells compared with their image after they were restored.", func(s sandbox.Stats) float64 { return float64(s.Checked) })
	add(counter, "caisson_cell_restore_seconds_total", "Time that restoring took.", func(s sandbox.Stats) float64 { return s.RestoreTime.Seconds() })
	add(counter, "caisson_cell_restored_pages_total", "Pages that tasks had written and that were copied back.", func(s sandbox.Stats) float64 { return float64(s.Pages) })
	add(gauge, "caisson_guests_running_bytes", "Memory that running guests may come to take.", func(s sandbox.Stats) float64 { return float64(s.RunningSize) })
	add(gauge, "caisson_cells_idle", "Cells that wait for a task.", func(s sandbox.Stats) float64 { return float64(s.IdleCells) })
	add(gauge, "caisson_cells_idle_bytes", "Memory that cells take which wait for a task, as estimated.", func(s sandbox.Stats) float64 { return float64(s.IdleSize) })
	add(counter, "caisson_templates_built_total", "Templates made.", func(s sandbox.Stats) float64 { return float64(s.Templates) })
	add(gauge, "caisson_templates_bytes", "Memory that templates take.", func(s sandbox.Stats) float64 { return float64(s.ImageSize) })
	add(counter, "caisson_guest_ticks_total", "Times that guests were looked at.", func(s sandbox.Stats) float64 { return float64(s.Ticks) })
	add(gauge, "caisson_modules_loaded", "Modules kept ready.", func(s sandbox.Stats) float64 { return float64(s.Modules) })
	add(counter, "caisson_modules_compiled_total", "Modules admitted and compiled, refused ones included.", func(s sandbox.Stats) float64 { return float64(s.Compiles) })
	add(counter, "caisson_modules_costly_total", "Modules refused since compiling them took too much.", func(s sandbox.Stats) float64 { return float64(s.Costly) })
	add(counter, "caisson_module_cache_hits_total", "Modules taken from the compile cache.", func(s sandbox.Stats) float64 { return float64(s.CacheHits) })
	add(counter, "caisson_module_cache_rejects_total", "Entries of the compile cache that could not be used, and so were compiled again.", func(s sandbox.Stats) float64 { return float64(s.CacheRejects) })
	return m
}

// Describe implements prometheus.Collector.
func (m *sandboxMetrics) Describe(into chan<- *prometheus.Desc) {
	into <- m.dropped
	for _, p := range m.plain {
		into <- p.desc
	}
}

// Collect implements prometheus.Collector.
func (m *sandboxMetrics) Collect(into chan<- prometheus.Metric) {
	s := m.stats()
	for _, cause := range slices.Sorted(maps.Keys(s.Dropped)) {
		into <- prometheus.MustNewConstMetric(m.dropped, prometheus.CounterValue, float64(s.Dropped[cause]), cause)
	}
	for _, p := range m.plain {
		into <- prometheus.MustNewConstMetric(p.desc, p.kind, p.of(s))
	}
}
