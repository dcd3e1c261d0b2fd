package sandbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/caisson-run/caisson/runtime/wasm"
)

// TestWasmSpec runs the specification's tests for core 2.0, which wazero carries with it, four times: each engine as it is and through gate and instrumenter.
// Every answer through them must be the one without, which in turn must be the expected one. What the gate refuses by design (imported memories, tables, globals, and the
// like) is counted by reason.
func TestWasmSpec(t *testing.T) {
	if unraced(t) {
		return
	}
	dir := specFolder(t)
	files, err := filepath.Glob(filepath.Join(dir, "v2", "testdata", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files of tests in %s: %v", len(files), dir, err)
	}
	host, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	all := specCounts{refusals: map[string]int{}}
	t.Run("files", func(t *testing.T) {
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				t.Parallel()
				s := newSpec(t, file, host)
				s.run(t)
				all.add(&s.counts)
			})
		}
	})
	t.Logf("%d modules and %d assertions ran, on both engines; %d modules and %d assertions are out by design, %d are text", all.modules, all.ran,
		all.modulesOut, all.out, all.text)
	for reason, n := range all.refusals {
		t.Logf("out: %4d  %s", n, reason)
	}
	if all.ran < 45_000 {
		t.Errorf("only %d assertions ran", all.ran)
	}
}

// specFolder finds the tests in the module of wazero that we build with.
func specFolder(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

type specCounts struct {
	mu                                  sync.Mutex
	modules, modulesOut, ran, out, text int
	refusals                            map[string]int
}

func (c *specCounts) add(other *specCounts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modules += other.modules
	c.modulesOut += other.modulesOut
	c.ran += other.ran
	c.out += other.out
	c.text += other.text
	for reason, n := range other.refusals {
		c.refusals[reason] += n
	}
}

type specCommand struct {
	Type       string      `json:"type"`
	Line       int         `json:"line"`
	Name       string      `json:"name"`
	Filename   string      `json:"filename"`
	As         string      `json:"as"`
	Action     specAction  `json:"action"`
	Expected   []specValue `json:"expected"`
	ModuleType string      `json:"module_type"`
	Text       string      `json:"text"`
}

type specAction struct {
	Type   string      `json:"type"`
	Module string      `json:"module"`
	Field  string      `json:"field"`
	Args   []specValue `json:"args"`
}

// A spec is one file of tests at work.
type spec struct {
	dir      string
	commands []specCommand
	engines  []*specEngine
	counts   specCounts
}

// A specEngine holds the instances of one engine, as it is and instrumented.
type specEngine struct {
	name  string
	plain wazero.Runtime
	rig   *rig
	last  *specPair
	named map[string]*specPair // by what the test calls them, and by what others import them as
}

// A specPair is one instance without the instrumenter and one with it.
type specPair struct {
	plain, ours api.Module
	imports     []string // what it imports from
	out         bool     // by design, or because it was changed from outside by a module that is
}

// isOut reports whether p, or what it calls, is out by design.
func (e *specEngine) isOut(p *specPair) bool {
	if p.out {
		return true
	}
	for _, from := range p.imports {
		if other := e.named["as "+from]; other != nil && other != p && e.isOut(other) {
			return true
		}
	}
	return false
}

func newSpec(t *testing.T, file string, host []byte) *spec {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Commands []specCommand `json:"commands"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		t.Fatal(err)
	}
	s := &spec{dir: filepath.Dir(file), commands: page.Commands, counts: specCounts{refusals: map[string]int{}}}
	for name, config := range rigEngines {
		e := &specEngine{name: name, rig: newRig(t, name), named: map[string]*specPair{}}
		e.plain = wazero.NewRuntimeWithConfig(e.rig.ctx, config().WithCoreFeatures(api.CoreFeaturesV2))
		t.Cleanup(func() { e.plain.Close(e.rig.ctx) })
		for _, rt := range []wazero.Runtime{e.plain, e.rig.rt} {
			if _, err := rt.InstantiateWithConfig(e.rig.ctx, host, wazero.NewModuleConfig()); err != nil {
				t.Fatal(err)
			}
		}
		s.engines = append(s.engines, e)
	}
	return s
}

func (s *spec) run(t *testing.T) {
	for i := range s.commands {
		c := &s.commands[i]
		switch c.Type {
		case "module":
			as := ""
			if next := i + 1; next < len(s.commands) && s.commands[next].Type == "register" {
				as = s.commands[next].As
			}
			s.module(t, c, as)
		case "register": // with its module
		case "assert_return", "action", "assert_trap", "assert_exhaustion":
			s.act(t, c)
		case "assert_invalid", "assert_malformed":
			s.refuse(t, c)
		case "assert_unlinkable", "assert_uninstantiable":
			s.notStart(t, c)
		default:
			t.Fatalf("line %d: unknown %s", c.Line, c.Type)
		}
	}
}

func (s *spec) read(t *testing.T, c *specCommand) []byte {
	code, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// module instantiates a module everywhere.
func (s *spec) module(t *testing.T, c *specCommand, as string) {
	code := s.read(t, c)
	in, refusal := instrument(code, rigOptions)
	if refusal != nil {
		s.counts.modulesOut++
		s.note(t, c, refusal)
	} else {
		s.counts.modules++
	}
	for _, e := range s.engines {
		p := &specPair{out: true}
		var err error
		p.plain, err = e.plain.InstantiateWithConfig(e.rig.ctx, code, wazero.NewModuleConfig().WithName(as))
		if err != nil {
			t.Fatalf("line %d: %s: wazero alone: %v", c.Line, e.name, err)
		}
		if in != nil {
			ours, err := e.rig.start(in, as)
			if err != nil && s.leanedOnMissing(err) {
				s.counts.refusals["imports a module that is out by design"]++
				s.counts.modulesOut++
				s.counts.modules--
			} else if err != nil {
				t.Fatalf("line %d: %s: instrumented: %v", c.Line, e.name, err)
			} else {
				p.ours, p.out = ours, false
				p.imports = importedFrom(code)
			}
		}
		e.last = p
		e.named[c.Name], e.named["as "+as] = p, p
	}
}

// importedFrom lists the modules that code imports from.
func importedFrom(code []byte) (list []string) {
	if m, err := wasm.Read(code, anyImport); err == nil {
		for _, im := range m.Imports {
			list = append(list, im.Module)
		}
	}
	return list
}

// leanedOnMissing reports whether a module could not start because one that it imports from is out by design.
func (s *spec) leanedOnMissing(err error) bool {
	return s.counts.modulesOut > 0 && strings.Contains(err.Error(), "not instantiated")
}

// note counts why a module is out, and fails where that is no reason.
func (s *spec) note(t *testing.T, c *specCommand, refusal error) {
	var e *wasm.Error
	if !errors.As(refusal, &e) || e.Code == "module.invalid" && !strings.Contains(e.Reason, "at most") {
		t.Errorf("line %d: refused: %v", c.Line, refusal)
		return
	}
	reason, rest, quoted := strings.Cut(e.Reason, `"`)
	s.counts.refusals[e.Code+": "+e.Section+": "+reason]++
	if quoted { // what it imports is changed from outside, and would not be here
		from, _, _ := strings.Cut(rest, `"`)
		for _, engine := range s.engines {
			if p := engine.named["as "+from]; p != nil {
				p.out = true
			}
		}
	}
}

// act runs a function or reads a global, and compares.
func (s *spec) act(t *testing.T, c *specCommand) {
	counted := false
	for _, e := range s.engines {
		p := e.last
		if c.Action.Module != "" {
			p = e.named[c.Action.Module]
		}
		plain, plainErr := e.do(p.plain, c)
		if e.isOut(p) {
			if !counted {
				s.counts.out++
			}
			counted = true
			continue
		}
		if !counted {
			s.counts.ran++
		}
		counted = true
		ours, oursErr := e.do(p.ours, c)
		if trapLine(plainErr) != trapLine(oursErr) {
			t.Errorf("line %d: %s: %v\ninstrumented: %v", c.Line, e.name, plainErr, oursErr)
			continue
		}
		if why := s.judge(c, plain, plainErr); why != "" {
			t.Errorf("line %d: %s: wazero alone: %s", c.Line, e.name, why)
		}
		if why := s.judge(c, ours, oursErr); why != "" {
			t.Errorf("line %d: %s: instrumented: %s", c.Line, e.name, why)
		}
	}
}

func (e *specEngine) do(m api.Module, c *specCommand) ([]uint64, error) {
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	return m.ExportedFunction(c.Action.Field).Call(e.rig.ctx, args...)
}

// judge compares with what the specification expects.
func (s *spec) judge(c *specCommand, got []uint64, err error) string {
	switch c.Type {
	case "assert_trap", "assert_exhaustion":
		if err == nil {
			return "no trap, but " + c.Text
		}
		return ""
	case "action":
		return trapText(err)
	}
	if err != nil {
		return err.Error()
	}
	for _, want := range c.Expected {
		n := want.size()
		if len(got) < n || !want.matches(got[:n]) {
			return fmt.Sprintf("%s(%v) gave %x, not %v", c.Action.Field, c.Action.Args, got, c.Expected)
		}
		got = got[n:]
	}
	return ""
}

func trapText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refuse wants an invalid module refused by the gate, or by wazero once it is rewritten.
func (s *spec) refuse(t *testing.T, c *specCommand) {
	if c.ModuleType == "text" {
		s.counts.text++
		return
	}
	s.counts.ran++
	in, err := instrument(s.read(t, c), rigOptions)
	if err != nil {
		return
	}
	e := s.engines[0]
	if compiled, err := e.rig.rt.CompileModule(e.rig.ctx, in.Code); err == nil {
		compiled.Close(e.rig.ctx)
		t.Errorf("line %d: accepted, but %s", c.Line, c.Text)
	}
}

// notStart wants a module that cannot be linked or started to fail through the instrumenter as it does without.
func (s *spec) notStart(t *testing.T, c *specCommand) {
	if c.ModuleType == "text" {
		s.counts.text++
		return
	}
	code := s.read(t, c)
	in, refusal := instrument(code, rigOptions)
	if refusal != nil {
		s.counts.out++
		s.note(t, c, refusal)
	} else {
		s.counts.ran++
	}
	for _, e := range s.engines {
		_, plain := e.plain.InstantiateWithConfig(e.rig.ctx, code, wazero.NewModuleConfig()) // some change what they import before they fail
		if refusal != nil {
			continue
		}
		_, ours := e.rig.start(in, "")
		if (plain == nil) != (ours == nil) {
			t.Errorf("line %d: %s: %v\ninstrumented: %v", c.Line, e.name, plain, ours)
		}
	}
}

// A specValue is an argument or a result.
type specValue struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

func (v specValue) String() string { return v.Type + " " + string(v.Value) }

func (v specValue) size() int {
	if v.Type == "v128" {
		return 2
	}
	return 1
}

// lanes gives the text of each lane, one for a scalar, and the bits that each has.
func (v specValue) lanes() (text []string, bits int) {
	widths := map[string]int{"i8": 8, "i16": 16, "i32": 32, "f32": 32}
	if v.Type == "v128" {
		if json.Unmarshal(v.Value, &text) != nil {
			panic("a vector that is no list: " + v.String())
		}
		if bits = widths[v.LaneType]; bits == 0 {
			bits = 64
		}
		return text, bits
	}
	var one string
	if json.Unmarshal(v.Value, &one) != nil { // a reference of any value
		one = "any"
	}
	if bits = widths[v.Type]; bits == 0 {
		bits = 64
	}
	return []string{one}, bits
}

// words gives the value as wazero takes it.
func (v specValue) words() []uint64 {
	out := make([]uint64, v.size())
	text, bits := v.lanes()
	for i, s := range text {
		at := i * bits
		out[at/64] |= v.parse(s, bits) << (at % 64)
	}
	return out
}

func (v specValue) parse(s string, bits int) uint64 {
	switch {
	case s == "null" || s == "any":
		return 0
	case strings.HasPrefix(s, "nan"):
		if bits == 32 {
			return 0x7fc00000
		}
		return 0x7ff8000000000000
	case strings.HasPrefix(s, "-"):
		n, _ := strconv.ParseInt(s, 10, bits)
		return uint64(n) & (1<<bits - 1)
	}
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		panic(err)
	}
	if v.Type == "externref" {
		n++ // wazero takes 0 for null
	}
	return n
}

// matches compares bits; what stands for a NaN matches any of its kind.
func (v specValue) matches(got []uint64) bool {
	text, bits := v.lanes()
	for i, s := range text {
		at := i * bits
		lane := got[at/64] >> (at % 64)
		if bits < 64 {
			lane &= 1<<bits - 1
		}
		if s != "any" && !laneMatches(s, lane, bits, v.parse(s, bits)) {
			return false
		}
	}
	return true
}

func laneMatches(text string, got uint64, bits int, want uint64) bool {
	canonical, sign := uint64(0x7ff8000000000000), uint64(1)<<(bits-1)
	if bits == 32 {
		canonical = 0x7fc00000
	}
	switch text {
	case "nan:canonical":
		return got&^sign == canonical
	case "nan:arithmetic":
		return got&canonical == canonical
	}
	return got == want
}
