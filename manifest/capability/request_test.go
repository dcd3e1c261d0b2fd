package capability_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest/capability"
)

func TestHTTPRequestGood(t *testing.T) {
	tests := []struct{ method, url, line, dial string }{
		{"GET", "https://a.com", "http GET https://a.com/", "https://a.com/"},
		{"GET", "https://a.com?x", "http GET https://a.com/", "https://a.com/?x"},
		{"GET", "https://a.com/?", "http GET https://a.com/", "https://a.com/"},
		{"POST", "https://A.Com:443/b/?q=%2e%2e%2f/../*&r=?", "http POST https://a.com/b/", "https://a.com/b/?q=%2e%2e%2f/../*&r=?"},
		{"GET", "http://a.com:80/x", "http GET http://a.com/x", "http://a.com/x"},
		{"GET", "http://a.com:8080/x", "http GET http://a.com:8080/x", "http://a.com:8080/x"},
		{"GET", "https://a.com/%7euser/%41%c3%a9", "http GET https://a.com/~user/A%C3%A9", "https://a.com/~user/A%C3%A9"},
		{"GET", "https://a.com/a/*", "http GET https://a.com/a/%2A", "https://a.com/a/%2A"},
		{"GET", "https://a.com/a%20b%3Fc%25", "http GET https://a.com/a%20b%3Fc%25", "https://a.com/a%20b%3Fc%25"},
		{"GET", "https://a.com/..a/...", "http GET https://a.com/..a/...", "https://a.com/..a/..."},
		{"GET", "https://[2001:DB8::1]/", "http GET https://[2001:db8::1]/", "https://[2001:db8::1]/"},
		{"GET", "https://10.0.0.1:8443/", "http GET https://10.0.0.1:8443/", "https://10.0.0.1:8443/"},
		{"GET", "https://a.com/!$&'()+,;=:@", "http GET https://a.com/!$&'()+,;=:@", "https://a.com/!$&'()+,;=:@"},
	}
	for _, c := range tests {
		got, u, err := capability.HTTPRequest(c.method, c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if got.String() != c.line || u.String() != c.dial {
			t.Errorf("%s:\n got %s, %s\nwant %s, %s", c.url, got, u, c.line, c.dial)
		}
	}
}

// The SSRF family of security.md: each spelling is refused when it is parsed, or is within no grant
// for another host, or (an address in canonical form) is left to the check of the dialled address.
func TestHTTPRequestSpellings(t *testing.T) {
	grants, err := capability.ParseSet([]string{"http * https://ok.com/*", "http * https://*.ok.com/*", "http * http://ok.com/*"})
	if err != nil {
		t.Fatal(err)
	}
	parsed := []string{ // readable, but never what was granted
		"https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://evil.com/ok.com", "https://ok.com.evil.com/",
		"https://evilok.com/", "https://a.b.ok.com/", "https://ok.com:8443/", "https://xn--ok-.com/", "https://evil.com/?https://ok.com/", "https://evil.com?.ok.com/",
	}
	for _, raw := range parsed {
		c, _, err := capability.HTTPRequest("GET", raw)
		if raw == "https://xn--ok-.com/" {
			if err == nil {
				t.Errorf("%s was read as %s", raw, c)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if grants.Allows(c) {
			t.Errorf("%s is allowed as %s", raw, c)
		}
	}
	refused := []string{
		"https://127.1/", "https://127.0.1/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0X7F.0.0.1/", "https://2130706433/", "https://0177.0.0.1/", "https://127.0.0.01/",
		"https://１２７.0.0.1/", "https://127。0。0。1/", "https://localhost/", "https://localhost./", "https://localhost.", "https://[::]/", "https://0.0.0.0/", "https://0/",
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::0001]/", "https://[::1%25lo]/", "https://[::1%lo]/", "https://[::1", "https://::1/", "https://[::1]:/", "https://[::1]evil.com/",
		"https://127.0.0.1./", "https://127.0.0.1:0080/", "https://1.2.3.4.5/", "https://1.0x1/", "https://a.1/",
		"https://ok.com@evil.com/", "https://ok.com:pw@evil.com/", "https://@ok.com/", "https://evil.com#@ok.com/", "https://ok.com#@evil.com/", "https://ok.com/#", "https://ok.com#",
		`https://ok.com\@evil.com/`, `https:\\ok.com/`, `https://ok.com/\..\x`, `https://evil.com\.ok.com/`,
		"https://ok.com\t/", "https://ok.com/\t", "\thttps://ok.com/", " https://ok.com/", "https://ok.com/ ", "https://ok.com/a b", "https://ok.com/\r\nHost: evil", "https://ok.com/\n", "https://ok.com/\x00", "https://ok.com/\x7f", "https://ok.com/?\r\nx", "https://ok.com/?a b", `https://ok.com/?a\b`, "https://ok.com/?é",
		"https://ok.com/%2f", "https://ok.com/a%2Fb", "https://ok.com/%2e%2e/x", "https://ok.com/.%2e/x", "https://ok.com/%5c", "https://ok.com/%00", "https://ok.com/%0d%0aHost:x", "https://ok.com/%7f",
		"https://ok.com/%252e%252e/", "https://ok.com/%25%32%65", "https://ok.com/%", "https://ok.com/%4", "https://ok.com/%zz",
		"https://ok.com/../x", "https://ok.com/a/..", "https://ok.com/./x", "https://ok.com/a/.", "https://ok.com/..;/x", "https://ok.com/..;a=b/x", "https://ok.com/..%3b/x", "https://ok.com/.;/x",
		"https://ok.com//evil.com/", "https://ok.com//", "https://ok.com/a//b",
		"https://ok.com./", "https://ok..com/", "https://.ok.com/", "https://ok.com:0080/", "https://ok.com:/", "https://ok.com:0/", "https://ok.com:65536/", "https://ok.com:443x/", "https://ok.com:-1/", "https://ok.com:４４３/", "https://ok.com:443:443/",
		"https://", "https:///", "https://?x", "https://:443/", "http:evil.com", "http:/evil.com", "http:///evil.com", "//evil.com/", "/x", "", "evil.com", "https:", "HTTPS://ok.com/", "Https://ok.com/", "ftp://ok.com/", "file:///etc/passwd", "gopher://ok.com/", "data:text/plain,x", "javascript:1", "unix:///x", "https+unix://ok.com/",
		"https://*.ok.com/", "https://*/", "https://a_b.ok.com/", "https://ok%2ecom/", "https://ok.com%00.evil.com/", "https://ok.com%2f@evil.com/", "https://-ok.com/", "https://ok-.com/", "https://оk.com/",
		"https://ok.com/<script>", "https://ok.com/a\"b", "https://ok.com/a|b", "https://ok.com/a^b", "https://ok.com/{a}", "https://ok.com/[a]", "https://ok.com/é",
		"https://" + strings.Repeat("a", 64) + ".com/", "https://" + strings.Repeat("a.", 130) + "com/", "https://ok.com/" + strings.Repeat("a", 8192),
	}
	for _, raw := range refused {
		c, u, err := capability.HTTPRequest("GET", raw)
		var bad *capability.RequestError
		if !errors.As(err, &bad) || u != nil || c != (capability.Capability{}) {
			t.Errorf("%q was read as %q, %v, %v", raw, c, u, err)
			continue
		}
		if len(err.Error()) > 200 || strings.ContainsAny(err.Error(), "\r\n\t\x00") {
			t.Errorf("%q: the error carries what was asked for: %q", raw, err)
		}
	}
	for _, method := range []string{"", "get", "GET ", "GET\r\n", "*", "CONNECT", "TRACE", "G\x00T", "PROPFIND", strings.Repeat("G", 1<<20)} {
		if _, _, err := capability.HTTPRequest(method, "https://ok.com/"); err == nil || len(err.Error()) > 200 {
			t.Errorf("method %.20q: %.200v", method, err)
		}
	}
	for _, good := range []string{"https://ok.com/", "https://a.ok.com/x?y", "http://ok.com/a/b/"} {
		if c, _, err := capability.HTTPRequest("PUT", good); err != nil || !grants.Allows(c) {
			t.Errorf("%s is not allowed: %v", good, err)
		}
	}
}

func TestKVRequest(t *testing.T) {
	held, err := capability.ParseSet([]string{"kv ro a/*", "kv wo b"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		write   bool
		key     string
		line    string
		allowed bool
	}{
		{false, "a/b", "kv ro a/b", true}, {true, "a/b", "kv wo a/b", false}, {true, "b", "kv wo b", true}, {false, "b", "kv ro b", false}, {false, "a", "kv ro a", false},
	}
	for _, c := range tests {
		got, err := capability.KVRequest(c.write, c.key)
		if err != nil || got.String() != c.line || held.Allows(got) != c.allowed {
			t.Errorf("%v %s: %s, %v, %v", c.write, c.key, got, held.Allows(got), err)
		}
	}
	for _, key := range []string{"", "/", "/a", "a/", "a//b", "..", "a/../b", ".", "a/.", "*", "a/*", "a*", "{a}", "a b", "a\x00", "a\n", "é", strings.Repeat("a", 513), strings.Repeat("a", 1<<20), "a\\b", "a?b", "a[b", "a%2fb"} {
		for _, write := range []bool{false, true} {
			var bad *capability.RequestError
			if c, err := capability.KVRequest(write, key); !errors.As(err, &bad) || len(err.Error()) > 200 {
				t.Errorf("%.20q was read as %.40s, %.200v", key, c, err)
			}
		}
	}
	list, err := capability.KVListRequest("a/x/")
	if err != nil || list.String() != "kv ro a/x/*" || !held.Allows(list) {
		t.Errorf("list: %s, %v", list, err)
	}
	for _, prefix := range []string{"", "/", "a", "a/*", "a/../", "a//"} {
		if c, err := capability.KVListRequest(prefix); err == nil {
			t.Errorf("list of %q was read as %s", prefix, c)
		}
	}
	if capability.ClockFine() != parse(t, "clock fine") {
		t.Error("ClockFine is not what is parsed")
	}
}

// FuzzHTTPRequest demands that the standard library sees in the URL to dial what was decided on.
func FuzzHTTPRequest(f *testing.F) {
	for _, raw := range []string{"https://a.com/", "http://A.com:80/%7e?x", "https://[::1]:1/a;b", "https://ok.com\\@evil.com/", "https://1.2.3.4/%2A", "https://a.com/%25x?#", "https://a.b?", "http:evil.com"} {
		f.Add("GET", raw)
	}
	f.Fuzz(func(t *testing.T, method, raw string) {
		c, u, err := capability.HTTPRequest(method, raw)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q: the URL to dial does not parse: %v", raw, err)
		}
		line := "http " + method + " " + again.Scheme + "://" + again.Host + again.EscapedPath()
		if c.String() != line || again.User != nil || again.Fragment != "" || again.RequestURI() != u.RequestURI() {
			t.Errorf("%q: decided %q, dialled %q", raw, c, line)
		}
		if len(line) <= capability.LineSizeMax {
			if back, err := capability.Parse(line); err != nil || back != c {
				t.Errorf("%q reads as %q, %v", line, back, err)
			}
		}
		// Whatever the standard library reads in the raw URL, it is the same host.
		if std, err := url.Parse(raw); err != nil || !strings.EqualFold(std.Hostname(), u.Hostname()) {
			t.Errorf("%q: net/url reads host %v, we %q", raw, std, u.Hostname())
		}
		c2, u2, err := capability.HTTPRequest(method, u.String())
		if err != nil || c2 != c || u2.String() != u.String() {
			t.Errorf("%q: the URL to dial is read again as %q, %v", raw, u2, err)
		}
	})
}
