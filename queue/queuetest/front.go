package queuetest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// binary is the server to start: redis-server, or what CAISSON_TEST_REDIS names, to try another version.
func binary() string {
	if path := os.Getenv("CAISSON_TEST_REDIS"); path != "" {
		return path
	}
	return "redis-server"
}

// plain says that binary was built without TLS, so that a front of ours adds it. No server that people run needs it; the newest
// Valkey that a registry offered was built so. Sentinels and clusters, which dial each other, cannot be tried with it.
func plain() bool { return os.Getenv("CAISSON_TEST_REDIS_PLAIN") != "" }

// socket is where a server without TLS listens. The path of a test's folder would be too long for one.
func (s *Server) socket() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("caisson-test-%d-%d.sock", os.Getpid(), s.port))
}

// front speaks TLS on a port, as the server would, and passes on what is said to its socket.
type front struct {
	socket   string
	listener net.Listener
	wait     sync.WaitGroup

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]bool
}

// startFront listens on port until the test ends.
func startFront(tb testing.TB, own credentials, port int, socket string) *front {
	tb.Helper()
	pair, err := tls.X509KeyPair(own.server.Cert, own.server.Key)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(own.ca)
	f := &front{socket: socket, conns: map[net.Conn]bool{}}
	f.listener, err = tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		tb.Fatal(err)
	}
	f.wait.Go(f.accept)
	tb.Cleanup(f.close)
	return f
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wait.Go(func() { f.serve(c) })
	}
}

// serve passes on both ways until either side ends.
func (f *front) serve(client net.Conn) {
	defer client.Close()
	if err := client.(*tls.Conn).Handshake(); err != nil {
		return
	}
	server, err := net.Dial("unix", f.socket)
	if err != nil {
		return
	}
	defer server.Close()
	if !f.hold(client, server) {
		return
	}
	defer f.drop(client, server)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // an error is the end of the connection, as it would be without us
		client.Close()
	})
	_, _ = io.Copy(server, client)
	server.Close()
	back.Wait()
}

func (f *front) hold(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		f.conns[c] = true
	}
	return !f.ended
}

func (f *front) drop(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.conns, c)
	}
}

func (f *front) close() {
	_ = f.listener.Close()
	f.mu.Lock()
	f.ended = true
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wait.Wait()
	_ = os.Remove(f.socket)
}
