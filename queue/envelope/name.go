package envelope

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CheckName refuses s unless it can name an audience, a tenant, a queue or a task; what says which of these, for the error.
// A name is 1 to NameSizeMax of a-z, 0-9, '.', '_' and '-', begins with a letter or digit, and has no ".." in it.
// Errors, final: *FieldError, which does not quote s.
func CheckName(what, s string) error {
	switch {
	case s == "":
		return &FieldError{what, "is missing"}
	case len(s) > NameSizeMax:
		return &FieldError{what, fmt.Sprintf("is longer than %d bytes", NameSizeMax)}
	case strings.Contains(s, ".."):
		return &FieldError{what, `has ".." in it`}
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if i == 0 {
			return &FieldError{what, "does not begin with a-z or 0-9"}
		}
		if c != '.' && c != '_' && c != '-' {
			return &FieldError{what, fmt.Sprintf("byte %d is not one of a-z 0-9 . _ -", i)}
		}
	}
	return nil
}

// checkCode refuses a result's code: a letter, then letters, digits, '.' and '_'.
func checkCode(s string) error {
	if len(s) > CodeSizeMax {
		return &FieldError{"code", fmt.Sprintf("is longer than %d bytes", CodeSizeMax)}
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '.' || c == '_') {
			continue
		}
		return &FieldError{"code", fmt.Sprintf("byte %d is not one of a-z 0-9 . _", i)}
	}
	return nil
}

// checkLine refuses s unless it is at most sizeMax bytes of printable ASCII without a space at either end.
func checkLine(what, s string, sizeMax int) error {
	if len(s) > sizeMax {
		return &FieldError{what, fmt.Sprintf("is longer than %d bytes", sizeMax)}
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			return &FieldError{what, fmt.Sprintf("byte %d is not printable ASCII", i)}
		case c == ' ' && (i == 0 || i == len(s)-1):
			return &FieldError{what, fmt.Sprintf("byte %d is a space, and at an end", i)}
		}
	}
	return nil
}

// checkTrace refuses s unless it is empty or a W3C traceparent of version 00 whose ids are not all zero.
// Source: W3C Trace Context, section 3.2.
func checkTrace(s string) error {
	if s == "" {
		return nil
	}
	const form = "00-________________________________-________________-__"
	bad := &FieldError{"trace", "is not a W3C traceparent of version 00"}
	if len(s) != len(form) {
		return bad
	}
	for i := range len(s) {
		c := s[i]
		isHex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if form[i] == '_' && !isHex || form[i] != '_' && c != form[i] {
			return bad
		}
	}
	if strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return bad
	}
	return nil
}

// checkText refuses s unless it is at most sizeMax bytes of UTF-8 that do nothing to a terminal or a log:
// no control character but newline and tab, and nothing that reorders or hides text.
func checkText(what, s string, sizeMax int) error {
	if len(s) > sizeMax {
		return &FieldError{what, fmt.Sprintf("is longer than %d bytes", sizeMax)}
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !textRune(r, n) {
			return &FieldError{what, fmt.Sprintf("the character at byte %d is not allowed", i)}
		}
		i += n
	}
	return nil
}

// textRune reports whether the rune r of n bytes may stand in text that a person reads.
func textRune(r rune, n int) bool {
	switch {
	case r == utf8.RuneError && n <= 1: // not UTF-8
		return false
	case r == '\n' || r == '\t':
		return true
	case r < ' ' || r >= 0x7f && r <= 0x9f: // controls, C1 included
		return false
	case r == 0x061c || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f:
		return false // marks, separators, embeddings, overrides, isolates, zero width
	case r == 0xfeff || r >= 0xfff9 && r <= 0xfffb || r >= 0xe0000 && r <= 0xe007f: // order mark, annotations, tags
		return false
	}
	return true
}

// ErrorText makes any bytes fit for Result.Error: bytes of characters that are not allowed there become \xNN, and text longer than
// ErrorSizeMax is cut and ends in "…". Text that fits already is returned unchanged.
func ErrorText(s string) string {
	if checkText("", s, ErrorSizeMax) == nil {
		return s
	}
	const more = "…"
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if !textRune(r, n) {
			piece = fmt.Sprintf("% x", piece)
			piece = `\x` + strings.ReplaceAll(piece, " ", `\x`)
		}
		if b.Len()+len(piece) > ErrorSizeMax-len(more) {
			b.WriteString(more)
			break
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}
