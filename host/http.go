package host

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// HTTPConfig says how http_fetch reaches the world. The zero value reaches the public internet with the system's roots.
type HTTPConfig struct {
	// RootCAs verify servers; nil means the system's. There is no way not to verify.
	RootCAs *x509.CertPool
	// AllowAddr are addresses outside of the public internet that may be dialled all the same: an operator's own services, or a test's.
	// A capability is needed for them as for any other. An IPv4 prefix is written as IPv4.
	AllowAddr []netip.Prefix
	// ConnectTo names the "host:port" to dial in the place of the one that a request names; nil dials that. ctx carries the
	// values of the run's context. The certificate is still verified for the name in the URL, and the address that is dialled
	// is still checked. It is how a test answers for a service of the internet on loopback.
	ConnectTo func(ctx context.Context, hostport string) string
	// Timeout bounds one fetch, answer body included; 0 means 30 s, at most 1 h. The run's own deadline holds besides.
	Timeout time.Duration
}

// newFetcher checks c and copies what it keeps.
func newFetcher(c HTTPConfig) (*fetcher, error) {
	var faults []error
	if c.Timeout < 0 || c.Timeout > httpTimeMax {
		faults = append(faults, fmt.Errorf("host: HTTP.Timeout: %s is not between 0 and %s", c.Timeout, httpTimeMax))
	}
	for i, p := range c.AllowAddr {
		if !p.IsValid() || p.Addr().Is4In6() {
			faults = append(faults, fmt.Errorf("host: HTTP.AllowAddr[%d]: %s is not a prefix of IPv4 or IPv6 addresses", i, p))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = httpTimeDefault
	}
	c.AllowAddr = slices.Clone(c.AllowAddr)
	return &fetcher{config: c, tenants: make(map[string]*tenantTransport)}, nil
}

// A fetchRequest is one request, its URL parsed once: the capability was made from the very parse that is dialled.
type fetchRequest struct {
	want   capability.Capability
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

type fetchResponse struct {
	status int
	header http.Header
	body   []byte
}

// fetchAct is http_fetch: [method, url, body, name1, value1, ...] -> [status, body, name1, value1, ...].
// Redirects are answers like any other. No cookie is kept, no proxy asked.
func fetchAct(f *fetcher) Act[fetchRequest, fetchResponse] {
	return Act[fetchRequest, fetchResponse]{
		Name:  abi.HTTPFetch,
		Kind:  abi.KindHTTP,
		Read:  readFetch,
		Want:  func(q fetchRequest) capability.Capability { return q.want },
		Do:    f.fetch,
		Write: writeFetch,
	}
}

func readFetch(fields [][]byte) (q fetchRequest, err error) {
	if len(fields) < 3 || len(fields)%2 == 0 {
		return q, errFrame
	}
	q.method = string(fields[0])
	if q.want, q.url, err = capability.HTTPRequest(q.method, string(fields[1])); err != nil {
		return q, err
	}
	q.body = fields[2]
	q.header, err = readHeader(fields[3:])
	return q, err
}

// headersRefused are request headers that say how a message is framed or routed, which is the host's to say.
var headersRefused = map[string]bool{
	"Host": true, "Connection": true, "Keep-Alive": true, "Transfer-Encoding": true, "Content-Length": true,
	"Te": true, "Upgrade": true, "Trailer": true, "Expect": true, "Http2-Settings": true,
}

func readHeader(fields [][]byte) (http.Header, error) {
	if len(fields)/2 > abi.HTTPHeadersMax {
		return nil, &ActError{abi.TooLarge, "http: more header lines than allowed"}
	}
	header := make(http.Header)
	for pair := range slices.Chunk(fields, 2) {
		name, value := string(pair[0]), string(pair[1])
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !token(name):
			return nil, &ActError{abi.Invalid, "http: a header name is not a token"}
		case headersRefused[canonical] || strings.HasPrefix(canonical, "Proxy-"):
			return nil, &ActError{abi.Invalid, "http: header " + canonical + " is set by the host"}
		case len(value) > httpHeaderValueSizeMax:
			return nil, &ActError{abi.TooLarge, "http: header " + canonical + " is longer than allowed"}
		case !headerValue(value):
			return nil, &ActError{abi.Invalid, "http: header " + canonical + " holds a control character"}
		}
		header.Add(canonical, value)
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "caisson")
	}
	return header, nil
}

// token says whether s is a field name.
// Source: RFC 9110, section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// headerValue says whether s is a field value: no control characters but tab.
// Source: RFC 9110, section 5.5.
func headerValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// fetch sends q on a connection of the tenant's and reads the whole answer.
func (f *fetcher) fetch(ctx context.Context, ask Ask, q fetchRequest) (a fetchResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	req := (&http.Request{
		Method: q.method, URL: q.url, Host: q.url.Host, Header: q.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if len(q.body) > 0 {
		// GetBody lets the transport take another connection where the server has closed the kept one before a byte of the request was written.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.body)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(q.body))
	}
	transport, done := f.transport(ask.Tenant)
	defer done()
	// The transport alone, not an http.Client: a client follows redirects, keeps cookies and adds headers.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return a, fetchError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 {
		return a, &ActError{abi.Unavailable, "http: the server switched protocols"}
	}
	// The body is counted as it comes out of decompression.
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, abi.HTTPBodySizeMax+1))
	switch {
	case err != nil:
		return a, fetchError(err)
	case len(a.body) > abi.HTTPBodySizeMax:
		return a, &ActError{abi.TooLarge, "http: the answer's body is larger than allowed"}
	}
	if headerLines(resp.Header) > abi.HTTPHeadersMax {
		return a, &ActError{abi.TooLarge, "http: the answer has more header lines than allowed"}
	}
	a.status, a.header = resp.StatusCode, resp.Header
	return a, nil
}

func headerLines(h http.Header) int {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n
}

func writeFetch(a fetchResponse) [][]byte {
	fields := [][]byte{strconv.AppendInt(nil, int64(a.status), 10), a.body}
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range a.header[name] {
			fields = append(fields, []byte(name), []byte(value))
		}
	}
	return fields
}
