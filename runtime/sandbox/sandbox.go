package sandbox

import (
	"context"
	"errors"
	"sync"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/hashicorp/go-hclog"
	"github.com/tetratelabs/wazero"
)

// Config is what a Sandbox is made of.
type Config struct {
	Host   *host.Host   // what guests can reach; required
	Logger hclog.Logger // nil: no log

	// Admit is the command line of a process that admits modules: it must call ServeAdmission. A module that takes its compiler more
	// time or memory than there is then costs that process, and is refused. Empty: modules are admitted in this process, without
	// any such bound, which is for tests of modules that one wrote oneself.
	Admit []string
	// CacheDir is a folder for compiled modules, made with mode 0700 when it is not there; any number of sandboxes share one.
	// Empty: none are kept.
	CacheDir string
}

// A Sandbox holds compiled modules and runs tasks in them. Any number of goroutines use it at once.
type Sandbox struct {
	host       *host.Host
	log        hclog.Logger
	admissions *admissions
	runtime    wazero.Runtime // of admissions

	// closing ends every run, and every compile that still waits for its turn.
	closing context.Context
	close   context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	busy    sync.WaitGroup // runs and compiles
	modules map[[32]byte]*compiled
	clock   uint64
	stats   Stats
}

// Stats are counts since Open, for metrics.
type Stats struct {
	Modules      int   // kept now
	Compiles     int64 // done, refused ones included
	Costly       int64 // of these, refused with module.costly
	CacheHits    int64 // modules taken from CacheDir
	CacheRejects int64 // entries of CacheDir that were changed or could not be used, and so were compiled again
	Runs         int64 // begun
}

// Stats returns the counts as they are now.
func (s *Sandbox) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Modules = len(s.modules)
	stats.Compiles, stats.Costly = s.admissions.admitted.Load(), s.admissions.costly.Load()
	stats.CacheHits, stats.CacheRejects = s.admissions.cacheHits.Load(), s.admissions.cacheRejects.Load()
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
	c.Logger = c.Logger.Named("sandbox")
	admissions, err := openAdmissions(ctx, c, c.Logger)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{
		host:       c.Host,
		log:        c.Logger,
		admissions: admissions,
		runtime:    admissions.runtime,
		modules:    make(map[[32]byte]*compiled),
	}
	s.closing, s.close = context.WithCancelCause(context.Background())
	if err := c.Host.Install(ctx, s.runtime); err != nil {
		return nil, errors.Join(err, admissions.close(ctx))
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
		return s.admissions.close(context.WithoutCancel(ctx))
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
