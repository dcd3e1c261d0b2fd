package strict

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// fillStruct fills the tagged fields of into and faults every key that has none.
func (f *File) fillStruct(path string, n *node, into reflect.Value) {
	fields := map[string]reflect.Value{}
	tagged(into, fields)
	for _, name := range n.order {
		child, key := n.table[name], join(path, name)
		field, ok := fields[name]
		if !ok {
			f.fault(child.offset, key, "unknown key%s", hint(name, fields))
			continue
		}
		f.fill(key, child, field)
	}
}

// tagged adds the tagged fields of v to fields; those of a struct that is embedded in it are its own.
func tagged(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			tagged(v.Field(i), fields)
		} else if tag := field.Tag.Get("toml"); tag != "" && tag != "-" {
			fields[tag] = v.Field(i)
		}
	}
}

// fill puts one value into a field, or faults it.
func (f *File) fill(key string, n *node, into reflect.Value) {
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if f.want(key, n, kindString) {
			if err := text.UnmarshalText([]byte(n.text)); err != nil {
				f.fault(n.offset, key, "%s", err)
			}
		}
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		v := reflect.New(into.Type().Elem())
		f.fill(key, n, v.Elem())
		into.Set(v)
	case reflect.Struct:
		if f.want(key, n, kindTable) {
			f.fillStruct(key, n, into)
		}
	case reflect.Map:
		f.fillMap(key, n, into)
	case reflect.Slice:
		if !f.want(key, n, kindArray) {
			return
		}
		v := reflect.MakeSlice(into.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			f.fill(element(key, i), item, v.Index(i))
		}
		into.Set(v)
	case reflect.String:
		if f.want(key, n, kindString) {
			into.SetString(n.text)
		}
	case reflect.Bool:
		if f.want(key, n, kindBool) {
			into.SetBool(n.text == "true")
		}
	default:
		f.fillNumber(key, n, into)
	}
}

func (f *File) fillMap(key string, n *node, into reflect.Value) {
	if into.Type().Key().Kind() != reflect.String {
		panic("internal error: strict fills maps with string keys only, not " + into.Type().String())
	}
	if !f.want(key, n, kindTable) {
		return
	}
	m := reflect.MakeMapWithSize(into.Type(), len(n.order))
	for _, name := range n.order {
		v := reflect.New(into.Type().Elem()).Elem()
		f.fill(join(key, name), n.table[name], v)
		m.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), v)
	}
	into.Set(m)
}

func (f *File) fillNumber(key string, n *node, into reflect.Value) {
	digits := strings.ReplaceAll(n.text, "_", "") // TOML's separators; the syntax is checked already
	switch {
	case into.CanInt():
		if !f.want(key, n, kindInt) {
			return
		}
		v, err := strconv.ParseInt(digits, 0, 64)
		if err != nil || into.OverflowInt(v) {
			f.fault(n.offset, key, "%s is out of range", n.text)
			return
		}
		into.SetInt(v)
	case into.CanUint():
		if !f.want(key, n, kindInt) {
			return
		}
		v, err := strconv.ParseUint(strings.TrimPrefix(digits, "+"), 0, 64)
		if err != nil || into.OverflowUint(v) {
			f.fault(n.offset, key, "%s is out of range", n.text)
			return
		}
		into.SetUint(v)
	case into.CanFloat():
		if n.kind != kindInt && !f.want(key, n, kindFloat) {
			return
		}
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || into.OverflowFloat(v) {
			f.fault(n.offset, key, "%s is not a finite number", n.text)
			return
		}
		into.SetFloat(v)
	default:
		panic("internal error: strict cannot fill a " + into.Type().String())
	}
}

// want faults a value of another kind.
func (f *File) want(key string, n *node, k kind) bool {
	if n.kind == k {
		return true
	}
	f.fault(n.offset, key, "want %s, not %s", k, n.kind)
	return false
}

// hint names the known key that was probably meant: the same but for case, or one slip away.
func hint(name string, fields map[string]reflect.Value) string {
	best := ""
	for known := range fields {
		near := strings.EqualFold(name, known) || slip(name, known)
		if near && (best == "" || known < best) {
			best = known
		}
	}
	if best == "" {
		return ""
	}
	return "; " + best + " is meant?"
}

// slip tells whether a and b differ by one letter changed, added or left out, or by two neighbours
// swapped.
func slip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:] {
		return true
	}
	return i < len(a) && a[i+1:] == b[i+1:]
}
