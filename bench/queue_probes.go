package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// A drainProbe fills a queue, starts a worker and measures how fast it empties it.
type drainProbe struct {
	lab     *queueLab
	name    string
	spec    workerSpec
	size    int  // bytes of a payload
	aof     bool // Redis appends to its file
	waiting int  // tasks that wait behind those that are measured
	keep    bool // what waits is not thrown away before, but more is put to it
	count   int  // tasks of one round, warm ones included; adapted from round to round
	most    int  // of count; 0: countMax
	slot    time.Duration

	rate     sample // tasks a second
	worker   sample // processor time of the worker a task, us
	redis    sample // and of Redis
	outcomes sample // settled together, of Caisson
}

func (p *drainProbe) title() string { return p.name }
func (p *drainProbe) discard()      { p.rate, p.worker, p.redis, p.outcomes = nil, nil, nil, nil }

// prepare finds how many tasks fill the slot.
func (p *drainProbe) prepare() error {
	if p.lab.senders[p.spec.engine] == nil {
		return fmt.Errorf("%s is not here", p.spec.engine)
	}
	if p.spec.engine == engineCaisson && p.lab.guests[p.spec.guest] == "" {
		return fmt.Errorf("the guest %s is not here", p.spec.guest)
	}
	if p.waiting > 0 {
		return nil // as many as without, and a million tasks are not sent for nothing
	}
	_, err := p.watched()
	return err
}

func (p *drainProbe) measure() error {
	d, err := p.watched()
	if err != nil {
		return err
	}
	p.rate = append(p.rate, d.rate)
	if d.worker > 0 && p.spec.engine != engineCelery && p.spec.engine != engineSigned { // whose work is in children
		p.worker = append(p.worker, d.worker.Seconds()*1e6)
		p.redis = append(p.redis, d.redis.Seconds()*1e6)
	}
	p.outcomes = append(p.outcomes, d.outcomes...)
	return nil
}

// watched does it again with more tasks as long as it is over before it could be watched: on a busy machine what sufficed in one round need not in the next.
func (p *drainProbe) watched() (drained, error) {
	for {
		d, err := p.once()
		if !errors.Is(err, errTooShort) || p.count >= countMax/shortFactor {
			return d, err
		}
		p.count *= shortFactor
	}
}

func (p *drainProbe) once() (d drained, err error) {
	if !p.keep {
		if err := p.lab.redis.fresh(p.lab.ctx, p.aof); err != nil {
			return d, err
		}
	}
	if err := p.fill(); err != nil {
		return d, err
	}
	if d, err = p.lab.drain(p.spec, p.count); err != nil {
		return d, err
	}
	if p.waiting == 0 {
		if _, err := p.lab.senders[p.spec.engine].ask(p.check()); err != nil {
			return d, err
		}
	}
	p.adapt(d.rate)
	return d, nil
}

// check asks the sender whether all that it sent has its result.
func (p *drainProbe) check() line.Request {
	q := line.Request{Op: "check", Count: checkedMax, Guest: p.spec.guest}
	if p.spec.guest == "go" {
		q.Want = goWant
	}
	return q
}

// fill puts so many tasks into the queue that p.count can be done with p.waiting left.
func (p *drainProbe) fill() error {
	want := p.count + p.waiting
	if p.keep {
		n, err := p.lab.redis.admin.XLen(p.lab.ctx, "cs:{"+deployQueue+"}:in:"+deployTenant+":1").Result()
		if err != nil {
			return err
		}
		want = max(0, want-int(n))
	}
	for ; want > 0; want -= fillMax {
		q := line.Request{Op: "send", Guest: p.spec.guest, Size: p.size, Count: min(want, fillMax), Workers: fillSenders, Batch: fillBatch}
		q.Batch = max(1, min(q.Batch, fillBytes/max(1, p.size)))
		switch p.spec.engine {
		case engineCelery, engineSigned:
			q.Workers = 1 // of other processes the ids would not be known to check
		case engineAsynq:
			q.Workers = fillWaiting // one by one, each waits for its answer
		}
		if _, err := p.lab.senders[p.spec.engine].ask(q); err != nil {
			return err
		}
	}
	return nil
}

// adapt sets the count for the next round from the rate of this one.
func (p *drainProbe) adapt(rate float64) {
	most := p.most
	if most == 0 {
		most = countMax
	}
	share := float64(warmPart) / float64(warmPart-1) // what is measured of count
	p.count = min(most, max(drainCountMin, int(rate*p.slot.Seconds()*share)))
}

// A sendProbe measures how fast tasks are put into a queue that nobody serves.
type sendProbe struct {
	lab     *queueLab
	name    string
	engine  string
	request line.Request
	slot    time.Duration
	rate    sample
}

func (p *sendProbe) title() string { return p.name }
func (p *sendProbe) discard()      { p.rate = nil }

func (p *sendProbe) prepare() error {
	if p.lab.senders[p.engine] == nil {
		return fmt.Errorf("%s is not here", p.engine)
	}
	_, err := p.once()
	return err
}

func (p *sendProbe) measure() error {
	rate, err := p.once()
	if err == nil {
		p.rate = append(p.rate, rate)
	}
	return err
}

// once sends a part to warm up, and then what is measured.
func (p *sendProbe) once() (float64, error) {
	if err := p.lab.redis.fresh(p.lab.ctx, false); err != nil {
		return 0, err
	}
	warm := p.request
	warm.Count = max(warm.Batch*warm.Workers, warm.Count/warmPart)
	if _, err := p.lab.senders[p.engine].ask(warm); err != nil {
		return 0, err
	}
	a, err := p.lab.senders[p.engine].ask(p.request)
	if err != nil {
		return 0, err
	}
	rate := float64(p.request.Count) / a.Took.Seconds()
	p.request.Count = min(sendCountMax, max(p.request.Batch*p.request.Workers, int(rate*p.slot.Seconds())))
	return rate, nil
}

// A tripProbe measures single tasks on a worker that has nothing else to do: from sending to the result.
type tripProbe struct {
	lab   *queueLab
	name  string
	spec  workerSpec
	warm  int // trips that do not count
	count int

	p50, p95, p99 sample // ms, one number a round
}

func (p *tripProbe) title() string { return p.name }
func (p *tripProbe) discard()      { p.p50, p.p95, p.p99 = nil, nil, nil }

func (p *tripProbe) prepare() error {
	if p.lab.senders[p.spec.engine] == nil {
		return fmt.Errorf("%s is not here", p.spec.engine)
	}
	return nil
}

func (p *tripProbe) measure() error {
	if err := p.lab.redis.fresh(p.lab.ctx, false); err != nil {
		return err
	}
	w, err := p.lab.startWorker(p.spec)
	if err != nil {
		return err
	}
	defer w.kill()
	addr, err := p.lab.addr(p.spec.delay)
	if err != nil {
		return err
	}
	q := line.Request{Op: "trip", Guest: p.spec.guest, Size: sizeDefault, Addr: addr, Count: p.warm}
	sender := p.lab.senders[p.spec.engine]
	if _, err := sender.ask(q); err != nil {
		return err
	}
	q.Count = p.count
	a, err := sender.ask(q)
	if err != nil {
		return err
	}
	s := sample(a.Values)
	p.p50, p.p95, p.p99 = append(p.p50, s.quantile(0.5)), append(p.p95, s.quantile(0.95)), append(p.p99, s.quantile(0.99))
	return nil
}
