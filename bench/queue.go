package main

import (
	"context"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// measureQueue is the suite of the queue.
func measureQueue(ctx context.Context, o options, r *report) error {
	if o.rounds == 0 {
		o.rounds, o.most = queueRoundsFull, queueMostFull
		if o.quick {
			o.rounds, o.most = queueRoundsQuick, queueMostQuick
		}
	}
	work, err := workFolder()
	if err != nil {
		return err
	}
	lab, err := openQueueLab(ctx, o, work, queueEngines, queueGuests)
	if err != nil {
		return err
	}
	defer lab.close()
	m := newQueueProbes(lab)
	r.redis = lab.redis.version(ctx)
	if r.rounds, err = measureRounds(ctx, o, m.all()); r.rounds > 0 {
		m.report(r)
	}
	return err
}

// queueProbes are all probes of the suite, in the order of a round.
type queueProbes struct {
	lab    *queueLab
	drains []*drainProbe
	sends  []*sendProbe
	trips  []*tripProbe
}

// sides are the engines that are compared in every setting.
type sides struct{ floor, tiny, asynq workerSpec }

func newSides() sides {
	return sides{
		floor: workerSpec{engine: engineFloor, concurrency: floorMany, batch: 16},
		tiny:  workerSpec{engine: engineCaisson, guest: "tiny", concurrency: atOnce},
		asynq: workerSpec{engine: engineAsynq, concurrency: atOnce},
	}
}

func newQueueProbes(lab *queueLab) *queueProbes {
	m := &queueProbes{lab: lab}
	m.listDrains()
	m.listSends()
	m.listTrips()
	if !lab.o.quick {
		m.listSettings()
		m.listWaiting()
	}
	return m
}

// drainName names a row: the engine, how much at a time, and the setting where it is not the plain one.
func drainName(s workerSpec, setting string) string {
	name := "drain " + s.engine
	switch s.engine {
	case engineFloor:
		name += fmt.Sprintf(": batch %d, %d consumers", s.batch, s.concurrency)
	case engineCaisson:
		name += fmt.Sprintf(" %s: %d at a time", s.guest, s.concurrency)
	default:
		name += fmt.Sprintf(": %d at a time", s.concurrency)
	}
	if setting != "" {
		name += ", " + setting
	}
	return name
}

func (m *queueProbes) drain(s workerSpec, setting string) *drainProbe {
	p := &drainProbe{lab: m.lab, name: drainName(s, setting), spec: s, size: sizeDefault, slot: drainSlotFull, count: firstCounts[s.engine]}
	if m.lab.o.quick {
		p.slot = drainSlotQuick
	}
	m.drains = append(m.drains, p)
	return p
}

// firstCounts are tasks of the first drain, by what engines are known to do in a second. Later ones follow what this one does.
var firstCounts = map[string]int{engineFloor: 60_000, engineCaisson: 8000, engineAsynq: 5000, engineCelery: 600, engineSigned: 400}

// listDrains lists the plain setting: no delay, no file, one tenant, small payloads.
func (m *queueProbes) listDrains() {
	s := newSides()
	for _, consumers := range []int{1, floorMany} {
		for _, batch := range floorBatches {
			if !m.lab.o.quick || consumers == floorMany && batch > 1 {
				m.drain(workerSpec{engine: engineFloor, concurrency: consumers, batch: batch}, "")
			}
		}
	}
	m.drain(s.tiny, "")
	wide := s.tiny
	wide.concurrency = atOnceWide
	m.drain(wide, "")
	if !m.lab.o.quick {
		small := s.tiny
		small.concurrency = 1
		m.drain(small, "")
		guest := s.tiny
		guest.guest = "go"
		m.drain(guest, "")
	}
	m.drain(s.asynq, "")
	if m.lab.o.quick && m.lab.celery == nil {
		return // and no word about it in every quick run
	}
	if !m.lab.o.quick {
		m.drain(workerSpec{engine: engineCelery, concurrency: celeryProcesses}, "")
	}
	m.drain(workerSpec{engine: engineSigned, concurrency: celeryProcesses}, "")
}

// listSettings lists what is measured in other settings: with a file, far away, with many lanes, with large payloads.
func (m *queueProbes) listSettings() {
	s := newSides()
	for _, spec := range []workerSpec{s.floor, s.tiny, s.asynq} {
		m.drain(spec, "AOF everysec").aof = true
	}
	for _, delay := range delays {
		for _, spec := range []workerSpec{s.floor, s.tiny, s.asynq} {
			spec.delay = delay
			m.drain(spec, fmt.Sprintf("%d ms away", delay.Milliseconds()))
		}
	}
	for _, lanes := range laneCounts {
		spec := s.tiny
		spec.lanes = lanes
		m.drain(spec, fmt.Sprintf("%d lanes", lanes))
	}
	for _, size := range []int{10 << 10, 200 << 10} {
		for _, spec := range []workerSpec{s.floor, s.tiny, s.asynq} {
			p := m.drain(spec, fmt.Sprintf("%d KiB", size>>10))
			p.size, p.most = size, payloadBytesMax/size
			p.count = min(p.count, p.most)
		}
	}
}

// listWaiting lists drains with many tasks waiting behind: each puts more to what the one before has left.
func (m *queueProbes) listWaiting() {
	for i, n := range waitingCounts {
		p := m.drain(newSides().tiny, waitingName(n))
		p.waiting, p.keep, p.count = n, i > 0, waitingCount
	}
}

func waitingName(n int) string { return fmt.Sprintf("%d waiting", n) }

func (m *queueProbes) listSends() {
	list := func(engine, how string, count, senders, batch int) {
		slot := sendSlotFull
		if m.lab.o.quick {
			slot = sendSlotQuick
		}
		m.sends = append(m.sends, &sendProbe{lab: m.lab, engine: engine, slot: slot, name: fmt.Sprintf("enqueue %s: %s, %d senders", engine, how, senders),
			request: line.Request{Op: "send", Guest: "tiny", Size: sizeDefault, Count: count, Workers: senders, Batch: batch}})
	}
	for _, senders := range []int{1, 8} {
		if m.lab.o.quick && senders > 1 {
			return
		}
		list(engineFloor, "one by one", 2000, senders, 1)
		list(engineFloor, "128 at a time", 20_000, senders, 128)
		list(engineCaisson, "one by one", 1000, senders, 1)
		list(engineCaisson, "128 at a time", 5000, senders, 128)
		list(engineAsynq, "one by one", 2000, senders, 1)
		if !m.lab.o.quick {
			list(engineCelery, "one by one", 400, senders, 1)
			list(engineSigned, "one by one", 200, senders, 1)
		}
	}
}

func (m *queueProbes) listTrips() {
	s := newSides()
	list := func(spec workerSpec, how string, warm, count int) {
		if m.lab.o.quick {
			count = max(1, count/2)
		}
		name := "round trip " + spec.engine
		if how != "" {
			name += ", " + how
		}
		m.trips = append(m.trips, &tripProbe{lab: m.lab, name: name, spec: spec, warm: warm, count: count})
	}
	floor := workerSpec{engine: engineFloor, concurrency: 1, batch: 1, tell: true}
	list(floor, "", 50, tripsFull)
	list(s.tiny, "", 50, tripsFull)
	often := s.asynq
	often.look = time.Millisecond
	list(often, "1 ms check", 50, tripsFull)
	if m.lab.o.quick {
		return
	}
	guest := s.tiny
	guest.guest = "go"
	list(guest, "go guest", 50, tripsFull)
	list(s.asynq, "default", 1, tripsSlow)
	list(workerSpec{engine: engineCelery, concurrency: celeryProcesses}, "", 20, tripsFull)
	list(workerSpec{engine: engineSigned, concurrency: celeryProcesses}, "", 20, tripsFull)
	for _, delay := range delays {
		for _, spec := range []workerSpec{floor, s.tiny} {
			spec.delay = delay
			list(spec, fmt.Sprintf("%d ms away", delay.Milliseconds()), 20, tripsFar)
		}
	}
}

// all lists the probes in the order of a round.
func (m *queueProbes) all() (all []probe) {
	for _, p := range m.trips {
		all = append(all, patient{p, m.lab})
	}
	for _, p := range m.sends {
		all = append(all, patient{p, m.lab})
	}
	for _, p := range m.drains {
		all = append(all, patient{p, m.lab})
	}
	return all
}

// patient measures once more where something went wrong: a run of a quarter of an hour shall not lose a row to one lost connection.
type patient struct {
	probe
	lab *queueLab
}

func (p patient) measure() error {
	err := p.probe.measure()
	if err == nil || p.lab.ctx.Err() != nil {
		return err
	}
	p.lab.o.logf("%s: once more, after: %v", p.title(), err)
	return p.probe.measure()
}
