package capability

import (
	"fmt"
	"sort"
	"strings"
)

// A Set is what one layer states: lines sorted and without duplicates. The zero value is empty and
// allows nothing. It is immutable.
type Set struct{ caps []Capability }

// A LineError is one bad line of a set.
type LineError struct {
	Index int // from 0, as given to ParseSet
	Err   *SyntaxError
}

// A SetError names every bad line of a set. It is final.
type SetError struct{ Lines []LineError }

func (e *SetError) Error() string {
	texts := make([]string, len(e.Lines))
	for i, l := range e.Lines {
		texts[i] = fmt.Sprintf("line %d: %v", l.Index+1, l.Err)
	}
	return strings.Join(texts, "\n")
}

// Unwrap lets errors.As find a single SyntaxError.
func (e *SetError) Unwrap() []error {
	errs := make([]error, len(e.Lines))
	for i, l := range e.Lines {
		errs[i] = l.Err
	}
	return errs
}

// ParseSet reads lines into a set; a line given twice counts once.
// Errors, all final: *SetError with every bad line.
func ParseSet(lines []string) (Set, error) {
	var bad SetError
	var s Set
	for i, line := range lines {
		if i >= SetLinesMax {
			bad.Lines = append(bad.Lines, LineError{i, &SyntaxError{Column: 1, Text: fmt.Sprintf("more than %d lines", SetLinesMax)}})
			break
		}
		c, err := Parse(line)
		if err != nil {
			bad.Lines = append(bad.Lines, LineError{i, err.(*SyntaxError)})
			continue
		}
		s.caps = append(s.caps, c)
	}
	if len(bad.Lines) > 0 {
		return Set{}, &bad
	}
	return s.sorted(), nil
}

// Lines gives the lines, sorted. The caller owns the slice.
func (s Set) Lines() []string {
	lines := make([]string, len(s.caps))
	for i, c := range s.caps {
		lines[i] = c.String()
	}
	return lines
}

// Kinds tells which families the set has any power of.
func (s Set) Kinds() map[Kind]bool {
	kinds := map[Kind]bool{}
	for _, c := range s.caps {
		kinds[c.kind] = true
	}
	return kinds
}

// Allows tells whether every request that c allows is allowed by one line of the set; reading and
// writing may be allowed by two.
func (s Set) Allows(c Capability) bool {
	for _, own := range s.caps {
		if c.Within(own) {
			return true
		}
	}
	if c.verb == "rw" {
		read, write := c, c
		read.verb, write.verb = "ro", "wo"
		return s.Allows(read) && s.Allows(write)
	}
	return false
}

// Missing gives the lines of s that grant does not allow.
func (s Set) Missing(grant Set) []Capability {
	var missing []Capability
	for _, c := range s.caps {
		if !grant.Allows(c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// sorted gives a set of its own with the lines sorted and each once.
func (s Set) sorted() Set {
	caps := append([]Capability(nil), s.caps...)
	sort.Slice(caps, func(i, j int) bool { return caps[i].String() < caps[j].String() })
	out := caps[:0]
	for i, c := range caps {
		if i == 0 || c != caps[i-1] {
			out = append(out, c)
		}
	}
	return Set{out}
}
