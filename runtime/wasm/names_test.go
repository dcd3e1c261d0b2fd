package wasm

import (
	"strings"
	"testing"
)

// named makes a module of n functions whose name section is content.
func named(n int, content string) *Module {
	code := assemble(section(1, "\x01\x60\x00\x00"), section(3, number(n)+strings.Repeat("\x00", n)),
		section(10, number(n)+strings.Repeat("\x02\x00\x0b", n)), section(0, sized("name"), content))
	m, err := Read(code, Rules{})
	if err != nil {
		panic(err)
	}
	return m
}

// subsection frames a part of the name section.
func subsection(id byte, content string) string { return string(id) + sized(content) }

func TestNames(t *testing.T) {
	long := strings.Repeat("n", funcNameSizeMax)
	rows := []struct {
		name    string
		content string
		want    [3]string // of functions 0 to 2
	}{
		{"all", subsection(0, sized("module")) + subsection(1, "\x03\x00\x01a\x01\x02bc\x02\x01d"), [3]string{"a", "bc", "d"}},
		{"gap", subsection(1, "\x01\x01\x01b"), [3]string{"", "b", ""}},
		{"none", subsection(2, "\x00"), [3]string{}},
		{"escapes", subsection(1, "\x03\x00\x02\xff\n\x01\x06\u202ea\x1b[\x02\x03\\é"), [3]string{`\xff\n`, `\u202ea\x1b[`, `\\é`}},
		{"cut", subsection(1, "\x02\x00"+sized(long+"x")+"\x01"+sized(long[1:]+"\n")), [3]string{long, long[1:], ""}},
		{"index beyond", subsection(1, "\x02\x00\x01a\x03\x01b"), [3]string{"a", "", ""}},
		{"index twice", subsection(1, "\x02\x01\x01a\x01\x01b"), [3]string{"", "a", ""}},
		{"index falls", subsection(1, "\x02\x01\x01a\x00\x01b"), [3]string{"", "a", ""}},
		{"count beyond the functions", subsection(1, "\x04\x00\x01a\x01\x01b\x02\x01c\x03\x01d"), [3]string{}},
		{"count beyond the bytes", subsection(1, "\x03\x00\x01a"), [3]string{}},
		{"length beyond the bytes", subsection(1, "\x01\x00\x7fa"), [3]string{}},
		{"size beyond the section", "\x01\x7f\x01\x00\x01a", [3]string{}},
		{"size of 33 bits", "\x01\xff\xff\xff\xff\x1f\x01\x00\x01a", [3]string{}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			names := named(3, row.content).Names()
			for i, want := range row.want {
				if got := names.Func(uint32(i)); got != want {
					t.Errorf("function %d is %q, want %q", i, got, want)
				}
			}
			if names.Func(3) != "" || names.Func(1<<32-1) != "" {
				t.Error("a function that does not exist has a name")
			}
		})
	}
}

// TestNamesBound: a name section that is all escapes stays within the bound.
func TestNamesBound(t *testing.T) {
	const n = functionsMax / 4
	var names strings.Builder
	for i := range n {
		names.WriteString(number(i) + sized(strings.Repeat("\xff", 70)))
	}
	m := named(n, subsection(1, number(n)+names.String()))
	got := m.Names()
	if len(got.Text) > funcNamesSizeMax || len(got.Text) < funcNamesSizeMax/2 {
		t.Errorf("%d bytes of names", len(got.Text))
	}
	if got.Func(0) != strings.Repeat(`\xff`, 64) || got.Func(n-1) != "" {
		t.Errorf("%q, %q", got.Func(0), got.Func(n-1))
	}
}

func TestNamesOfGo(t *testing.T) {
	m, err := Read(goGuest(t, "command"), anyImport)
	if err != nil {
		t.Fatal(err)
	}
	names, found := m.Names(), false
	for i := range m.Functions {
		found = found || names.Func(uint32(len(m.Imports)+i)) == "main.main"
	}
	if !found {
		t.Error("no function is named main.main")
	}
	t.Logf("%d bytes of names for a module of %d", len(names.Text)+4*len(names.Ends), m.Size)
}
