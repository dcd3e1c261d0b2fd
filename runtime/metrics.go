package runtime

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// metrics is the worker's own registry: two workers in one process do not share numbers.
//
// Labels carry only what is bounded: task names are those of releases that ran, or empty; codes come from the fixed
// list in docs/reference/refusals.md.
type metrics struct {
	registry      *prometheus.Registry
	tasks         *prometheus.CounterVec
	run           *prometheus.HistogramVec
	cpu           *prometheus.CounterVec
	fuel          *prometheus.HistogramVec
	waited        *prometheus.HistogramVec
	claimed       prometheus.Histogram
	settled       prometheus.Histogram
	renewed       prometheus.Histogram
	recovered     prometheus.Counter
	vanished      prometheus.Counter
	busy          prometheus.Gauge
	orders        *prometheus.CounterVec
	cancel        prometheus.Histogram
	parked        *prometheus.CounterVec
	eventsDropped prometheus.Counter

	mu    sync.Mutex
	known map[labels]*counters // as many as there are series
}

// labels are the label values of one kind of end.
type labels struct {
	task    string
	outcome outcome
	code    string
}

// counters are the series of one kind of end. They are cached, since finding them by their labels takes longer than counting.
type counters struct {
	tasks, cpu        prometheus.Counter
	run, fuel, waited prometheus.Observer // nil, as cpu, until something ran
}

func newMetrics(w *Worker) *metrics {
	seconds := prometheus.ExponentialBuckets(0.0001, 4, 11) // 0.1 ms to 105 s
	units := prometheus.ExponentialBuckets(1000, 10, 9)     // of fuel: a thousand to 10^11, which is minutes
	batches := prometheus.ExponentialBuckets(1, 2, 9)       // 1 to 256
	m := &metrics{
		registry: prometheus.NewRegistry(),
		known:    map[labels]*counters{},
		tasks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caisson_tasks_total",
			Help: "Deliveries that ended, by task, outcome and code."}, []string{"task", "outcome", "code"}),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "caisson_task_run_seconds",
			Help: "Wall time of one run in the sandbox.", Buckets: seconds}, []string{"task"}),
		cpu: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caisson_task_cpu_seconds_total",
			Help: "Processor time of runs in the sandbox."}, []string{"task"}),
		fuel: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "caisson_task_fuel",
			Help: "Fuel that one run in the sandbox spent, in units.", Buckets: units}, []string{"task"}),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "caisson_task_queue_seconds",
			Help: "Time from a message's issue, by its sender's clock, to its run.", Buckets: seconds}, []string{"task"}),
		claimed: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "caisson_claim_deliveries",
			Help: "Deliveries per claim.", Buckets: batches}),
		settled: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "caisson_settle_outcomes",
			Help: "Outcomes per write to the broker.", Buckets: batches}),
		renewed: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "caisson_renew_seconds",
			Help: "Time to renew all leases once.", Buckets: seconds}),
		recovered: prometheus.NewCounter(prometheus.CounterOpts{Name: "caisson_recovered_total",
			Help: "Deliveries taken over from workers that gave no sign of life."}),
		vanished: prometheus.NewCounter(prometheus.CounterOpts{Name: "caisson_vanished_total",
			Help: "Leased entries that somebody deleted from their lane."}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{Name: "caisson_runners_busy",
			Help: "Runners that have a task."}),
	}
	m.orders = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caisson_orders_total",
		Help: "Orders by act and what became of them: heard, dropped, or the code for which they were ignored."}, []string{"act", "code"})
	m.cancel = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "caisson_cancel_seconds",
		Help: "Time from reading an order to cancel to the end of a run that it ended.", Buckets: seconds})
	m.parked = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "caisson_parked_total",
		Help: "Deliveries that were parked at their start: they wait for inputs, a gate is closed, or too many bytes of inputs are held here."}, []string{"state"})
	m.eventsDropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "caisson_events_dropped_total",
		Help: "Events that were not written, since they came faster than the broker took them."})
	for _, act := range envelope.Acts() {
		m.orders.WithLabelValues(string(act), "heard")
	}
	m.parked.WithLabelValues(queue.Waits.String())
	m.parked.WithLabelValues(queue.Throttled.String())
	paused := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "caisson_queues_paused",
		Help: "Queues of this worker that are paused by an order."}, func() float64 { return float64(len(w.paused())) })
	leftOut := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "caisson_lanes_left_out",
		Help: "Lanes that are not read for now, since somebody has put something else in their place."}, func() float64 { return float64(len(w.cfg.Broker.LeftOut())) })
	heard := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "caisson_orders_heard",
		Help: "1 while orders are heard."}, func() float64 { return one(w.hearingReason() == "") })
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "caisson_deliveries_held",
		Help: "Deliveries that this worker holds a lease for."}, func() float64 { return float64(w.flight.len()) })
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "caisson_broker_up",
		Help: "1 while the broker can be used for all queues."}, func() float64 { return one(w.brokerReason() == "") })
	m.registry.MustRegister(m.tasks, m.run, m.cpu, m.fuel, m.waited, m.claimed, m.settled, m.renewed, m.recovered, m.vanished, m.busy, m.orders, m.cancel, m.parked, m.eventsDropped, paused, leftOut, heard, held, ready,
		newSandboxMetrics(w.cfg.Sandbox.Stats),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// count records one ended delivery.
func (m *metrics) count(r report) {
	if r.outcome == outcomeNone {
		return
	}
	task := ""
	if r.ran && r.outcome != outcomeRefused {
		task = r.task // else the name is the sender's choice, and there would be no bound on the series
	}
	c := m.of(labels{task, r.outcome, r.code}, r.usage.Wall > 0)
	c.tasks.Inc()
	if r.usage.Wall > 0 {
		c.run.Observe(r.usage.Wall.Seconds())
		c.cpu.Add(r.usage.CPU.Seconds())
		c.fuel.Observe(float64(r.usage.Fuel))
		c.waited.Observe(max(r.waited, 0).Seconds())
	}
}

// of returns the series of l; those of runs only if something ran, so that no empty series is shown.
func (m *metrics) of(l labels, ran bool) *counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.known[l]
	if c == nil {
		c = &counters{tasks: m.tasks.WithLabelValues(l.task, string(l.outcome), l.code)}
		m.known[l] = c
	}
	if ran && c.run == nil {
		c.run, c.cpu = m.run.WithLabelValues(l.task), m.cpu.WithLabelValues(l.task)
		c.fuel, c.waited = m.fuel.WithLabelValues(l.task), m.waited.WithLabelValues(l.task)
	}
	return c
}

// Handler serves /metrics (Prometheus), /healthz (200 while Run goes on) and /readyz (200 while the broker can
// be used, else 503 and the reason). It tells nothing about payloads; still, bind it to a loopback address.
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		if !w.running.Load() {
			http.Error(rw, "not running", http.StatusServiceUnavailable)
			return
		}
		rw.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) {
		switch reason := w.brokerReason(); {
		case !w.running.Load():
			http.Error(rw, "not running", http.StatusServiceUnavailable)
		case reason != "":
			http.Error(rw, reason, http.StatusServiceUnavailable)
		default:
			rw.Write([]byte("ok\n"))
			for _, note := range w.notes() {
				rw.Write([]byte(note + "\n"))
			}
		}
	})
	return mux
}

// paused returns the queues that an order has paused.
func (w *Worker) paused() []string {
	var names []string
	for _, p := range w.posts {
		if yes, _, _ := p.orders.paused(w.cfg.Clock()); yes {
			names = append(names, p.name)
		}
	}
	return names
}
