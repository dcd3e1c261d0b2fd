package capability

import (
	"fmt"
	"net/url"
	"strings"
)

// A RequestError says why something that a task asked for is not a request at all. It is final.
// It does not repeat what was asked for: URLs carry secrets.
type RequestError struct {
	Kind   Kind
	Column int // of the URL or key, from 1; 0 when it is about something else
	Text   string
}

func (e *RequestError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("capability: %s request: %s", e.Kind, e.Text)
	}
	return fmt.Sprintf("capability: %s request: column %d: %s", e.Kind, e.Column, e.Text)
}

// HTTPRequest gives the power that one request needs, and the URL to dial. The URL is made of the
// very pieces that the power was made of (lower-case host, no default port, one spelling of
// escapes); dial nothing else. The query is kept as it came and decides nothing.
// Errors, all final: *RequestError.
func HTTPRequest(method, rawURL string) (Capability, *url.URL, error) {
	verb, f := oneOf(word{text: method}, methods...)
	if f != nil {
		return Capability{}, nil, &RequestError{Kind: HTTP, Text: "the method is none of " + strings.Join(methods, ", ")}
	}
	t, f := parseRequestURL(rawURL)
	if f != nil {
		return Capability{}, nil, &RequestError{Kind: HTTP, Column: f.at + 1, Text: f.text}
	}
	u, f := t.url()
	if f != nil {
		return Capability{}, nil, &RequestError{Kind: HTTP, Text: f.text}
	}
	return Capability{kind: HTTP, verb: verb, where: t.origin(), what: t.path}, u, nil
}

func parseRequestURL(rawURL string) (target, *fault) {
	if len(rawURL) > URLSizeMax {
		return target{}, faultAt(URLSizeMax, "the URL has more than %d bytes", URLSizeMax)
	}
	for i := 0; i < len(rawURL); i++ {
		if c := rawURL[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return target{}, faultAt(i, "byte 0x%02x cannot stand in a URL", c)
		}
	}
	return parseTarget(rawURL, false)
}

// url writes the target for net/http and reads it back: should the standard library see another
// host or path than we did, nothing is dialled.
func (t target) url() (*url.URL, *fault) {
	host := strings.TrimPrefix(t.origin(), t.scheme+"://")
	path, err := url.PathUnescape(t.path)
	if err != nil {
		return nil, faultAt(0, "the path cannot be decoded")
	}
	u := &url.URL{Scheme: t.scheme, Host: host, Path: path, RawPath: t.path, RawQuery: t.query}
	again, err := url.Parse(u.String())
	if err != nil || again.Scheme != t.scheme || again.Host != host || again.EscapedPath() != t.path ||
		again.User != nil || again.Opaque != "" || again.Fragment != "" || again.RawQuery != t.query {
		return nil, faultAt(0, "the URL can be read in two ways")
	}
	return u, nil
}

// KVRequest gives the power that reading or writing one key needs.
// Errors, all final: *RequestError.
func KVRequest(write bool, key string) (Capability, error) {
	if f := checkKey(key, false); f != nil {
		return Capability{}, &RequestError{Kind: KV, Column: f.at + 1, Text: f.text}
	}
	c := Capability{kind: KV, verb: "ro", what: key}
	if write {
		c.verb = "wo"
	}
	return c, nil
}

// KVListRequest gives the power that listing the keys under a prefix needs: to read all of them.
// prefix ends with "/".
// Errors, all final: *RequestError.
func KVListRequest(prefix string) (Capability, error) {
	key, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return Capability{}, &RequestError{Kind: KV, Text: `the prefix of a list must end with "/"`}
	}
	c, err := KVRequest(false, key)
	if err != nil {
		return Capability{}, err
	}
	c.what = prefix + "*"
	return c, nil
}

// ReportProgress is the power to say how far a run has come.
func ReportProgress() Capability { return Capability{kind: Progress} }

// ClockFine is the power to read a clock finer than a millisecond.
func ClockFine() Capability { return Capability{kind: Clock, verb: "fine"} }
