package host_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// loopback lets a test dial its own servers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// A web is a real TLS server and a host that trusts it.
type web struct {
	*httptest.Server
	config host.Config
	mu     sync.Mutex
	seen   []*http.Request
	conns  map[string]bool // remote addresses
	hang   chan struct{}
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{conns: map[string]bool{}, hang: make(chan struct{})}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.StartTLS()
	t.Cleanup(func() { close(w.hang); w.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(w.Certificate())
	w.config = host.Config{HTTP: host.HTTPConfig{RootCAs: roots, AllowAddr: loopback}}
	return w
}

func (w *web) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.seen = append(w.seen, r)
	w.conns[r.RemoteAddr] = true
	w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/echo":
		out.Header().Set("X-Method", r.Method)
		out.Header()["X-Two"] = []string{"a", "b"}
		out.WriteHeader(http.StatusTeapot)
		out.Write(body)
	case "/redirect":
		http.SetCookie(out, &http.Cookie{Name: "session", Value: "1"})
		http.Redirect(out, r, "/target", http.StatusFound)
	case "/bomb":
		out.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(out)
		z.Write(make([]byte, abi.HTTPBodySizeMax+1))
		z.Close()
	case "/packed":
		out.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(out)
		z.Write([]byte("unpacked"))
		z.Close()
	case "/endless":
		for {
			if _, err := out.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	case "/headers":
		for i := range 200 {
			out.Header().Add("X-Many", fmt.Sprint(i))
		}
	case "/wide":
		out.Header().Set("X-Wide", strings.Repeat("x", 100<<10))
	case "/hang":
		<-w.hang
	case "/drip":
		out.WriteHeader(http.StatusOK)
		out.(http.Flusher).Flush()
		<-w.hang
	}
}

// last is the newest request that came, and how many did.
func (w *web) last() (*http.Request, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) == 0 {
		return nil, 0
	}
	return w.seen[len(w.seen)-1], len(w.seen)
}

// guest returns a guest that may do anything on the server and on what is named.
func (w *web) guest(t *testing.T, lines ...string) *guest {
	t.Helper()
	rc := host.RunConfig{Tenant: "acme", Held: hold(t, append(lines, "http * "+w.URL+"/*")...), Limits: capability.Limits{Calls: 1000}}
	g := newGuest(t, w.config, rc, true)
	if _, ok := g.mod.Memory().Grow(100); !ok {
		t.Fatal("no memory")
	}
	return g
}

// fetch is http_fetch; the answer frame goes to a place of its own, for it may be large.
func (g *guest) fetch(fields ...string) (int32, []string) {
	g.Helper()
	return g.ask(abi.HTTPFetch, fields...)
}

func TestFetch(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	n, answer := g.fetch("POST", w.URL+"/echo?q=1", "body", "X-Own", "v1", "x-own", "v2")
	if n < 0 || answer[0] != "418" || answer[1] != "body" || !strings.Contains(strings.Join(answer, " "), "X-Method POST X-Two a X-Two b") {
		t.Fatalf("%d %q %q", n, answer, *g.log)
	}
	r, _ := w.last()
	if r.URL.RawQuery != "q=1" || strings.Join(r.Header["X-Own"], " ") != "v1 v2" || r.UserAgent() != "caisson" || r.ContentLength != 4 {
		t.Errorf("%+v", r)
	}
	if _, answer = g.fetch("GET", w.URL+"/packed", ""); answer[1] != "unpacked" {
		t.Errorf("%q", answer)
	}
}

// A quitter is a connection whose other end closes it once it is told to: what is then written fails.
type quitter struct {
	net.Conn
	quit *atomic.Bool
}

func (q quitter) Write(p []byte) (int, error) {
	if q.quit.Load() {
		return 0, syscall.EPIPE
	}
	return q.Conn.Write(p)
}

// TestConnectionThatWasClosed: a request with a body goes over another connection when the kept one turns out to be closed before a byte was written. No method
// is too dangerous for that, since the server has seen nothing.
func TestConnectionThatWasClosed(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	var last *atomic.Bool
	g.host.WrapConnections("acme", func(c net.Conn) net.Conn {
		last = new(atomic.Bool)
		return quitter{c, last}
	})
	for i, method := range []string{"POST", "PATCH", "DELETE", "GET"} {
		if i > 0 {
			last.Store(true)
		}
		if n, answer := g.fetch(method, w.URL+"/echo", "body"); n < 0 || answer[1] != "body" {
			t.Errorf("%s: %d %q %q", method, n, answer, *g.log)
		}
	}
	if _, n := w.last(); n != 4 || len(w.conns) != 4 {
		t.Errorf("%d requests over %d connections, want 4 over 4", n, len(w.conns))
	}
}

func TestRedirectsAreReturned(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	_, answer := g.fetch("GET", w.URL+"/redirect", "")
	if answer[0] != "302" || !strings.Contains(strings.Join(answer, " "), "Location /target") {
		t.Errorf("%q", answer)
	}
	if _, n := w.last(); n != 1 {
		t.Errorf("%d requests", n)
	}
	g.fetch("GET", w.URL+"/echo", "")
	if r, _ := w.last(); len(r.Cookies()) != 0 {
		t.Errorf("cookies %v", r.Cookies())
	}
}

func TestFetchBounds(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	for path, want := range map[string]int32{
		"/bomb": abi.TooLarge, "/endless": abi.TooLarge, "/headers": abi.TooLarge, "/wide": abi.Unavailable,
	} {
		if n, _ := g.fetch("GET", w.URL+path, ""); n != want {
			t.Errorf("%s = %d, want %d: %q", path, n, want, *g.log)
		}
	}
}

func TestFetchTime(t *testing.T) {
	w := newWeb(t)
	w.config.HTTP.Timeout = 100 * time.Millisecond
	g := w.guest(t)
	for _, path := range []string{"/hang", "/drip"} {
		if n, _ := g.fetch("GET", w.URL+path, ""); n != abi.Timeout {
			t.Errorf("%s = %d %q", path, n, *g.log)
		}
	}
	// The run's own end is sooner, and ends the guest.
	w.config.HTTP.Timeout = time.Minute
	g = w.guest(t)
	ctx, cancel := context.WithTimeout(g.ctx, 50*time.Millisecond)
	defer cancel()
	g.ctx = ctx
	request := host.AppendFrame(nil, [][]byte{[]byte("GET"), []byte(w.URL + "/hang"), nil})
	g.put(0, request)
	g.ends(host.EndingInterrupted, "", abi.HTTPFetch, 0, uint64(len(request)))
}

func TestFetchRefusesHeaders(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	for _, h := range [][2]string{{"Host", "evil.example"}, {"hOsT", "evil.example"}, {"Connection", "close"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "3"},
		{"Proxy-Authorization", "x"}, {"proxy-connection", "x"}, {"TE", "trailers"}, {"Upgrade", "h2c"}, {"Trailer", "x"}, {"Keep-Alive", "1"}, {"Expect", "100-continue"},
		{"X-A", "a\r\nHost: evil"}, {"X-A", "a\nb"}, {"X-A", "a\x00b"}, {"X-A\r\nHost", "b"}, {"X A", "b"}, {"X-A:", "b"}, {"", "b"}, {"X-\u00e9", "b"}, {"X\x00", "b"}} {
		if n, _ := g.fetch("GET", w.URL+"/echo", "", h[0], h[1]); n != abi.Invalid {
			t.Errorf("%q = %d", h, n)
		}
	}
	if n, _ := g.fetch("GET", w.URL+"/echo", "", "X-A"); n != abi.Invalid {
		t.Errorf("a name without value = %d", n)
	}
	if n, _ := g.fetch("GET", w.URL+"/echo", "", "X-A", strings.Repeat("x", 9000)); n != abi.TooLarge {
		t.Errorf("a long value = %d", n)
	}
	many := []string{"GET", w.URL + "/echo", ""}
	for range 200 {
		many = append(many, "X-A", "b")
	}
	if n, _ := g.fetch(many...); n != abi.TooLarge {
		t.Errorf("200 headers = %d", n)
	}
	if _, n := w.last(); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

// TestFetchSpellings: what is not granted, or is no URL in its one reading, never leaves.
func TestFetchSpellings(t *testing.T) {
	w := newWeb(t)
	_, port, _ := net.SplitHostPort(w.Listener.Addr().String())
	g := w.guest(t, "http GET https://ok.example.com/v1/*")
	for _, u := range []string{
		"http://127.0.0.1:" + port + "/echo", "https://127.1:" + port + "/echo", "https://0x7f000001:" + port + "/", "https://2130706433:" + port + "/",
		"https://0177.0.0.1:" + port + "/", "https://localhost:" + port + "/", "https://localhost.:" + port + "/", "https://[::]:" + port + "/", "https://[::1]:" + port + "/",
		"https://[::ffff:127.0.0.1]:" + port + "/", "https://0.0.0.0:" + port + "/", "https://\uff11\uff12\uff17.0.0.1:" + port + "/",
		"https://ok.example.com@127.0.0.1:" + port + "/", "https://127.0.0.1:0" + port + "/", "https://127.0.0.1:" + port + "#@ok.example.com",
		"https://ok.example.com\\@evil.example/v1/x", "https://ok.example.com/v1/../admin", "https://ok.example.com/v1/%2e%2e/admin", "https://ok.example.com/v1%2fadmin",
		"https://ok.example.com./v1/x", "https://ok.example.com\t/v1/x", "https:evil.com", "//evil.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "https://", "",
		"https://ok.example.com/v1/x\r\nHost: evil", "https://evil.example/v1/x", "https://ok.example.com/v2/x",
	} {
		if n, _ := g.fetch("GET", u, ""); n != abi.Invalid && n != abi.Denied {
			t.Errorf("%q = %d", u, n)
		}
	}
	for _, method := range []string{"", "get", "CONNECT", "TRACE", "GET / HTTP/1.1\r\nX: y", "*", "PRI"} {
		if n, _ := g.fetch(method, w.URL+"/echo", ""); n != abi.Invalid && n != abi.Denied {
			t.Errorf("method %q = %d", method, n)
		}
	}
	if _, n := w.last(); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestAddresses(t *testing.T) {
	denied := `0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1
		172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1
		255.255.255.255 168.63.129.16 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8.invalid 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
		2001::1 2001:0:53aa:64c::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 5f00::1`
	for _, s := range strings.Fields(denied) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			a = netip.Addr{} // the invalid address is denied as well
		}
		if host.CheckAddress(a) == nil {
			t.Errorf("%s is allowed", s)
		}
	}
	for _, s := range strings.Fields("1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 198.17.1.1 ::ffff:8.8.8.8 2606:4700::1111 2a00:1450::1") {
		if err := host.CheckAddress(netip.MustParseAddr(s)); err != nil {
			t.Error(err)
		}
	}
	allow := netip.MustParsePrefix("10.1.0.0/16")
	for s, ok := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "64:ff9b::a01:203": false} {
		if err := host.CheckAddress(netip.MustParseAddr(s), allow); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestDialledAddressIsChecked: without AllowAddr the very same request is refused at dial, and nothing arrives.
func TestDialledAddressIsChecked(t *testing.T) {
	w := newWeb(t)
	w.config.HTTP.AllowAddr = nil
	g := w.guest(t)
	if n, _ := g.fetch("GET", w.URL+"/echo", ""); n != abi.Denied || !strings.Contains(strings.Join(*g.log, " "), "loopback") {
		t.Errorf("%d %q", n, *g.log)
	}
	if _, n := w.last(); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestCertificates(t *testing.T) {
	w := newWeb(t)
	names := resolver(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(w.Listener.Addr().String())
	wrong := "https://wrong.example.org:" + port
	right := "https://example.com:" + port // a name of httptest's certificate
	g := w.guest(t, "http GET "+wrong+"/*", "http GET "+right+"/*")
	g.host.SetResolver(names.Resolver)
	if n, _ := g.fetch("GET", wrong+"/echo", ""); n != abi.Unavailable || !strings.Contains(strings.Join(*g.log, " "), "certificate") {
		t.Errorf("wrong name: %d %q", n, *g.log)
	}
	if n, answer := g.fetch("GET", right+"/echo", ""); n < 0 || answer[0] != "418" {
		t.Errorf("right name: %d %q", n, *g.log)
	}
	untrusted := newGuest(t, host.Config{HTTP: host.HTTPConfig{AllowAddr: loopback, RootCAs: x509.NewCertPool()}}, host.RunConfig{Held: hold(t, "http GET "+w.URL+"/*")}, true)
	if n, _ := untrusted.fetch("GET", w.URL+"/echo", ""); n != abi.Unavailable {
		t.Errorf("untrusted: %d", n)
	}
}

func TestOldTLS(t *testing.T) {
	w := newWeb(t)
	old := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	roots := x509.NewCertPool()
	roots.AddCert(old.Certificate())
	w.config.HTTP.RootCAs = roots
	g := w.guest(t, "http GET "+old.URL+"/*")
	if n, _ := g.fetch("GET", old.URL+"/echo", ""); n != abi.Unavailable {
		t.Errorf("TLS 1.1: %d", n)
	}
}

func TestPlainHTTPOnlyWhenGranted(t *testing.T) {
	w := newWeb(t)
	plain := httptest.NewServer(http.HandlerFunc(w.serve))
	defer plain.Close()
	secured := "https" + strings.TrimPrefix(plain.URL, "http")
	g := w.guest(t, "http GET "+secured+"/*")
	if n, _ := g.fetch("GET", plain.URL+"/echo", ""); n != abi.Denied {
		t.Errorf("not granted: %d", n)
	}
	g.again(host.RunConfig{Held: hold(t, "http GET "+plain.URL+"/*")})
	if n, _ := g.fetch("GET", plain.URL+"/echo", ""); n < 0 {
		t.Errorf("granted: %d %q", n, *g.log)
	}
}

// TestNoProxy: TestMain names a proxy that nobody answers at. A name is fetched, since loopback addresses are never sent to a proxy.
func TestNoProxy(t *testing.T) {
	w := newWeb(t)
	_, port, _ := net.SplitHostPort(w.Listener.Addr().String())
	g := w.guest(t, "http GET https://example.com:"+port+"/*")
	g.host.SetResolver(resolver(t, "127.0.0.1").Resolver)
	if n, _ := g.fetch("GET", "https://example.com:"+port+"/echo", ""); n < 0 {
		t.Errorf("%d %q", n, *g.log)
	}
}

func TestAbsolute(t *testing.T) {
	for in, want := range map[string]string{"a.example": "a.example.", "a.example.": "a.example.", "10.0.0.1": "10.0.0.1", "::1": "::1"} {
		if got, err := host.Absolute(in); got != want || err != nil {
			t.Errorf("%s became %s, %v", in, got, err)
		}
	}
	if _, err := host.Absolute("intranet"); err == nil {
		t.Error("a name without dot is looked up")
	}
}

// TestConnectionsAreTheTenants: one tenant uses its connection again, another never gets it.
func TestConnectionsAreTheTenants(t *testing.T) {
	w := newWeb(t)
	g := w.guest(t)
	held := hold(t, "http GET "+w.URL+"/*")
	conns := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.conns)
	}
	for range 5 {
		g.fetch("GET", w.URL+"/echo", "")
	}
	if conns() != 1 {
		t.Errorf("%d connections for one tenant", conns())
	}
	g.again(host.RunConfig{Tenant: "other", Held: held})
	g.fetch("GET", w.URL+"/echo", "")
	if conns() != 2 {
		t.Errorf("%d connections for two tenants", conns())
	}
	for i := range 70 {
		g.again(host.RunConfig{Tenant: fmt.Sprint("tenant-", i), Held: held})
		if n, _ := g.fetch("GET", w.URL+"/echo", ""); n < 0 {
			t.Fatal(n)
		}
	}
	if n := g.host.TenantsKept(); n != 64 {
		t.Errorf("%d tenants are kept", n)
	}
}

// TestNames: resolution is absolute, and a name that points inside is refused, whatever else it points at.
func TestNames(t *testing.T) {
	w := newWeb(t)
	w.config.HTTP.AllowAddr = nil
	const url = "https://inside.example.com"
	for _, addresses := range []string{"10.0.0.1", "127.0.0.1", "169.254.169.254", "::1 10.0.0.1", "fd00:ec2::254", "64:ff9b::7f00:1", "::ffff:127.0.0.1"} {
		names := resolver(t, strings.Fields(addresses)...)
		g := w.guest(t, "http GET "+url+"/*")
		g.host.SetResolver(names.Resolver)
		if n, _ := g.fetch("GET", url+"/", ""); n != abi.Denied {
			t.Errorf("%s = %d %q", addresses, n, *g.log)
		}
		names.mu.Lock()
		for _, name := range names.asked {
			if name != "inside.example.com." {
				t.Errorf("asked for %q", name)
			}
		}
		names.mu.Unlock()
	}
}

func TestHTTPConfig(t *testing.T) {
	for _, c := range []host.HTTPConfig{
		{Timeout: -1}, {Timeout: 2 * time.Hour}, {AllowAddr: []netip.Prefix{{}}},
		{AllowAddr: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)}},
	} {
		if _, err := host.New(host.Config{HTTP: c}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// names is a resolver whose every name has the same addresses, and which notes what it was asked.
type names struct {
	*net.Resolver
	mu    sync.Mutex
	asked []string
}

func resolver(t *testing.T, addresses ...string) *names {
	t.Helper()
	n := &names{}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	n.Resolver = &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		wg.Go(func() { n.answer(server, addresses) })
		return client, nil
	}}
	return n
}

// answer serves DNS over a stream until the other end closes it.
// Source: RFC 1035, sections 4.1 and 4.2.2.
func (n *names) answer(conn net.Conn, addresses []string) {
	defer conn.Close()
	for {
		size := make([]byte, 2)
		if _, err := io.ReadFull(conn, size); err != nil {
			return
		}
		query := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		end, name := 12, ""
		for query[end] != 0 {
			label := query[end+1 : end+1+int(query[end])]
			name += string(label) + "."
			end += 1 + len(label)
		}
		kind := query[end+2]
		question := query[12 : end+5]
		n.mu.Lock()
		n.asked = append(n.asked, name)
		n.mu.Unlock()
		var answers bytes.Buffer
		count := byte(0)
		for _, s := range addresses {
			a := netip.MustParseAddr(s)
			if a.Is4() != (kind == 1) {
				continue
			}
			raw := a.AsSlice()
			answers.Write([]byte{0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, byte(len(raw))})
			answers.Write(raw)
			count++
		}
		reply := cat(query[:2], []byte{0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0}, question, answers.Bytes())
		if _, err := conn.Write(cat([]byte{byte(len(reply) >> 8), byte(len(reply))}, reply)); err != nil {
			return
		}
	}
}
