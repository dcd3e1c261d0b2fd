package main

import (
	"errors"
	"fmt"

	"github.com/caisson-run/caisson/bench/line"
)

// A crowdProbe runs a crowd of runaway guests, in a process of its own each time: what one leaves behind, threads and a large heap, is not the next one's.
type crowdProbe struct {
	lab     *lab
	name    string
	request line.Request
	late    sample // milliseconds from the limit to the end, one number a run
	gaps    sample // milliseconds, the longest between heartbeats in each round
}

// newCrowdProbe is for guests of a kind, "" for all kinds, so many at once.
func newCrowdProbe(lab *lab, guest string, atOnce int) *crowdProbe {
	name := fmt.Sprintf("crowd of %d runaways", crowdSize)
	if guest != "" {
		name = fmt.Sprintf("crowd of %d times %s", crowdSize, guest)
	}
	if atOnce < crowdSize {
		name += fmt.Sprintf(", %d at once", atOnce)
	}
	return &crowdProbe{lab: lab, name: name, request: line.Request{Op: "crowd", Guest: guest, Count: crowdSize, Workers: atOnce, Limit: runawayLimit}}
}

func (p *crowdProbe) title() string  { return p.name }
func (p *crowdProbe) prepare() error { return nil }
func (p *crowdProbe) discard()       { p.late, p.gaps = nil, nil }

func (p *crowdProbe) measure() error {
	cell, err := startSelf(p.lab.ctx, "crowd", cacheFolder(p.lab.folder, "cell"))
	if err != nil {
		return err
	}
	a, err := cell.ask(p.request)
	if err == nil {
		p.gaps, p.late = append(p.gaps, a.Values[0]), append(p.late, a.Values[1:]...)
	}
	return errors.Join(err, cell.stop())
}

// p99 is over the runs of all rounds.
func (p *crowdProbe) p99() sample { return p.late.p99() }

// A deepProbe has wall limits fall into the growth of a guest's stack.
type deepProbe struct {
	lab   *lab
	stack int    // limit, bytes
	late  sample // milliseconds from the limit to the end, one number a run
}

func (p *deepProbe) title() string {
	return fmt.Sprintf("runaway deep stack of %d MiB past its wall limit", p.stack>>20)
}
func (p *deepProbe) prepare() error { return nil }
func (p *deepProbe) discard()       { p.late = nil }

func (p *deepProbe) measure() error {
	a, err := p.lab.limits.ask(line.Request{Op: "deep", Path: p.lab.guests[guestDeep], Count: runawaysDeep, Size: p.stack})
	p.late = append(p.late, a.Values...)
	return err
}
