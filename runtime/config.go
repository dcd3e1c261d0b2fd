package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// Broker is what the worker needs of a broker: to claim, start and settle work, and the periodic maintenance.
type Broker interface {
	queue.Queue
	queue.Maintainer
}

// Config is all that a worker is made of. The zero value of a field with a default means that default;
// it never means "none" or "no limit".
type Config struct {
	// Broker carries the work. Required; the worker does not close it.
	Broker Broker

	// Listener receives orders of operators and senders, Admin carries them out, and Modes remembers over restarts which
	// queues are paused. All three or none: without them the worker obeys no order.
	Listener queue.Listener
	Admin    queue.Admin
	Modes    Modes

	// Events receives what happens to messages, Progress what tasks report of their progress. nil: neither is written.
	Events   queue.Events
	Progress queue.Progress

	// Queues are the names of the queues that this worker serves, each at most once. Required.
	Queues []string

	// Policy decides who may send what, and names the tenants, whose lanes are the ones that are read.
	// Required; replaced while running with [Worker.UsePolicy].
	Policy *policy.Policy

	// Key signs results. Required; its purpose must be "worker" and the policy must list it as a worker's,
	// since senders accept results only from the keys listed there.
	Key envelope.PrivateKey

	// Modules holds releases and module bytes. Required.
	Modules modstore.Store

	// Floor remembers the highest release number seen for each task over restarts. Required.
	Floor Floor

	// Sandbox runs modules. Required; the worker does not close it.
	Sandbox *sandbox.Sandbox

	// Name says in dead letters and logs which worker it was, 1 to 64 characters of a-z 0-9 . _ -. Required.
	Name string

	// Concurrency is how many tasks run at a time, 1 to ConcurrencyMax. Default: twice GOMAXPROCS, so that
	// a task that waits for the network leaves no processor idle.
	Concurrency int

	// Limits bound how many of these may be of one queue, tenant or task, each up to Concurrency. Default: none.
	Limits Limits

	// Lease is how long a delivery belongs to this worker without a renewal, LeaseMin to LeaseMax. It must be the same as the
	// broker's. Default 15 s.
	Lease time.Duration

	// Drain is how long running tasks may go on after Run's context has ended, at most 1 h. Default 30 s; DrainNone cuts at once.
	Drain time.Duration

	// ResultTTL is how long a result is kept for its sender, 1 s to 7 days. Default 1 h.
	ResultTTL time.Duration

	// Logger receives the log. Default: nothing is logged.
	Logger hclog.Logger

	// Clock tells the time by which messages are judged. Default time.Now.
	Clock func() time.Time
}

// DrainNone as Config.Drain means not to wait for running tasks.
const DrainNone = time.Duration(-1)

const (
	leaseDefault     = 15 * time.Second
	drainDefault     = 30 * time.Second
	drainMax         = time.Hour
	resultTTLDefault = time.Hour
	resultTTLMin     = time.Second
	resultTTLMax     = 7 * 24 * time.Hour
)

// A ConfigError reports one faulty field of Config. [Open] joins all of them.
type ConfigError struct {
	Field string // as in Config
	Text  string // what is wrong and what is expected
}

// Error implements error.
func (e *ConfigError) Error() string { return fmt.Sprintf("worker: config: %s: %s", e.Field, e.Text) }

// withDefaults returns a copy of c in which every optional field is set.
func (c Config) withDefaults() Config {
	c.Queues = append([]string(nil), c.Queues...)
	if c.Concurrency == 0 {
		c.Concurrency = 2 * goruntime.GOMAXPROCS(0)
	}
	if c.Lease == 0 {
		c.Lease = leaseDefault
	}
	if c.Drain == 0 {
		c.Drain = drainDefault
	}
	if c.ResultTTL == 0 {
		c.ResultTTL = resultTTLDefault
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// check joins every fault of c, each by its field's name. c has its defaults.
func (c Config) check() error {
	var faults []error
	fault := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, &ConfigError{Field: field, Text: fmt.Sprintf(format, args...)})
		}
	}
	fault(c.Broker == nil, "Broker", "is missing")
	fault((c.Listener == nil) != (c.Admin == nil), "Listener", "needs Admin, and Admin needs it")
	fault((c.Listener == nil) != (c.Modes == nil), "Modes", "needs Listener, and Listener needs it")
	fault(c.Policy == nil, "Policy", "is missing")
	fault(c.Modules == nil, "Modules", "is missing")
	fault(c.Floor == nil, "Floor", "is missing")
	fault(c.Sandbox == nil, "Sandbox", "is missing")
	fault(envelope.CheckName("name", c.Name) != nil, "Name", "%q is not 1 to 64 characters of a-z 0-9 . _ -", c.Name)
	fault(len(c.Queues) == 0, "Queues", "names no queue")
	seen := map[string]bool{}
	for i, q := range c.Queues {
		err := envelope.CheckName("queue", q)
		fault(err != nil, fmt.Sprintf("Queues[%d]", i), "%v", err)
		fault(seen[q], fmt.Sprintf("Queues[%d]", i), "%q is named twice", q)
		seen[q] = true
	}
	fault(c.Concurrency < 1 || c.Concurrency > ConcurrencyMax, "Concurrency", "%d is not within 1 and %d", c.Concurrency, ConcurrencyMax)
	for name, n := range map[string]int{"Queue": c.Limits.Queue, "Tenant": c.Limits.Tenant, "Task": c.Limits.Task} {
		fault(n < 0 || n > ConcurrencyMax, "Limits."+name, "%d is not within 0 and %d", n, ConcurrencyMax)
	}
	fault(c.Lease < LeaseMin || c.Lease > LeaseMax, "Lease", "%v is not within %v and %v", c.Lease, LeaseMin, LeaseMax)
	if b, says := c.Broker.(interface{ Lease() time.Duration }); says {
		fault(b.Lease() != c.Lease, "Lease", "%v is not the broker's %v: leases would be renewed too late or for nothing", c.Lease, b.Lease())
	}
	fault(c.Drain != DrainNone && (c.Drain < 0 || c.Drain > drainMax), "Drain", "%v is not within 0 and %v", c.Drain, drainMax)
	fault(c.ResultTTL < resultTTLMin || c.ResultTTL > resultTTLMax, "ResultTTL", "%v is not within %v and %v", c.ResultTTL, resultTTLMin, resultTTLMax)
	faults = append(faults, c.checkKey()...)
	return errors.Join(faults...)
}

// checkKey checks the worker's key against the policy: senders would refuse results under an unlisted key.
func (c Config) checkKey() []error {
	if c.Key.Public().Purpose() != envelope.Worker {
		return []error{&ConfigError{Field: "Key", Text: "is not a worker key: make one with `caisson key new worker`"}}
	}
	if c.Policy == nil {
		return nil
	}
	if _, known := c.Policy.WorkerKey(c.Key.Public().ID()); !known {
		return []error{&ConfigError{Field: "Key", Text: fmt.Sprintf("%s is not listed as a worker in the policy: senders would refuse its results", c.Key.Public().ID())}}
	}
	return nil
}
