package host

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cutMark ends a text that was longer than its bound.
const cutMark = " [cut]"

// Escape returns b as one line of text that is safe to print and to store: valid UTF-8 without control characters,
// newlines, terminal escapes, bidirectional marks or anything else that is not printable. Such runes are written as \n, \t, \xNN, \uNNNN or \UNNNNNNNN.
// A backslash stays as it is: the result is for reading, not for parsing back.
func Escape(b []byte) string {
	if plain(b) {
		return string(b)
	}
	var s strings.Builder
	s.Grow(len(b) + 16)
	hex := func(prefix string, v rune, digits int) {
		s.WriteString(prefix)
		for digits--; digits >= 0; digits-- {
			s.WriteByte("0123456789abcdef"[v>>(4*digits)&0xf])
		}
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			hex(`\x`, rune(b[0]), 2)
		case r == '\n':
			s.WriteString(`\n`)
		case r == '\r':
			s.WriteString(`\r`)
		case r == '\t':
			s.WriteString(`\t`)
		case unicode.IsPrint(r):
			s.Write(b[:n])
		case r < 0x80:
			hex(`\x`, r, 2)
		case r < 0x10000:
			hex(`\u`, r, 4)
		default:
			hex(`\U`, r, 8)
		}
		b = b[n:]
	}
	return s.String()
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// escapeCut is Escape of at most sizeMax bytes of b, with a mark when more was there.
func escapeCut(b []byte, sizeMax int) string {
	if len(b) <= sizeMax {
		return Escape(b)
	}
	return Escape(trimRune(b[:sizeMax])) + cutMark
}

// trimRune drops the bytes of a rune that was cut in two at the end of b.
func trimRune(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}
