package sandbox

// want asks for a cell in pl in place of one that was dropped, so that the next task need not wait for it. When the builder has enough to do, nothing is asked:
// tasks then make their own.
func (s *Sandbox) want(pl *pool) {
	select {
	case s.wanted <- pl:
	default:
	}
}

// discard has c, which nobody uses any more, freed later: giving back tens of MiB that a guest wrote takes milliseconds, and Go's scheduler has who is that long in a system call
// wait behind all that is runnable. Until then its memory is taken from the budget.
func (s *Sandbox) discard(c *cell) {
	s.budget.give(-int64(c.memory.peak))
	select {
	case s.discarded <- c:
	default:
		s.free(c)
	}
}

// free frees a cell that was discarded.
func (s *Sandbox) free(c *cell) {
	size := int64(c.memory.peak)
	c.close()
	s.budget.give(size)
}

// clearUp frees one cell where the builder has too many of them to free. Each run does so before it begins, so they are never more than discardedMax and the runs that go on.
func (s *Sandbox) clearUp() {
	if len(s.discarded) <= discardedMax {
		return
	}
	select {
	case c := <-s.discarded:
		s.free(c)
	default:
	}
}

// buildAhead frees the cells that were dropped and makes those that are wanted, until the sandbox closes. It is the sandbox's one goroutine, begun by Open and waited for by Close.
func (s *Sandbox) buildAhead() {
	defer close(s.builderEnded)
	for {
		select {
		case <-s.closing.Done():
			return
		case c := <-s.discarded:
			s.free(c)
		case pl := <-s.wanted:
			s.buildOne(pl)
		}
	}
}

func (s *Sandbox) buildOne(pl *pool) {
	s.mu.Lock()
	t, limit := pl.template, pl.region
	if s.closed || pl.gone || t == nil || len(pl.idle) >= idleCellsMax || s.idleSize+s.imageSize >= s.idleMemory {
		s.mu.Unlock()
		return
	}
	pl.uses++
	pl.compiled.uses++
	s.mu.Unlock()
	defer s.releaseModule(pl.compiled)
	defer s.leavePool(pl)
	c, err := pl.build(t, limit)
	if err != nil {
		s.log.Debug("a cell cannot be built ahead", "error", err)
		return
	}
	s.mu.Lock()
	pl.push(c)
	s.mu.Unlock()
}
