package guest

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caisson-run/caisson/host/abi"
)

func TestLogLine(t *testing.T) {
	rows := []struct {
		name  string
		text  string
		pairs []any
		want  string
	}{
		{"phrase", "picture scaled", nil, "picture scaled"},
		{"pairs", "picture scaled", []any{"width", 160, "kind", "png"}, "picture scaled width=160 kind=png"},
		{"spaces", "a", []any{"why", errors.New("not today")}, `a why="not today"`},
		{"quotes", "a", []any{"q", `say "x"`}, `a q="say \"x\""`},
		{"empty", "a", []any{"q", ""}, `a q=""`},
		{"line break in a value", "a", []any{"q", "x\nlevel=error"}, `a q="x\nlevel=error"`},
		{"line break in the phrase", "a\nb\x1b[31m", nil, "a b [31m"},
		{"broken UTF-8", "a\xff", []any{"q", "\xff"}, `a  q="\xff"`},
		{"value without key", "a", []any{"k", 1, 2}, "a k=1 extra=2"},
		{"key that looks like a pair", "a", []any{"k=1 k", 2}, `a "k=1 k"=2`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := logLine(row.text, row.pairs); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestLogLineBounds(t *testing.T) {
	long := strings.Repeat("é", abi.LogLineSizeMax)
	for name, line := range map[string]string{
		"phrase": logLine(long, nil), "value": logLine("a", []any{"k", long}), "pairs": logLine("a", make([]any, 10*pairsMax)),
	} {
		if len(line) > abi.LogLineSizeMax || !utf8.ValidString(line) {
			t.Errorf("%s: %d bytes, valid %v", name, len(line), utf8.ValidString(line))
		}
	}
}
