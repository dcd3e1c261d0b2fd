package envelope

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// A decoder reads the values of bytes that walk has accepted, one after the other. After a fault it returns zero values and keeps the
// first err, so that the code that reads a body is the list of its fields.
type decoder struct {
	part string
	b    []byte
	r    bytes.Reader
	dec  *msgpack.Decoder
	err  error

	strings int       // how many were read
	before  [8]string // the last string at each position, see str
}

var decoders = sync.Pool{New: func() any { return &decoder{dec: msgpack.NewDecoder(nil)} }}

// newDecoder returns a pooled decoder of b. close returns it to the pool; it must not be used afterwards.
func newDecoder(part string, b []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.part, d.b, d.err, d.strings = part, b, nil, 0
	d.r.Reset(b)
	d.dec.Reset(&d.r)
	return d
}

func (d *decoder) close() {
	d.b, d.err = nil, nil
	d.r.Reset(nil)
	d.dec.Reset(nil)
	decoders.Put(d)
}

// at returns the offset of the next value. The library reads from a bytes.Reader directly, so nothing is read ahead.
func (d *decoder) at() int { return len(d.b) - d.r.Len() }

func (d *decoder) fail(what, text string) {
	if d.err == nil {
		d.err = &FormatError{d.part, d.at(), what + ": " + text}
	}
}

// array reads the head of an array and returns its count, -1 for nil.
func (d *decoder) array(what string) int {
	if d.err != nil {
		return 0
	}
	n, err := d.dec.DecodeArrayLen()
	if err != nil {
		d.fail(what, "not an array")
		return 0
	}
	return n
}

// arrayOf reads the head of an array that must hold n values.
func (d *decoder) arrayOf(what string, n int) {
	if got := d.array(what); d.err == nil && got != n {
		d.fail(what, fmt.Sprintf("has %d values, want %d", got, n))
	}
}

// arrayOr reads the head of an array that must hold n or n+1 values, and reports whether it has n+1.
func (d *decoder) arrayOr(what string, n int) (more bool) {
	got := d.array(what)
	if d.err == nil && got != n && got != n+1 {
		d.fail(what, fmt.Sprintf("has %d values, want %d or %d", got, n, n+1))
	}
	return d.err == nil && got == n+1
}

func (d *decoder) int(what string) int64 {
	if d.err != nil {
		return 0
	}
	n, err := d.dec.DecodeInt64()
	if err != nil {
		d.fail(what, "not a number")
		return 0
	}
	return n
}

// small reads a number from 0 to max.
func (d *decoder) small(what string, max int) int {
	n := d.int(what)
	if d.err == nil && (n < 0 || n > int64(max)) {
		d.err = &FieldError{what, fmt.Sprintf("is not from 0 to %d", max)}
		return 0
	}
	return int(n)
}

// time reads milliseconds since 1970; 0 is the zero time. check refuses times that are too far in the future.
func (d *decoder) time(what string) time.Time {
	ms := d.int(what)
	if d.err != nil || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// duration reads milliseconds, which are checked before they are converted, so that nothing overflows.
func (d *decoder) duration(what string, max time.Duration) time.Duration {
	ms := d.int(what)
	if d.err == nil && (ms < 0 || ms > max.Milliseconds()) {
		d.err = &FieldError{what, "is not from 0 to " + max.String()}
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// str reads a string of at most sizeMax bytes. Most messages have the same names as the message before; then str returns the same
// string without an allocation.
func (d *decoder) str(what string, sizeMax int) string {
	if d.err != nil {
		return ""
	}
	b := d.view(what)
	if d.err != nil {
		return ""
	}
	if len(b) > sizeMax {
		d.err = &FieldError{what, fmt.Sprintf("is longer than %d bytes", sizeMax)}
		return ""
	}
	if len(b) == 0 || len(b) > NameSizeMax {
		return string(b)
	}
	before := &d.before[d.strings%len(d.before)]
	d.strings++
	if *before != string(b) {
		*before = string(b)
	}
	return *before
}

// view reads bytes and returns them as a part of the input; nil for nil.
func (d *decoder) view(what string) []byte {
	if d.err != nil {
		return nil
	}
	n, err := d.dec.DecodeBytesLen()
	if err != nil || n > d.r.Len() {
		d.fail(what, "not bytes")
		return nil
	}
	if n < 0 {
		return nil
	}
	at := d.at()
	if _, err := d.r.Seek(int64(n), 1); err != nil {
		d.fail(what, "not bytes")
		return nil
	}
	return d.b[at : at+n : at+n]
}

// bytes reads bytes, which must not be nil, and returns a copy. what is also the What of a SizeError.
func (d *decoder) bytes(what string, sizeMax int) []byte {
	b := d.view(what)
	if d.err != nil {
		return nil
	}
	if b == nil {
		d.fail(what, "not bytes")
		return nil
	}
	if len(b) > sizeMax {
		d.err = &SizeError{what, len(b), sizeMax}
		return nil
	}
	return bytes.Clone(b)
}

// fixed fills dst from bytes of exactly that length. With optional, nil leaves dst zero.
func (d *decoder) fixed(what string, dst []byte, optional bool) {
	b := d.view(what)
	if d.err != nil || b == nil && optional {
		return
	}
	if len(b) != len(dst) {
		d.fail(what, fmt.Sprintf("not %d bytes", len(dst)))
		return
	}
	copy(dst, b)
}

// An encoder encodes values in their one canonical form. It writes that form or, if made by newMatcher, compares it with given
// bytes. Neither can fail.
type encoder struct {
	enc     *msgpack.Encoder
	out     []byte // what was written
	rest    []byte // of a matcher: what has not been compared yet
	matcher bool
	differs bool
	fixed   [64]byte // buffer for byte arrays, which would escape to the heap if they were sliced for the library
}

var encoders = sync.Pool{New: func() any { return &encoder{enc: msgpack.NewEncoder(nil)} }}

// newEncoder returns an encoder with room for about size bytes.
func newEncoder(size int) *encoder { return newAppender(make([]byte, 0, size)) }

// newAppender returns an encoder that appends to b.
func newAppender(b []byte) *encoder {
	e := encoders.Get().(*encoder)
	e.out, e.matcher = b, false
	e.enc.Reset(e)
	return e
}

// newMatcher returns an encoder that compares what it encodes with b.
func newMatcher(b []byte) *encoder {
	e := encoders.Get().(*encoder)
	e.rest, e.matcher, e.differs = b, true, false
	e.enc.Reset(e)
	return e
}

// close returns e to the pool, and what was written to the caller. e must not be used afterwards.
func (e *encoder) close() []byte {
	out := e.out
	e.release()
	return out
}

// matched returns e to the pool, and reports whether a matcher's values are exactly its bytes, from the first to the last.
func (e *encoder) matched() bool {
	same := e.matcher && !e.differs && len(e.rest) == 0
	e.release()
	return same
}

func (e *encoder) release() {
	e.out, e.rest = nil, nil
	e.enc.Reset(nil)
	encoders.Put(e)
}

// Write takes what the library encoded.
func (e *encoder) Write(p []byte) (int, error) {
	switch {
	case !e.matcher:
		e.out = append(e.out, p...)
	case bytes.HasPrefix(e.rest, p):
		e.rest = e.rest[len(p):]
	default:
		e.differs, e.rest = true, nil
	}
	return len(p), nil
}

// WriteByte is Write of one byte; the library asks for it.
func (e *encoder) WriteByte(c byte) error {
	switch {
	case !e.matcher:
		e.out = append(e.out, c)
	case len(e.rest) > 0 && e.rest[0] == c:
		e.rest = e.rest[1:]
	default:
		e.differs, e.rest = true, nil
	}
	return nil
}

func (e *encoder) array(n int)              { _ = e.enc.EncodeArrayLen(n) }
func (e *encoder) nil()                     { _ = e.enc.EncodeNil() }
func (e *encoder) int(n int64)              { _ = e.enc.EncodeInt(n) }
func (e *encoder) str(s string)             { _ = e.enc.EncodeString(s) }
func (e *encoder) duration(d time.Duration) { e.int(d.Milliseconds()) }

// time writes milliseconds since 1970, 0 for the zero time.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.int(0)
		return
	}
	e.int(t.UnixMilli())
}

// bytes writes b, never nil: the library writes a nil slice as nil.
func (e *encoder) bytes(b []byte) {
	if b == nil {
		b = []byte{}
	}
	_ = e.enc.EncodeBytes(b)
}

// id writes an array of bytes, at most 64 of them.
func (e *encoder) id(b []byte) { e.bytes(e.fixed[:copy(e.fixed[:], b)]) }

// orNil writes b as id does, or nil when all of it is zero.
func (e *encoder) orNil(b []byte) {
	for _, c := range b {
		if c != 0 {
			e.id(b)
			return
		}
	}
	e.nil()
}
