package host

import (
	"fmt"
	"net/netip"
	"slices"
)

// An AddressError is a refusal to connect to an address: it is not one of the public internet.
type AddressError struct {
	Addr netip.Addr
	Why  string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("http: address %s is %s", e.Addr, e.Why)
}

// denied4 and denied6 are the ranges that no capability reaches. What is not global unicast is denied as well.
// Source: IANA special-purpose address registries, IPv4 and IPv6; the comments name what they miss.
var (
	denied4 = ranges(
		"0.0.0.0/8", "this network",
		"10.0.0.0/8", "private",
		"100.64.0.0/10", "carrier-grade NAT",
		"127.0.0.0/8", "loopback",
		"169.254.0.0/16", "link-local", // metadata of most clouds
		"172.16.0.0/12", "private",
		"192.0.0.0/24", "reserved",
		"192.0.2.0/24", "documentation",
		"192.88.99.0/24", "6to4 relay",
		"192.168.0.0/16", "private",
		"198.18.0.0/15", "benchmarking",
		"198.51.100.0/24", "documentation",
		"203.0.113.0/24", "documentation",
		"224.0.0.0/4", "multicast",
		"240.0.0.0/4", "reserved",
		"168.63.129.16/32", "cloud metadata", // Azure's wire server, a public number that answers inside only
	)
	denied6 = ranges(
		"2001::/23", "reserved", // Teredo, ORCHID, benchmarking
		"2001:db8::/32", "documentation",
		"2002::/16", "6to4",
		"3fff::/20", "documentation",
	)
	// global6 is all that IANA has given out as global unicast. Outside lie loopback, mapped and compatible addresses, NAT64 (64:ff9b::/96, 64:ff9b:1::/48),
	// discard-only, unique local (fd00:ec2::254 among them), link-local, site-local and multicast.
	global6 = netip.MustParsePrefix("2000::/3")
)

type deniedRange struct {
	prefix netip.Prefix
	why    string
}

func ranges(pairs ...string) []deniedRange {
	var list []deniedRange
	for p := range slices.Chunk(pairs, 2) {
		list = append(list, deniedRange{netip.MustParsePrefix(p[0]), p[1]})
	}
	return list
}

// checkAddress refuses every address that is not of the public internet and not in allow.
// It judges the address that is dialled; an IPv4 address mapped into IPv6 is judged as IPv4.
func checkAddress(addr netip.Addr, allow []netip.Prefix) error {
	if !addr.IsValid() || addr.Zone() != "" {
		return &AddressError{addr, "not usable"}
	}
	addr = addr.Unmap()
	for _, p := range allow {
		if p.Contains(addr) {
			return nil
		}
	}
	denied := denied4
	if addr.Is6() {
		if denied = denied6; !global6.Contains(addr) {
			return &AddressError{addr, "not global unicast"}
		}
	}
	for _, d := range denied {
		if d.prefix.Contains(addr) {
			return &AddressError{addr, d.why}
		}
	}
	return nil
}
