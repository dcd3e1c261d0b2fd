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
