package host

import (
	"net"
	"net/netip"
)

// SetResolver makes names resolve as a test says.
func (h *Host) SetResolver(r *net.Resolver) { h.http.resolver = r }

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
