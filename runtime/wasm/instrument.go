package wasm

import (
	"fmt"
	"strconv"
)

// Names that the instrumenter adds to a module. All begin with reservedPrefix, so that no guest can name one.
const (
	ModuleTick        = "caisson:sandbox"      // the module of the one import that is added
	ImportTick        = "tick"                 // (fuel i64, depth i64) -> i64, the new fuel; called when either is below zero
	ExportFuel        = "caisson:fuel"         // (mut i64) what is left of the slice, in units; see fuel.go
	ExportDepth       = "caisson:depth"        // (mut i64) what is left of the stack, in bytes; see depth.go
	ExportTableDenied = "caisson:table_denied" // (mut i32) 1 once a table.grow was answered -1
	ExportTableRoom   = "caisson:table_room"   // (mut i64) elements that table.grow may still add, to all tables together; no bound until it is set

	exportStart  = "caisson:start" // the function that the start section named
	exportGlobal = "caisson:g"     // and the index of one of the module's own mutable globals
)

// Options say how a module is written anew.
type Options struct {
	MemoryPagesMax   uint32 // the most that the memory can grow to; above 65535 it means 65535
	TableElementsMax uint32 // the most that each table can grow to

	// SparePage writes the memory's maximum one page higher than it is, where that is not 0: an engine that asks its host at each growth then asks also where the
	// memory is as long as it may become. The host keeps the true one.
	SparePage bool

	Unmetered bool // the same module without fuel and depth. Only for tests and benchmarks
	Counted   bool // counts each instruction as it runs, in ExportCount. Only for tests; slow
}

// ExportCount is the (mut i64) global of a module written with Options.Counted: the units of all instructions that began.
const ExportCount = "caisson:count"

// An Instrumented is a module written anew, and what its host must do in place of what was taken out.
type Instrumented struct {
	Code       []byte
	Data       []Segment     // active data in order. The caller writes them before anything runs; one that is out of bounds is a trap, after those before it
	Globals    []SavedGlobal // every mutable global of the module's own that can be set from outside, in order
	Start      string        // export name of the function that the start section named, to be called once, after Data; or ""
	Resettable bool          // memory and Globals are all that a run can leave changed
	Kept       []string      // what else it can change, for people; empty when Resettable
}

// Instrument writes the module anew, in canonical form: nothing of it is copied but data. The result is metered (fuel.go, depth.go), its memory and tables cannot grow
// beyond o, its active data and its start function are lifted out, its mutable globals are exported, and its custom sections are gone.
// The same module and options give the same bytes. Time is linear in the module's size, memory a small multiple of it.
// The types of operands are not judged: whoever compiles the result must validate it. What is added never makes valid what was not.
// Errors: *Error with code "module.shape" when memory or a table starts beyond o.
func (m *Module) Instrument(o Options) (*Instrumented, error) {
	o.MemoryPagesMax = min(o.MemoryPagesMax, pagesMax)
	if o.SparePage {
		o.MemoryPagesMax = min(o.MemoryPagesMax, pagesMax-1)
	}
	if err := m.checkMaxima(o); err != nil {
		return nil, err
	}
	p, err := m.plan(o)
	if err != nil {
		return nil, err
	}
	w := writer{plan: p, out: make([]byte, 0, len(m.code)+len(m.code)/2)}
	if err := w.module(); err != nil {
		return nil, err
	}
	out := &Instrumented{Code: w.out, Data: m.activeData(), Globals: m.savedGlobals(), Kept: m.kept(p)}
	out.Resettable = len(out.Kept) == 0
	if m.hasStart {
		out.Start = exportStart
	}
	return out, nil
}

func (m *Module) checkMaxima(o Options) error {
	if m.Memory != nil && m.Memory.Min > o.MemoryPagesMax {
		return &Error{Section: "memory", Code: codeShape, Reason: fmt.Sprintf("%d pages from the start, at most %d are granted", m.Memory.Min, o.MemoryPagesMax)}
	}
	for i, t := range m.Tables {
		if t.Min > o.TableElementsMax {
			return &Error{Section: "table", Code: codeShape, Reason: fmt.Sprintf("table %d: %d elements from the start, at most %d are granted", i, t.Min, o.TableElementsMax)}
		}
	}
	return nil
}

// activeData gives the active segments, in order.
func (m *Module) activeData() []Segment {
	var list []Segment
	r := m.datas()
	var s dataSegment
	for range m.DataSegments {
		if m.readDataSegment(&r, &s); s.active {
			list = append(list, Segment{Offset: uint32(s.offset.value), Bytes: s.bytes})
		}
	}
	return list
}

func globalName(i int) string { return exportGlobal + strconv.Itoa(i) }

// settable reports whether a global of type t can be set from outside: wazero shows 64 bits of each, and references mean nothing there.
func settable(t ValueType) bool { return t == I32 || t == I64 || t == F32 || t == F64 }

func (m *Module) savedGlobals() []SavedGlobal {
	var list []SavedGlobal
	for i, g := range m.globals {
		if g.mutable && settable(g.typ) {
			list = append(list, SavedGlobal{Export: globalName(i), Type: g.typ})
		}
	}
	return list
}

// kept says what a run can change that is neither memory nor a saved global.
func (m *Module) kept(p *plan) []string {
	var list []string
	for i, c := range m.changes {
		if changingOps[i].op == opDataDrop && !p.dropsPassive {
			continue // an active segment is empty by the time that anything runs: dropping it changes nothing
		}
		if c.found {
			list = append(list, fmt.Sprintf("%s in function %d", changingOps[i].name, c.function))
		}
	}
	for i, g := range m.globals {
		if p.written[i] && !settable(g.typ) {
			list = append(list, fmt.Sprintf("mutable global %d is of type %v", i, g.typ))
		}
	}
	return list
}
