package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// ConnectTo says where to dial; whether that may be dialled is still AllowAddr's to say.
func TestConnectToIsChecked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	type key struct{}
	var asked []string
	config := HTTPConfig{ConnectTo: func(ctx context.Context, hostport string) string {
		asked = append(asked, hostport)
		return ctx.Value(key{}).(string)
	}}
	ctx := context.WithValue(t.Context(), key{}, listener.Addr().String())
	f, err := newFetcher(config)
	if err != nil {
		t.Fatal(err)
	}
	var refused *AddressError
	if _, err := f.dial(ctx, "tcp", "api.example.com:443"); !errors.As(err, &refused) {
		t.Errorf("loopback that is not allowed: %v", err)
	}
	config.AllowAddr = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	if f, err = newFetcher(config); err != nil {
		t.Fatal(err)
	}
	conn, err := f.dial(ctx, "tcp", "api.example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if len(asked) != 2 || asked[1] != "api.example.com:443" {
		t.Errorf("asked for %q", asked)
	}
}
