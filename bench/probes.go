package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/caisson-run/caisson/bench/line"
)

// A runawayProbe lets a guest run into a limit again and again.
type runawayProbe struct {
	lab     *lab
	name    string
	request line.Request
	late    sample // milliseconds from the limit to the end, one number a run
}

// newRunawayProbe is for the guest of that name under a limit of kind "wall" or "cpu", so many at once.
func newRunawayProbe(lab *lab, guest, kind string, workers int) *runawayProbe {
	name := guest + " past its " + kind + " limit"
	count := runawaysAlone
	if workers > 1 {
		name += ", 16 at once"
		count = runawaysTogether
	}
	if lab.o.quick {
		count /= 4
	}
	return &runawayProbe{lab: lab, name: "runaway " + name, request: line.Request{
		Op: "kill", Way: kind, Guest: guest, Path: lab.guests[guest], Count: count, Workers: workers, Limit: runawayLimit,
	}}
}

func (p *runawayProbe) title() string  { return p.name }
func (p *runawayProbe) prepare() error { return nil }
func (p *runawayProbe) discard()       { p.late = nil }

func (p *runawayProbe) measure() error {
	a, err := p.lab.limits.ask(p.request)
	p.late = append(p.late, a.Values...)
	return err
}

// p99 is over the runs of all rounds.
func (p *runawayProbe) p99() sample { return p.late.p99() }

// A beatProbe ends the watch over the heartbeat of the process in which guests run away.
type beatProbe struct {
	lab  *lab
	gaps sample // milliseconds, the longest of each round
}

func (p *beatProbe) title() string  { return "heartbeat" }
func (p *beatProbe) prepare() error { return nil }
func (p *beatProbe) discard()       { p.gaps = nil }

func (p *beatProbe) measure() error {
	a, err := p.lab.limits.ask(line.Request{Op: "beat stop"})
	p.gaps = append(p.gaps, a.Values...)
	return err
}

// beatStart begins the watch.
type beatStart struct{ *beatProbe }

func (p beatStart) measure() error {
	_, err := p.lab.limits.ask(line.Request{Op: "beat start"})
	return err
}

// A memoryProbe weighs idle cells of the Go guest, in a process of its own each time.
type memoryProbe struct {
	lab  *lab
	each sample // KiB
}

func (p *memoryProbe) title() string  { return "memory" }
func (p *memoryProbe) prepare() error { return nil }
func (p *memoryProbe) discard()       { p.each = nil }

func (p *memoryProbe) measure() error {
	cell, err := startSelf(p.lab.ctx, "cell", cacheFolder(p.lab.folder, "cell"))
	if err != nil {
		return err
	}
	a, err := cell.ask(line.Request{Op: "warm", Guest: "go", Path: p.lab.guests["go"], Count: cellsWarm})
	p.each = append(p.each, a.Values...)
	return errors.Join(err, cell.stop())
}

// A startProbe measures from the start of a process to its first task done, over a compile cache that knows the module.
type startProbe struct {
	lab  *lab
	took sample // milliseconds
}

func (p *startProbe) title() string { return "start" }
func (p *startProbe) discard()      { p.took = nil }

// prepare fills the cache.
func (p *startProbe) prepare() error {
	_, err := p.once()
	return err
}

func (p *startProbe) measure() error {
	took, err := p.once()
	p.took = append(p.took, took.Seconds()*1e3)
	return err
}

func (p *startProbe) once() (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(p.lab.ctx, self, engineVerb, "start", cacheFolder(p.lab.folder, "cell"), p.lab.guests["go"])
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	_, err = bufio.NewReader(out).ReadString('\n')
	took := time.Since(begun)
	return took, errors.Join(err, cmd.Wait())
}
