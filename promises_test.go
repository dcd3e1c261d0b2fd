package caisson_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promiseLink is a link of docs/promises.md to a test.
var promiseLink = regexp.MustCompile(`\[((?:Test|test|Fuzz)\w+)\]\(\.\./([\w./-]+\.go)\)`)

// TestPromises holds docs/promises.md to its word: each row names what checks it, and each test that is named exists where the
// link leads.
func TestPromises(t *testing.T) {
	text, err := os.ReadFile("docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	faults, tests := promiseFaults(string(text), func(file string) ([]byte, error) { return os.ReadFile(file) })
	for _, f := range faults {
		t.Error(f)
	}
	if tests < 30 {
		t.Errorf("%d links to tests: the page has another form than this test reads", tests)
	}
}

// promiseFaults returns what is wrong with a page, and how many links to tests it has.
func promiseFaults(page string, read func(file string) ([]byte, error)) (faults []string, tests int) {
	for heading, rows := range readTables(page) {
		for _, row := range rows {
			if len(row) != 2 {
				faults = append(faults, fmt.Sprintf("%s: row %q: want 2 columns", heading, row))
				continue
			}
			links := promiseLink.FindAllStringSubmatch(row[1], -1)
			tests += len(links)
			if len(links) == 0 && !strings.Contains(row[1], "](https://redis.io/") {
				faults = append(faults, fmt.Sprintf("%s: %q: nothing checks it", heading, row[0]))
			}
			for _, link := range links {
				name, file := link[1], path.Clean(link[2])
				source, err := read(file)
				if err != nil {
					faults = append(faults, fmt.Sprintf("%s: %v", heading, err))
				} else if !declares(file, source, name) {
					faults = append(faults, fmt.Sprintf("%s: %s has no function %s", heading, file, name))
				}
			}
		}
	}
	slices.Sort(faults)
	return faults, tests
}

// declares says whether a source file has a test of that name: a function whose first argument is a *testing.T or a *testing.F.
func declares(file string, source []byte, name string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name != name || len(fn.Type.Params.List) == 0 {
			return false
		}
		star, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
		if !ok {
			return false
		}
		of, ok := star.X.(*ast.SelectorExpr)
		return ok && (of.Sel.Name == "T" || of.Sel.Name == "F")
	})
}

// TestPromisesFindsEachFault gives pages with one fault each.
func TestPromisesFindsEachFault(t *testing.T) {
	files := map[string]string{"a_test.go": "package a\nimport \"testing\"\nfunc TestA(t *testing.T) {}\nfunc TestHelp() {}\n"}
	read := func(file string) ([]byte, error) {
		if text, ok := files[file]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("no file %s", file)
	}
	for _, row := range []struct{ name, cell, want string }{
		{"nothing", "[TestA](../a_test.go)", ""},
		{"no link", "by hand", "H: \"p\": nothing checks it"},
		{"no such file", "[TestA](../b_test.go)", "H: no file b_test.go"},
		{"no such test", "[TestB](../a_test.go)", "H: a_test.go has no function TestB"},
		{"not a test", "[TestHelp](../a_test.go)", "H: a_test.go has no function TestHelp"},
		{"a third column", "x | y", `H: row ["p" "x" "y"]: want 2 columns`},
	} {
		t.Run(row.name, func(t *testing.T) {
			faults, _ := promiseFaults("## H\n\n| promise | checked by |\n|---|---|\n| p | "+row.cell+" |\n", read)
			if got := strings.Join(faults, "; "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
