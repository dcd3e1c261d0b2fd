package chaos_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

const (
	soakRate   = 50              // tasks per second, unless -rate says otherwise
	soakBatch  = 10              // tasks per SendMany, and more where soakSends would not be enough
	soakSends  = 50              // SendMany per second, at most
	soakShort  = 8 * time.Second // when no minutes are given
	soakCut    = 10 * time.Second
	soakWarm   = 4                // the first quarter is for warming up,
	soakFill   = 90 * time.Second // or this, if that is more: what is kept for a time by design, results for soakKeep and outcomes for a minute and a lease
	soakKeep   = time.Minute
	soakMost   = 60              // samples
	soakWithin = 5 * time.Minute // for what was sent last, on a machine that does much else
	soakRows   = 12              // samples in the table
)

// sample is what was measured at one time.
type sample struct {
	at     time.Duration
	values map[string]float64 // by the name of a measure
}

// measure is what must stay flat: the straight line through its samples after the warm-up rises by no more than share of their
// mean, or least if that is more, over all that time.
type measure struct {
	name, unit string
	share      float64
	least      float64
}

// soakLetters bounds the dead letters, so that there is no more room for them long before the warm-up is over.
const soakLetters = 500

// measures are in the order of the table. Redis keeps a state for each message until an hour after it expires, by design: so
// states, and the lists of when they end, are counted and weighed for themselves, and everything else must be flat.
var measures = []measure{
	{"worker rss", "MiB", 0.10, 12},
	{"worker goroutines", "", 0.05, 4},
	{"worker files", "", 0.05, 4},
	{"keys beside states", "", 0.10, 400}, // results are kept for a minute, so that they come to an end
	{"bytes per state", "", 0.10, 40},
	{"redis memory beside states", "MiB", 0.15, 6},
	{"redis clients", "", 0.10, 6},
}

// warmUp is how long what is measured in so long a soak is not judged.
func warmUp(lasts time.Duration) time.Duration { return max(lasts/soakWarm, soakFill) }

// rise fits a line through the samples after the warm-up and returns how much it rises over them, and their mean.
func rise(samples []sample, warm time.Duration, name string) (by, mean float64) {
	for len(samples) > 0 && samples[0].at < warm {
		samples = samples[1:]
	}
	n, sx, sy, sxx, sxy := 0.0, 0.0, 0.0, 0.0, 0.0
	for _, s := range samples {
		v, measured := s.values[name]
		if !measured {
			continue
		}
		x := s.at.Seconds()
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+v, sxx+x*x, sxy+x*v
	}
	if n < 2 {
		return math.NaN(), math.NaN()
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return slope * (samples[len(samples)-1].at - samples[0].at).Seconds(), sy / n
}

func (m measure) flat(by, mean float64) bool { return by <= max(m.share*mean, m.least) }

// TestRise tells a line that rises from one that only trembles, and finds that nothing was measured.
func TestRise(t *testing.T) {
	series := func(f func(i int) float64) []sample {
		var all []sample
		for i := range 60 {
			all = append(all, sample{time.Duration(i) * time.Second, map[string]float64{"x": f(i)}})
		}
		return all
	}
	m := measure{name: "x", share: 0.1, least: 4}
	for _, row := range []struct {
		name string
		f    func(i int) float64
		flat bool
	}{
		{"level", func(int) float64 { return 100 }, true},
		{"trembling", func(i int) float64 { return 100 + float64(i%2)*20 }, true},
		{"rises in the warm-up only", func(i int) float64 { return float64(min(i, 15) * 10) }, true},
		{"falls", func(i int) float64 { return float64(1000 - i) }, true},
		{"leaks", func(i int) float64 { return 100 + float64(i) }, false},
		{"leaks and trembles", func(i int) float64 { return 100 + float64(i) + float64(i%3)*10 }, false},
		{"small and leaks", func(i int) float64 { return float64(i) / 4 }, false},
	} {
		if by, mean := rise(series(row.f), 15*time.Second, "x"); m.flat(by, mean) != row.flat {
			t.Errorf("%s: rises by %.1f at a mean of %.1f, flat: %t", row.name, by, mean, !row.flat)
		}
	}
	if by, mean := rise(series(func(int) float64 { return 1 }), 15*time.Second, "y"); m.flat(by, mean) {
		t.Error("what was not measured counts as flat")
	}
}

// TestSoak sends mixed load to two workers for a while, cuts their connections now and then, and measures what must stay flat.
func TestSoak(t *testing.T) {
	lasts := time.Duration(*minutesFlag * float64(time.Minute))
	if lasts == 0 {
		lasts = soakShort
	}
	at := commit() // before anybody goes on working in this checkout
	r := newRun(t, plan{seed: 1, sync: "everysec", workers: make([]workerPlan, 2)}, t.TempDir())
	r.pages, r.quiet, r.keep, r.letterMax = true, true, soakKeep, soakLetters
	r.open()
	r.begun = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	done := make(chan int)
	go func() { done <- r.load(ctx) }() // ends with ctx, and is waited for below
	go r.cuts(ctx)                      // likewise; nothing waits for it

	var samples []sample
	every := max(lasts/soakMost, 500*time.Millisecond)
	for sleep(ctx, every) {
		samples = append(samples, r.sample())
	}
	sent := <-done
	table := tableOf(samples, sent, lasts, at)
	t.Logf("\n%s", table)
	for _, err := range r.faults {
		t.Error(err)
	}
	if len(samples) < 4 || sent == 0 {
		t.Fatalf("%d samples, %d tasks", len(samples), sent)
	}
	last := samples[len(samples)-1].values
	for _, m := range measures {
		if last[m.name] <= 0 {
			t.Errorf("%s was not measured", m.name)
		}
		by, mean := rise(samples, warmUp(lasts), m.name)
		if lasts > warmUp(lasts) && !m.flat(by, mean) { // a few seconds are all warm-up
			t.Errorf("%s is not flat: it rose by %.1f %s at a mean of %.1f", m.name, by, m.unit, mean)
		}
	}
	if *soakFlag != "" {
		if err := os.WriteFile(*soakFlag, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// soakTasks draws n tasks of all kinds. Those that sleep hold a runner for seconds: at a higher rate they are as many a second
// as at soakRate, and the others are done at once.
func soakTasks(random *rand.Rand, n int) []taskPlan {
	var tasks []taskPlan
	for len(tasks) < n {
		tasks = append(tasks, drawBatch(random, time.Second).tasks...)
	}
	for i := range tasks {
		if tasks[i].kind == "sleep" && random.IntN(*rateFlag) >= soakRate {
			tasks[i].kind = "done"
		}
	}
	return tasks[:n]
}

// load sends -rate tasks per second of all kinds until ctx ends, waits for every one, and returns how many there were.
func (r *run) load(ctx context.Context) int {
	random := rand.New(rand.NewPCG(1, 1))
	batch := max(soakBatch, *rateFlag/soakSends)
	tick := time.NewTicker(time.Second * time.Duration(batch) / time.Duration(*rateFlag))
	defer tick.Stop()
	sent, waits := 0, make(chan error, 1024)
	for open := 0; ; {
		select {
		case <-ctx.Done():
			for range open {
				if err := <-waits; err != nil {
					r.fail(err)
				}
			}
			return sent
		case err := <-waits:
			open--
			if err != nil {
				r.fail(err)
			}
			continue
		case <-tick.C:
		}
		var tasks []client.Task
		for _, p := range soakTasks(random, batch) {
			task, _ := taskOf(p, time.Now())
			tasks = append(tasks, task)
		}
		receipts, err := r.client.SendMany(ctx, tasks)
		for away := (*queue.UnavailableError)(nil); errors.As(err, &away) && ctx.Err() == nil; {
			err = r.client.Resend(ctx, receipts) // a slow machine, which is no finding here
		}
		if err != nil {
			if ctx.Err() == nil {
				r.fail(err)
			}
			continue
		}
		sent += len(receipts)
		open++
		go func() { // ends within soakWithin, and is waited for above
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), soakWithin)
			defer cancel()
			at := time.Since(r.begun).Round(time.Second)
			err := r.client.WaitAll(within, receipts, func(client.Receipt, envelope.Result, error) {})
			if err != nil {
				err = fmt.Errorf("sent after %v: %w", at, err)
			}
			waits <- err
		}()
	}
}

// cuts resets connections of the workers, by turns, so that what is made anew with each is measured, too.
func (r *run) cuts(ctx context.Context) {
	for i := 0; sleep(ctx, soakCut); i++ {
		r.wires[i%2].cutAfter(100)
	}
}

// sample measures once.
func (r *run) sample() sample {
	s := sample{time.Since(r.begun), map[string]float64{}}
	for _, p := range r.places {
		page, err := metricsOf(p.page)
		if err != nil {
			r.fail(err)
			continue
		}
		// The worst of the workers counts.
		for name, of := range map[string]string{
			"worker rss": "process_resident_memory_bytes", "worker goroutines": "go_goroutines", "worker files": "process_open_fds",
		} {
			v := page[of]
			if name == "worker rss" {
				v /= 1 << 20
			}
			s.values[name] = max(s.values[name], v)
		}
		weighed, err := p.weighParts()
		if err != nil {
			r.fail(err)
		}
		for _, name := range parts {
			s.values[name] = max(s.values[name], weighed[name])
		}
		for name, of := range heapNames {
			s.values[name] = max(s.values[name], page[of]/(1<<20))
		}
	}
	keys := float64(r.number(r.servers.nodes[0].Do("DBSIZE")))
	states, results, bytes := r.weighStates()
	s.values["states"], s.values["results"] = states, results
	s.values["keys beside states"] = keys
	s.values["bytes per state"] = bytes / max(states, 1)
	used := r.info("memory", "used_memory")
	s.values["redis memory"], s.values["redis memory beside states"] = used/(1<<20), (used-bytes)/(1<<20)
	s.values["redis clients"] = r.info("clients", "connected_clients")
	return s
}

func (r *run) number(reply any) int64 {
	n, _ := reply.(int64)
	return n
}

// weighStates counts states and results, and weighs the states with the lists of when they end.
func (r *run) weighStates() (states, results, bytes float64) {
	sum := 0.0
	server := r.servers.nodes[0]
	eachKey(r.tb, server, func(key string) {
		switch {
		case isResult(key):
			results++
		case isStates(key):
			states += float64(r.number(server.Do("HLEN", key)))
			fallthrough
		case isEnds(key):
			sum += float64(r.number(server.Do("MEMORY", "USAGE", key, "SAMPLES", "50")))
		}
	})
	return states, results, sum
}

// info returns a number of a section of Redis's INFO, 0 when there is none.
func (r *run) info(section, field string) float64 {
	text, _ := r.servers.nodes[0].Do("INFO", section).(string)
	v, _ := strconv.ParseFloat(infoField(text, field), 64)
	return v
}

// metricsOf reads the numbers without labels of a worker's page.
func metricsOf(address string) (map[string]float64, error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := c.Get("http://" + address + "/metrics")
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	out := map[string]float64{}
	scan := bufio.NewScanner(io.LimitReader(reply.Body, 1<<20))
	for scan.Scan() {
		name, text, found := strings.Cut(scan.Text(), " ")
		if v, err := strconv.ParseFloat(text, 64); found && err == nil {
			out[name] = v
		}
	}
	return out, scan.Err()
}

// processor is the machine's, as Linux names it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// commit is the checkout's now, with a plus when it has been changed.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// writeRows writes a table of some of the samples.
func writeRows(b *strings.Builder, samples []sample, names []string) {
	fmt.Fprintf(b, "| time | %s |\n|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)+1))
	for i, s := range samples {
		if i%max(len(samples)/soakRows, 1) != 0 && i != len(samples)-1 {
			continue
		}
		fmt.Fprintf(b, "| %v ", s.at.Round(time.Second))
		for _, name := range names {
			fmt.Fprintf(b, "| %.1f ", s.values[name])
		}
		b.WriteString("|\n")
	}
}

// tableOf is what was measured of the checkout at a commit, as a page.
func tableOf(samples []sample, sent int, lasts time.Duration, at string) string {
	var b strings.Builder
	version, _ := exec.Command("redis-server", "--version").Output()
	redis := "redis-server"
	if f := strings.Fields(string(version)); len(f) > 2 {
		redis = "Redis " + strings.TrimPrefix(f[2], "v=")
	}
	fmt.Fprintf(&b, "# Soak: %v of mixed load\n\n", lasts.Round(time.Second))
	fmt.Fprintf(&b, "`make soak MINUTES=%.0f RATE=%d`: two workers, %d tasks of all kinds of runtime/chaos, connections cut every %v, at most %d dead letters, %s over TLS with AOF everysec;\n%s/%s, %d processors (%s), %s; commit %s.\n\n",
		lasts.Minutes(), *rateFlag, sent, soakCut, soakLetters, redis, goruntime.GOOS, goruntime.GOARCH, goruntime.NumCPU(), processor(), goruntime.Version(), at)
	writeRows(&b, samples, []string{"worker rss", "worker goroutines", "worker files", "keys beside states", "states", "results", "bytes per state", "redis memory", "redis memory beside states", "redis clients"})
	b.WriteString("\nWhat a worker's resident memory is made of, and what Go says of its heap:\n\n")
	writeRows(&b, samples, append(slices.Clone(parts), "heap in use", "heap idle", "heap released", "heap goal", "stacks"))
	b.WriteString("\nMemory in MiB, the larger of the two workers; an image counts once for each cell that has looked at it, as the system does.\n")
	fmt.Fprintf(&b, "Rise of the straight line after the first %v, when what is kept for a time is full: results for %v, outcomes in a worker for a minute and a lease.\n\n"+
		"| measure | mean | rise | allowed | flat |\n|---|---|---|---|---|\n", warmUp(lasts), soakKeep)
	for _, m := range measures {
		by, mean := rise(samples, warmUp(lasts), m.name)
		fmt.Fprintf(&b, "| %s | %.1f | %+.1f | %.1f | %t |\n", m.name, mean, by, max(m.share*mean, m.least), m.flat(by, mean))
	}
	return b.String()
}
