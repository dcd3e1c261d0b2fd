package abi_test

import (
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/host/abi"
)

// TestDocListsImports: the package comment, from which people write tasks without an SDK, has every import, in the order and
// with the parameters of Imports.
func TestDocListsImports(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var documented, listed []string
	for _, m := range regexp.MustCompile(`(?m)^\s*(\w+\([\w, ]*\)) +-> `).FindAllStringSubmatch(file.Doc.Text(), -1) {
		documented = append(documented, m[1])
	}
	for _, i := range abi.Imports() {
		params := []string{"ptr", "len"}
		if i.Params == 3 {
			params = []string{"level", "ptr", "len"}
		}
		listed = append(listed, i.Name+"("+strings.Join(params, ", ")+")")
	}
	if !slices.Equal(documented, listed) {
		t.Errorf("doc.go has\n%q\nImports has\n%q", documented, listed)
	}
}

// TestCodes: no two codes are the same, and none can be taken for a length.
func TestCodes(t *testing.T) {
	codes := []abi.Code{abi.Denied, abi.NotFound, abi.Invalid, abi.TooLarge, abi.Limit, abi.Unavailable, abi.Timeout, abi.TooSmall, abi.Quota}
	seen := map[abi.Code]bool{}
	for _, c := range codes {
		if c >= 0 || seen[c] {
			t.Errorf("code %d is a length or is there twice", c)
		}
		seen[c] = true
	}
}

// TestSizesFit: what a function may carry fits into the frame that carries it.
func TestSizesFit(t *testing.T) {
	if abi.HTTPBodySizeMax >= abi.AnswerSizeMax {
		t.Errorf("an HTTP body of %d bytes does not fit into an answer of %d", abi.HTTPBodySizeMax, abi.AnswerSizeMax)
	}
	if n := 2*abi.HTTPHeadersMax + 3; n > abi.FieldsMax {
		t.Errorf("a request with all its headers has %d fields, more than %d", n, abi.FieldsMax)
	}
}
