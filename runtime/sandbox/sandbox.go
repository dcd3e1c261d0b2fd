package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	goruntime "runtime"
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

	// Running is the most guests that run at once; further ones wait before their wall time begins. 0: 64 for each of GOMAXPROCS.
	Running int
	// Memory bounds what the guests that run may take together, in bytes: each counts as its limits.memory, or its module's own maximum, and twice its limits.stack. A
	// run for which there is no room waits. 0: three quarters of what this machine or control group has.
	Memory int64
	// IdleMemory bounds what cells that wait for tasks and templates take, in bytes. 0: 256 MiB.
	IdleMemory int64
	// CheckRate is which part of the restores is checked: the whole memory is compared with its image. From 0 to 1; 0 means 1 in 1000, CheckNever none.
	CheckRate float64
}

// CheckNever is the Config.CheckRate that checks nothing.
const CheckNever = -1

// A Sandbox holds compiled modules and runs tasks in them. Any number of goroutines use it at once.
type Sandbox struct {
	host       *host.Host
	log        hclog.Logger
	admissions *admissions
	runtime    wazero.Runtime // of admissions

	// closing ends every run, and every compile that still waits for its turn.
	closing context.Context
	close   context.CancelCauseFunc

	restorer     *restorer
	page         int           // of the system, bytes
	running      chan struct{} // holds one for each guest that runs
	processors   *processors
	wanted       chan *pool // those that lack a cell
	discarded    chan *cell // those that were dropped, and are to be freed
	builderEnded chan struct{}
	budget       *budget
	idleMemory   int64
	checkRate    float64

	mu        sync.Mutex
	closed    bool
	busy      sync.WaitGroup // runs and compiles
	modules   map[[32]byte]*compiled
	pools     map[poolKey]*pool
	clock     uint64
	idleCells int
	idleSize  int64             // of idle cells, bytes
	imageSize int64             // of templates, bytes
	shares    map[string]*share // of each tenant in both
	stats     Stats
}

// Open makes a sandbox. ctx is used only during the call.
func Open(ctx context.Context, c Config) (*Sandbox, error) { return open(ctx, c, restorers) }

// open is Open with the ways to restore that may be used.
func open(ctx context.Context, c Config, ways []way) (*Sandbox, error) {
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
	if err := errors.Join(c.Host.Install(ctx, s.runtime), installTick(ctx, s.runtime)); err != nil {
		return nil, errors.Join(err, admissions.close(ctx))
	}
	if err := s.openCells(c, ways); err != nil {
		return nil, errors.Join(err, admissions.close(ctx))
	}
	return s, nil
}

// openCells prepares for cells.
func (s *Sandbox) openCells(c Config, ways []way) (err error) {
	if c.Running < 0 || c.Memory < 0 || c.IdleMemory < 0 || c.CheckRate > 1 || c.CheckRate < 0 && c.CheckRate != CheckNever {
		return fmt.Errorf("sandbox: Running, Memory, IdleMemory or CheckRate: %d, %d, %d, %g: out of range", c.Running, c.Memory, c.IdleMemory, c.CheckRate)
	}
	s.idleMemory, s.checkRate = cmp.Or(c.IdleMemory, idleMemoryDefault), cmp.Or(c.CheckRate, checkRateDefault)
	s.budget = newBudget(cmp.Or(c.Memory, defaultMemory()))
	s.page = os.Getpagesize()
	s.pools = make(map[poolKey]*pool)
	s.shares = make(map[string]*share)
	s.running = make(chan struct{}, cmp.Or(c.Running, runningPerCPU*goruntime.GOMAXPROCS(0)))
	s.processors = newProcessors(computingPerCPU * goruntime.GOMAXPROCS(0))
	s.wanted = make(chan *pool, wantedMax)
	s.discarded = make(chan *cell, discardedMax+cap(s.running))
	s.builderEnded = make(chan struct{})
	if s.restorer, err = openRestorer(s.log, ways); err != nil {
		return err
	}
	go s.buildAhead() // ends with Close, which waits for it
	return nil
}

// sampled says whether this restore is checked.
func (s *Sandbox) sampled() bool {
	return s.checkRate == 1 || s.checkRate > 0 && rand.Float64() < s.checkRate
}

// errClosed is why nothing is admitted or compiled any more.
var errClosed = errors.New("sandbox: closed")

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
		<-s.builderEnded
		close(idle)
	}()
	select {
	case <-idle:
		s.closeCells()
		return s.admissions.close(context.WithoutCancel(ctx))
	case <-ctx.Done():
		return ErrBusy
	}
}

// closeCells frees all cells and templates. Nobody uses them any more.
func (s *Sandbox) closeCells() {
	s.mu.Lock()
	var trash trash
	for len(s.discarded) > 0 {
		trash.cells = append(trash.cells, <-s.discarded)
	}
	for _, c := range s.modules {
		trash.add(s.dropPools(c))
	}
	s.mu.Unlock()
	trash.empty()
	s.restorer.close()
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
	Tenant string         // who needs it first: modules of others do not wait for its admission, should that take long
}

// A Program is a module that was admitted. Any number of goroutines run it at once.
type Program struct {
	sandbox *Sandbox
	module  Module
	facts   Facts
	form    form
	stdout  bool // fd 1 is a log

	constants string // of poolKey
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
