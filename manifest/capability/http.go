package capability

import (
	"net/netip"
	"strconv"
	"strings"
)

// methods are those a task may use. CONNECT and TRACE are not requests for a resource.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// A target is a URL in pieces, each in its one spelling.
type target struct {
	scheme, host, port string // port "" is the scheme's own
	path               string // escaped, begins with "/"
	query              string // as received, without "?"
}

func (t target) origin() string {
	if t.port == "" {
		return t.scheme + "://" + t.host
	}
	return t.scheme + "://" + t.host + ":" + t.port
}

func parseHTTP(method, url word) (Capability, *fault) {
	verb, f := oneOf(method, append([]string{"*"}, methods...)...)
	if f != nil {
		return Capability{}, f
	}
	t, f := parseTarget(url.text, true)
	if f != nil {
		return Capability{}, f.in(url.at)
	}
	return Capability{kind: HTTP, verb: verb, where: t.origin(), what: t.path}, nil
}

// parseTarget reads a URL: a pattern must be in its one spelling, a request is brought into it.
// It is our own reader, because a decision on one reading and a connection by another is how
// allow-lists are passed; the URL that is dialled is made of these very pieces.
func parseTarget(s string, pattern bool) (target, *fault) {
	var t target
	switch {
	case strings.HasPrefix(s, "https://"):
		t.scheme = "https"
	case strings.HasPrefix(s, "http://"):
		t.scheme = "http"
	default:
		return t, faultAt(0, "the URL must begin with https:// (or http://, where that is meant)")
	}
	if i := strings.IndexByte(s, '#'); i >= 0 {
		return t, faultAt(i, "a fragment")
	}
	begin := len(t.scheme) + len("://")
	end := len(s)
	if i := strings.IndexAny(s[begin:], "/?"); i >= 0 {
		end = begin + i
	}
	if i := strings.IndexByte(s[begin:end], '@'); i >= 0 {
		return t, faultAt(begin+i, "user information before the host")
	}
	if f := t.authority(s[begin:end], pattern); f != nil {
		return t, f.in(begin)
	}
	path := s[end:]
	if i := strings.IndexByte(path, '?'); i >= 0 {
		if pattern {
			return t, faultAt(end+i, "a query in the pattern; every query is allowed")
		}
		path, t.query = path[:i], path[i+1:]
	}
	if path == "" {
		if pattern {
			return t, faultAt(end, `the path is missing; "/*" allows every path of this host`)
		}
		path = "/"
	}
	var f *fault
	t.path, f = cleanPath(path, pattern)
	return t, f.in(end)
}

// authority reads host[:port].
func (t *target) authority(s string, pattern bool) *fault {
	host, port, colon := s, "", -1
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return faultAt(0, "the bracket of the address is not closed")
		}
		host = s[:end+1]
		if rest := s[end+1:]; rest != "" {
			if rest[0] != ':' {
				return faultAt(end+1, "only a port can follow the address")
			}
			colon = end + 1
		}
	} else if colon = strings.IndexByte(s, ':'); colon >= 0 {
		host = s[:colon]
	}
	if colon >= 0 {
		port = s[colon+1:]
		if f := t.checkPort(port, pattern); f != nil {
			return f.in(colon + 1)
		}
	}
	if !pattern {
		host = strings.ToLower(host)
	}
	t.host = host
	return checkHost(host, pattern)
}

// checkPort holds a port to plain digits, 1 to 65535, and drops the scheme's own.
func (t *target) checkPort(port string, pattern bool) *fault {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return faultAt(0, "a port is a number from 1 to 65535 without leading zeros")
	}
	t.port = port
	if t.scheme == "https" && n == 443 || t.scheme == "http" && n == 80 {
		if pattern {
			return faultAt(0, "port %s is %s's own; leave it out", port, t.scheme)
		}
		t.port = ""
	}
	return nil
}

// checkHost accepts a name of two labels or more, one leading * in a pattern, or an address in
// canonical form. Whatever ends like a number is an address to some resolver, so it must be a
// canonical one.
func checkHost(host string, pattern bool) *fault {
	if host == "" {
		return faultAt(0, "the host is missing")
	}
	if host[0] == '[' {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !a.Is6() || a.Zone() != "" || "["+a.String()+"]" != host {
			return faultAt(0, "not an IPv6 address in canonical form")
		}
		return checkAddress(a)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() && a.String() == host {
		return checkAddress(a)
	}
	if len(host) > hostSizeMax {
		return faultAt(0, "the host has more than %d characters", hostSizeMax)
	}
	if strings.HasSuffix(host, ".") {
		return faultAt(len(host)-1, "a dot after the host")
	}
	labels := strings.Split(host, ".")
	at := 0
	for i, label := range labels {
		if label == "*" && pattern && i == 0 {
			at += 2
			continue
		}
		if f := checkLabel(label); f != nil {
			return f.in(at)
		}
		at += len(label) + 1
	}
	last := labels[len(labels)-1]
	switch {
	case host == "*" || labels[0] == "*" && len(labels) < 3:
		return faultAt(0, "%q is too wide; the * stands for one label above a name of two or more", host)
	case len(labels) < 2:
		return faultAt(0, "the host %q has no dot; a search domain could complete it to anything", host)
	case numeric(last):
		return faultAt(at-len(last)-1, "an address not in canonical form")
	}
	return nil
}

func checkAddress(a netip.Addr) *fault {
	switch {
	case a.IsUnspecified():
		return faultAt(0, "the unspecified address")
	case a.Is4In6():
		return faultAt(0, "an IPv4 address in IPv6 form")
	}
	return nil
}

func checkLabel(label string) *fault {
	if label == "" || len(label) > labelSizeMax {
		return faultAt(0, "a label of the host has 1 to %d characters", labelSizeMax)
	}
	for i := 0; i < len(label); i++ {
		c := label[i]
		switch {
		case c == '*':
			return faultAt(i, "a * in the host can only be its whole first label, in a pattern")
		case upper(c):
			return faultAt(i, "write the host in lower case")
		case !(lower(c) || digit(c) || c == '-'):
			return faultAt(i, "%q cannot stand in a host", c)
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return faultAt(0, "a label of the host cannot begin or end with -")
	}
	return nil
}

// numeric tells whether a resolver might take a name that ends with this label for an address
// (WHATWG URL, "ends in a number").
func numeric(label string) bool {
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// cleanPath checks a path and brings a request's path into its one spelling: %XX of letters and
// digits decoded, other %XX in capitals, a literal * as %2A so that no request looks like a pattern.
// What servers are known to read in two ways is refused, not repaired.
func cleanPath(path string, pattern bool) (string, *fault) {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			text, f := cleanEscape(path[i:], pattern)
			if f != nil {
				return "", f.in(i)
			}
			b.WriteString(text)
			i += 2
		case c == '*' && !pattern:
			b.WriteString("%2A")
		case c == '*':
			if path[i-1] != '/' || i+1 < len(path) && path[i+1] != '/' {
				return "", faultAt(i, "a * must be a whole segment of the path; write a literal one as %%2A")
			}
			b.WriteByte(c)
		case lower(c) || upper(c) || digit(c) || strings.IndexByte("/-._~!$&'()+,;=:@", c) >= 0:
			b.WriteByte(c)
		default:
			return "", faultAt(i, "%q cannot stand in a path", c)
		}
	}
	clean := b.String()
	// Decoding letters may have put a second escape together ("%25%32%65" is "%252e"): a server
	// that decodes twice would read what was never decided on.
	for i := 0; i+4 < len(clean); i++ {
		if clean[i:i+3] == "%25" && hex(clean[i+3]) && hex(clean[i+4]) {
			return "", faultAt(0, "an escape within an escape in the path")
		}
	}
	return clean, checkSegments(path)
}

// cleanEscape reads the %XX that s begins with.
func cleanEscape(s string, pattern bool) (string, *fault) {
	if len(s) < 3 || !hex(s[1]) || !hex(s[2]) {
		return "", faultAt(0, "a %% without two hexadecimal digits")
	}
	n, _ := strconv.ParseUint(s[1:3], 16, 8) // two hexadecimal digits: cannot fail
	c := byte(n)
	switch {
	case c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == '.':
		return "", faultAt(0, "%s in the path: servers disagree about what it means", s[:3])
	case c == '%' && len(s) >= 5 && hex(s[3]) && hex(s[4]):
		return "", faultAt(0, "an escape within an escape (%s)", s[:5])
	case lower(c) || upper(c) || digit(c) || c == '-' || c == '_' || c == '~':
		if pattern {
			return "", faultAt(0, "write %q, not %s", c, s[:3])
		}
		return string(c), nil
	}
	capital := strings.ToUpper(s[:3])
	if pattern && capital != s[:3] {
		return "", faultAt(0, "write %s in capitals", s[:3])
	}
	return capital, nil
}

// checkSegments refuses empty segments (except the last) and dots, also with the parameters that
// some servers cut off ("..;x").
func checkSegments(path string) *fault {
	at := 1
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		if segment == "" && i < len(segments)-1 {
			return faultAt(at, "an empty segment in the path")
		}
		name, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(segment), "%3b", ";"), ";")
		if name == "." || name == ".." {
			return faultAt(at, "%q in the path", name)
		}
		at += len(segment) + 1
	}
	return nil
}
