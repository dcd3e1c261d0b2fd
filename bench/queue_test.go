package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQueueForReal drains and asks a real worker and the floor, on a real Redis, without the peers: rows come out that can be, and each engine's work is checked.
func TestQueueForReal(t *testing.T) {
	t.Chdir("..") // as `go run ./bench` does
	o := options{quick: true, rounds: 1, begun: time.Now(), progress: io.Discard, only: regexp.MustCompile(
		`^(drain floor: batch 16, 8 consumers|drain caisson tiny: 16 at a time|round trip (floor|caisson)|enqueue caisson: 128 at a time, 1 senders)$`)}
	var progress strings.Builder
	o.progress = &progress
	lab, err := openQueueLab(t.Context(), o, t.TempDir(), []string{engineFloor, engineCaisson}, []string{"tiny"})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.close()
	m := newQueueProbes(lab)
	for _, p := range m.drains {
		p.slot, p.count, p.most = 20*time.Millisecond, 2000, 4000
	}
	for _, p := range m.trips {
		p.warm, p.count = 1, 3
	}
	for _, p := range m.sends {
		p.slot, p.request.Count = time.Millisecond, 256
	}
	if _, err := measureRounds(t.Context(), o, m.all()); err != nil {
		t.Fatal(err)
	}
	var r report
	m.report(&r)
	var names []string
	for _, q := range r.rows {
		if strings.Contains(q.Row, "processor time") {
			continue // in steps of 10 ms, so of a drain this short there may be none
		}
		names = append(names, q.Row)
		if !(q.Low > 0 && q.Low <= q.Median && q.Median <= q.High) {
			t.Errorf("%+v", q)
		}
	}
	want := []string{"round trip floor: p50", "round trip floor: p95", "round trip floor: p99", "round trip caisson: p50", "round trip caisson: p95", "round trip caisson: p99",
		"enqueue caisson: 128 at a time, 1 senders", "drain floor: batch 16, 8 consumers", "drain caisson tiny: 16 at a time",
		"drain caisson tiny: 16 at a time: outcomes a settlement",
		"ratio drain caisson tiny: 16 at a time / floor: batch 16, 8 consumers", "ratio round trip caisson / floor, p50"}
	if !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q; progress %s", names, want, &progress)
	}
	// Work that was not done is found out: of a queue that nobody served no result is there.
	if err := lab.redis.fresh(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	p := m.find(newSides().tiny, "")
	p.count = 200
	if err := p.fill(); err != nil {
		t.Fatal(err)
	}
	q := p.check()
	if _, err := lab.senders[engineCaisson].ask(q); err == nil || !strings.Contains(err.Error(), "200 of 200 results are not there") {
		t.Errorf("error %v", err)
	}
}

// TestNearestBatch: the floor that Caisson is held against has the batch that is nearest by ratio, and the hardest where it is not known.
func TestNearestBatch(t *testing.T) {
	for _, row := range []struct {
		outcomes sample
		want     int
	}{{nil, 128}, {sample{1}, 1}, {sample{3.9}, 1}, {sample{4.1}, 16}, {sample{45}, 16}, {sample{46}, 128}, {sample{190}, 128}} {
		if got := nearestBatch(row.outcomes); got != row.want {
			t.Errorf("%v: %d, want %d", row.outcomes, got, row.want)
		}
	}
}

// TestQueueGoals judges made-up numbers of a full run, each goal by those that it is about.
func TestQueueGoals(t *testing.T) {
	m := newQueueProbes(&queueLab{})
	for _, row := range []struct {
		name     string
		rate     sample
		outcomes sample
	}{
		{"drain floor: batch 16, 8 consumers", sample{100_000, 90_000}, nil},
		{"drain floor: batch 128, 8 consumers", sample{180_000, 180_000}, nil},
		{"drain caisson tiny: 16 at a time", sample{30_000, 27_000}, sample{20, 20}},
		{"drain caisson tiny: 64 at a time", sample{30_000, 27_000}, sample{100, 100}},
		{"drain asynq: 16 at a time", sample{6000, 6000}, nil},
		{"drain celery, signed: 2 at a time", sample{300, 300}, nil},
		{"drain caisson tiny: 16 at a time, 1000 waiting", sample{30_000, 30_000}, nil},
		{"drain caisson tiny: 16 at a time, 1000000 waiting", sample{20_000, 20_000}, nil},
		{"drain floor: batch 16, 8 consumers, 5 ms away", sample{1000, 1000}, nil},
		{"drain caisson tiny: 16 at a time, 5 ms away", sample{500, 500}, nil},
	} {
		i := slices.IndexFunc(m.drains, func(p *drainProbe) bool { return p.name == row.name })
		if i < 0 {
			t.Fatalf("no row %q", row.name)
		}
		m.drains[i].rate, m.drains[i].outcomes = row.rate, row.outcomes
	}
	m.trip("round trip floor").p50, m.trip("round trip caisson").p50 = sample{0.4, 0.5}, sample{0.7, 0.9}
	var r report
	m.report(&r)
	var got []string
	for _, g := range r.goals {
		got = append(got, g.Got)
	}
	if want := []string{"4.75 x", "95 x", "0.3 x", "0.158 x", "1.77 x", "1.5 x"}; !slices.Equal(got, want) {
		t.Errorf("goals %q, want %q", got, want)
	}
	far := slices.IndexFunc(r.rows, func(q row) bool {
		return q.Row == "ratio drain caisson tiny: 16 at a time, 5 ms away / floor: batch 16, 8 consumers, 5 ms away"
	})
	if far < 0 || r.rows[far].Median != 0.5 {
		t.Errorf("a setting is not compared with itself: %+v", r.rows)
	}
	seen := map[string]bool{}
	for _, p := range m.all() {
		if seen[p.title()] {
			t.Errorf("two rows %q", p.title())
		}
		seen[p.title()] = true
	}
}
