package envelope_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// This file is a second, independent reader and writer of the msgpack that envelopes use. It shares nothing with the
// package: it reads every form loosely into a tree, and writes the tree in shortest form. Bytes are canonical if and
// only if writing gives them back.

type node struct {
	kind  byte // 'n' nil, 'i' int, 's' str, 'b' bin, 'a' array
	n     uint64
	data  []byte
	items []node
}

func null() node              { return node{kind: 'n'} }
func num(n uint64) node       { return node{kind: 'i', n: n} }
func str(s string) node       { return node{kind: 's', data: []byte(s)} }
func bin(b []byte) node       { return node{kind: 'b', data: b} }
func arr(items ...node) node  { return node{kind: 'a', items: items} }
func (v node) at(i int) node  { return v.items[i] }
func (v node) string() string { return string(v.data) }
func (v node) depth() (n int) { // arrays deep
	if v.kind != 'a' {
		return 0
	}
	for _, item := range v.items {
		n = max(n, item.depth())
	}
	return n + 1
}

// with returns v with its value at path replaced.
func (v node) with(value node, path ...int) node {
	if len(path) == 0 {
		return value
	}
	v.items = append([]node(nil), v.items...)
	v.items[path[0]] = v.items[path[0]].with(value, path[1:]...)
	return v
}

var errMini = errors.New("not msgpack of this kind")

// parse reads one value and returns what follows it.
func parse(b []byte) (node, []byte, error) {
	if len(b) == 0 {
		return node{}, nil, errMini
	}
	c, b := b[0], b[1:]
	be := func(size int) (n uint64) {
		if len(b) < size {
			return math.MaxUint64
		}
		for _, x := range b[:size] {
			n = n<<8 | uint64(x)
		}
		b = b[size:]
		return n
	}
	sized := map[byte]struct {
		kind byte
		size int
	}{
		0xcc: {'i', 1}, 0xcd: {'i', 2}, 0xce: {'i', 4}, 0xcf: {'i', 8}, 0xd9: {'s', 1}, 0xda: {'s', 2}, 0xdb: {'s', 4},
		0xc4: {'b', 1}, 0xc5: {'b', 2}, 0xc6: {'b', 4}, 0xdc: {'a', 2}, 0xdd: {'a', 4},
	}
	var v node
	switch {
	case c == 0xc0:
		return null(), b, nil
	case c < 0x80:
		return num(uint64(c)), b, nil
	case c&0xf0 == 0x90:
		v = node{kind: 'a', n: uint64(c & 15)}
	case c&0xe0 == 0xa0:
		v = node{kind: 's', n: uint64(c & 31)}
	default:
		form, ok := sized[c]
		if !ok {
			return node{}, nil, errMini
		}
		v = node{kind: form.kind, n: be(form.size)}
	}
	switch v.kind {
	case 'i':
		if v.n > math.MaxInt64 {
			return node{}, nil, errMini
		}
		return v, b, nil
	case 'a':
		if v.n > uint64(len(b)) {
			return node{}, nil, errMini
		}
		count := v.n
		v.n = 0
		for range count {
			item, rest, err := parse(b)
			if err != nil {
				return node{}, nil, err
			}
			v.items, b = append(v.items, item), rest
		}
		return v, b, nil
	}
	if v.n > uint64(len(b)) || v.kind == 's' && !utf8.Valid(b[:v.n]) {
		return node{}, nil, errMini
	}
	v.data, b, v.n = b[:v.n], b[v.n:], 0
	return v, b, nil
}

// parseAll reads bytes that are one value and no more.
func parseAll(b []byte) (node, error) {
	v, rest, err := parse(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the end", len(rest))
	}
	return v, err
}

// head returns the bytes of v before its data or items.
func (v node) head() []byte {
	short := func(fixed, fixedMax byte, forms [4]byte, n uint64) []byte {
		switch {
		case fixedMax > 0 && n <= uint64(fixedMax):
			return []byte{fixed | byte(n)}
		case n < 1<<8 && forms[0] != 0:
			return []byte{forms[0], byte(n)}
		case n < 1<<16:
			return binary.BigEndian.AppendUint16([]byte{forms[1]}, uint16(n))
		case n < 1<<32:
			return binary.BigEndian.AppendUint32([]byte{forms[2]}, uint32(n))
		}
		return binary.BigEndian.AppendUint64([]byte{forms[3]}, n)
	}
	switch v.kind {
	case 'i':
		return short(0, 0x7f, [4]byte{0xcc, 0xcd, 0xce, 0xcf}, v.n)
	case 's':
		return short(0xa0, 31, [4]byte{0xd9, 0xda, 0xdb}, uint64(len(v.data)))
	case 'b':
		return short(0, 0, [4]byte{0xc4, 0xc5, 0xc6}, uint64(len(v.data)))
	case 'a':
		return short(0x90, 15, [4]byte{0, 0xdc, 0xdd}, uint64(len(v.items)))
	}
	return []byte{0xc0}
}

func (v node) bytes() []byte {
	b := append(v.head(), v.data...)
	for _, item := range v.items {
		b = append(b, item.bytes()...)
	}
	return b
}
