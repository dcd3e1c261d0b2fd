package caisson_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const refusalsPage = "docs/reference/refusals.md"

// TestRefusalsAreListed holds docs/reference/refusals.md against the code: each code that a room can give is listed
// with that room, each that is listed exists, and each is what some test expects.
func TestRefusalsAreListed(t *testing.T) {
	faults, err := checkRefusals(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// checkRefusals returns the faults of one tree, sorted.
func checkRefusals(tree fs.FS) ([]string, error) {
	text, err := fs.ReadFile(tree, refusalsPage)
	if err != nil {
		return nil, err
	}
	s, err := readSources(tree)
	if err != nil {
		return nil, err
	}
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	page := map[string][]string{} // code -> rooms
	for _, row := range codeRow.FindAllStringSubmatch(string(text), -1) {
		if page[row[1]] != nil {
			fault("%s lists %s twice", refusalsPage, row[1])
		}
		page[row[1]] = splitList(strings.ReplaceAll(row[2], "`", ""))
		slices.Sort(page[row[1]])
	}
	given, expected := s.given(slices.Collect(maps.Keys(page))), s.expected()
	for code, rooms := range given {
		switch {
		case page[code] == nil:
			fault("%s, which %s gives, is not listed in %s", code, listed(rooms), refusalsPage)
		case !slices.Equal(page[code], rooms):
			fault("%s: %s is given by %s, not by %s", refusalsPage, code, listed(rooms), listed(page[code]))
		}
		if !slices.ContainsFunc(expected[code], func(dir string) bool { return s.reaches(dir, rooms) }) {
			fault("%s is expected by no test of %s or of a room that imports it", code, listed(rooms))
		}
	}
	for code := range page {
		if given[code] == nil {
			fault("%s lists %s, which no room gives", refusalsPage, code)
		}
	}
	slices.Sort(faults)
	return faults, nil
}

var (
	// codeRow is a row of a table of codes: the code, and the rooms that give it.
	codeRow = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| ([^|]+) \\|")
	// codeShape is a whole string that may be a code; only its family tells whether it is one.
	codeShape = regexp.MustCompile(`^([a-z]+)\.([a-z][a-z_]*)$`)
	// codeWord is the same within the pattern of a testscript.
	codeWord = regexp.MustCompile(`\b[a-z]+\.[a-z][a-z_]*\b`)
)

// fileEndings are names after a dot that make a string of that shape a file: "task.toml", "worker.key".
var fileEndings = map[string]bool{"toml": true, "key": true, "crt": true, "pem": true, "wasm": true, "pass": true}

// sources is every Go file of a tree, parsed, and every testscript.
type sources struct {
	files     []source
	scripts   map[string]string            // path -> text
	constants map[string]string            // "room.CodeX" -> code
	declared  map[string]bool              // "room.Name" of what the room itself declares, tests apart
	helpers   map[string]bool              // "room.name" of functions that the room's tests declare
	imports   map[string]map[string]string // path of a file -> its name for an import -> room, or the import path
	rooms     map[string]map[string]bool   // room -> rooms that it or its tests import
}

// source is one Go file.
type source struct {
	path, dir string
	test      bool
	syntax    *ast.File
}

func readSources(tree fs.FS) (*sources, error) {
	s := &sources{
		scripts: map[string]string{}, constants: map[string]string{}, declared: map[string]bool{},
		helpers: map[string]bool{}, imports: map[string]map[string]string{}, rooms: map[string]map[string]bool{},
	}
	fset := token.NewFileSet()
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		isGo := strings.HasSuffix(name, ".go") && !strings.Contains(name, "testdata/")
		if !isGo && !strings.HasSuffix(name, ".txtar") {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		if !isGo {
			s.scripts[name] = string(text)
			return nil
		}
		syntax, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		f := source{name, path.Dir(name), strings.HasSuffix(name, "_test.go") || strings.Contains(name, "queuetest/"), syntax}
		s.files = append(s.files, f)
		s.readImports(f)
		s.readNames(f)
		return nil
	})
	return s, err
}

// readImports notes the names of f's imports.
func (s *sources) readImports(f source) {
	names := map[string]string{}
	s.imports[f.path] = names
	if s.rooms[f.dir] == nil {
		s.rooms[f.dir] = map[string]bool{}
	}
	for _, spec := range f.syntax.Imports {
		whole, _ := strconv.Unquote(spec.Path.Value)
		name, to := path.Base(whole), whole
		if room, ok := strings.CutPrefix(whole, module+"/"); ok {
			to = room
			s.rooms[f.dir][room] = true
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = to
	}
}

// readNames notes what f declares: codes that have a name, what is the room's own, and helpers of tests.
func (s *sources) readNames(f source) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			s.own(f, n.Name.Name)
		case *ast.TypeSpec:
			s.own(f, n.Name.Name)
		case *ast.AssignStmt:
			for i, right := range n.Rhs {
				if name, ok := n.Lhs[i].(*ast.Ident); ok && f.test {
					if _, ok := right.(*ast.FuncLit); ok {
						s.helpers[f.dir+"."+name.Name] = true
					}
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) && !f.test && strings.HasPrefix(name.Name, "Code") {
					if code := literal(n.Values[i]); codeShape.MatchString(code) {
						s.constants[f.dir+"."+name.Name] = code
					}
				}
			}
		}
		return true
	})
}

func (s *sources) own(f source, name string) {
	if f.test {
		s.helpers[f.dir+"."+name] = true
	} else {
		s.declared[f.dir+"."+name] = true
	}
}

// literal returns the string that e is written as, "" when it is something else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}

// given returns the codes that rooms give, with the rooms, sorted: constants named Code..., what a method Code
// returns, and every other whole string of one of their families or of one that the page lists. Commands, examples
// and benchmarks give none of their own.
func (s *sources) given(listed []string) map[string][]string {
	families := map[string]bool{}
	family := func(code string) { families[codeShape.FindStringSubmatch(code)[1]] = true }
	for _, code := range listed {
		if codeShape.MatchString(code) {
			family(code)
		}
	}
	for _, code := range s.constants {
		family(code)
	}
	var rooms []source
	for _, f := range s.files {
		if top, _, _ := strings.Cut(f.dir, "/"); f.test || top == "cmd" || top == "examples" || top == "bench" {
			continue
		}
		rooms = append(rooms, f)
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "Code" {
				eachCode(fn, func(code string) { family(code) })
			}
		}
	}
	given := map[string][]string{}
	for _, f := range rooms {
		eachCode(f.syntax, func(code string) {
			if families[codeShape.FindStringSubmatch(code)[1]] && !slices.Contains(given[code], f.dir) {
				given[code] = append(given[code], f.dir)
				slices.Sort(given[code])
			}
		})
	}
	return given
}

// eachCode calls found with each string below n that has the shape of a code and is no file's name.
func eachCode(n ast.Node, found func(code string)) {
	ast.Inspect(n, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if m := codeShape.FindStringSubmatch(literal(e)); m != nil && !fileEndings[m[2]] {
				found(m[0])
			}
		}
		return true
	})
}

// reaches reports whether the tests of dir can see what rooms give: dir is one of them, or imports one, however
// indirectly. Other tests can only hand a code in.
func (s *sources) reaches(dir string, rooms []string) bool {
	seen, todo := map[string]bool{}, []string{dir}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if slices.Contains(rooms, at) {
			return true
		}
		if !seen[at] {
			seen[at] = true
			todo = slices.AppendSeq(todo, maps.Keys(s.rooms[at]))
		}
	}
	return false
}

// expected returns the codes that tests expect, with the folders of those tests.
func (s *sources) expected() map[string][]string {
	found := map[string][]string{}
	for _, f := range s.files {
		if f.test {
			x := &expectations{sources: s, source: f, local: map[string]string{}, given: map[*ast.CompositeLit]bool{}, cells: map[*ast.CompositeLit]bool{}, found: found}
			ast.Inspect(f.syntax, x.look)
		}
	}
	for name, text := range s.scripts {
		script, _, _ := strings.Cut(text, "\n-- ")
		for line := range strings.Lines(script) {
			if strings.HasPrefix(line, "stdout ") || strings.HasPrefix(line, "stderr ") {
				for _, code := range codeWord.FindAllString(strings.ReplaceAll(line, `\`, ""), -1) {
					found[code] = append(found[code], strings.TrimSuffix(path.Dir(name), "/testdata/script"))
				}
			}
		}
	}
	return found
}

// expectations finds the codes that one test file expects: operands of == and !=, cases of a switch, cells of a table
// whose rows are of a type of the test's own, and arguments of a helper of the test's own. Comments, names of
// subtests, mere lists, such as one to compare with a page, and what is handed to the code under test do not count.
type expectations struct {
	*sources
	source
	local map[string]string          // names that the file itself gives to codes
	given map[*ast.CompositeLit]bool // values of types of the code under test
	cells map[*ast.CompositeLit]bool // cells of a table, or arguments of what compares
	found map[string][]string
}

// comparers are functions of elsewhere that compare.
var comparers = map[string]bool{"strings.Contains": true, "slices.Contains": true, "slices.Equal": true, "reflect.DeepEqual": true}

func (x *expectations) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) {
				x.local[name.Name] = x.code(n.Values[i])
			}
		}
	case *ast.BinaryExpr:
		if n.Op == token.EQL || n.Op == token.NEQ {
			x.take(n.X, n.Y)
		}
	case *ast.CaseClause:
		x.take(n.List...)
	case *ast.CallExpr:
		if x.compares(n.Fun) {
			x.take(n.Args...)
		}
	case *ast.CompositeLit:
		x.lookRows(n)
	}
	return true
}

// lookRows takes the cells of a table, unless they are values for the code under test or the table is a mere list.
func (x *expectations) lookRows(n *ast.CompositeLit) {
	given := x.given[n] || n.Type != nil && x.foreign(n.Type)
	if list, ok := n.Type.(*ast.ArrayType); ok && !x.cells[n] {
		of, _ := list.Elt.(*ast.Ident)
		given = given || of != nil && of.Name == "string"
	}
	for _, e := range n.Elts {
		cells := []ast.Expr{e}
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			cells = []ast.Expr{kv.Key, kv.Value}
		}
		for _, cell := range cells {
			if inner, ok := cell.(*ast.CompositeLit); ok {
				x.cells[inner] = true
				x.given[inner] = given && inner.Type == nil
			}
		}
		if !given {
			x.take(cells...)
		}
	}
}

// foreign reports whether t is a type of a room, or holds such.
func (x *expectations) foreign(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.SelectorExpr:
		return true
	case *ast.Ident:
		return x.declared[x.dir+"."+t.Name]
	case *ast.StarExpr:
		return x.foreign(t.X)
	case *ast.ArrayType:
		return x.foreign(t.Elt)
	case *ast.MapType:
		return x.foreign(t.Value)
	}
	return false
}

// compares reports whether a call of fun says what is expected.
func (x *expectations) compares(fun ast.Expr) bool {
	switch fun := fun.(type) {
	case *ast.Ident:
		return x.helpers[x.dir+"."+fun.Name]
	case *ast.SelectorExpr:
		name := fun.Sel.Name
		if on, ok := fun.X.(*ast.Ident); ok {
			if from := x.imports[x.path][on.Name]; from != "" {
				return comparers[from+"."+name]
			}
		}
		return x.helpers[x.dir+"."+name] || name == "Refuses" // sdk/tasktest's
	}
	return false
}

func (x *expectations) take(list ...ast.Expr) {
	for _, e := range list {
		if inner, ok := e.(*ast.CompositeLit); ok {
			x.cells[inner] = true
		}
		if code := x.code(e); code != "" {
			x.found[code] = append(x.found[code], x.dir)
		}
	}
}

// code returns the code that e is, by its text or by its name in its own room.
func (x *expectations) code(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		if code := x.local[e.Name]; code != "" {
			return code
		}
		return x.constants[x.dir+"."+e.Name]
	case *ast.SelectorExpr:
		if on, ok := e.X.(*ast.Ident); ok {
			return x.constants[x.imports[x.path][on.Name]+"."+e.Sel.Name]
		}
	}
	if text := literal(e); codeShape.MatchString(text) {
		return text
	}
	return ""
}

// TestRefusalsFindsEachFault gives small trees in which one thing is wrong, and one in which nothing is.
func TestRefusalsFindsEachFault(t *testing.T) {
	const (
		room  = "package door\nconst CodeShut = \"door.shut\"\n// \"door.ajar\"\ntype E struct{ Code string }\nfunc Shut(code string) E { return E{code} }\n"
		other = "package gate\nconst CodeShut = \"gate.shut\"\n"
		head  = "package door_test\nimport (\"m/door\"; \"m/gate\"; \"slices\"; \"testing\")\nfunc Test(t *testing.T) {\n"
		want  = "if err := do(); err.Code != door.CodeShut || err.Code == gate.CodeShut { t.Fatal(err) }"
		row   = "| `door.shut` | `door` | it is shut |\n| `gate.shut` | `gate` | it, too |\n"
	)
	for _, c := range []struct{ name, page, test, fault string }{
		{"nothing", row, want, ""},
		{"a literal", row, `if code != "door.shut" && code != "gate.shut" { t.Fatal() }`, ""},
		{"a table", row, `for _, c := range []struct{ name, code string }{{"a", door.CodeShut}, {"b", gate.CodeShut}} { check(c) }`, ""},
		{"a table of a local name", row, `const shut = door.CodeShut; rows := map[string]string{"a": shut, "b": gate.CodeShut}`, ""},
		{"a switch", row, `switch code { case door.CodeShut, gate.CodeShut: }`, ""},
		{"a helper", row, `expect := func(...string) {}; expect(door.CodeShut, gate.CodeShut)`, ""},
		{"strings.Contains", row, want + `; strings.Contains(code, "door.shut")`, ""},
		{"not listed", "| `gate.shut` | `gate` | it |\n", want, "door.shut, which door gives, is not listed in " + refusalsPage},
		{"listed twice", row + "| `gate.shut` | `gate` | again |\n", want, refusalsPage + " lists gate.shut twice"},
		{"listed and not given", row + "| `door.ajar` | `door` | a gap |\n", want, refusalsPage + " lists door.ajar, which no room gives"},
		{"listed for another room", strings.Replace(row, "`door` |", "`gate` |", 1), want, refusalsPage + ": door.shut is given by door, not by gate"},
		{"a comment", row, "// door.CodeShut \"door.shut\" 'door.shut'\nif code == gate.CodeShut { t.Fatal() }", unexpected},
		{"the name of a subtest", row, `t.Run("door.shut", nil); if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"handed in", row, `door.Shut(door.CodeShut); if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"handed in as a value", row, `x := door.E{door.CodeShut}; if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"handed in as values", row, `x := []door.E{{Code: "door.shut"}}; if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"a mere list", row, `for _, c := range []string{door.CodeShut} { find(c) }; if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"a list in a row", row, `rows := []struct{ codes []string }{{[]string{door.CodeShut, gate.CodeShut}}}`, ""},
		{"a list compared", row, `slices.Equal(codes, []string{door.CodeShut, gate.CodeShut})`, ""},
		{"assigned", row, `code = door.CodeShut; if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"another room's name", row, `if code == gate.CodeShut { t.Fatal() }`, unexpected},
		{"in words", row, `if text != "it is door.shut" || code == gate.CodeShut { t.Fatal() }`, unexpected},
	} {
		tree := fstest.MapFS{refusalsPage: {Data: []byte(c.page)}}
		for name, text := range map[string]string{"door/door.go": room, "gate/gate.go": other, "door/door_test.go": head + c.test + "\n}\n"} {
			tree[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, "\"m/", "\""+module+"/"))}
		}
		faults, err := checkRefusals(tree)
		if err != nil || strings.Join(faults, "; ") != c.fault {
			t.Errorf("%s:\n got  %q, %v\n want %q", c.name, faults, err, c.fault)
		}
	}
}

const unexpected = "door.shut is expected by no test of door or of a room that imports it"

// TestRefusalsAsksTestsThatCanSee moves the test to a room that does not import the one that gives the code,
// to one that does, and into a testscript.
func TestRefusalsAsksTestsThatCanSee(t *testing.T) {
	const test = "package hall_test\nvar ok = code() == \"door.shut\"\n"
	for _, c := range []struct{ name, file, text, fault string }{
		{"apart", "hall/hall_test.go", test, unexpected},
		{"above", "hall/hall_test.go", strings.Replace(test, "\n", "\nimport _ \""+module+"/door\"\n", 1), ""},
		{"script", "door/testdata/script/a.txtar", "status 3 enter\nstderr 'refused: door\\.shut'\n", ""},
		{"script's comment", "door/testdata/script/a.txtar", "# door.shut\nstatus 3 enter door.shut\n", unexpected},
		{"script's absence", "door/testdata/script/a.txtar", "! stderr door.shut\n", unexpected},
		{"script's file", "door/testdata/script/a.txtar", "cmp stderr want\n-- want --\nstderr door.shut\n", unexpected},
	} {
		faults, err := checkRefusals(fstest.MapFS{
			refusalsPage:   {Data: []byte("| `door.shut` | `door` | it is shut |\n")},
			"door/door.go": {Data: []byte("package door\nfunc (E) Code() string { return \"door.shut\" }\n")},
			c.file:         {Data: []byte(c.text)},
		})
		if err != nil || strings.Join(faults, "; ") != c.fault {
			t.Errorf("%s: got %q, %v, want %q", c.name, faults, err, c.fault)
		}
	}
}
