package envelope

import "sync"

// Roots remembers the roots of batches whose signatures held, so that one verification serves all messages of a batch. The zero Roots is
// empty and ready. It holds at most RootsMax and forgets those that were not used lately.
//
// It remembers the key, the size, the root and the signature itself, so a message opens with Roots if and only if it opens without.
// Whether the key is known, for this purpose and not revoked is still checked for each message.
// Roots is safe for concurrent use. One Roots may serve readers of tasks and of results.
type Roots struct {
	mu       sync.Mutex
	new, old map[signedRoot]struct{} // new becomes old when it has half of RootsMax
}

// A signedRoot is a root whose signature was verified.
type signedRoot struct {
	key  PublicKey
	size int
	root treeHash
	sig  [64]byte
}

// has reports whether r was added and is not forgotten. A nil Roots remembers nothing.
func (s *Roots) has(r signedRoot) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.new[r]; ok {
		return true
	}
	if _, ok := s.old[r]; !ok {
		return false
	}
	s.put(r)
	return true
}

func (s *Roots) add(r signedRoot) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(r)
}

func (s *Roots) put(r signedRoot) {
	if s.new == nil || len(s.new) >= RootsMax/2 {
		s.old, s.new = s.new, map[signedRoot]struct{}{}
	}
	s.new[r] = struct{}{}
}
