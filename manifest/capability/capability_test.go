package capability_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/manifest/capability"
)

var goodLines = []string{
	"log", "progress", "clock fine",
	"http GET https://img.example.com/*",
	"http * https://api.example.com/v1/*/items/*",
	"http POST https://*.example.com/in",
	"http GET http://example.com:8080/",
	"http DELETE https://example.com:80/a;v=1/b,c/%C3%A9/%2A/x%20y/",
	"http GET https://10.0.0.1/*",
	"http GET https://[2001:db8::1]:8443/*",
	"http HEAD https://xn--mller-kva.example/",
	"http GET https://a.b.0xg/*/..a/...",
	"kv ro a", "kv wo thumbs/*", "kv rw a/b.c/d:e@f+g=h~i,j-k_L/*",
	"blob rw out/*",
	"secret use img-api", "secret read a.b_c-d",
	"enqueue default image.thumbnail", "enqueue q image.*",
	"enqueue " + strings.Repeat("q", 64) + " " + strings.Repeat("t", 64),
}

func TestParsePrintIdentity(t *testing.T) {
	for _, line := range goodLines {
		c, err := capability.Parse(line)
		if err != nil || c.String() != line || string(c.Kind()) != strings.Fields(line)[0] {
			t.Errorf("%q: %q, %v", line, c, err)
		}
		if !c.Within(c) {
			t.Errorf("%q is not within itself", line)
		}
	}
	var none capability.Capability
	if none.String() != "" || none.Within(none) {
		t.Error("the zero value is a power")
	}
}

// A fault says what is wrong and at which column.
func TestParseFaults(t *testing.T) {
	const dns = "a label of the host has 1 to 63 characters"
	tests := []struct {
		line   string
		column int
		text   string
	}{
		{"", 1, "a word is missing; words are separated by exactly one space"},
		{" log", 1, "a word is missing; words are separated by exactly one space"},
		{"log ", 5, "a word is missing; words are separated by exactly one space"},
		{"clock  fine", 7, "a word is missing; words are separated by exactly one space"},
		{"clock\tfine", 6, "a tab; words are separated by one space"},
		{"log\n", 4, "control character 0x0a"},
		{"log\x00", 4, "control character 0x00"},
		{"kv ro a\x7f", 8, "control character 0x7f"},
		{"http GET https://exa\u2024mple.com/", 21, "only ASCII is allowed; write names in their xn-- form and paths with %XX"},
		{`http GET https://a.b\@c.d/`, 21, "a backslash"},
		{"*", 1, `unknown power "*"; there are log, progress, clock, http, kv, blob, secret, enqueue`},
		{"Log", 1, `unknown power "Log"; there are log, progress, clock, http, kv, blob, secret, enqueue`},
		{"log all", 5, `one word too many; the form is "log"`},
		{"clock", 6, `incomplete; the form is "clock fine"`},
		{"clock coarse", 7, `want fine, not "coarse"`},
		{"http GET", 9, `incomplete; the form is "http METHOD URL"`},
		{"http GET https://a.b/ x", 23, `one word too many; the form is "http METHOD URL"`},
		{"http get https://a.b/", 6, `want * or GET or HEAD or POST or PUT or PATCH or DELETE or OPTIONS, not "get"`},
		{"http CONNECT https://a.b/", 6, `want * or GET or HEAD or POST or PUT or PATCH or DELETE or OPTIONS, not "CONNECT"`},
		{"http GET *", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET ftp://a.b/", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET //a.b/", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET *://a.b/", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET HTTPS://a.b/", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET http:evil.com/", 10, "the URL must begin with https:// (or http://, where that is meant)"},
		{"http GET https:///a", 18, "the host is missing"},
		{"http GET https://*/a", 18, `"*" is too wide; the * stands for one label above a name of two or more`},
		{"http GET https://*.com/a", 18, `"*.com" is too wide; the * stands for one label above a name of two or more`},
		{"http GET https://*.*.com/a", 20, "a * in the host can only be its whole first label, in a pattern"},
		{"http GET https://a.*.com/a", 20, "a * in the host can only be its whole first label, in a pattern"},
		{"http GET https://a*.b.com/a", 19, "a * in the host can only be its whole first label, in a pattern"},
		{"http GET https://A.com/a", 18, "write the host in lower case"},
		{"http GET https://localhost/a", 18, `the host "localhost" has no dot; a search domain could complete it to anything`},
		{"http GET https://a.com./a", 23, "a dot after the host"},
		{"http GET https://a..com/a", 20, dns},
		{"http GET https://" + strings.Repeat("a", 64) + ".com/a", 18, dns},
		{"http GET https://" + strings.Repeat("a.", 127) + "com/a", 18, "the host has more than 253 characters"},
		{"http GET https://-a.com/a", 18, "a label of the host cannot begin or end with -"},
		{"http GET https://a_b.com/a", 19, "'_' cannot stand in a host"},
		{"http GET https://a%2eb.com/a", 19, "'%' cannot stand in a host"},
		{"http GET https://user@a.com/", 22, "user information before the host"},
		{"http GET https://a.com/#x", 24, "a fragment"},
		{"http GET https://a.com/x?y=*", 25, "a query in the pattern; every query is allowed"},
		{"http GET https://a.com", 23, `the path is missing; "/*" allows every path of this host`},
		{"http GET https://a.com:443/", 24, "port 443 is https's own; leave it out"},
		{"http GET http://a.com:80/", 23, "port 80 is http's own; leave it out"},
		{"http GET https://a.com:0080/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://a.com:/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://a.com:0/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://a.com:65536/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://a.com:+80/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://a.com:*/", 24, "a port is a number from 1 to 65535 without leading zeros"},
		{"http GET https://evil.com/../ok.com", 27, `".." in the path`},
		{"http GET https://a.com/x/./y", 26, `"." in the path`},
		{"http GET https://a.com/..;x/y", 24, `".." in the path`},
		{"http GET https://a.com/..%3Bx/y", 24, `".." in the path`},
		{"http GET https://a.com/x//y", 26, "an empty segment in the path"},
		{"http GET https://a.com/%2e%2e/", 24, "%2e in the path: servers disagree about what it means"},
		{"http GET https://a.com/a%2fb", 25, "%2f in the path: servers disagree about what it means"},
		{"http GET https://a.com/a%5Cb", 25, "%5C in the path: servers disagree about what it means"},
		{"http GET https://a.com/%00", 24, "%00 in the path: servers disagree about what it means"},
		{"http GET https://a.com/%252e", 24, "an escape within an escape (%252e)"},
		{"http GET https://a.com/%zz", 24, "a % without two hexadecimal digits"},
		{"http GET https://a.com/%4", 24, "a % without two hexadecimal digits"},
		{"http GET https://a.com/%61", 24, `write 'a', not %61`},
		{"http GET https://a.com/%c3%A9", 24, "write %c3 in capitals"},
		{"http GET https://a.com/a*", 25, "a * must be a whole segment of the path; write a literal one as %2A"},
		{"http GET https://a.com/*a/b", 24, "a * must be a whole segment of the path; write a literal one as %2A"},
		{"http GET https://a.com/**", 24, "a * must be a whole segment of the path; write a literal one as %2A"},
		{"http GET https://a.com/a|b", 25, "'|' cannot stand in a path"},
		{"http GET https://127.1/", 22, "an address not in canonical form"},
		{"http GET https://0x7f000001/", 18, `the host "0x7f000001" has no dot; a search domain could complete it to anything`},
		{"http GET https://0x7f.1/", 23, "an address not in canonical form"},
		{"http GET https://1.2.3.0x4/", 24, "an address not in canonical form"},
		{"http GET https://0177.0.0.1/", 27, "an address not in canonical form"},
		{"http GET https://256.0.0.1/", 26, "an address not in canonical form"},
		{"http GET https://1.2.3.4.5/", 26, "an address not in canonical form"},
		{"http GET https://*.2.3.4/", 24, "an address not in canonical form"},
		{"http GET https://0.0.0.0/", 18, "the unspecified address"},
		{"http GET https://[::]/", 18, "the unspecified address"},
		{"http GET https://[::ffff:127.0.0.1]/", 18, "an IPv4 address in IPv6 form"},
		{"http GET https://[::1/", 18, "the bracket of the address is not closed"},
		{"http GET https://[::1]x/", 23, "only a port can follow the address"},
		{"http GET https://[0:0:0:0:0:0:0:1]/", 18, "not an IPv6 address in canonical form"},
		{"http GET https://[fe80::1%25eth0]/", 18, "not an IPv6 address in canonical form"},
		{"http GET https://[127.0.0.1]/", 18, "not an IPv6 address in canonical form"},
		{"http GET https://[]/", 18, "not an IPv6 address in canonical form"},
		{"http GET https://::1/", 19, "a port is a number from 1 to 65535 without leading zeros"},
		{"kv rx a", 4, `want ro or wo or rw, not "rx"`},
		{"kv rw *", 7, `"*" alone would be every key; name a prefix: PREFIX/*`},
		{"kv rw /*", 7, "an empty segment in a key"},
		{"kv rw a//*", 9, "an empty segment in a key"},
		{"kv rw a/../b", 9, "a segment of dots in a key"},
		{"kv rw a*", 8, `"*" in a key; only a pattern's end may be "/*"`},
		{"kv rw a/*/b", 9, `"*" in a key; only a pattern's end may be "/*"`},
		{"kv rw {a}", 7, "'{' cannot stand in a key (letters, digits, ._-:@+=~, and / between segments)"},
		{"kv rw " + strings.Repeat("a", 513), 7, "a key has 1 to 512 bytes"},
		{"secret keep a", 8, `want use or read, not "keep"`},
		{"secret use A", 12, "'A' cannot stand here in a secret name ([a-z0-9][a-z0-9._-]*)"},
		{"secret use .a", 12, "'.' cannot stand here in a secret name ([a-z0-9][a-z0-9._-]*)"},
		{"secret use a..b", 13, `".." in a secret name`},
		{"secret use " + strings.Repeat("a", 65), 12, "a secret name has 1 to 64 characters"},
		{"enqueue q *", 11, "'*' cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)"},
		{"enqueue q .*", 11, "a task name has 1 to 64 characters"},
		{"enqueue * a", 9, "'*' cannot stand here in a queue name ([a-z0-9][a-z0-9._-]*)"},
		{"enqueue q a.*.b", 13, "'*' cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)"},
		{"log" + strings.Repeat(" ", 1022), 1025, "the line has 1025 bytes, more than 1024"},
	}
	for _, c := range tests {
		got, err := capability.Parse(c.line)
		var fault *capability.SyntaxError
		if !errors.As(err, &fault) {
			t.Errorf("%q was read as %q, %v", c.line, got, err)
			continue
		}
		if fault.Column != c.column || fault.Text != c.text {
			t.Errorf("%q:\n got %d: %s\nwant %d: %s", c.line, fault.Column, fault.Text, c.column, c.text)
		}
		if strings.ContainsAny(err.Error(), "\n\x00\x7f\t\u2024") {
			t.Errorf("the message carries raw bytes: %q", err.Error())
		}
	}
}

// TestCheckNameOfOtherAlphabets: what only looks like a letter is told by its number.
func TestCheckNameOfOtherAlphabets(t *testing.T) {
	for name, want := range map[string]string{
		"\u0430bc":  `'\u0430' cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)`,
		"a.\u202eb": `'\u202e' cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)`,
		"a\xff":     "the byte 0xff cannot stand here in a task name ([a-z0-9][a-z0-9._-]*)",
	} {
		if err := capability.CheckName("task", name); err == nil || err.Error() != want {
			t.Errorf("%+q: %v, want %s", name, err, want)
		}
	}
}

func TestWithin(t *testing.T) {
	tests := []struct {
		need, grant string
		want        bool
	}{
		{"log", "log", true},
		{"log", "progress", false},
		{"clock fine", "clock fine", true},
		{"http GET https://a.com/x", "http * https://a.com/*", true},
		{"http * https://a.com/x", "http GET https://a.com/*", false},
		{"http HEAD https://a.com/x", "http GET https://a.com/x", false},
		{"http GET http://a.com/x", "http GET https://a.com/x", false},
		{"http GET https://a.com:8443/x", "http GET https://a.com/x", false},
		{"http GET https://x.a.com/x", "http GET https://*.a.com/x", true},
		{"http GET https://x.y.a.com/x", "http GET https://*.a.com/x", false},
		{"http GET https://a.com/x", "http GET https://*.a.com/x", false},
		{"http GET https://xa.com/x", "http GET https://*.a.com/x", false},
		{"http GET https://*.a.com/x", "http GET https://*.a.com/x", true},
		{"http GET https://*.x.a.com/x", "http GET https://*.a.com/x", false},
		{"http GET https://*.a.com/x", "http GET https://x.a.com/x", false},
		{"http GET http://x.a.com/x", "http GET https://*.a.com/x", false},
		{"http GET https://a.com/v1", "http GET https://a.com/v1/*", false},
		{"http GET https://a.com/v1/", "http GET https://a.com/v1/*", true},
		{"http GET https://a.com/v1/x/y", "http GET https://a.com/v1/*", true},
		{"http GET https://a.com/v12", "http GET https://a.com/v1/*", false},
		{"http GET https://a.com/v1/*", "http GET https://a.com/v1/x", false},
		{"http GET https://a.com/*/b", "http GET https://a.com/*/b", true},
		{"http GET https://a.com/x/b", "http GET https://a.com/*/b", true},
		{"http GET https://a.com/x/y/b", "http GET https://a.com/*/b", false},
		{"http GET https://a.com/*/b", "http GET https://a.com/x/b", false},
		{"http GET https://a.com/x/*", "http GET https://a.com/*/*", true},
		{"http GET https://a.com/%2A", "http GET https://a.com/x", false},
		{"kv ro a/b", "kv rw a/*", true},
		{"kv rw a/b", "kv ro a/*", false},
		{"kv wo a/b", "kv ro a/b", false},
		{"kv ro a", "kv ro a/*", false},
		{"kv ro a/b/*", "kv ro a/*", true},
		{"kv ro a/*", "kv ro a/b/*", false},
		{"kv ro ab/c", "kv ro a/*", false},
		{"kv ro a/b", "blob ro a/b", false},
		{"secret use a", "secret read a", false},
		{"secret read a", "secret use a", false},
		{"enqueue q a.b", "enqueue q a.*", true},
		{"enqueue q a.b.c", "enqueue q a.*", true},
		{"enqueue q a", "enqueue q a.*", false},
		{"enqueue q a.", "enqueue q a.*", false},
		{"enqueue q a.*", "enqueue q a.b", false},
		{"enqueue p a.b", "enqueue q a.*", false},
	}
	for _, c := range tests {
		if got := parse(t, c.need).Within(parse(t, c.grant)); got != c.want {
			t.Errorf("%q within %q: %v", c.need, c.grant, got)
		}
	}
}

func parse(t testing.TB, line string) capability.Capability {
	t.Helper()
	c, err := capability.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func FuzzParse(f *testing.F) {
	for _, line := range goodLines {
		f.Add(line)
	}
	for _, line := range []string{"", "*", "http GET https://*.com/*", "http GET https://a.b:0080/%2e", "kv rw a/../b", "http GET https://[::1%25x]:1/"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := capability.Parse(line)
		if err != nil {
			var fault *capability.SyntaxError
			if !errors.As(err, &fault) || fault.Column < 1 || fault.Column > len(line)+1 {
				t.Fatalf("%q: %T %v", line, err, err)
			}
			return
		}
		if c.String() != line {
			t.Errorf("%q prints as %q", line, c)
		}
		if again, err := capability.Parse(c.String()); err != nil || again != c {
			t.Errorf("%q reads again as %q, %v", line, again, err)
		}
		if !c.Within(c) {
			t.Errorf("%q is not within itself", line)
		}
	})
}

func ExampleCapability_Within() {
	need, _ := capability.Parse("http GET https://img.example.com/2026/*")
	grant, _ := capability.Parse("http * https://*.example.com/*")
	fmt.Println(need.Within(grant), grant.Within(need))
	_, err := capability.Parse("http GET https://*.com/")
	fmt.Println(err)
	// Output:
	// true false
	// capability: "http GET https://*.com/": column 18: "*.com" is too wide; the * stands for one label above a name of two or more
}
