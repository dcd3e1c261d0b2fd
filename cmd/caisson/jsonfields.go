package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
)

// A shape is one kind of JSON value that a verb prints: when it does, "" for always, and such a value.
type shape struct {
	when  string
	value any
}

// jsonAnnotation is where a command keeps the fields of its shapes, for tests.
const jsonAnnotation = "json "

// jsonFlag adds --json to c, and says in its help which fields the values have. One shape at least.
func jsonFlag(c *cobra.Command, into *bool, shapes ...shape) {
	c.Flags().BoolVar(into, "json", false, "print one JSON value a line, for programs")
	c.Annotations = map[string]string{}
	var lines []string
	for _, s := range shapes {
		fields := strings.Join(jsonFields(reflect.TypeOf(s.value), ""), " ")
		c.Annotations[jsonAnnotation+s.when] = fields
		when := "--json"
		if s.when != "" {
			when += " with " + s.when
		}
		lines = append(lines, fmt.Sprintf("Fields of %s: %s", when, wrapped(fields)))
	}
	c.Long = strings.TrimPrefix(c.Long+"\n\n"+strings.Join(lines, "\n"), "\n\n")
}

// jsonFields names what encoding/json writes of a type, nested ones behind those they are in, with a dot between, or [] for
// each of a list. What may be left out has a ? behind it.
func jsonFields(t reflect.Type, under string) []string {
	var fields []string
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if f.Anonymous && name == "" {
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			fields = append(fields, jsonFields(inner, under)...)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		name = under + name
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			name, inner = name+"[]", inner.Elem()
		}
		mark := ""
		if strings.Contains(options, "omit") {
			mark = "?"
		}
		fields = append(fields, name+mark)
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.NumField() > 0 && inner.Field(0).IsExported() {
			fields = append(fields, jsonFields(inner, name+".")...)
		}
	}
	return fields
}

// wrapped breaks words at 100 columns.
func wrapped(words string) string {
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(words) {
		switch {
		case at == 0:
		case at+len(word) > 100:
			b.WriteString("\n  ")
			at = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		at += len(word) + 1
	}
	return b.String()
}
