package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/hashicorp/go-hclog"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Config is what a Host is made of. The zero value of a field means what its comment says, never more.
type Config struct {
	HTTP   HTTPConfig       // how http_fetch reaches the world
	KV     KV               // the store behind kv_get and the like; nil: those acts are not offered
	Now    func() time.Time // nil: time.Now
	Rand   io.Reader        // source of random_get, read by any number of goroutines at once; nil: crypto/rand.Reader
	Logger hclog.Logger     // nil: no log
}

// A Host offers functions to guests. It holds no state of any guest; any number of runs use it at once.
type Host struct {
	now       func() time.Time
	rand      io.Reader
	log       hclog.Logger
	http      *fetcher
	functions []function
	index     map[string]int // "module.name" -> functions
}

// New returns a Host with every act that c can serve.
// Errors: one for each faulty field of c, joined.
func New(c Config) (*Host, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	http, err := newFetcher(c.HTTP)
	if err != nil {
		return nil, err
	}
	h := &Host{now: c.Now, rand: c.Rand, log: c.Logger.Named("host"), http: http}

	// The one place where acts are registered: what is not in this list does not exist for a guest.
	acts := []act{
		register(fetchAct(http)),
		register(clockAct(c.Now)),
	}
	if c.KV != nil {
		acts = append(acts, kvActs(c.KV)...)
	}
	h.functions = append(caissonFunctions(acts), wasiFunctions()...)
	h.index = make(map[string]int, len(h.functions))
	for i, f := range h.functions {
		h.index[f.module+"."+f.name] = i
	}
	return h, nil
}

// Close drops idle connections. Runs in flight keep theirs until they end.
func (h *Host) Close() { h.http.close() }

// A Function is what a module may import, as the admission check sees it.
type Function struct {
	Module, Name string
	Params       []api.ValueType
	Results      []api.ValueType
	Kind         capability.Kind // kind of capability that the manifest must need; "" for none
	Offered      bool            // false: the name is known, but this worker cannot serve it
}

// Function returns the function that a module may import under that name, and whether there is one.
func (h *Host) Function(module, name string) (Function, bool) {
	if i, ok := h.index[module+"."+name]; ok {
		f := h.functions[i]
		return Function{Module: f.module, Name: f.name, Params: f.params, Results: f.results, Kind: f.kind, Offered: f.call != nil}, true
	}
	return Function{}, false
}

// Install makes the host's modules in rt, for all guests that are instantiated there later.
func (h *Host) Install(ctx context.Context, rt wazero.Runtime) error {
	for _, module := range []string{abi.Module, abi.WASI} {
		b := rt.NewHostModuleBuilder(module)
		for i := range h.functions {
			f := &h.functions[i]
			if f.module == module && f.call != nil {
				b = b.NewFunctionBuilder().WithGoModuleFunction(h.enter(f), f.params, f.results).WithName(f.name).Export(f.name)
			}
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("host: install %s: %w", module, err)
		}
	}
	return nil
}

// A function is one import with its code. call gets the parameters as wazero passes them, 64 bits each, and returns the
// result; for a function without a result that is ignored. call is nil when the function is known but not offered.
type function struct {
	module, name string
	params       []api.ValueType
	results      []api.ValueType
	kind         capability.Kind
	call         func(ctx context.Context, r *Run, params []uint64) uint64
}

// errNoRun is a defect of the sandbox: it called a guest without Run.Context.
var errNoRun = errors.New("internal error: host function called without a run")

// enter makes the one way from a guest into f: it finds the run, ends it when its time is over, and turns a panic of f into a crash of that run.
func (h *Host) enter(f *function) api.GoModuleFunc {
	return func(ctx context.Context, guest api.Module, stack []uint64) {
		r, ok := ctx.Value(runKey{}).(*Run)
		if !ok {
			panic(errNoRun)
		}
		r.charge(callBytes)
		r.checkContext(ctx)
		if r.memory == nil {
			// By name, and not guest.Memory(), which is not nil but panics when used in a module without memory.
			r.memory = guest.ExportedMemory(abi.ExportMemory)
		}
		defer r.guard(f.name)
		result := f.call(ctx, r, stack)
		if len(f.results) > 0 {
			stack[0] = result
		}
	}
}

// guard turns a panic that is not an ending into one, and keeps its text and stack away from the guest and the sender.
func (r *Run) guard(name string) {
	p := recover()
	if p == nil {
		return
	}
	if r.ending.Kind == EndingNone {
		r.host.log.Error("host function panicked", "function", name, "panic", fmt.Sprint(p), "stack", string(stack()))
		r.stop(Ending{Kind: EndingCrash, Code: "sandbox.crash", Text: "internal error in host function " + name, Status: 1})
	}
	panic(p)
}
