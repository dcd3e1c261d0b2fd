package guest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caisson-run/caisson/host/abi"
)

// Log writes lines to the log of this run. The worker keeps them apart from its own and adds task, id and time; a
// print to standard output or standard error lands there too.
var Log Logger

// A Logger writes log lines: a constant phrase, then pairs of a key and a value.
//
//	guest.Log.Info("picture scaled", "width", w, "height", h)
type Logger struct{}

// Debug writes a line of level debug.
func (Logger) Debug(text string, pairs ...any) { writeLog(abi.LevelDebug, text, pairs) }

// Info writes a line of level info.
func (Logger) Info(text string, pairs ...any) { writeLog(abi.LevelInfo, text, pairs) }

// Warn writes a line of level warn.
func (Logger) Warn(text string, pairs ...any) { writeLog(abi.LevelWarn, text, pairs) }

// Error writes a line of level error.
func (Logger) Error(text string, pairs ...any) { writeLog(abi.LevelError, text, pairs) }

func writeLog(level int32, text string, pairs []any) {
	line := []byte(logLine(text, pairs))
	ptr, size := span(line)
	// A line that the host does not take is lost: there is no better place to say so.
	_ = logWrite(level, ptr, size)
}

// logLine is text and pairs as one line: text key=value key="value with spaces". It has no line breaks, so one call is
// one line whatever the values hold. A value without a key is under "extra".
func logLine(text string, pairs []any) string {
	var b strings.Builder
	b.WriteString(plain(text))
	for i := 0; i < len(pairs) && i < 2*pairsMax && b.Len() < abi.LogLineSizeMax; i += 2 {
		key, value := any("extra"), pairs[i]
		if i+1 < len(pairs) {
			key, value = pairs[i], pairs[i+1]
		}
		b.WriteByte(' ')
		b.WriteString(quoted(fmt.Sprint(key)))
		b.WriteByte('=')
		b.WriteString(quoted(cut(fmt.Sprint(value), abi.LogLineSizeMax)))
	}
	return cut(b.String(), abi.LogLineSizeMax)
}

// plain is s with what does not print replaced by spaces.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// quoted is s, in quotes where it could be taken for something else.
func quoted(s string) string {
	if s == "" {
		return `""`
	}
	for _, r := range s {
		if r == '"' || r == '=' || r == '\\' || r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
