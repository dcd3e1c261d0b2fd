package wasm

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// A NameMap holds the names of a module's functions, for traces, by their index in the module as it was read. The zero value knows none. It takes four bytes a
// function beside the names.
type NameMap struct {
	Ends []uint32 // of function i's name in Text, rising; functions behind these have none
	Text string
}

// Func gives the name of the function with that index, imported ones counted first, or "". It is printable: what was not is escaped as in a Go
// string. It is what the module says of itself, so it belongs in a log and never in an answer.
func (n NameMap) Func(index uint32) string {
	switch {
	case int64(index) >= int64(len(n.Ends)):
		return ""
	case index == 0:
		return n.Text[:n.Ends[0]]
	}
	return n.Text[n.Ends[index-1]:n.Ends[index]]
}

// Names reads the names of functions from the name section. What is malformed there, or beyond the bounds of limits.go, is left out: names are for people and decide nothing.
// Source: https://webassembly.github.io/spec/core/appendix/custom.html#name-section
func (m *Module) Names() NameMap {
	const functionNames = 1
	r := m.reader(m.namesAt)
	for r.left() > 0 {
		id := r.byte()
		content := r.take(int(r.u32()))
		if r.err == nil && id == functionNames {
			return m.readNames(&reader{code: content})
		}
	}
	return NameMap{}
}

// readNames reads pairs of an index and a name, the indices rising.
func (m *Module) readNames(r *reader) NameMap {
	ends := make([]uint32, 0, len(m.funcs))
	text := make([]byte, 0, min(r.left(), funcNamesSizeMax))
	for range r.count("names", len(m.funcs), 2) {
		index, name := r.u32(), r.take(int(r.u32()))
		if r.err != nil || int(index) >= len(m.funcs) || int(index) < len(ends) || len(text)+funcNameSizeMax > funcNamesSizeMax {
			break
		}
		for len(ends) < int(index) { // functions without a name
			ends = append(ends, uint32(len(text)))
		}
		text = appendPrintable(text, name, len(text)+funcNameSizeMax)
		ends = append(ends, uint32(len(text)))
	}
	return NameMap{Ends: ends, Text: string(text)}
}

// appendPrintable writes name with what is not printable escaped, as far as the result stays within most bytes.
func appendPrintable(out, name []byte, most int) []byte {
	for len(name) > 0 {
		c, size := utf8.DecodeRune(name)
		before := len(out)
		switch {
		case c == utf8.RuneError && size == 1:
			out = append(out, `\x`...)
			out = append(out, "0123456789abcdef"[name[0]>>4], "0123456789abcdef"[name[0]&0xf])
		case c == '\\' || !unicode.IsPrint(c):
			quoted := strconv.QuoteRune(c)
			out = append(out, quoted[1:len(quoted)-1]...)
		default:
			out = append(out, name[:size]...)
		}
		if len(out) > most {
			return out[:before]
		}
		name = name[size:]
	}
	return out
}
