package caisson_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The rules are the tables of docs/layout.md. This file knows how to read the tables and what each column means,
// and has no list of rooms or libraries of its own.

const module = "github.com/caisson-run/caisson"

// room is one row of a table of rooms. A segment "<name>" of path stands for any one folder.
type room struct {
	path     string
	anything bool     // may import every room
	above    bool     // may import the rooms of earlier rows
	imports  []string // the rooms it may import otherwise
}

// kept is one row of a table of what only some rooms may touch.
type kept struct {
	what    string // an import path, or import path + "." + name
	rooms   []string
	inTests bool
	why     string
}

// layout is docs/layout.md, read.
type layout struct {
	rooms, planned []room
	imports, calls []kept
	names          map[string]string // import path -> the only name it may have
	forbidden      []string
	fileLinesMax   int
	funcLinesMax   int
}

func TestLayout(t *testing.T) {
	text, err := os.ReadFile("docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	l, err := readLayout(string(text))
	if err != nil {
		t.Fatal(err)
	}
	faults, err := l.check(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// readLayout reads the tables under the headings it knows; a heading that is missing, or a row of the wrong
// length, is an error, so that a rule cannot be lost by a slip of the pen.
func readLayout(text string) (l layout, err error) {
	tables := readTables(text)
	take := func(heading string, columns int) [][]string {
		rows := tables[heading]
		if len(rows) == 0 && err == nil {
			err = fmt.Errorf("docs/layout.md: no table under %q", heading)
		}
		for _, r := range rows {
			if len(r) != columns && err == nil {
				err = fmt.Errorf("docs/layout.md: %s: row %q: want %d columns", heading, r, columns)
				return nil
			}
		}
		return rows
	}
	for _, r := range take("Rooms", 3) {
		l.rooms = append(l.rooms, readRoom(r))
	}
	for _, r := range take("Rooms to come", 3) {
		l.planned = append(l.planned, readRoom(r))
	}
	for _, r := range take("Imports kept to rooms", 4) {
		l.imports = append(l.imports, readKept(r))
	}
	for _, r := range take("Calls kept to rooms", 4) {
		l.calls = append(l.calls, readKept(r))
	}
	l.names = map[string]string{}
	for _, r := range take("Imports with a fixed name", 3) {
		l.names[r[0]] = r[1]
	}
	for _, r := range take("Names no folder has", 1) {
		l.forbidden = append(l.forbidden, r[0])
	}
	sizes := map[string]int{}
	for _, r := range take("Sizes", 2) {
		sizes[r[0]], _ = strconv.Atoi(r[1])
	}
	l.fileLinesMax, l.funcLinesMax = sizes["lines of a file"], sizes["lines of a function"]
	if err == nil && (l.fileLinesMax <= 0 || l.funcLinesMax <= 0) {
		err = fmt.Errorf("docs/layout.md: Sizes: both sizes must be positive numbers")
	}
	return l, err
}

// readTables gives the rows of the tables of a Markdown text by the heading above them, without their
// header rows and back-quotes.
func readTables(text string) map[string][][]string {
	tables := map[string][][]string{}
	heading, row := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if h, ok := strings.CutPrefix(line, "## "); ok {
			heading = h
		}
		if !strings.HasPrefix(line, "|") {
			row = 0
			continue
		}
		if row++; row <= 2 {
			continue // the names of the columns, and the rule below them
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(c), "`", "")
		}
		tables[heading] = append(tables[heading], cells)
	}
	return tables
}

func readRoom(row []string) room {
	r := room{path: row[0]}
	switch row[1] {
	case "nothing":
	case "anything":
		r.anything = true
	case "those above":
		r.above = true
	default:
		r.imports = splitList(row[1])
	}
	return r
}

func readKept(row []string) kept {
	k := kept{what: row[0], inTests: row[2] == "yes", why: row[3]}
	if row[1] != "nowhere" {
		k.rooms = splitList(row[1])
	}
	return k
}

func splitList(s string) []string {
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// matches reports whether the folder dir is the one that pattern names.
func matches(pattern, dir string) bool {
	p, d := strings.Split(pattern, "/"), strings.Split(dir, "/")
	if len(p) != len(d) {
		return false
	}
	for i := range p {
		if p[i] != d[i] && !strings.HasPrefix(p[i], "<") {
			return false
		}
	}
	return true
}

func matchesAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, dir) })
}

// checker walks one tree.
type checker struct {
	layout
	tree   fs.FS
	fset   *token.FileSet
	faults []string
}

func (c *checker) fault(file string, pos token.Pos, format string, args ...any) {
	if line := c.fset.Position(pos).Line; line > 0 {
		file = fmt.Sprintf("%s:%d", file, line)
	}
	c.faults = append(c.faults, file+": "+fmt.Sprintf(format, args...))
}

// check gives every fault of the Go files in tree, each beginning with the name of the file or folder.
func (l layout) check(tree fs.FS) ([]string, error) {
	c := &checker{layout: l, tree: tree, fset: token.NewFileSet()}
	c.checkPage()
	found := map[string]bool{} // rows that have a folder
	err := fs.WalkDir(tree, ".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := d.Name()
		if name == "testdata" || name != "." && strings.HasPrefix(name, ".") {
			return fs.SkipDir
		}
		if _, err := fs.Stat(tree, path.Join(dir, "go.mod")); err == nil && dir != "." {
			return fs.SkipDir // another module: nothing of it ships, and no room can import it
		}
		files, err := fs.Glob(tree, path.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			return err
		}
		if row, ok := c.checkFolder(dir, files); ok {
			found[row] = true
		}
		return nil
	})
	for _, r := range l.rooms {
		if !found[r.path] && !strings.Contains(r.path, "<") {
			c.fault("docs/layout.md", 0, "room %s is in the table but has no code: it belongs under \"Rooms to come\"", r.path)
		}
	}
	return c.faults, err
}

// checkPage holds the page to its own promise: a room imports only rooms above it.
func (c *checker) checkPage() {
	var above []string
	for _, r := range c.rooms {
		for _, i := range r.imports {
			if !slices.Contains(above, i) && !slices.ContainsFunc(above, func(a string) bool { return matches(i, a) }) {
				c.fault("docs/layout.md", 0, "room %s may import %s, which is no room above it", r.path, i)
			}
		}
		above = append(above, r.path)
	}
}

// checkFolder checks one folder that has Go files, and gives the row of the table it belongs to.
func (c *checker) checkFolder(dir string, files []string) (row string, ok bool) {
	for seg := range strings.SplitSeq(dir, "/") {
		if slices.Contains(c.forbidden, seg) {
			c.fault(dir, 0, "no folder is named %q: name it for what is in it", seg)
		}
	}
	shipped := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	at := slices.IndexFunc(c.rooms, func(r room) bool { return matches(r.path, dir) })
	if at < 0 && len(shipped) > 0 {
		c.fault(dir, 0, "not a room: give it a row in docs/layout.md")
	}
	for _, f := range files {
		c.checkFile(dir, at, f)
	}
	if len(shipped) > 0 && !slices.Contains(files, path.Join(dir, "doc.go")) {
		c.fault(path.Join(dir, "doc.go"), 0, "missing: every room says what it is")
	}
	if at < 0 {
		return "", false
	}
	return c.rooms[at].path, len(shipped) > 0
}

func (c *checker) checkFile(dir string, at int, file string) {
	data, err := fs.ReadFile(c.tree, file)
	if err != nil {
		c.fault(file, 0, "%v", err)
		return
	}
	f, err := parser.ParseFile(c.fset, file, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		c.fault(file, 0, "does not parse: %v", err)
		return
	}
	test := strings.HasSuffix(file, "_test.go")
	names := c.checkImports(dir, at, file, f, test)
	c.checkCalls(dir, file, f, names, test)
	if test {
		return
	}
	c.checkSizes(file, data, f)
	if path.Base(file) == "doc.go" {
		c.checkComment(dir, file, f)
	}
}

// checkImports checks the imports of a file and gives the import path behind each name.
func (c *checker) checkImports(dir string, at int, file string, f *ast.File, test bool) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := baseName(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
		if name == "." {
			c.fault(file, spec.Pos(), "imports %s with a dot: calls must show where they come from", p)
		}
		if want, ok := c.names[p]; ok && name != want {
			c.fault(file, spec.Pos(), "imports %s as %s: its name here is %s", p, name, want)
		}
		for _, k := range c.imports {
			if (p == k.what || strings.HasPrefix(p, k.what+"/")) && !(test && k.inTests) && !matchesAny(k.rooms, dir) {
				c.fault(file, spec.Pos(), "imports %s, which is kept to %s: %s", p, listed(k.rooms), k.why)
			}
		}
		if of, ours := strings.CutPrefix(p, module+"/"); ours && !test && at >= 0 && !c.mayImport(at, of) {
			c.fault(file, spec.Pos(), "room %s may not import %s: see its row in docs/layout.md", c.rooms[at].path, of)
		}
	}
	return names
}

func (c *checker) mayImport(at int, dir string) bool {
	r := c.rooms[at]
	if r.above && slices.ContainsFunc(c.rooms[:at], func(a room) bool { return matches(a.path, dir) }) {
		return true
	}
	return r.anything || matchesAny(r.imports, dir)
}

// checkCalls finds each mention of a name that is kept to some rooms, called or handed on.
func (c *checker) checkCalls(dir, file string, f *ast.File, names map[string]string, test bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || names[id.Name] == "" {
			return true
		}
		what := names[id.Name] + "." + sel.Sel.Name
		for _, k := range c.calls {
			if k.what == what && !(test && k.inTests) && !matchesAny(k.rooms, dir) {
				c.fault(file, sel.Pos(), "uses %s, which is kept to %s: %s", what, listed(k.rooms), k.why)
			}
		}
		return true
	})
}

func (c *checker) checkSizes(file string, data []byte, f *ast.File) {
	if n := strings.Count(string(data), "\n"); n > c.fileLinesMax {
		c.fault(file, 0, "%d lines, at most %d: split it by subject", n, c.fileLinesMax)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		name := "a function"
		switch n := n.(type) {
		case *ast.FuncDecl:
			name = n.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		lines := c.fset.Position(n.End()).Line - c.fset.Position(n.Pos()).Line + 1
		if lines > c.funcLinesMax {
			c.fault(file, n.Pos(), "%s has %d lines, at most %d", name, lines, c.funcLinesMax)
		}
		return true
	})
}

func (c *checker) checkComment(dir, file string, f *ast.File) {
	want := "Package " + f.Name.Name
	if f.Name.Name == "main" {
		want = "Command " + path.Base(dir)
	}
	text := ""
	if f.Doc != nil {
		text = f.Doc.Text()
	}
	if rest, ok := strings.CutPrefix(text, want); !ok || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\n") {
		c.fault(file, 0, "its comment must begin %q", want)
	}
}

// baseName is the name that an import has when it is given none: the last part of the path that is no version.
func baseName(importPath string) string {
	base := path.Base(importPath)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(importPath))
	}
	return strings.TrimPrefix(base, "go-")
}

func listed(rooms []string) string {
	if len(rooms) == 0 {
		return "no room"
	}
	return strings.Join(rooms, ", ")
}

// TestLayoutFindsEachFault breaks each rule once, in a small tree, under the real page.
func TestLayoutFindsEachFault(t *testing.T) {
	text, err := os.ReadFile("docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	l, err := readLayout(string(text))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("\n", 501)
	for _, row := range []struct{ name, file, code, want string }{
		{"folder without a row", "attic/a.go", "package attic", `attic: not a room: give it a row`},
		{"room from below", "queue/a.go", "package queue\nimport _ \"" + module + "/runtime\"", "queue/a.go:2: room queue may not import runtime"},
		{"example reaches past the sdk", "examples/x/a.go", "package main\nimport _ \"" + module + "/queue\"", "examples/x/a.go:2: room examples/<name> may not import queue"},
		{"planned room that exists", "runtime/jail/a.go", "package jail", "runtime/jail: not a room"},
		{"engine outside its rooms", "runtime/a.go", `package runtime; import _ "github.com/tetratelabs/wazero/api"`, "runtime/a.go:1: imports github.com/tetratelabs/wazero/api, which is kept to runtime/sandbox, host, bench"},
		{"engine in a test elsewhere", "runtime/a_test.go", `package runtime; import _ "github.com/tetratelabs/wazero"`, "runtime/a_test.go:1: imports github.com/tetratelabs/wazero"},
		{"redis outside its room", "runtime/a.go", `package runtime; import _ "github.com/redis/go-redis/v9"`, "which is kept to queue/redisqueue, bench"},
		{"testing in shipped code", "host/a.go", `package host; import _ "testing/quick"`, "host/a.go:1: imports testing/quick, which is kept to queue/queuetest, sdk/tasktest"},
		{"test kit in shipped code", "cmd/caisson/a.go", "package main; import _ \"" + module + "/queue/queuetest\"", "queue/queuetest, which is kept to no room"},
		{"flag outside cmd", "runtime/a.go", `package runtime; import _ "flag"`, "imports flag, which is kept to cmd/caisson, bench"},
		{"Go's runtime under its own name", "host/a.go", `package host; import "runtime"`, "host/a.go:1: imports runtime as runtime: its name here is goruntime"},
		{"dot import", "host/a.go", `package host; import . "strings"`, "host/a.go:1: imports strings with a dot"},
		{"environment outside cmd", "runtime/a.go", "package runtime\nimport \"os\"\nvar a = os.Getenv(\"A\")", "runtime/a.go:3: uses os.Getenv, which is kept to cmd/caisson"},
		{"environment under another name", "runtime/a.go", "package runtime\nimport sys \"os\"\nvar a = sys.LookupEnv", "runtime/a.go:3: uses os.LookupEnv"},
		{"powers made elsewhere", "runtime/a.go", "package runtime\nimport \"" + module + "/manifest/capability\"\nvar a = capability.Hold", "runtime/a.go:3: uses " + module + "/manifest/capability.Hold, which is kept to runtime/policy, sdk/tasktest, cmd/caisson"},
		{"internal", "host/internal/x/a.go", "package x", `host/internal/x: no folder is named "internal"`},
		{"util", "util/a.go", "package util", `util: no folder is named "util"`},
		{"no doc.go", "host/a.go", "package host", "host/doc.go: missing"},
		{"doc.go of another package", "host/doc.go", "// Package hosts is.\npackage host", `host/doc.go: its comment must begin "Package host"`},
		{"doc.go of a command", "cmd/caisson/doc.go", "// Package main is.\npackage main", `cmd/caisson/doc.go: its comment must begin "Command caisson"`},
		{"long file", "host/a.go", "package host\n" + long, "host/a.go: 502 lines, at most 500"},
		{"long function", "host/a.go", "package host\nfunc f() {" + strings.Repeat("\n", 70) + "}", "host/a.go:2: f has 71 lines, at most 70"},
		{"long literal", "host/a.go", "package host\nvar f = func() {" + strings.Repeat("\n", 70) + "}", "host/a.go:2: a function has 71 lines"},
		{"not Go", "host/a.go", "package", "host/a.go: does not parse"},
		{"row without a room", "queue/a.go", "package queue", "docs/layout.md: room host is in the table but has no code"},
	} {
		t.Run(row.name, func(t *testing.T) {
			faults, err := l.check(fstest.MapFS{row.file: {Data: []byte(row.code)}})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, row.want) }) {
				t.Errorf("no fault has %q:\n%s", row.want, strings.Join(faults, "\n"))
			}
		})
	}
}

// TestLayoutEndsAtAnotherModule: a folder with a go.mod is not held to this module's rules.
func TestLayoutEndsAtAnotherModule(t *testing.T) {
	text, err := os.ReadFile("docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	l, err := readLayout(string(text))
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{"bench/peers/x/a.go": {Data: []byte(`package x; import "C"`)}}
	about := func(f string) bool { return strings.HasPrefix(f, "bench/peers") }
	if faults, err := l.check(tree); err != nil || !slices.ContainsFunc(faults, about) {
		t.Errorf("without go.mod: %v, no fault about it in %q", err, faults)
	}
	tree["bench/peers/go.mod"] = &fstest.MapFile{Data: []byte("module peers")}
	if faults, err := l.check(tree); err != nil || slices.ContainsFunc(faults, about) {
		t.Errorf("with go.mod: %v, faults %q", err, faults)
	}
}

// TestLayoutPageIsHeldToItsOwnRules gives pages with a slip in them.
func TestLayoutPageIsHeldToItsOwnRules(t *testing.T) {
	data, err := os.ReadFile("docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if _, err := readLayout(strings.Replace(page, "## Sizes", "## Size", 1)); err == nil || !strings.Contains(err.Error(), `no table under "Sizes"`) {
		t.Errorf("a lost table: %v", err)
	}
	if _, err := readLayout(strings.Replace(page, "| `runtime` | `goruntime` |", "| `runtime` |", 1)); err == nil || !strings.Contains(err.Error(), "want 3 columns") {
		t.Errorf("a short row: %v", err)
	}
	circle, err := readLayout(strings.Replace(page, "| `queue` | nothing |", "| `queue` | `runtime` |", 1))
	if err != nil {
		t.Fatal(err)
	}
	faults, _ := circle.check(fstest.MapFS{})
	if want := "docs/layout.md: room queue may import runtime, which is no room above it"; !slices.Contains(faults, want) {
		t.Errorf("a circle: no fault %q", want)
	}
}
