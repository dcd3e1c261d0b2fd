package capability_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest/capability"
)

// model turns a line into a regular expression over concrete requests, written as lines. It shares
// no code with the package: it is the second opinion.
func model(line string) *regexp.Regexp {
	words := strings.Fields(line)
	any := func(s, wide, class string) string {
		if s == wide {
			return class
		}
		return regexp.QuoteMeta(s)
	}
	expr := regexp.QuoteMeta(line)
	switch words[0] {
	case "http":
		scheme, rest, _ := strings.Cut(words[2], "://")
		host, path, _ := strings.Cut(rest, "/")
		host = strings.Replace(regexp.QuoteMeta(host), `\*`, `[^./:]+`, 1)
		segments := strings.Split(path, "/")
		for i, s := range segments {
			if i == len(segments)-1 {
				segments[i] = any(s, "*", `.*`)
			} else {
				segments[i] = any(s, "*", `[^/]+`)
			}
		}
		expr = "http " + any(words[1], "*", "[A-Z]+") + " " + scheme + "://" + host + "/" + strings.Join(segments, "/")
	case "kv", "blob":
		expr = words[0] + " " + any(words[1], "rw", "(ro|wo)") + " " + strings.Replace(regexp.QuoteMeta(words[2]), `\*`, `.+`, 1)
	case "enqueue":
		expr = "enqueue " + regexp.QuoteMeta(words[1]) + " " + strings.Replace(regexp.QuoteMeta(words[2]), `\*`, `.+`, 1)
	}
	return regexp.MustCompile("^" + expr + "$")
}

// httpPatterns gives all patterns of up to three segments, and some hosts and methods.
func httpPatterns() (lines []string) {
	paths := []string{""}
	for depth := 0; depth < 3; depth++ {
		var next []string
		for _, p := range paths {
			if strings.HasSuffix(p, "/") {
				continue
			}
			for _, s := range []string{"a", "b", "*"} {
				next = append(next, p+"/"+s)
			}
			next = append(next, p+"/")
		}
		for _, p := range next {
			lines = append(lines, "http GET https://x.com"+p)
		}
		paths = next
	}
	for _, host := range []string{"y.x.com", "*.x.com", "*.y.x.com", "x.com:8443", "*.x.com:8443"} {
		for _, method := range []string{"GET", "PUT", "*"} {
			lines = append(lines, "http "+method+" https://"+host+"/a", "http "+method+" http://"+host+"/*")
		}
	}
	return lines
}

// httpRequests gives all requests of up to four segments, one more than any pattern has.
func httpRequests(t testing.TB) (requests []capability.Capability) {
	paths := []string{""}
	for depth := 0; depth < 4; depth++ {
		var next []string
		for _, p := range paths {
			if strings.HasSuffix(p, "/") {
				continue
			}
			for _, s := range []string{"a", "b", "c", ""} {
				next = append(next, p+"/"+s)
			}
		}
		for _, p := range next {
			requests = append(requests, request(t, "GET", "https://x.com"+p))
		}
		paths = next
	}
	for _, host := range []string{"y.x.com", "z.x.com", "z.y.x.com", "x.com:8443", "y.x.com:8443", "z.x.com:8443", "z.y.x.com:8443"} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			for _, path := range []string{"/", "/a", "/b/c"} {
				requests = append(requests, request(t, method, "https://"+host+path), request(t, method, "http://"+host+path))
			}
		}
	}
	return requests
}

func request(t testing.TB, method, url string) capability.Capability {
	t.Helper()
	c, _, err := capability.HTTPRequest(method, url)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kvPatterns() (lines []string) {
	for _, mode := range []string{"ro", "wo", "rw"} {
		for _, key := range []string{"a", "a/b", "a/*", "a/b/*", "ab/*", "a/b/c"} {
			lines = append(lines, "kv "+mode+" "+key)
		}
	}
	return lines
}

func kvRequests(t testing.TB) (requests []capability.Capability) {
	for _, key := range []string{"a", "b", "a/b", "a/c", "a/b/c", "a/b/d", "a/b/c/d", "ab", "ab/c"} {
		for _, write := range []bool{false, true} {
			c, err := capability.KVRequest(write, key)
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, c)
		}
	}
	return requests
}

// allowed is the set of requests, by index, that a model allows.
func allowed(line string, requests []capability.Capability) []bool {
	m := model(line)
	set := make([]bool, len(requests))
	for i, r := range requests {
		set[i] = m.MatchString(r.String())
	}
	return set
}

// Within must be exactly "every request the need allows, the grant allows": never more, which
// would be a hole, and for these small worlds never less either.
func TestWithinIsInclusion(t *testing.T) {
	worlds := []struct {
		name     string
		lines    []string
		requests []capability.Capability
	}{{"http", httpPatterns(), httpRequests(t)}, {"kv", kvPatterns(), kvRequests(t)}}
	for _, w := range worlds {
		sets := make([][]bool, len(w.lines))
		caps := make([]capability.Capability, len(w.lines))
		for i, line := range w.lines {
			sets[i], caps[i] = allowed(line, w.requests), parse(t, line)
			for j, r := range w.requests {
				if r.Within(caps[i]) != sets[i][j] {
					t.Fatalf("%s: %q within %q is %v, the model says %v", w.name, r, caps[i], r.Within(caps[i]), sets[i][j])
				}
			}
		}
		for i, need := range caps {
			for j, grant := range caps {
				included := true
				for k := range w.requests {
					included = included && (!sets[i][k] || sets[j][k])
				}
				if need.Within(grant) != included {
					t.Fatalf("%s: %q within %q is %v, the model says %v", w.name, need, grant, need.Within(grant), included)
				}
			}
		}
		t.Logf("%s: %d patterns, %d requests", w.name, len(w.lines), len(w.requests))
	}
}

func FuzzWithin(f *testing.F) {
	f.Add("http GET https://a.com/x/*", "http * https://a.com/*", "GET", "https://a.com/x/y?z")
	f.Add("http GET https://*.a.com/*/b", "http GET https://*.a.com/*", "GET", "https://c.a.com/%41/b")
	f.Add("http GET https://a.com/", "http GET https://a.com/*", "PUT", "https://a.com")
	f.Add("kv ro a/b", "kv rw a/*", "", "a/b")
	f.Add("enqueue q a.b", "enqueue q a.*", "", "")
	f.Fuzz(func(t *testing.T, needLine, grantLine, method, target string) {
		need, err := capability.Parse(needLine)
		if err != nil {
			return
		}
		grant, err := capability.Parse(grantLine)
		if err != nil {
			return
		}
		var requests []capability.Capability
		if r, _, err := capability.HTTPRequest(method, target); err == nil {
			requests = append(requests, r)
		}
		for _, write := range []bool{false, true} {
			if r, err := capability.KVRequest(write, target); err == nil {
				requests = append(requests, r)
			}
		}
		byNeed, byGrant := model(needLine), model(grantLine)
		for _, r := range requests {
			n, g := byNeed.MatchString(r.String()), byGrant.MatchString(r.String())
			if n != r.Within(need) || g != r.Within(grant) {
				t.Errorf("%q: model %v %v, Within %v %v", r, n, g, r.Within(need), r.Within(grant))
			}
			if need.Within(grant) && n && !g {
				t.Errorf("%q is within %q, yet %q is allowed by the first only", need, grant, r)
			}
		}
	})
}

func ExampleHold() {
	need, _ := capability.ParseSet([]string{"http GET https://img.example.com/*", "kv rw thumbs/*"})
	grant, _ := capability.ParseSet([]string{"http * https://*.example.com/*"})
	_, err := capability.Hold(need, grant, nil)
	fmt.Println(err)
	// Output: capability: the policy does not allow: kv rw thumbs/*
}
