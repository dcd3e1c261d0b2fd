package host

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"github.com/caisson-run/caisson/host/abi"
)

// errShortName refuses names that a search domain would complete.
var errShortName = &ActError{abi.Denied, "the host name has no dot"}

// fetcher makes http requests for all tenants.
type fetcher struct {
	config   HTTPConfig
	resolver *net.Resolver // nil: the system's; tests put their own

	mu      sync.Mutex
	clock   uint64
	tenants map[string]*tenantTransport
}

// A tenantTransport is the connections of one tenant.
type tenantTransport struct {
	http.RoundTripper
	drop     func()
	used     uint64 // when it was last used, by fetcher.clock
	inFlight int
}

// transport returns the connections of a tenant; done is called when the answer was read.
// Connections are never shared between tenants: a pooled one skips the check of its address, and carries what the other end knows about it.
func (f *fetcher) transport(tenant string) (rt http.RoundTripper, done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tenants[tenant]
	if t == nil {
		f.makeRoom()
		t = f.newTransport()
		f.tenants[tenant] = t
	}
	f.clock++
	t.used = f.clock
	t.inFlight++
	return t, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		t.inFlight--
		if f.tenants[tenant] != t && t.inFlight == 0 {
			t.drop()
		}
	}
}

// makeRoom forgets the least used tenants until there is room for one more. What they have in flight goes on; their idle connections close after it.
func (f *fetcher) makeRoom() {
	for len(f.tenants) >= tenantsMax {
		least := ""
		for name, t := range f.tenants {
			if least == "" || t.used < f.tenants[least].used {
				least = name
			}
		}
		t := f.tenants[least]
		delete(f.tenants, least)
		if t.inFlight == 0 {
			t.drop()
		}
	}
}

// close drops all idle connections. Those in flight follow when they end.
func (f *fetcher) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tenants {
		if t.inFlight == 0 {
			t.drop()
		}
	}
	clear(f.tenants)
}

func (f *fetcher) newTransport() *tenantTransport {
	t := &http.Transport{
		Proxy:       nil, // never from the environment
		DialContext: f.dial,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    f.config.RootCAs, // nil: the system's
		},
		// HTTP/1.1 only: one request has one connection, and its end is the connection's.
		ForceAttemptHTTP2:      false,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxConnsPerHost:        httpConnsPerHostMax,
		MaxIdleConns:           httpIdleConnsMax,
		MaxIdleConnsPerHost:    httpIdleConnsMax,
		IdleConnTimeout:        httpIdleTime,
		TLSHandshakeTimeout:    httpDialTime,
		MaxResponseHeaderBytes: httpHeaderSizeMax,
	}
	return &tenantTransport{RoundTripper: t, drop: t.CloseIdleConnections}
}

// dial connects to hostport, whose host is the one of the request's URL, or to where ConnectTo sends it. Every address that is tried is checked where it is used: right
// before connect, after all resolving, so there is no moment for a name to change between check and use.
func (f *fetcher) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	if f.config.ConnectTo != nil {
		hostport = f.config.ConnectTo(ctx, hostport)
	}
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	if host, err = absolute(host); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: httpDialTime, Resolver: f.resolver, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return checkAddress(ap.Addr(), f.config.AllowAddr)
	}}
	return d.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// absolute makes a name one that no search domain completes; an address stays as it is.
func absolute(host string) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	if !strings.Contains(host, ".") {
		return "", errShortName
	}
	return strings.TrimSuffix(host, ".") + ".", nil
}

// fetchError says what a guest may know of a round trip that failed.
func fetchError(err error) error {
	var refused *AddressError
	var act *ActError
	var timeout net.Error
	switch {
	case errors.As(err, &act):
		return act
	case errors.As(err, &refused):
		return &ActError{abi.Denied, refused.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &ActError{abi.Timeout, "http: took too long"}
	}
	return &ActError{abi.Unavailable, "http: " + err.Error()}
}
