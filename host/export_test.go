package host

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// SetResolver makes names resolve as a test says.
func (h *Host) SetResolver(r *net.Resolver) { h.http.resolver = r }

// WrapConnections has a test stand between a tenant and what it dials.
func (h *Host) WrapConnections(tenant string, wrap func(net.Conn) net.Conn) {
	rt, done := h.http.transport(tenant)
	defer done()
	rt.(*tenantTransport).RoundTripper.(*http.Transport).DialContext = func(ctx context.Context, network, hostport string) (net.Conn, error) {
		c, err := h.http.dial(ctx, network, hostport)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	}
}

// TenantsKept is how many tenants have connections of their own.
func (h *Host) TenantsKept() int {
	h.http.mu.Lock()
	defer h.http.mu.Unlock()
	return len(h.http.tenants)
}

// CheckAddress is checkAddress.
func CheckAddress(a netip.Addr, allow ...netip.Prefix) error { return checkAddress(a, allow) }

// ReadFrame and AppendFrame are the codec of frames.
var (
	ReadFrame   = readFrame
	AppendFrame = appendFrame
)

// Absolute is absolute.
var Absolute = absolute

// EscapeCut is escapeCut.
var EscapeCut = escapeCut
