package main

import (
	"math"
)

// report turns what was measured into rows, ratios last, and goals.
func (m *queueProbes) report(r *report) {
	for _, p := range m.trips {
		r.add(p.name+": p50", "ms", p.p50)
		r.add(p.name+": p95", "ms", p.p95)
		r.add(p.name+": p99", "ms", p.p99)
	}
	for _, p := range m.sends {
		r.add(p.name, "1/s", p.rate)
	}
	for _, p := range m.drains {
		r.add(p.name, "1/s", p.rate)
	}
	for _, p := range m.drains {
		r.add(p.name+": processor time of the worker a task", "us", p.worker)
		r.add(p.name+": processor time of Redis a task", "us", p.redis)
		r.add(p.name+": outcomes a settlement", "n", p.outcomes)
	}
	m.reportRatios(r)
	m.reportGoals(r)
}

// rate is what a drain came to, an empty sample when it was not measured.
func (m *queueProbes) rate(s workerSpec, setting string) sample {
	if p := m.find(s, setting); p != nil {
		return p.rate
	}
	return nil
}

func (m *queueProbes) find(s workerSpec, setting string) *drainProbe {
	name := drainName(s, setting)
	for _, p := range m.drains {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (m *queueProbes) trip(name string) *tripProbe {
	for _, p := range m.trips {
		if p.name == name {
			return p
		}
	}
	return new(tripProbe)
}

// reportRatios compares within each round: what Caisson does with the tiny guest over what another does in the same setting.
func (m *queueProbes) reportRatios(r *report) {
	s := newSides()
	for _, p := range m.drains {
		if p.spec.engine != engineCaisson && p.waiting == 0 {
			// The setting is what follows the plain name.
			setting := p.name[len(drainName(p.spec, "")):]
			ours := m.find(s.tiny, trimComma(setting))
			if ours != nil {
				r.add("ratio "+ours.name+" / "+p.name[len("drain "):], "x", ours.rate.over(p.rate))
			}
		}
	}
	plain := m.rate(s.tiny, "")
	for _, p := range m.drains {
		if p.spec.engine == engineCaisson && p.name != drainName(s.tiny, "") {
			r.add("ratio "+p.name+" / "+drainName(s.tiny, "")[len("drain "):], "x", p.rate.over(plain))
		}
	}
	floor := m.trip("round trip " + engineFloor)
	for _, p := range m.trips {
		if p != floor {
			r.add("ratio "+p.name+" / floor, p50", "x", p.p50.over(floor.p50))
		}
	}
}

func trimComma(setting string) string {
	if len(setting) > 2 {
		return setting[2:]
	}
	return ""
}

// reportGoals judges by the tiny guest, with no file and no delay.
func (m *queueProbes) reportGoals(r *report) {
	s := newSides()
	tiny := m.rate(s.tiny, "")
	r.atLeast("end to end: times asynq", 3, "x", tiny.over(m.rate(s.asynq, "")))
	r.atLeast("end to end: times Celery prefork with signing", 50, "x", tiny.over(m.rate(workerSpec{engine: engineSigned, concurrency: celeryProcesses}, "")))
	wide := s.tiny
	wide.concurrency = atOnceWide
	for _, spec := range []workerSpec{s.tiny, wide} {
		var share sample
		if p := m.find(spec, ""); p != nil {
			share = p.rate.over(m.rate(workerSpec{engine: engineFloor, concurrency: floorMany, batch: nearestBatch(p.outcomes)}, ""))
		}
		r.atLeast("end to end: share of the floor at the same batch, "+drainName(spec, "")[len("drain caisson tiny: "):], 0.25, "x", share)
	}
	r.atMost("round trip on an idle worker, p50: times the floor", 2, "x", m.trip("round trip "+engineCaisson).p50.over(m.trip("round trip "+engineFloor).p50))
	few, many := waitingName(waitingCounts[0]), waitingName(waitingCounts[len(waitingCounts)-1])
	r.atMost("cost a task: a million waiting to a thousand", 1.25, "x", m.rate(s.tiny, few).over(m.rate(s.tiny, many)))
}

// nearestBatch is the batch of the floor that is nearest to what Caisson settled together, by their ratio.
func nearestBatch(outcomes sample) int {
	best := floorBatches[len(floorBatches)-1] // unknown: the hardest
	if len(outcomes) == 0 {
		return best
	}
	for _, b := range floorBatches {
		if math.Abs(math.Log(outcomes.median()/float64(b))) < math.Abs(math.Log(outcomes.median()/float64(best))) {
			best = b
		}
	}
	return best
}
