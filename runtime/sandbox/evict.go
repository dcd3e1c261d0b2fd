package sandbox

import (
	"context"
	"slices"

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

// evictPools takes away what idle cells and images use above Config.IdleMemory, cells above idleCellsAllMax, and pools above poolsMax. It begins with the tenant that
// uses most, so that none can drive the others out, and of it with the least used pools: first their least used cells, and the template when a pool has no cell
// left. Pools that run something keep their template. Under Sandbox.mu.
func (s *Sandbox) evictPools() (t trash) {
	for s.idleTooMuch() {
		pl := s.leastUsed(func(pl *pool) bool { return len(pl.idle) > 0 || pl.uses == 0 })
		if pl == nil {
			break
		}
		if len(pl.idle) > 0 {
			t.cells = append(t.cells, pl.discard(1)...)
		}
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

func (s *Sandbox) idleTooMuch() bool {
	return s.idleSize+s.imageSize > s.idleMemory || s.idleCells > idleCellsAllMax
}

// leastUsed returns, of the pools that fit, that of the tenant with the largest share which was used longest ago.
func (s *Sandbox) leastUsed(fits func(*pool) bool) (found *pool) {
	var most int64
	for _, pl := range s.pools {
		if !fits(pl) {
			continue
		}
		if share := pl.share.size; found == nil || share > most || share == most && pl.used < found.used {
			found, most = pl, share
		}
	}
	return found
}

// A share is what idle cells and images of one tenant take. Under Sandbox.mu.
type share struct {
	size  int64 // bytes
	pools int   // that count into it; without any it is dropped
}

// join counts pl into its tenant's share. Under Sandbox.mu, as are the following.
func (pl *pool) join() {
	s, tenant := pl.sandbox, pl.key.tenant
	if s.shares[tenant] == nil {
		s.shares[tenant] = new(share)
	}
	pl.share = s.shares[tenant]
	pl.share.pools++
}

// leave is for a pool that is forgotten.
func (pl *pool) leave() {
	if pl.share.pools--; pl.share.pools == 0 {
		delete(pl.sandbox.shares, pl.key.tenant)
	}
}

// account counts bytes that become idle cells or images of pl, or no longer are. It happens twice in every run, so the share is not looked up.
func (pl *pool) account(kind *int64, bytes int64) {
	*kind += bytes
	pl.share.size += bytes
}

// discard takes the n idle cells that were used longest ago out of pl. The caller closes them.
func (pl *pool) discard(n int) []*cell {
	s := pl.sandbox
	out := slices.Clone(pl.idle[:n])
	pl.idle = slices.Delete(pl.idle, 0, n)
	for _, c := range out {
		pl.account(&s.idleSize, -c.size())
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
		pl.account(&s.imageSize, -int64(len(pl.template.image.data)))
		t = append(t, pl.template)
		pl.template = nil
	}
	pl.leave()
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
