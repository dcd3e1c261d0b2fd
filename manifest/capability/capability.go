package capability

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Kind is the family of a power: the first word of its line.
type Kind string

// The kinds there are.
const (
	Log      Kind = "log"
	Progress Kind = "progress"
	Clock    Kind = "clock"
	HTTP     Kind = "http"
	KV       Kind = "kv"
	Blob     Kind = "blob"
	Secret   Kind = "secret"
	Enqueue  Kind = "enqueue"
)

// A Capability is one power with its scope. It is immutable and comparable: two that are equal
// print the same line. The zero value is no power and is within nothing.
type Capability struct {
	kind  Kind
	verb  string // http: method; kv, blob: mode; secret: use or read; clock: fine
	where string // http: scheme://host[:port]; enqueue: queue
	what  string // http: path; kv, blob: key; secret: name; enqueue: task
}

// A SyntaxError says what is wrong with a line, and where. It is final.
type SyntaxError struct {
	Line   string // as it was given, cut to LineSizeMax
	Column int    // from 1
	Text   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("capability: %s: column %d: %s", strconv.QuoteToASCII(e.Line), e.Column, e.Text)
}

// A fault is a SyntaxError in the making: at counts bytes from the start of what was examined.
type fault struct {
	at   int
	text string
}

func faultAt(at int, format string, args ...any) *fault {
	return &fault{at, fmt.Sprintf(format, args...)}
}

// in moves a fault found in a part to where the part begins.
func (f *fault) in(begin int) *fault {
	if f == nil {
		return nil
	}
	return &fault{f.at + begin, f.text}
}

// A word is a piece of the line between spaces.
type word struct {
	text string
	at   int
}

// forms says what follows each kind, for the reader of a fault and for the count of words.
var forms = map[Kind]string{
	Log:      "log",
	Progress: "progress",
	Clock:    "clock fine",
	HTTP:     "http METHOD URL",
	KV:       "kv ro|wo|rw KEY",
	Blob:     "blob ro|wo|rw KEY",
	Secret:   "secret use|read NAME",
	Enqueue:  "enqueue QUEUE TASK",
}

// Parse reads one line. What it returns prints the same line.
// Errors, all final: *SyntaxError.
func Parse(line string) (Capability, error) {
	words, f := split(line)
	if f == nil {
		var c Capability
		if c, f = parse(words); f == nil {
			return c, nil
		}
	}
	if len(line) > LineSizeMax {
		line = line[:LineSizeMax]
	}
	return Capability{}, &SyntaxError{Line: line, Column: f.at + 1, Text: f.text}
}

// String gives the one line that Parse reads as c; the zero value gives "".
func (c Capability) String() string {
	line := string(c.kind)
	if c.verb != "" {
		line += " " + c.verb
	}
	switch {
	case c.kind == HTTP:
		line += " " + c.where + c.what
	case c.kind == Enqueue:
		line += " " + c.where + " " + c.what
	case c.what != "":
		line += " " + c.what
	}
	return line
}

// Kind gives the family.
func (c Capability) Kind() Kind { return c.kind }

// MarshalText gives the line.
func (c Capability) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// split cuts the line into words and refuses every byte that no line may have.
func split(line string) ([]word, *fault) {
	if len(line) > LineSizeMax {
		return nil, faultAt(LineSizeMax, "the line has %d bytes, more than %d", len(line), LineSizeMax)
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\t':
			return nil, faultAt(i, "a tab; words are separated by one space")
		case c < ' ' || c == 0x7f:
			return nil, faultAt(i, "control character 0x%02x", c)
		case c > 0x7f:
			return nil, faultAt(i, "only ASCII is allowed; write names in their xn-- form and paths with %%XX")
		case c == '\\':
			return nil, faultAt(i, "a backslash")
		}
	}
	var words []word
	at := 0
	for _, text := range strings.Split(line, " ") {
		if text == "" {
			return nil, faultAt(at, "a word is missing; words are separated by exactly one space")
		}
		words = append(words, word{text, at})
		at += len(text) + 1
	}
	return words, nil
}

// parse reads the words as the kind demands.
func parse(words []word) (Capability, *fault) {
	kind := Kind(words[0].text)
	form, ok := forms[kind]
	if !ok {
		return Capability{}, faultAt(0, "unknown power %q; there are log, progress, clock, http, kv, blob, secret, enqueue", kind)
	}
	want := strings.Count(form, " ") + 1
	last := words[len(words)-1]
	switch {
	case len(words) < want:
		return Capability{}, faultAt(last.at+len(last.text), "incomplete; the form is %q", form)
	case len(words) > want:
		return Capability{}, faultAt(words[want].at, "one word too many; the form is %q", form)
	}
	c := Capability{kind: kind}
	var f *fault
	switch kind {
	case Clock:
		c.verb, f = oneOf(words[1], "fine")
	case HTTP:
		return parseHTTP(words[1], words[2])
	case KV, Blob:
		if c.verb, f = oneOf(words[1], "ro", "wo", "rw"); f == nil {
			c.what, f = words[2].text, checkKey(words[2].text, true).in(words[2].at)
		}
	case Secret:
		if c.verb, f = oneOf(words[1], "use", "read"); f == nil {
			c.what, f = words[2].text, checkNameAt(words[2].text, "secret").in(words[2].at)
		}
	case Enqueue:
		c.where, f = words[1].text, checkNameAt(words[1].text, "queue").in(words[1].at)
		if f == nil {
			c.what, f = words[2].text, checkNameAt(strings.TrimSuffix(words[2].text, ".*"), "task").in(words[2].at)
		}
	}
	if f != nil {
		return Capability{}, f
	}
	return c, nil
}

func oneOf(w word, allowed ...string) (string, *fault) {
	for _, a := range allowed {
		if w.text == a {
			return a, nil
		}
	}
	return "", faultAt(w.at, "want %s, not %q", strings.Join(allowed, " or "), w.text)
}

// CheckName holds a name to the one grammar of names, [a-z0-9][a-z0-9._-]{0,63} without "..",
// which is the envelope's too; what says which name it is, such as "task".
func CheckName(what, s string) error {
	if f := checkNameAt(s, what); f != nil {
		return errors.New(f.text)
	}
	return nil
}

func checkNameAt(s, what string) *fault {
	if s == "" || len(s) > nameSizeMax {
		return faultAt(0, "a %s name has 1 to %d characters", what, nameSizeMax)
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(lower(c) || digit(c) || i > 0 && (c == '.' || c == '_' || c == '-')) {
			return faultAt(i, "%s cannot stand here in a %s name ([a-z0-9][a-z0-9._-]*)", character(s[i:]), what)
		}
	}
	if i := strings.Index(s, ".."); i >= 0 {
		return faultAt(i, `".." in a %s name`, what)
	}
	return nil
}

// checkKey holds a kv or blob key to segments of safe characters with one "/" between them. Braces
// would choose a Redis slot, and dots alone would climb in a store that is a directory.
func checkKey(s string, pattern bool) *fault {
	if len(s) == 0 || len(s) > KeySizeMax {
		return faultAt(0, "a key has 1 to %d bytes", KeySizeMax)
	}
	if pattern {
		if s == "*" {
			return faultAt(0, `"*" alone would be every key; name a prefix: PREFIX/*`)
		}
		s = strings.TrimSuffix(s, "/*")
	}
	at := 0
	for _, segment := range strings.Split(s, "/") {
		switch segment {
		case "":
			return faultAt(at, "an empty segment in a key")
		case ".", "..":
			return faultAt(at, "a segment of dots in a key")
		}
		for i := 0; i < len(segment); i++ {
			c := segment[i]
			if c == '*' {
				return faultAt(at+i, `"*" in a key; only a pattern's end may be "/*"`)
			}
			if !(lower(c) || upper(c) || digit(c) || strings.IndexByte("._-:@+=~,", c) >= 0) {
				return faultAt(at+i, "%q cannot stand in a key (letters, digits, ._-:@+=~, and / between segments)", c)
			}
		}
		at += len(segment) + 1
	}
	return nil
}

// character quotes the first character of s. What is not ASCII stands as its number: many look like a letter of it.
func character(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size <= 1 {
		return fmt.Sprintf("the byte %#02x", s[0])
	}
	return fmt.Sprintf("%+q", r)
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }
func hex(c byte) bool   { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
