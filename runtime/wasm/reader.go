package wasm

import (
	"fmt"
	"unicode/utf8"
)

// A reader reads a part of a module from its front. Its first failure stays: what is read after it is zero and the reader is at its end,
// so that loops end and callers need to look at err only before they act on what was read.
type reader struct {
	code []byte // the module up to the end of the part, so that at is an offset in the module
	at   int
	err  *Error
}

func (r *reader) left() int { return len(r.code) - r.at }

// fail keeps the first failure, at offset at.
func (r *reader) fail(at int, code, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: at, Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	r.at = len(r.code)
}

// invalid is fail for what is not valid WebAssembly.
func (r *reader) invalid(at int, format string, args ...any) {
	r.fail(at, codeInvalid, format, args...)
}

// off is fail for what belongs to a feature that core 2.0 does not have.
func (r *reader) off(at int, feature, format string, args ...any) {
	hint := ""
	if flags := without[feature]; flags != "" {
		hint = "; build " + flags
	}
	r.fail(at, codeUnsupported, "%s (%s, a feature that is off%s)", fmt.Sprintf(format, args...), feature, hint)
}

// missing is invalid for an index that names nothing.
func (r *reader) missing(at int, what string, index uint32, count int) {
	r.invalid(at, "%s %d does not exist (there are %d)", what, index, count)
}

func (r *reader) byte() byte {
	if r.at >= len(r.code) {
		r.invalid(r.at, "unexpected end")
		return 0
	}
	b := r.code[r.at]
	r.at++
	return b
}

// take gives the next n bytes; they belong to the module.
func (r *reader) take(n int) []byte {
	if n < 0 || n > r.left() {
		r.invalid(r.at, "%d bytes wanted, %d left", n, r.left())
		return nil
	}
	b := r.code[r.at : r.at+n : r.at+n]
	r.at += n
	return b
}

// u32 reads an unsigned LEB128 number of 32 bits: at most five bytes, no bit beyond the 32nd.
// Source: https://webassembly.github.io/spec/core/binary/values.html#integers
func (r *reader) u32() uint32 {
	if at := r.at; at < len(r.code) && r.code[at] < 0x80 {
		r.at = at + 1
		return uint32(r.code[at])
	}
	return r.u32Long()
}

func (r *reader) u32Long() uint32 {
	start, v := r.at, uint32(0)
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.invalid(start, "a number of more than 32 bits")
	return 0
}

// signed reads a signed LEB128 number of the given bits (32, 33 or 64): at most ceil(bits/7) bytes, the unused ones equal to the sign.
func (r *reader) signed(bits int) int64 {
	if at := r.at; at < len(r.code) && r.code[at] < 0x80 {
		r.at = at + 1
		return int64(int8(r.code[at]<<1) >> 1)
	}
	start, v := r.at, int64(0)
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if used := bits - shift; used < 7 { // the last byte that may be
			if rest := int8(b<<1) >> used; b >= 0x80 || rest != 0 && rest != -1 {
				break
			}
		}
		if b < 0x80 {
			if unused := 57 - shift; unused > 0 {
				v = v << unused >> unused
			}
			return v
		}
	}
	r.invalid(start, "a number of more than %d bits", bits)
	return 0
}

// count reads the length of a vector whose entries take at least size bytes each. What more than most, or more than the bytes left
// can hold, is refused here, before anything is allocated for it.
func (r *reader) count(what string, most, size int) int {
	start := r.at
	n := int(r.u32())
	if r.err != nil {
		return 0
	}
	if n > most {
		r.invalid(start, "%d %s, at most %d", n, what, most)
		return 0
	}
	if n > r.left()/size {
		r.invalid(start, "%d %s, but %d bytes are left", n, what, r.left())
		return 0
	}
	return n
}

// name reads a name: UTF-8, at most nameSizeMax bytes. They belong to the module.
func (r *reader) name() []byte {
	n := r.count("bytes of a name", nameSizeMax, 1)
	start := r.at
	b := r.take(n)
	if !utf8.Valid(b) {
		r.invalid(start, "a name that is not UTF-8")
		return nil
	}
	return b
}

// valueType reads the type of a parameter, a local, a global.
func (r *reader) valueType() ValueType {
	start := r.at
	t := ValueType(r.byte())
	if r.err == nil && !t.known() {
		r.unknownType(start, t)
	}
	return t
}

// refType reads the type of table elements.
func (r *reader) refType() ValueType {
	start := r.at
	t := r.valueType()
	if r.err == nil && !t.isRef() {
		r.invalid(start, "%v is not a reference type", t)
	}
	return t
}

// unknownType names the feature that brought t, where there is one.
func (r *reader) unknownType(at int, t ValueType) {
	switch {
	case t == 0x69 || t == 0x74: // exnref, nullexnref
		r.off(at, "exceptions", "type %#x", byte(t))
	case t == 0x63 || t == 0x64: // (ref null ht), (ref ht)
		r.off(at, "typed function references", "type %#x", byte(t))
	case t >= 0x6a && t <= 0x6e || t >= 0x71 && t <= 0x73: // arrayref to anyref, nullref and its kin
		r.off(at, "garbage collection", "type %#x", byte(t))
	default:
		r.invalid(at, "unknown type %#x", byte(t))
	}
}
