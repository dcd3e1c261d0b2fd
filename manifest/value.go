package manifest

import (
	"strconv"
	"strings"
)

// bounded gives the default for a key that is not set, and faults a value outside of its range.
// A value that the decoder has faulted is not judged again.
func bounded[T ~int64](r reader, key string, v, standard, least, most T) T {
	switch {
	case !r.stated(key):
		return standard
	case v < least:
		r.Fault(key, "%v is below the minimum %v", v, least)
	case v > most:
		r.Fault(key, "%v is above the maximum %v", v, most)
	default:
		return v
	}
	return standard
}

// oneOf gives the first of the allowed words for a key that is not set.
func oneOf[T ~string](r reader, key, v string, allowed ...T) T {
	if !r.stated(key) {
		return allowed[0]
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		if v == string(a) {
			return a
		}
		words[i] = strconv.Quote(string(a))
	}
	r.Fault(key, "want %s, not %q", strings.Join(words, " or "), v)
	return allowed[0]
}

// stated tells that the file sets the key to something that can be judged.
func (r reader) stated(key string) bool { return r.Has(key) && !r.Faulty(key) }

// element writes the key of an array's element.
func element(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
