package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
	"sync"
)

// Batches are Merkle trees with the hashing of RFC 6962, section 2.1: a leaf is SHA-256(0x00 || PAE(type, body)), a node
// SHA-256(0x01 || left || right), so that no node can pass for a leaf. What is signed is PAE(batchType, size || root), so
// that no root can pass for a body. The type is under the leaf's hash: a result's leaf is no task's.

const (
	// batchType is the payload type of a signed root. Its body is not msgpack: 8 bytes of size, big-endian, and the root.
	batchType = "application/vnd.caisson.batch.v1"

	hashBytes = sha256.Size
	leafTag   = 0x00
	nodeTag   = 0x01
)

type treeHash [hashBytes]byte

// rootBody returns what is signed for a tree.
func rootBody(size int, root treeHash) []byte {
	b := make([]byte, 0, 8+hashBytes)
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	return append(b, root[:]...)
}

// A leafHasher hashes leaves without a copy of the body.
type leafHasher struct {
	hash hash.Hash
	head []byte
	sum  [hashBytes]byte
}

var leafHashers = sync.Pool{New: func() any { return &leafHasher{hash: sha256.New(), head: make([]byte, 0, 128)} }}

func leafHash(typ string, body []byte) treeHash {
	h := leafHashers.Get().(*leafHasher)
	defer leafHashers.Put(h)
	h.hash.Reset()
	h.head = appendPAEHead(append(h.head[:0], leafTag), typ, len(body))
	h.hash.Write(h.head)
	h.hash.Write(body)
	return treeHash(h.hash.Sum(h.sum[:0]))
}

func nodeHash(left, right treeHash) treeHash {
	var b [1 + 2*hashBytes]byte
	b[0] = nodeTag
	copy(b[1:], left[:])
	copy(b[1+hashBytes:], right[:])
	return sha256.Sum256(b[:])
}

// A path leads from one leaf of a tree to its root. The zero path is none.
type path struct {
	size, index int
	n           int // hashes; size and index say how many there must be
	hashes      [pathMax]treeHash
}

func (p *path) isZero() bool { return p.size == 0 }

// pathLength returns the number of hashes from leaf index of a tree of size leaves to its root.
// Source: RFC 9162, section 2.1.3.2: one for each level up to where the way is along the right edge, and from there on one
// for each left sibling.
func pathLength(size, index int) int {
	last := size - 1
	inner := bits.Len(uint(index ^ last))
	return inner + bits.OnesCount(uint(index>>inner))
}

// root returns the root of the tree that has leaf at p's place, false when p is no path of such a place.
// Source: RFC 9162, section 2.1.3.2.
func (p *path) root(leaf treeHash) (treeHash, bool) {
	if p.size < 2 || p.index < 0 || p.index >= p.size || p.n != pathLength(p.size, p.index) {
		return treeHash{}, false
	}
	at, last, r := p.index, p.size-1, leaf
	for _, h := range p.hashes[:p.n] {
		if at&1 == 1 || at == last {
			r = nodeHash(h, r)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			r = nodeHash(r, h)
		}
		at, last = at>>1, last>>1
	}
	return r, last == 0
}

// readPath reads the third value of a signature: nil, or the one form that a place in a tree of 2 to BatchMax leaves has.
// A tree of one leaf has none: its message is signed alone.
func readPath(d *decoder) path {
	var p path
	switch n := d.array("batch path"); {
	case d.err != nil || n < 0:
		return path{}
	case n != pathArity:
		d.fail("batch path", "not size, index and hashes")
		return path{}
	}
	size, index := d.int("batch size"), d.int("batch index")
	if d.err == nil && (size < 2 || size > BatchMax) {
		d.fail("batch size", fmt.Sprintf("not from 2 to %d", BatchMax))
	}
	if d.err == nil && (index < 0 || index >= size) {
		d.fail("batch index", "not below the size")
	}
	n := d.array("batch hashes")
	if d.err != nil {
		return path{}
	}
	p.size, p.index = int(size), int(index)
	if p.n = pathLength(p.size, p.index); n != p.n {
		d.fail("batch hashes", "more or fewer than lead to the root")
		return path{}
	}
	for i := range p.n {
		d.fixed("batch hash", p.hashes[i][:], false)
	}
	return p
}

func (p *path) write(e *encoder) {
	if p.isZero() {
		e.nil()
		return
	}
	e.array(pathArity)
	e.int(int64(p.size))
	e.int(int64(p.index))
	e.array(p.n)
	for i := range p.n {
		e.id(p.hashes[i][:])
	}
}

// A tree holds all hashes of a batch, level by level: levels[0] are the leaves. The last of a level with an odd number goes up
// as it is, which gives the same root as the recursion of RFC 6962, section 2.1.
type tree struct{ levels [][]treeHash }

func newTree(leaves []treeHash) tree {
	t := tree{[][]treeHash{leaves}}
	for level := leaves; len(level) > 1; {
		up := make([]treeHash, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, nodeHash(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		t.levels, level = append(t.levels, up), up
	}
	return t
}

func (t tree) root() treeHash { return t.levels[len(t.levels)-1][0] }

// path returns the path of leaf index.
func (t tree) path(index int) path {
	p := path{size: len(t.levels[0]), index: index}
	for _, level := range t.levels[:len(t.levels)-1] {
		if sibling := index ^ 1; sibling < len(level) {
			p.hashes[p.n] = level[sibling]
			p.n++
		}
		index >>= 1
	}
	return p
}
