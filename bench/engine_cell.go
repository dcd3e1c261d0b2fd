package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/caisson-run/caisson/bench/line"
	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// cells is the product's sandbox as a worker opens it.
type cells struct {
	ctx     context.Context
	host    *host.Host
	sandbox *sandbox.Sandbox
	needs   capability.Set
	held    capability.Held
	silent  net.Listener // never answers
	beat    *beat
}

// newCells opens it with a compile cache in folder, "" for none, and room for so many guests at once, 0 for a worker's.
func newCells(ctx context.Context, folder string, running int) (*cells, error) {
	e := &cells{ctx: ctx}
	var err error
	if e.silent, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go beSilent(e.silent) // until close
	address := e.silent.Addr().String()
	e.host, err = host.New(host.Config{HTTP: host.HTTPConfig{
		AllowAddr: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		ConnectTo: func(context.Context, string) string { return address },
	}})
	if err != nil {
		return nil, err
	}
	if e.needs, err = capability.ParseSet([]string{"http GET " + hangURL}); err != nil {
		return nil, err
	}
	if e.held, err = capability.Hold(e.needs, e.needs, nil); err != nil {
		return nil, err
	}
	e.sandbox, err = openSandbox(ctx, e.host, folder, running)
	return e, err
}

// openSandbox opens the product's sandbox as the worker does: modules are admitted in a process of their own, and kept in folder. So many guests may run
// at once, 0 for what a worker lets, whatever memory there is.
func openSandbox(ctx context.Context, h *host.Host, folder string, running int) (*sandbox.Sandbox, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return sandbox.Open(ctx, sandbox.Config{Host: h, Admit: []string{self, engineVerb, "admit"}, CacheDir: folder, Running: running, Memory: 1 << 40})
}

func (e *cells) close() {
	_ = e.sandbox.Close(context.WithoutCancel(e.ctx))
	e.host.Close()
	_ = e.silent.Close()
}

// beSilent takes connections and says nothing, until l is closed: not even a handshake is answered, since its arithmetic would be measured, too.
func beSilent(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // until the client goes
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
	}
}

func (e *cells) ways() map[string]line.Way { return map[string]line.Way{"cell": e.cell} }

func (e *cells) load(guest []byte) (*sandbox.Program, error) {
	return e.sandbox.Load(e.ctx, sandbox.Module{Digest: sha256.Sum256(guest), Bytes: guest, Needs: e.needs})
}

// loadFile loads the guest of a file.
func (e *cells) loadFile(path string) (*sandbox.Program, error) {
	guest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return e.load(guest)
}

// cell runs each task as the worker does: by Program.Run, with all limits on.
func (e *cells) cell(guest []byte) (line.Program, error) {
	p, err := e.load(guest)
	if err != nil {
		return nil, err
	}
	return func() (line.Worker, error) {
		return func(input []byte) ([]byte, error) {
			out := p.Run(e.ctx, sandbox.Job{ID: "bench", Tenant: "bench", Held: e.held, Input: input})
			if out.Verdict != sandbox.Done {
				return nil, outcomeError(out)
			}
			return out.Output, nil
		}, nil
	}, nil
}

func outcomeError(out sandbox.Outcome) error {
	return fmt.Errorf("%s %s %s", out.Verdict, out.Code, out.Error)
}

var errNoLimit = errors.New("the limit did not end the guest")
