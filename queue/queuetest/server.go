package queuetest

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/redisacl"
)

// Options changes what Start starts. The zero value is what tests mostly want.
type Options struct {
	// Sync is Redis's appendfsync: "everysec" (default), "always" or "no".
	Sync string

	// Conf are further lines of redis.conf.
	Conf []string

	// watch makes it a Sentinel that watches the master at this port; 0: a server.
	watch int
}

// Server is a redis-server of its own. It is not safe for concurrent use, except
// that clients of it may come and go as they like.
type Server struct {
	tb    testing.TB
	dir   string
	port  int
	opts  Options
	own   credentials
	cmd   *exec.Cmd
	ended chan struct{}
}

// credentials are what servers that work together share with each other and with their clients.
type credentials struct {
	ca       []byte
	server   devtls.Pair
	client   devtls.Pair
	password string
}

// Login is what a client needs to reach a Server.
type Login struct {
	Addr     string
	Addrs    []string // of Sentinels with Master, of nodes with Cluster
	Master   string
	Cluster  bool
	User     string
	Password string
	CA       []byte // PEM
	Cert     []byte // PEM
	Key      []byte // PEM

	SentinelUser, SentinelPassword string
}

// Start starts a server and stops it when the test ends.
func Start(tb testing.TB, opts Options) *Server {
	tb.Helper()
	return start(tb, opts, newCredentials(tb))
}

// binary is the server to start: redis-server, or what CAISSON_TEST_REDIS names, to try another version.
func binary() string {
	if path := os.Getenv("CAISSON_TEST_REDIS"); path != "" {
		return path
	}
	return "redis-server"
}

func start(tb testing.TB, opts Options, own credentials) *Server {
	tb.Helper()
	path, err := exec.LookPath(binary())
	if err != nil {
		tb.Fatal("redis-server is missing; apt-get install redis-server, or run make test, which does")
	}
	if opts.Sync == "" {
		opts.Sync = "everysec"
	}
	s := &Server{tb: tb, dir: tb.TempDir(), opts: opts, own: own}
	s.certificates()
	s.users()
	for try := 1; ; try++ {
		s.port = FreePort(tb)
		s.configure()
		if err := s.launch(path); err == nil {
			break
		} else if try == portTries {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(s.Kill)
	return s
}

// Login returns what a client needs to be user.
func (s *Server) Login(user string) Login {
	s.tb.Helper()
	if Rules(user) == "" {
		s.tb.Fatalf("no user %q", user)
	}
	return Login{
		Addr: s.Addr(), User: user, Password: s.own.password,
		CA: s.own.ca, Cert: s.own.client.Cert, Key: s.own.client.Key,
	}
}

// Addr returns host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Dir returns the folder that the server keeps its data in.
func (s *Server) Dir() string { return s.dir }

// Stop ends the server in good order, as an operator would.
func (s *Server) Stop() { s.tb.Helper(); s.end(syscall.SIGTERM) }

// Kill ends the server at once. What Redis had not yet written is lost.
func (s *Server) Kill() { s.tb.Helper(); s.end(syscall.SIGKILL) }

// Freeze stops the server's process without ending it; connections stay open.
func (s *Server) Freeze() { s.tb.Helper(); s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.tb.Helper(); s.signal(syscall.SIGCONT) }

// Restart starts an ended server again, on the same port and data.
func (s *Server) Restart() {
	s.tb.Helper()
	s.RestartWith()
}

// RestartWith is Restart with further lines of redis.conf.
func (s *Server) RestartWith(conf ...string) {
	s.tb.Helper()
	if s.cmd != nil {
		s.tb.Fatal("the server still runs")
	}
	s.opts.Conf = append(s.opts.Conf, conf...)
	s.configure()
	path, err := exec.LookPath(binary())
	if err != nil {
		s.tb.Fatal(err)
	}
	taken := s.taken()
	if err := s.launch(path); err != nil {
		s.tb.Fatalf("%v\nport %d before it was started: %s; now: %s", err, s.port, taken, s.taken())
	}
}

// taken says whether somebody has the server's port.
func (s *Server) taken() string {
	l, err := net.Listen("tcp", s.Addr())
	if err != nil {
		return err.Error()
	}
	_ = l.Close()
	return "free"
}

// Do runs one command as UserAdmin and returns the reply: string, int64, nil,
// []any, or Error.
func (s *Server) Do(args ...string) any {
	s.tb.Helper()
	c, err := s.connect(UserAdmin)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer c.close()
	reply, err := c.do(args...)
	if err != nil {
		s.tb.Fatalf("%s: %v", args[0], err)
	}
	return reply
}

func newCredentials(tb testing.TB) credentials {
	tb.Helper()
	now := time.Now()
	authority, err := devtls.NewAuthority(now)
	if err != nil {
		tb.Fatal(err)
	}
	own := credentials{ca: authority.CertPEM(), password: secret(tb)}
	if own.server, err = authority.Server(now); err != nil {
		tb.Fatal(err)
	}
	if own.client, err = authority.Client("test", now); err != nil {
		tb.Fatal(err)
	}
	return own
}

func (s *Server) certificates() {
	s.tb.Helper()
	s.write("ca.pem", s.own.ca)
	s.write("server.pem", s.own.server.Cert)
	s.write("server.key", s.own.server.Key)
	s.write("client.pem", s.own.client.Cert) // what it shows to its like
	s.write("client.key", s.own.client.Key)
}

// users writes the ACL file: with it "default" can be off from the first moment.
func (s *Server) users() {
	s.tb.Helper()
	var b strings.Builder
	b.WriteString(redisacl.Default() + "\n")
	for name, rights := range rules {
		fmt.Fprintf(&b, "user %s on >%s %s\n", name, s.own.password, rights)
	}
	s.write("users.acl", []byte(b.String()))
}

func (s *Server) configure() {
	s.tb.Helper()
	lines := []string{
		"port 0", "dir " + s.dir, "logfile " + s.file("redis.log"), "daemonize no", "bind 127.0.0.1", fmt.Sprintf("tls-port %d", s.port),
		"tls-ca-cert-file " + s.file("ca.pem"), "tls-cert-file " + s.file("server.pem"), "tls-key-file " + s.file("server.key"), "tls-auth-clients yes",
		"tls-client-cert-file " + s.file("client.pem"), "tls-client-key-file " + s.file("client.key"), "tls-replication yes",
	}
	if s.opts.watch == 0 {
		lines = append(lines, "aclfile "+s.file("users.acl"), "appendonly yes", "appendfsync "+s.opts.Sync, "save \"\"",
			"maxmemory-policy noeviction", "shutdown-timeout 0", "masteruser "+UserAdmin, "masterauth "+s.own.password)
	} else {
		lines = append(lines, s.watching()...)
	}
	lines = append(lines, s.opts.Conf...)
	s.write("redis.conf", []byte(strings.Join(lines, "\n")+"\n"))
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) write(name string, data []byte) {
	s.tb.Helper()
	if err := os.WriteFile(s.file(name), data, 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

// launch starts the process and waits until it answers. The goroutine ends with
// the process, which end or the test's cleanup sees to.
func (s *Server) launch(path string) error {
	args := []string{s.file("redis.conf")}
	if s.opts.watch != 0 {
		args = append(args, "--sentinel")
	}
	cmd := exec.Command(path, args...)
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.cmd, s.ended = cmd, ended
	deadline, tick := time.NewTimer(startMax), time.NewTicker(pollEvery)
	defer deadline.Stop()
	defer tick.Stop()
	for {
		last := s.answers()
		if last == nil {
			return nil
		}
		select {
		case <-ended:
			s.cmd = nil
			return fmt.Errorf("redis-server ended: %s: %s", cmd.ProcessState, s.Log())
		case <-deadline.C:
			s.Kill()
			return fmt.Errorf("redis-server does not answer in %s: %w: %s", startMax, last, s.Log())
		case <-tick.C:
		}
	}
}

// answers returns what keeps the server from answering, nil when it does.
func (s *Server) answers() error {
	c, err := s.connect(UserAdmin)
	if err != nil {
		return err
	}
	defer c.close()
	if reply, err := c.do("PING"); err != nil || reply != "PONG" {
		return fmt.Errorf("ping: %v, %v", reply, err)
	}
	return nil
}

// Log returns the end of the server's own log.
func (s *Server) Log() string {
	data, err := os.ReadFile(s.file("redis.log"))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if s.cmd == nil {
		s.tb.Fatal("the server does not run")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *Server) end(sig syscall.Signal) {
	s.tb.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT) // a frozen one could not end
	_ = s.cmd.Process.Signal(sig)             // an error says that it has ended already
	select {
	case <-s.ended:
	case <-time.After(startMax):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	s.cmd = nil
}

func (s *Server) connect(user string) (*conn, error) {
	pair, err := tls.X509KeyPair(s.own.client.Cert, s.own.client.Key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.own.ca)
	return dial(s.Addr(), user, s.own.password, &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair},
	})
}

func secret(tb testing.TB) string {
	tb.Helper()
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		tb.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// FreePort returns a port of loopback that nobody has at this moment. It is none of those that Linux gives to outgoing connections, which are many in
// tests and could take it before a server does.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for range portLooks {
		port := portsFrom + mathrand.IntN(portsTo-portsFrom)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatalf("no port from %d to %d is free", portsFrom, portsTo)
	return 0
}
