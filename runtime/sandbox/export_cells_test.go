package sandbox

import (
	"bytes"
	"context"
	"errors"
	"reflect"
)

// Ways are the names of the ways to restore cells that this system may have, the fastest first.
func Ways() (names []string) {
	for _, w := range restorers {
		if r, err := w(); err == nil {
			names = append(names, r.name)
			r.close()
		}
	}
	return names
}

// OpenBy is Open with one way to restore cells.
func OpenBy(ctx context.Context, c Config, name string) (*Sandbox, error) {
	only := func(w way) way {
		return func() (*restorer, error) {
			r, err := w()
			if err == nil && r.name != name {
				r.close()
				err = errors.New("another way")
			}
			return r, err
		}
	}
	var ways []way
	for _, w := range restorers {
		ways = append(ways, only(w))
	}
	return open(ctx, c, ways)
}

// IdleHold says whether b stands anywhere in the memory of an idle cell.
func (s *Sandbox) IdleHold(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pl := range s.pools {
		for _, c := range pl.idle {
			if bytes.Contains(c.memory.region, b) {
				return true
			}
		}
	}
	return false
}

// IdleRecords is how many idle cells hold a record of a run, or a context of one.
func (s *Sandbox) IdleRecords() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pl := range s.pools {
		for _, c := range pl.idle {
			if !reflect.ValueOf(&c.record).Elem().IsZero() || c.meter.parent != nil || c.meter.waiting != nil || c.meter.stop != nil {
				n++
			}
		}
	}
	return n
}

// IdleStacks gives the sum of the stacks that wazero's compiler keeps for idle cells, in bytes.
func (s *Sandbox) IdleStacks() (sum int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pl := range s.pools {
		for _, c := range pl.idle {
			sum += reflect.ValueOf(c.run).Elem().FieldByName("stack").Len()
		}
	}
	return sum
}

// Shares is what idle cells and images of each tenant take by what is counted, and by what there is; a tenant without a pool has none of either.
func (s *Sandbox) Shares() (counted, found map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counted, found = map[string]int64{}, map[string]int64{}
	for tenant, share := range s.shares {
		counted[tenant] = share.size
	}
	for _, pl := range s.pools {
		size := int64(0)
		if pl.template != nil {
			size = int64(len(pl.template.image.data))
		}
		for _, c := range pl.idle {
			size += c.size()
		}
		found[pl.key.tenant] += size
	}
	return counted, found
}

// Waiting is how many runs wait for memory.
func (s *Sandbox) Waiting() int {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return len(s.budget.waiting)
}

// Making says whether a run makes a template.
func (s *Sandbox) Making() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pl := range s.pools {
		if pl.making != nil {
			return true
		}
	}
	return false
}
