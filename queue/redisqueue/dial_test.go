package redisqueue_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

func TestDialConfig(t *testing.T) {
	authority, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Client("c", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := redisqueue.Config{Addr: "127.0.0.1:6379", User: "worker", Password: "p", CA: authority.CertPEM(), Cert: pair.Cert, Key: pair.Key}
	dial(t, good)
	tlsConf, err := redisqueue.TLSConfig(good)
	if err != nil || tlsConf.InsecureSkipVerify || tlsConf.MinVersion < tls.VersionTLS12 || tlsConf.ServerName != "127.0.0.1" || tlsConf.RootCAs == nil {
		t.Errorf("TLS settings %+v, %v", tlsConf, err)
	}
	rows := []struct {
		name   string
		change func(c *redisqueue.Config)
		want   string
	}{
		{"no address", func(c *redisqueue.Config) { c.Addr = "" }, "Addr"},
		{"no port", func(c *redisqueue.Config) { c.Addr = "redis" }, "Addr"},
		{"port 0", func(c *redisqueue.Config) { c.Addr = "redis:0" }, "Addr"},
		{"leading zero", func(c *redisqueue.Config) { c.Addr = "redis:06379" }, "Addr"},
		{"a URL", func(c *redisqueue.Config) { c.Addr = "rediss://redis:6379" }, "Addr"},
		{"no user", func(c *redisqueue.Config) { c.User = "" }, "User"},
		{"the user default", func(c *redisqueue.Config) { c.User = "default" }, "User"},
		{"no password", func(c *redisqueue.Config) { c.Password = "" }, "Password"},
		{"no CA", func(c *redisqueue.Config) { c.CA = nil }, "CA"},
		{"CA is no PEM", func(c *redisqueue.Config) { c.CA = []byte("x") }, "CA"},
		{"certificate without key", func(c *redisqueue.Config) { c.Key = nil }, "Cert"},
		{"key without certificate", func(c *redisqueue.Config) { c.Cert = nil }, "Cert"},
		{"timeout below a read", func(c *redisqueue.Config) { c.Timeout = time.Second }, "Timeout"},
		{"negative timeout", func(c *redisqueue.Config) { c.DialTimeout = -1 }, "DialTimeout"},
		{"one connection", func(c *redisqueue.Config) { c.Connections = 1 }, "Connections"},
	}
	for _, r := range rows {
		c := good
		r.change(&c)
		_, err := redisqueue.Dial(c)
		var fault *redisqueue.ConfigError
		if !errors.As(err, &fault) || fault.Field != r.want || fault.Code() != "redis.config" {
			t.Errorf("%s: %v, want a fault of %s", r.name, err, r.want)
		}
	}
	_, err = redisqueue.Dial(redisqueue.Config{})
	for _, field := range []string{"Addr", "User", "Password", "CA"} {
		if err == nil || !strings.Contains(err.Error(), ": "+field+": ") {
			t.Errorf("all faults at once: %v lacks %s", err, field)
		}
	}
	if err := (redisqueue.QueueConfig{Worker: "A", Lease: 1, DeadMax: -1}).Check(); err == nil ||
		strings.Count(err.Error(), "redis: config: ") != 3 {
		t.Errorf("faults of a QueueConfig: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for addr, ok := range map[string]bool{
		"redis.example.com:6379": true, "127.0.0.1:6380": true, "[::1]:6380": true,
		"": false, "127.0.0.1": false, ":6379": false, "h:01": false, "h:0": false, "h:65536": false, "h :1": false, "h\t:1": false, "h\\x:1": false,
		"h:1/0": false, "h/x:1": false, "u@h:1": false, "rediss://h:1": false, "::1:6379": false, "é:1": false,
	} {
		_, err := redisqueue.Dial(redisqueue.Config{Addr: addr})
		if bad := strings.Contains(err.Error(), "redis: config: Addr: "); bad == ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
