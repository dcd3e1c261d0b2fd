package sandbox

import (
	"context"
	"crypto/sha256"
	"slices"
)

// An Inspection is what admission sees of a module, whatever its manifest says. Its JSON fields only grow.
type Inspection struct {
	Form      string     `json:"form"`      // "command" or "reactor"
	Functions int        `json:"functions"` // its own
	MemoryMin int64      `json:"memory_min_bytes"`
	MemoryMax int64      `json:"memory_max_bytes,omitempty"` // as the module states it; 0 when it does not
	Imports   []Imported `json:"imports"`
	Exports   []string   `json:"exports"` // sorted
}

// Imported is one imported function.
type Imported struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Needs  string `json:"needs,omitempty"` // kind of capability that the manifest must need; "" for none
}

// Inspect admits and compiles code as Load does, without a manifest to hold its imports against.
// Errors: as Load.
func (s *Sandbox) Inspect(ctx context.Context, code []byte) (Inspection, error) {
	c, err := s.acquire(ctx, Module{Digest: sha256.Sum256(code), Bytes: code})
	if err != nil {
		return Inspection{}, err
	}
	defer s.releaseModule(c)
	facts := c.facts.public()
	seen := Inspection{
		Form: facts.Form, Functions: facts.Functions, MemoryMin: facts.MemoryMin, MemoryMax: facts.MemoryMax,
		Imports: make([]Imported, 0, len(c.facts.imports)), Exports: make([]string, 0, len(c.facts.exports)),
	}
	for _, e := range c.facts.exports {
		seen.Exports = append(seen.Exports, quote(e.Name))
	}
	slices.Sort(seen.Exports)
	for _, im := range c.facts.imports {
		f, _ := s.host.Function(im.Module, im.Name)
		seen.Imports = append(seen.Imports, Imported{im.Module, im.Name, string(f.Kind)})
	}
	return seen, nil
}
