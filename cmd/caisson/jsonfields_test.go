package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// documented returns the fields that the help of a verb says of a shape, and which of them may be missing. ok says whether there is
// such a shape.
func documented(verb []string, when string) (fields map[string]bool, ok bool) {
	c, _, err := newRoot().Find(verb)
	if err != nil {
		return nil, false
	}
	text, ok := c.Annotations[jsonAnnotation+when]
	fields = map[string]bool{}
	for word := range strings.FieldsSeq(text) {
		name := strings.TrimSuffix(word, "?")
		fields[name] = name != word
	}
	return fields, ok
}

// fieldFaults compares one JSON value with what is documented: nothing else is there, and nothing is missing that must be there.
func fieldFaults(fields map[string]bool, value map[string]any) (faults []string) {
	seen, full := map[string]bool{}, map[string]bool{} // full: lists that are not empty
	var walk func(under string, value map[string]any)
	walk = func(under string, value map[string]any) {
		for key, inner := range value {
			name := under + key
			if _, ofObjects := fields[name+"[]"]; ofObjects {
				name += "[]"
				list, _ := inner.([]any) // null when it is empty
				for _, one := range list {
					full[name] = true
					walk(name+".", one.(map[string]any))
				}
			}
			seen[name] = true
			if _, known := fields[name]; !known {
				faults = append(faults, name+" is not documented")
			}
			if object, isObject := inner.(map[string]any); isObject && hasUnder(fields, name) {
				walk(name+".", object)
			}
		}
	}
	walk("", value)
	for name, may := range fields {
		in, _, nested := cutLast(name)
		if !may && !seen[name] && (!nested || seen[in] && !strings.HasSuffix(in, "[]") || full[in]) {
			faults = append(faults, name+" is missing")
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// cutLast cuts a field off what it is in.
func cutLast(name string) (in, field string, nested bool) {
	at := strings.LastIndex(name, ".")
	if at < 0 {
		return "", name, false
	}
	return name[:at], name[at+1:], true
}

// hasUnder says whether fields of name are documented; else what it holds is a task's own.
func hasUnder(fields map[string]bool, name string) bool {
	for f := range fields {
		if strings.HasPrefix(f, name+".") {
			return true
		}
	}
	return false
}

// scriptFields runs `fields NOUN VERB [WHEN]`: each line of the last stdout is a JSON object with the fields that the verb's help names.
func scriptFields(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: fields NOUN [VERB] [--when]")
	}
	when := ""
	if at := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "--") }); at > 0 {
		args, when = args[:at], strings.Join(args[at:], " ")
	}
	fields, ok := documented(args, when)
	if !ok {
		ts.Fatalf("%v has no shape %q", args, when)
	}
	lines := 0
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var value map[string]any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			ts.Fatalf("%v: %s", err, line)
		}
		if faults := fieldFaults(fields, value); len(faults) > 0 {
			ts.Fatalf("%s\n%s", strings.Join(faults, "\n"), line)
		}
		lines++
	}
	if lines == 0 {
		ts.Fatalf("nothing was printed")
	}
}

// TestFieldsAreTried: of each verb's shapes a script compares what is printed with what is documented.
func TestFieldsAreTried(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "*", "*.txtar"))
	check(t, err)
	var all strings.Builder
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		check(t, err)
		all.Write(text)
	}
	shapes := 0
	walk(newRoot(), func(c *cobra.Command) {
		if c.Flags().Lookup("json") != nil && len(c.Annotations) == 0 {
			t.Errorf("%s does not say what --json prints", c.CommandPath())
		}
		for key := range c.Annotations {
			when, isShape := strings.CutPrefix(key, jsonAnnotation)
			if !isShape || c.Name() == "demo" { // TestDemo reads its one value
				continue
			}
			shapes++
			line := strings.TrimSpace(fmt.Sprintf("fields %s %s", strings.TrimPrefix(c.CommandPath(), "caisson "), when))
			if !strings.Contains(all.String(), "\n"+line+"\n") {
				t.Errorf("no script says %q", line)
			}
		}
	})
	if shapes < 25 {
		t.Errorf("%d shapes", shapes)
	}
}

// TestFieldFaults: what is too much and what is missing is found, at any depth.
func TestFieldFaults(t *testing.T) {
	fields := map[string]bool{"id": false, "code": true, "list[]": false, "list[].name": false, "run": true, "run.fuel": false, "output": true}
	for text, want := range map[string]string{
		`{"id":1,"list":[{"name":"a"}]}`:                                   "",
		`{"id":1,"list":[{"name":"a"}],"run":{"fuel":1},"output":{"a":1}}`: "",
		`{"list":[{"name":"a"}]}`:                                          "id is missing",
		`{"id":1,"list":null}`:                                             "",
		`{"id":1,"list":[{"name":"a"}],"more":1}`:                          "more is not documented",
		`{"id":1,"list":[{"names":"a"}]}`:                                  "list[].name is missing; list[].names is not documented",
		`{"id":1,"list":[{"name":"a"}],"run":{}}`:                          "run.fuel is missing",
	} {
		var value map[string]any
		check(t, json.Unmarshal([]byte(text), &value))
		if got := strings.Join(fieldFaults(fields, value), "; "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
