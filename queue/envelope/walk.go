package envelope

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// walk checks that b is exactly one msgpack value in the small language of this format:
//
//	nil   c0
//	int   00-7f, cc, cd, ce, cf: 0 to 2^63-1
//	str   a0-bf, d9, da, db: UTF-8
//	bin   c4, c5, c6
//	array 90-9f, dc, dd
//
// Each in its shortest form, no length or count greater than the bytes that are left, at most depthMax arrays deep,
// and nothing after the end. Everything else is refused: maps, floats, booleans, negative numbers, extensions.
//
// It runs before the msgpack library sees any byte, because v5.4.1 allocates by declared counts and ignores trailing
// bytes. It neither allocates nor recurses, and takes time in proportion to len(b). Part names b in errors.
// Errors, final: *FormatError.
// Source: the msgpack specification, spec.md, "Formats".
func walk(part string, b []byte) error {
	var left [depthMax + 1]uint64 // left[d]: how many values are still to come at depth d
	left[0] = 1
	depth, at := 0, 0
	for {
		for left[depth] == 0 {
			if depth == 0 {
				if at != len(b) {
					return &FormatError{part, at, "bytes after the end"}
				}
				return nil
			}
			depth--
		}
		left[depth]--
		v, fault := head(b[at:])
		if fault != "" {
			return &FormatError{part, at, fault}
		}
		switch v.kind {
		case kindArray:
			if depth == depthMax {
				return &FormatError{part, at, "nested too deep"}
			}
			depth++
			left[depth] = v.n
		case kindStr:
			if !utf8.Valid(b[at+v.size : at+v.size+int(v.n)]) {
				return &FormatError{part, at, "not UTF-8"}
			}
			at += int(v.n)
		case kindBin:
			at += int(v.n)
		}
		at += v.size
	}
}

type kind uint8

const (
	kindNil kind = iota + 1
	kindInt
	kindStr
	kindBin
	kindArray
)

// A value is what the first bytes of a msgpack value say.
type value struct {
	kind kind
	size int    // bytes of the head itself
	n    uint64 // kindInt: the number; kindStr, kindBin: bytes that follow; kindArray: values that follow
}

// head reads the head of the value that b begins with, or says what is wrong with it.
func head(b []byte) (value, string) {
	if len(b) == 0 {
		return value{}, "ends too early"
	}
	var v value
	switch c := b[0]; {
	case c == 0xc0:
		return value{kind: kindNil, size: 1}, ""
	case c <= 0x7f:
		return value{kind: kindInt, size: 1, n: uint64(c)}, ""
	case c >= 0x90 && c <= 0x9f:
		v = value{kind: kindArray, size: 1, n: uint64(c & 0x0f)}
	case c >= 0xa0 && c <= 0xbf:
		v = value{kind: kindStr, size: 1, n: uint64(c & 0x1f)}
	default:
		var fault string
		if v, fault = wideHead(b); fault != "" {
			return value{}, fault
		}
	}
	// A value takes at least one byte, so the bytes left bound an array's count as well.
	if v.kind != kindInt && v.n > uint64(len(b)-v.size) {
		return value{}, "declares more than there is"
	}
	return v, ""
}

// A wide is a form whose head has a number of size bytes after its first byte; leastN is the smallest number for
// which no shorter form exists.
type wide struct {
	kind   kind
	size   int
	leastN uint64
}

func wideForm(c byte) (wide, bool) {
	switch c {
	case 0xcc:
		return wide{kindInt, 1, 1 << 7}, true
	case 0xcd:
		return wide{kindInt, 2, 1 << 8}, true
	case 0xce:
		return wide{kindInt, 4, 1 << 16}, true
	case 0xcf:
		return wide{kindInt, 8, 1 << 32}, true
	case 0xd9:
		return wide{kindStr, 1, 1 << 5}, true
	case 0xda:
		return wide{kindStr, 2, 1 << 8}, true
	case 0xdb:
		return wide{kindStr, 4, 1 << 16}, true
	case 0xc4:
		return wide{kindBin, 1, 0}, true
	case 0xc5:
		return wide{kindBin, 2, 1 << 8}, true
	case 0xc6:
		return wide{kindBin, 4, 1 << 16}, true
	case 0xdc:
		return wide{kindArray, 2, 1 << 4}, true
	case 0xdd:
		return wide{kindArray, 4, 1 << 16}, true
	}
	return wide{}, false
}

func wideHead(b []byte) (value, string) {
	w, ok := wideForm(b[0])
	if !ok {
		return value{}, fmt.Sprintf("form 0x%02x is not used here", b[0])
	}
	if len(b) < 1+w.size {
		return value{}, "ends too early"
	}
	var n uint64
	switch w.size {
	case 1:
		n = uint64(b[1])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	case 8:
		n = binary.BigEndian.Uint64(b[1:])
	}
	if n < w.leastN {
		return value{}, "not in its shortest form"
	}
	if n > math.MaxInt64 {
		return value{}, "number above 2^63-1"
	}
	return value{kind: w.kind, size: 1 + w.size, n: n}, ""
}
