package sandbox

import (
	"fmt"
	"unicode/utf8"
)

// A reader reads a span of a module. After its first fault every read gives zeros, and err stays.
type reader struct {
	data []byte
	at   int
	base int // offset of data in the module, for messages
	err  error
}

func (r *reader) left() int { return len(r.data) - r.at }

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = fmt.Errorf("offset %d: %s", r.base+r.at, text)
	}
	r.at = len(r.data)
}

func (r *reader) byte() byte {
	if r.left() < 1 {
		r.fail("ends too soon")
		return 0
	}
	r.at++
	return r.data[r.at-1]
}

// take returns the next n bytes, shared, and their offset in the module.
func (r *reader) take(n int) ([]byte, int) {
	if n < 0 || r.left() < n {
		r.fail("ends too soon")
		return nil, 0
	}
	at := r.at
	r.at += n
	return r.data[at:r.at:r.at], r.base + at
}

// leb reads an integer of at most bits bits in LEB128; only its length is judged when signed, for its value does not matter here.
func (r *reader) leb(bits int, signed bool) uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if shift >= bits || !signed && shift+7 > bits && b>>(bits-shift) != 0 {
			r.fail("an integer is too long")
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

func (r *reader) u32() uint32 { return uint32(r.leb(32, false)) }

// count reads how many entries follow: each takes a byte at least, so more than there are bytes is a lie.
func (r *reader) count(most int, what string) uint32 {
	n := r.u32()
	if uint64(n) > uint64(most) || uint64(n) > uint64(r.left()) {
		r.fail(fmt.Sprintf("%d %s, of at most %d", n, what, min(most, r.left())))
		return 0
	}
	return n
}

func (r *reader) name() string {
	b, _ := r.take(int(r.count(nameSizeMax, "bytes of a name")))
	if !utf8.Valid(b) {
		r.fail("a name is not UTF-8")
	}
	return string(b)
}

// limits reads a minimum and, when stated, a maximum. Shared and 64-bit ones are refused.
func (r *reader) limits() (least, most uint64, stated bool) {
	switch r.byte() {
	case 0:
		return uint64(r.u32()), 0, false
	case 1:
		least = uint64(r.u32())
		return least, uint64(r.u32()), true
	}
	r.fail("a shared or 64-bit memory or table")
	return 0, 0, false
}

// constant reads a constant expression: its instructions up to the end.
func (r *reader) constant() {
	for r.err == nil {
		switch op := r.byte(); op {
		case 0x0b: // end
			return
		case 0x41: // i32.const
			r.leb(32, true)
		case 0x42: // i64.const
			r.leb(64, true)
		case 0x43: // f32.const
			r.take(4)
		case 0x44: // f64.const
			r.take(8)
		case 0x23, 0xd2: // global.get, ref.func
			r.u32()
		case 0xd0: // ref.null
			r.byte()
		case 0xfd: // v128.const
			if r.byte() != 0x0c {
				r.fail("an instruction that is not constant")
			}
			r.take(16)
		default:
			r.fail(fmt.Sprintf("instruction %#x is not constant", op))
		}
	}
}

// element reads one element segment, of any of its eight forms.
// Source: https://webassembly.github.io/spec/core/binary/modules.html#element-section
func (r *reader) element() {
	form := r.u32()
	if form > 7 {
		r.fail("an element segment of unknown form")
		return
	}
	if form&1 == 0 { // active
		if form&2 != 0 {
			r.u32() // table
		}
		r.constant()
	}
	if form&3 != 0 {
		r.byte() // kind or type
	}
	for range r.count(segmentElementsMax, "elements of a segment") {
		if form&4 != 0 {
			r.constant()
		} else {
			r.u32()
		}
	}
}

// dataSegment reads one data segment.
func (r *reader) dataSegment() {
	form := r.u32()
	switch form {
	case 2:
		r.u32()
		r.constant()
	case 0:
		r.constant()
	case 1:
	default:
		r.fail("a data segment of unknown form")
		return
	}
	r.take(int(r.count(moduleSizeMax, "bytes of a segment")))
}
