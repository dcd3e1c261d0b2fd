package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/runtime/wasm"
	"github.com/tetratelabs/wazero"
)

// A compiled is a module that was read and compiled, or why it could not be; the same for every manifest.
type compiled struct {
	ready chan struct{} // closed when the fields below are set
	err   error         // *AdmissionError, final, or one that is about this attempt
	*artifact
	module wazero.CompiledModule

	// Under Sandbox.mu:
	uses int    // runs and loads going on
	used uint64 // when it was last used, by Sandbox.clock
}

// Load admits m and compiles it, unless its digest is known. Loads of one digest at once compile it once.
// Errors: *AdmissionError, final; else ctx's, or that the sandbox is closed.
func (s *Sandbox) Load(ctx context.Context, m Module) (*Program, error) {
	switch m.Start {
	case "", "template", "each":
	default:
		return nil, fmt.Errorf("sandbox: Start: %q is neither template nor each", m.Start)
	}
	for _, v := range slices.Concat(m.Args, m.Env) {
		if strings.IndexByte(v, 0) >= 0 {
			return nil, errors.New("sandbox: Args and Env: hold a NUL")
		}
	}
	c, err := s.acquire(ctx, m)
	if err != nil {
		return nil, err
	}
	defer s.releaseModule(c)
	if err := checkNeeds(s.host, c.facts.imports, m.Needs); err != nil {
		return nil, err
	}
	m.Args, m.Env = slices.Clone(m.Args), slices.Clone(m.Env)
	return &Program{sandbox: s, module: m, facts: c.facts.public(), form: c.facts.form, stdout: importsResultWrite(c.facts.imports), constants: constants(m)}, nil
}

// constants is what of a manifest makes templates differ. None of the strings holds a NUL.
func constants(m Module) string {
	parts := []string{m.Start, strconv.Itoa(len(m.Args))}
	return strings.Join(slices.Concat(parts, m.Args, m.Env), "\x00")
}

func importsResultWrite(imports []wasm.Import) bool {
	return slices.ContainsFunc(imports, func(f wasm.Import) bool {
		return f.Module == abi.Module && f.Name == abi.ResultWrite
	})
}

// acquire returns the compiled module, compiling it if it must. The caller gives it back with releaseModule.
func (s *Sandbox) acquire(ctx context.Context, m Module) (*compiled, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	c := s.modules[m.Digest]
	if c == nil {
		c = &compiled{ready: make(chan struct{})}
		s.modules[m.Digest] = c
		s.busy.Add(1)
		c.uses++ // of the compile itself
		go s.compile(c, m)
	}
	c.uses++
	s.clock++
	c.used = s.clock
	trash := s.evict()
	s.mu.Unlock()
	trash.empty()

	if err := c.wait(ctx); err != nil {
		s.releaseModule(c)
		return nil, err
	}
	return c, nil
}

// wait waits for the module, and returns why there is none.
func (c *compiled) wait(ctx context.Context) error {
	select {
	case <-c.ready: // by itself: it is ready nearly always, and a choice takes longer
		return c.err
	default:
	}
	select {
	case <-c.ready:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Sandbox) releaseModule(c *compiled) {
	s.mu.Lock()
	c.uses--
	trash := s.evict()
	s.mu.Unlock()
	trash.empty()
}

// evict drops modules above modulesMax: refused ones first, so that a flood of those costs no good one, and of each kind the least used. One that is in use stays,
// so there can be more for a while. The caller frees what is returned.
func (s *Sandbox) evict() (t trash) {
	for len(s.modules) > modulesMax {
		var oldest [32]byte
		var found *compiled
		for digest, c := range s.modules {
			if c.uses == 0 && (found == nil || c.goesBefore(found)) {
				oldest, found = digest, c
			}
		}
		if found == nil {
			return t
		}
		delete(s.modules, oldest)
		t.add(s.dropPools(found)) // uses == 0 says that nobody is inside
		if found.module != nil {
			t.modules = append(t.modules, found.module)
		}
	}
	return t
}

func (c *compiled) goesBefore(other *compiled) bool {
	if refused := c.err != nil; refused != (other.err != nil) {
		return refused
	}
	return c.used < other.used
}

// compile fills c. It runs on a goroutine of its own, because wazero cannot be interrupted and the callers can; Close waits for it.
func (s *Sandbox) compile(c *compiled, m Module) {
	defer s.busy.Done()
	defer s.releaseModule(c)
	defer close(c.ready)
	c.artifact, c.module, c.err = s.admissions.load(s.closing, &m)
	// A refusal is kept, as it is the same next time; anything else is tried again.
	if e := (*AdmissionError)(nil); c.err != nil && (!errors.As(c.err, &e) || e.passing || c.err == errDigest) {
		s.mu.Lock()
		delete(s.modules, m.Digest)
		s.mu.Unlock()
	}
}

// errDigest is not kept as a refusal of the digest, which may well have a good module.
var errDigest = admission("module.invalid", "the bytes do not have the module's digest")

// public is what Program.Facts tells.
func (m *moduleFacts) public() Facts {
	facts := Facts{Form: "command", Functions: int(m.functions), MemoryMin: int64(m.memoryMin), MemoryMax: int64(m.memoryMax)}
	if m.form == reactor {
		facts.Form = "reactor"
	}
	for _, im := range m.imports {
		facts.Imports = append(facts.Imports, im.Module+"."+im.Name)
	}
	return facts
}
