package sandbox

import (
	"context"

	"github.com/tetratelabs/wazero"
)

// Trash is what was taken out of the sandbox under its lock, and is freed without it: unmapping memory takes a while.
type trash struct {
	cells     []*cell
	templates []*template
	modules   []wazero.CompiledModule // last: cells are instances of them
}

func (t *trash) add(more trash) {
	t.cells = append(t.cells, more.cells...)
	t.templates = append(t.templates, more.templates...)
	t.modules = append(t.modules, more.modules...)
}

func (t trash) empty() {
	for _, c := range t.cells {
		c.close()
	}
	for _, t := range t.templates {
		t.image.close()
	}
	for _, m := range t.modules {
		_ = m.Close(context.Background()) // its code is unmapped here
	}
}

// evictPools takes away what idle cells and images use above Config.IdleMemory, and pools above poolsMax: the least used pools first, their least
// used cells first, and the template when a pool has no cell left. Pools that run something keep their template. Under Sandbox.mu.
func (s *Sandbox) evictPools() (t trash) {
	for s.idleSize+s.imageSize > s.idleMemory {
		pl := s.leastUsed(func(pl *pool) bool { return len(pl.idle) > 0 || pl.uses == 0 })
		if pl == nil {
			break
		}
		over := s.idleSize + s.imageSize - s.idleMemory
		n := 0
		for ; n < len(pl.idle) && over > 0; n++ {
			over -= pl.idle[n].size()
		}
		t.cells = append(t.cells, pl.discard(n)...)
		if len(pl.idle) == 0 && pl.uses == 0 {
			t.templates = append(t.templates, s.forget(pl)...)
		}
	}
	for len(s.pools) > poolsMax {
		pl := s.leastUsed(func(pl *pool) bool { return pl.uses == 0 })
		if pl == nil {
			break
		}
		t.cells = append(t.cells, pl.discard(len(pl.idle))...)
		t.templates = append(t.templates, s.forget(pl)...)
	}
	return t
}

// leastUsed returns the pool that was used longest ago of those that fit.
func (s *Sandbox) leastUsed(fits func(*pool) bool) (found *pool) {
	for _, pl := range s.pools {
		if fits(pl) && (found == nil || pl.used < found.used) {
			found = pl
		}
	}
	return found
}

// discard takes the n idle cells that were used longest ago out of pl. The caller closes them.
func (pl *pool) discard(n int) []*cell {
	s := pl.sandbox
	out := append([]*cell(nil), pl.idle[:n]...)
	pl.idle = append(pl.idle[:0], pl.idle[n:]...)
	for _, c := range out {
		s.idleSize -= c.size()
		s.idleCells--
		s.stats.dropped[dropIdle]++
	}
	return out
}

// forget takes pl out of the sandbox. It has no idle cells, and no run is in it. The caller closes its template.
func (s *Sandbox) forget(pl *pool) (t []*template) {
	delete(s.pools, pl.key)
	pl.gone = true
	if pl.template != nil {
		s.imageSize -= int64(len(pl.template.image.data))
		t = append(t, pl.template)
		pl.template = nil
	}
	return t
}

// dropPools takes away all pools of a module, of which none is in use. Under Sandbox.mu.
func (s *Sandbox) dropPools(c *compiled) (t trash) {
	for _, pl := range s.pools {
		if pl.compiled == c {
			t.cells = append(t.cells, pl.discard(len(pl.idle))...)
			t.templates = append(t.templates, s.forget(pl)...)
		}
	}
	return t
}
