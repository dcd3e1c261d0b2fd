package devtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/devtls"
)

// shake connects a client to a server over loopback and returns both errors.
func shake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		err = c.(*tls.Conn).Handshake()
		if err == nil {
			_, err = c.Write([]byte("!"))
		}
		done <- err
	}()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.Addr().String(), client)
	if err == nil {
		defer c.Close()
		// In TLS 1.3 a client learns only by reading that it was refused.
		_, err = c.Read(make([]byte, 1))
	}
	return <-done, err
}

type world struct {
	authority *devtls.Authority
	server    *tls.Config
	pool      *x509.CertPool
}

func newWorld(t *testing.T) world {
	t.Helper()
	a, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Server(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	conf, err := a.ServerConfig(p)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CertPEM())
	return world{authority: a, server: conf, pool: pool}
}

func (w world) client(t *testing.T) tls.Certificate {
	t.Helper()
	p, err := w.authority.Client("worker", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShake(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	mine, theirs := w.client(t), other.client(t)
	rows := []struct {
		name   string
		client *tls.Config
		ok     bool
	}{
		{"both known", &tls.Config{RootCAs: w.pool, Certificates: []tls.Certificate{mine}}, true},
		{"by name", &tls.Config{RootCAs: w.pool, Certificates: []tls.Certificate{mine}, ServerName: "localhost"}, true},
		{"no client certificate", &tls.Config{RootCAs: w.pool}, false},
		{"client of another authority", &tls.Config{RootCAs: w.pool, Certificates: []tls.Certificate{theirs}}, false},
		{"server of another authority", &tls.Config{RootCAs: other.pool, Certificates: []tls.Certificate{mine}}, false},
		{"other server name", &tls.Config{RootCAs: w.pool, Certificates: []tls.Certificate{mine}, ServerName: "example.com"}, false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			serverErr, clientErr := shake(t, w.server, r.client)
			if ok := serverErr == nil && clientErr == nil; ok != r.ok {
				t.Errorf("ok = %t, want %t (server %v, client %v)", ok, r.ok, serverErr, clientErr)
			}
		})
	}
}

func TestAuthorityIsConfined(t *testing.T) {
	w := newWorld(t)
	block, _ := pem.Decode(w.authority.CertPEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !cert.PermittedDNSDomainsCritical || len(cert.PermittedDNSDomains) != 1 || len(cert.PermittedIPRanges) != 2 {
		t.Errorf("constraints: %v %v %v", cert.PermittedDNSDomainsCritical, cert.PermittedDNSDomains, cert.PermittedIPRanges)
	}
	if cert.NotAfter.Sub(cert.NotBefore) > 8*24*time.Hour {
		t.Errorf("lives from %s to %s", cert.NotBefore, cert.NotAfter)
	}
}
