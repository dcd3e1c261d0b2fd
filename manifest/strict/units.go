package strict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Size is a number of bytes, written as a whole number and a unit: "64MiB", "512KiB", "10B".
type Size int64

// A Duration is a length of time, written as a whole number and a unit: "250ms", "5s", "2m", "24h".
type Duration time.Duration

// A unit is a suffix and what it stands for.
type unit struct {
	name string
	each int64
}

// Largest first: String takes the first that divides.
var (
	sizeUnits     = []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
	durationUnits = []unit{{"h", int64(time.Hour)}, {"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)}}
)

// UnmarshalText reads "64MiB". One spelling only: no sign, space, fraction or leading zero, and no
// decimal units, because "64MB" is two different numbers to two readers.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := number(string(text), sizeUnits, `a size such as "64MiB" (units B, KiB, MiB, GiB)`)
	if err == nil {
		*s = Size(n)
	}
	return err
}

// String gives the shortest exact form.
func (s Size) String() string { return written(int64(s), sizeUnits, "B") }

// MarshalText gives what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "5s". One number and one unit: "90s", not "1m30s".
func (d *Duration) UnmarshalText(text []byte) error {
	n, err := number(string(text), durationUnits, `a duration such as "5s" (units ms, s, m, h)`)
	if err == nil {
		*d = Duration(n)
	}
	return err
}

// String gives the shortest exact form; what is below a millisecond is in Go's own form.
func (d Duration) String() string {
	if d%Duration(time.Millisecond) != 0 {
		return time.Duration(d).String()
	}
	return written(int64(d), durationUnits, "s")
}

// MarshalText gives what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func number(text string, units []unit, want string) (int64, error) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	digits, name := text[:end], text[end:]
	var each int64
	for _, u := range units {
		if u.name == name {
			each = u.each
		}
	}
	if digits == "" || each == 0 || (len(digits) > 1 && digits[0] == '0') {
		return 0, fmt.Errorf("%s is not %s", strconv.Quote(cut(text)), want)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/each {
		return 0, fmt.Errorf("%s is out of range", strconv.Quote(cut(text)))
	}
	return n * each, nil
}

func written(n int64, units []unit, zero string) string {
	if n == 0 {
		return "0" + zero
	}
	for _, u := range units {
		if n%u.each == 0 {
			return strconv.FormatInt(n/u.each, 10) + u.name
		}
	}
	panic("internal error: no unit divides " + strconv.FormatInt(n, 10))
}

// cut keeps a quoted piece of a file short.
func cut(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
