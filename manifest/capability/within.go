package capability

import "strings"

// Within tells whether every request that c allows is also allowed by grant.
func (c Capability) Within(grant Capability) bool {
	if c.kind == "" || c.kind != grant.kind {
		return false
	}
	switch c.kind {
	case HTTP:
		return (grant.verb == "*" || c.verb == grant.verb) && originWithin(c.where, grant.where) && pathWithin(c.what, grant.what)
	case KV, Blob:
		return (grant.verb == "rw" || c.verb == grant.verb) && prefixWithin(c.what, grant.what)
	case Enqueue:
		return c.where == grant.where && prefixWithin(c.what, grant.what)
	}
	return c == grant
}

// originWithin compares scheme://host[:port]; a leading * in the grant's host is exactly one label.
func originWithin(need, grant string) bool {
	if need == grant {
		return true
	}
	scheme, rest, ok := strings.Cut(grant, "://*")
	if !ok {
		return false
	}
	host, ok := strings.CutPrefix(need, scheme+"://")
	if !ok {
		return false
	}
	dot := strings.IndexByte(host, '.')
	return dot > 0 && host[dot:] == rest
}

// prefixWithin compares keys and task names, where an ending * is any rest that is not empty.
func prefixWithin(need, grant string) bool {
	prefix, ok := strings.CutSuffix(grant, "*")
	if !ok {
		return need == grant
	}
	return len(need) > len(prefix) && strings.HasPrefix(need, prefix)
}

// pathWithin compares path patterns segment by segment.
func pathWithin(need, grant string) bool {
	need, grant = need[1:], grant[1:]
	for {
		n, needRest, needMore := strings.Cut(need, "/")
		g, grantRest, grantMore := strings.Cut(grant, "/")
		switch {
		case g == "*" && !grantMore:
			return true // any rest, also an empty one
		case needMore != grantMore:
			return false
		case n != g && g != "*": // n may be a * that is any rest: a grant that is not fails here or above
			return false
		case !needMore:
			return true
		}
		need, grant = needRest, grantRest
	}
}

// meet gives what both a and b allow; ok is false when that is nothing. Every two powers meet in
// one power or none, so what several layers leave can be printed as lines.
func meet(a, b Capability) (c Capability, ok bool) {
	if a.Within(b) {
		return a, true
	}
	if b.Within(a) {
		return b, true
	}
	if a.kind != b.kind {
		return c, false
	}
	c.kind = a.kind
	switch a.kind {
	case HTTP:
		if c.verb, ok = narrower(a.verb, b.verb, "*"); !ok {
			return Capability{}, false
		}
		switch {
		case originWithin(a.where, b.where):
			c.where = a.where
		case originWithin(b.where, a.where):
			c.where = b.where
		default:
			return Capability{}, false
		}
		if c.what, ok = meetPaths(a.what, b.what); !ok {
			return Capability{}, false
		}
		return c, true
	case KV, Blob:
		if c.verb, ok = narrower(a.verb, b.verb, "rw"); !ok {
			return Capability{}, false
		}
		switch {
		case prefixWithin(a.what, b.what):
			c.what = a.what
		case prefixWithin(b.what, a.what):
			c.what = b.what
		default:
			return Capability{}, false
		}
		return c, true
	}
	return Capability{}, false
}

// narrower gives the verb that both allow, where one verb is wide.
func narrower(a, b, wide string) (string, bool) {
	switch {
	case a == wide || a == b:
		return b, true
	case b == wide:
		return a, true
	}
	return "", false
}

func meetPaths(a, b string) (string, bool) {
	out := ""
	a, b = a[1:], b[1:]
	for {
		x, aRest, aMore := strings.Cut(a, "/")
		y, bRest, bMore := strings.Cut(b, "/")
		switch {
		case y == "*" && !bMore:
			return out + "/" + a, true
		case x == "*" && !aMore:
			return out + "/" + b, true
		case aMore != bMore:
			return "", false
		case x == y || y == "*" && x != "":
			out += "/" + x
		case x == "*" && y != "":
			out += "/" + y
		default:
			return "", false
		}
		if !aMore {
			return out, true
		}
		a, b = aRest, bRest
	}
}
