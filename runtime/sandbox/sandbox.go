package sandbox

import (
	"context"
	"errors"
	"sync"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/hashicorp/go-hclog"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Config is what a Sandbox is made of.
type Config struct {
	Host   *host.Host   // what guests can reach; required
	Logger hclog.Logger // nil: no log
}

// A Sandbox holds compiled modules and runs tasks in them. Any number of goroutines use it at once.
type Sandbox struct {
	host    *host.Host
	log     hclog.Logger
	runtime wazero.Runtime

	// closing ends every run, and every compile that still waits for its turn.
	closing context.Context
	close   context.CancelCauseFunc
	// compileTurn lets one module compile at a time: it is the most memory that this worker ever uses.
	compileTurn chan struct{}

	mu      sync.Mutex
	closed  bool
	busy    sync.WaitGroup // runs and compiles
	modules map[[32]byte]*compiled
	clock   uint64
	stats   Stats
}

// Stats are counts since Open, for metrics.
type Stats struct {
	Modules  int   // kept now
	Compiles int64 // done, refused ones included
	Runs     int64 // begun
}

// Stats returns the counts as they are now.
func (s *Sandbox) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Modules = len(s.modules)
	return stats
}

// Open makes a sandbox. ctx is used only during the call.
func Open(ctx context.Context, c Config) (*Sandbox, error) {
	if c.Host == nil {
		return nil, errors.New("sandbox: Host: is required")
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	// The compiler where there is one (amd64, arm64), else the interpreter. Features beyond version 2 of the language stay off.
	config := wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCloseOnContextDone(true).
		WithDebugInfoEnabled(false).
		WithCustomSections(false).
		WithMemoryCapacityFromMax(false)
	s := &Sandbox{
		host:        c.Host,
		log:         c.Logger.Named("sandbox"),
		runtime:     wazero.NewRuntimeWithConfig(ctx, config),
		compileTurn: make(chan struct{}, 1),
		modules:     make(map[[32]byte]*compiled),
	}
	s.closing, s.close = context.WithCancelCause(context.Background())
	if err := c.Host.Install(ctx, s.runtime); err != nil {
		return nil, errors.Join(err, s.runtime.Close(ctx))
	}
	return s, nil
}

// ErrBusy is what Close returns when a run did not end. Its memory must stay, so nothing is freed.
var ErrBusy = errors.New("sandbox: a run did not end in time; its engine stays")

// Close ends all runs (their outcome is "task.cancelled"), waits for them, and frees everything.
// Errors: ErrBusy when ctx or closeTime ends first.
func (s *Sandbox) Close(ctx context.Context) error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.close(errClosed)
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	idle := make(chan struct{})
	go func() { // ends with the last run
		s.busy.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return s.runtime.Close(context.WithoutCancel(ctx))
	case <-ctx.Done():
		return ErrBusy
	}
}

// enter counts one run in, unless the sandbox is closed. Every enter that answers true is followed by one busy.Done.
func (s *Sandbox) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.busy.Add(1)
	s.stats.Runs++
	return true
}

// A Module is a module under a manifest, as the release that was resolved states both.
type Module struct {
	Digest [32]byte       // SHA-256 of Bytes
	Bytes  []byte         // not changed afterwards; kept as long as the Program
	Needs  capability.Set // what the manifest needs
	Start  string         // "template", "each", or "" for the first
	Args   []string       // constants of the manifest
	Env    []string       // constants of the manifest, "NAME=value"
}

// A Program is a module that was admitted. Any number of goroutines run it at once.
type Program struct {
	sandbox *Sandbox
	module  Module
	facts   Facts
	form    form
	stdout  bool // fd 1 is a log
}

// Facts are what is known of an admitted module.
type Facts struct {
	Form      string   // "command" or "reactor"
	Functions int      // its own
	Imports   []string // "module.name", in the order of the module
	MemoryMin int64    // bytes
	MemoryMax int64    // bytes, as the module states it; 0 when it does not
}

// Facts returns what is known of the module. Imports is shared and must not be changed.
func (p *Program) Facts() Facts { return p.facts }
