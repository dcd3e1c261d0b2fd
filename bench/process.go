package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/caisson-run/caisson/bench/line"
)

// A process is one engine that runs as a child and answers one request at a time.
type process struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startProcess starts path. The child is ended with ctx, or by stop.
func startProcess(ctx context.Context, name, path string, args ...string) (*process, error) {
	return startCommand(name, exec.CommandContext(ctx, path, args...))
}

// startCommand is startProcess for a command that needs more said.
func startCommand(name string, cmd *exec.Cmd) (*process, error) {
	cmd.Stderr = os.Stderr
	dieWithUs(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &process{name, cmd, in, bufio.NewReader(out)}, nil
}

// startSelf starts an engine of this program's own.
func startSelf(ctx context.Context, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startProcess(ctx, name, self, append([]string{engineVerb, name}, args...)...)
}

// ask sends one request and waits for its answer.
func (p *process) ask(q line.Request) (line.Answer, error) {
	var a line.Answer
	if err := json.NewEncoder(p.in).Encode(q); err != nil {
		return a, fmt.Errorf("%s: %w", p.name, err)
	}
	data, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("%s: no answer to %s %s: %w", p.name, q.Op, q.Guest, err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("%s: %w", p.name, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s %s %s: %s", p.name, q.Op, q.Way, q.Guest, a.Error)
	}
	return a, nil
}

// stop ends the child, whose input is over, and waits for it.
func (p *process) stop() error {
	err := errors.Join(p.in.Close(), p.cmd.Wait())
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}
