package caisson_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

var (
	mdFence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	mdCode    = regexp.MustCompile("`[^`\n]*`")
	mdLink    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	mdAnchor  = regexp.MustCompile(`<a id="([^"]+)">`)
)

// index is the page from which every other page under docs/ can be found.
const index = "docs/README.md"

// TestLinks: no page leads nowhere, be it to a file or to a place in one, and the index leads to every page.
func TestLinks(t *testing.T) {
	faults, links, err := linkFaults(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	if links < 200 {
		t.Errorf("%d links: pages have another form than this test reads", links)
	}
}

// linkFaults returns what is wrong with the links of the pages in tree, and how many links lead into it.
func linkFaults(tree fs.FS) (faults []string, links int, err error) {
	pages := map[string]string{}
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		pages[name] = string(text)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	indexed := map[string]bool{index: true}
	for name, text := range pages {
		for _, link := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(mdFence.ReplaceAllString(text, ""), ""), -1) {
			if strings.Contains(link[1], "://") || strings.HasPrefix(link[1], "mailto:") {
				continue
			}
			links++
			file, place, _ := strings.Cut(link[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if name == index {
				indexed[to] = true
			}
			if _, err := fs.Stat(tree, to); err != nil {
				faults = append(faults, fmt.Sprintf("%s: %s: there is no %s", name, link[1], to))
			} else if place != "" && path.Ext(to) == ".md" && !slices.Contains(places(pages[to]), place) {
				faults = append(faults, fmt.Sprintf("%s: %s: %s has no such place", name, link[1], to))
			}
		}
	}
	for name := range pages {
		// What is one of many in a folder is found by that folder.
		if strings.HasPrefix(name, "docs/") && !indexed[name] && !indexed[path.Dir(name)] {
			faults = append(faults, fmt.Sprintf("%s: does not lead to %s", index, name))
		}
	}
	slices.Sort(faults)
	return faults, links, nil
}

// places returns what a page's links may name: its headings, as GitHub writes them in links, and its anchors.
func places(page string) []string {
	var out []string
	count := map[string]int{}
	for _, m := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(page, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		if n := count[slug]; n > 0 {
			out = append(out, fmt.Sprintf("%s-%d", slug, n))
		} else {
			out = append(out, slug)
		}
		count[slug]++
	}
	for _, m := range mdAnchor.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestLinksFindsEachFault gives trees with one fault each.
func TestLinksFindsEachFault(t *testing.T) {
	for _, row := range []struct{ name, link, want string }{
		{"a page", "[b](guide/b.md)", ""},
		{"a place", "[b](guide/b.md#how-it-is-said)", ""},
		{"the second of a name", "[b](guide/b.md#twice-1)", ""},
		{"an anchor", "[b](guide/b.md#here)", ""},
		{"itself", "[a](#docs) [b](guide/b.md)", ""},
		{"elsewhere", "[x](https://example.com/x) [b](guide/b.md)", ""},
		{"in code", "`[x](x.md)` [b](guide/b.md)", ""},
		{"no page", "[x](guide/x.md) [b](guide/b.md)", "docs/README.md: guide/x.md: there is no docs/guide/x.md"},
		{"no place", "[b](guide/b.md#there)", "docs/README.md: guide/b.md#there: docs/guide/b.md has no such place"},
		{"not in the index", "nothing", "docs/README.md: does not lead to docs/guide/b.md"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tree := fstest.MapFS{
				index:             {Data: []byte("# Docs\n\n" + row.link + "\n")},
				"docs/guide/b.md": {Data: []byte("# How `it` is said?\n\n## Twice\n## Twice\n<a id=\"here\"></a>\n```\n# no heading\n```\n")},
			}
			faults, _, err := linkFaults(tree)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(faults, "; "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
