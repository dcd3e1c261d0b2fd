package strict

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// A Fault is one thing wrong with a file, and where. It is final.
type Fault struct {
	File   string
	Line   int // from 1
	Column int // from 1, in characters
	Key    string
	Text   string
}

// Error gives "task.toml:12:3: limits.memory: 5GiB is above the maximum 4GiB".
func (f Fault) Error() string {
	at := fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Key == "" {
		return at + f.Text
	}
	return at + f.Key + ": " + f.Text
}

// Faults are all faults of one file, sorted by position. They are final: the file must change.
type Faults []Fault

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Fault.
func (fs Faults) Unwrap() []error {
	errs := make([]error, len(fs))
	for i := range fs {
		errs[i] = fs[i]
	}
	return errs
}

// sortFaults orders by position, then key, then text, and drops what is said twice.
func sortFaults(fs []Fault) Faults {
	sort.SliceStable(fs, func(i, j int) bool {
		a, b := fs[i], fs[j]
		switch {
		case a.Line != b.Line:
			return a.Line < b.Line
		case a.Column != b.Column:
			return a.Column < b.Column
		case a.Key != b.Key:
			return a.Key < b.Key
		}
		return a.Text < b.Text
	})
	out := fs[:0]
	for i, f := range fs {
		if i == 0 || f != fs[i-1] {
			out = append(out, f)
		}
	}
	return Faults(out)
}

// printable makes text safe for a terminal and a log line: faults quote files that an attacker may
// have written.
func printable(s string) string {
	if len(s) > textSizeMax {
		s = strings.ToValidUTF8(s[:textSizeMax], "") + "..."
	}
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
