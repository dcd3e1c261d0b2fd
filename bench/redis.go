package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A login is what a client needs to reach the Redis of a run. Paths are of files in PEM.
type login struct {
	Addr     string `json:"addr"`
	User     string `json:"user"`
	Password string `json:"password"`
	CA       string `json:"ca"`
	Cert     string `json:"cert"`
	Key      string `json:"key"`
}

// options are those of a client of go-redis that behaves as the product's own: no command is sent twice.
func (l login) options(connections int) (*redis.Options, error) {
	ca, err := os.ReadFile(l.CA)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &redis.Options{
		Addr: l.Addr, Username: l.User, Password: l.Password, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: connections,
		ReadTimeout: replyMax, WriteTimeout: replyMax, PoolTimeout: replyMax, ContextTimeoutEnabled: true,
		TLSConfig:                &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, nil
}

// dial returns a client of go-redis; it connects when it is first used.
func (l login) dial(connections int) (*redis.Client, error) {
	o, err := l.options(connections)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

// A redisServer is a redis-server of the run's own, over TLS with client certificates. Package queuetest has one like it, which brings "testing" with it.
type redisServer struct {
	login
	cmd    *exec.Cmd
	ended  chan struct{}
	admin  *redis.Client
	folder string
}

// Users of the server. All have every right: what a check of rights costs is not what is compared.
const redisUser = "bench"

// startRedis starts it in folder, which must exist. End it with stop.
func startRedis(ctx context.Context, folder string) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server is missing (apt-get install redis-server): %w", err)
	}
	password := make([]byte, 16)
	if _, err := rand.Read(password); err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(folder, name) }
	s := &redisServer{folder: folder, login: login{User: redisUser, Password: hex.EncodeToString(password),
		CA: file("ca.pem"), Cert: file("client.pem"), Key: file("client.key")}}
	if err := s.writeFiles(); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if err = s.launch(ctx, path); err == nil {
			return s, nil
		}
		if try == portTries || ctx.Err() != nil {
			return nil, err
		}
	}
}

func (s *redisServer) writeFiles() error {
	now := time.Now()
	authority, err := devtls.NewAuthority(now)
	if err != nil {
		return err
	}
	server, err := authority.Server(now)
	if err != nil {
		return err
	}
	client, err := authority.Client(redisUser, now)
	if err != nil {
		return err
	}
	var faults []error
	for name, data := range map[string][]byte{
		s.CA: authority.CertPEM(), s.Cert: client.Cert, s.Key: client.Key,
		filepath.Join(s.folder, "server.pem"): server.Cert, filepath.Join(s.folder, "server.key"): server.Key,
		// "default" is off and keeps its rights, with which Redis 7.0 replays its file: docs/reference/redis.md.
		filepath.Join(s.folder, "users.acl"): []byte("user default off ~* &* +@all\nuser " + redisUser + " on >" + s.Password + " ~* &* +@all\n"),
	} {
		faults = append(faults, os.WriteFile(name, data, 0o600))
	}
	return errors.Join(faults...)
}

// launch starts the process on a free port, which somebody else may take before it does, and waits until it answers.
func (s *redisServer) launch(ctx context.Context, path string) error {
	var err error
	if s.Addr, err = freeAddr(); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	file := func(name string) string { return filepath.Join(s.folder, name) }
	conf := strings.Join([]string{
		"bind 127.0.0.1", "port 0", "tls-port " + port, "tls-ca-cert-file " + s.CA, "tls-cert-file " + file("server.pem"),
		"tls-key-file " + file("server.key"), "tls-auth-clients yes", "aclfile " + file("users.acl"), "dir " + s.folder,
		"logfile " + file("redis.log"), "appendonly no", "appendfsync everysec", `save ""`, "maxmemory-policy noeviction", "daemonize no",
		"shutdown-timeout 0", "",
	}, "\n")
	if err := os.WriteFile(file("redis.conf"), []byte(conf), 0o600); err != nil {
		return err
	}
	s.cmd = exec.Command(path, file("redis.conf"))
	dieWithUs(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(s.ended) }() // ends with the process, which stop sees to
	if s.admin, err = s.dial(adminConnections); err != nil {
		s.stop()
		return err
	}
	for end := time.Now().Add(startMax); ; {
		if s.admin.Ping(ctx).Err() == nil {
			return nil
		}
		select {
		case <-s.ended:
			log, _ := os.ReadFile(file("redis.log"))
			return fmt.Errorf("redis-server ended: %s", log[max(0, len(log)-tailSize):])
		case <-time.After(pollEvery):
		}
		if ctx.Err() != nil || time.Now().After(end) {
			s.stop()
			return errors.Join(errors.New("redis-server does not answer"), ctx.Err())
		}
	}
}

// freeAddr is an address on loopback that nobody listens at.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// stop ends the server and waits for it.
func (s *redisServer) stop() {
	if s.admin != nil {
		_ = s.admin.Close()
	}
	_ = s.cmd.Process.Kill() // an error says that it has ended already
	<-s.ended
}

// fresh empties the server, and has it append to its file or not.
func (s *redisServer) fresh(ctx context.Context, appendOnly bool) error {
	if err := s.admin.FlushAll(ctx).Err(); err != nil {
		return err
	}
	// asynq's client says once, and not again, that there is this queue, and its server and inspector ask.
	if err := s.admin.SAdd(ctx, "asynq:queues", "default").Err(); err != nil {
		return err
	}
	word := "no"
	if appendOnly {
		word = "yes"
	}
	if err := s.admin.ConfigSet(ctx, "appendonly", word).Err(); err != nil {
		return err
	}
	for appendOnly { // the first file is written in the background
		info, err := s.admin.Info(ctx, "persistence").Result()
		if err != nil || strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return err
		}
		if !pause(ctx, pollEvery) {
			return ctx.Err()
		}
	}
	return nil
}

// version is the server's, such as "7.0.15".
func (s *redisServer) version(ctx context.Context) string {
	info, _ := s.admin.Info(ctx, "server").Result()
	_, rest, _ := strings.Cut(info, "redis_version:")
	version, _, _ := strings.Cut(rest, "\r\n")
	return version
}

// pause waits for d, or until ctx ends; it reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
