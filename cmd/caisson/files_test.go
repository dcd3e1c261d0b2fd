package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/devtls"
)

// TestCredentialsAreReadAgain replaces the files that [redis] names, one after the other, as their owner would.
func TestCredentialsAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair := func() devtls.Pair {
		t.Helper()
		p, err := authority.Client("test", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second := pair(), pair()
	write("ca.pem", authority.CertPEM())
	write("pass", []byte("one\n"))
	write("cert", first.Cert)
	write("key", first.Key)
	file, err := strict.Decode("worker.toml", nil, &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	section := redisSection{Address: "127.0.0.1:6379", User: "worker", PasswordFile: "pass", CA: "ca.pem", Cert: "cert", Key: "key"}
	conf := section.config(file, "redis", folder(dir))
	if err := file.Err(); err != nil || conf.Password != "one" {
		t.Fatal(err, conf.Password)
	}

	write("pass", []byte("two\n"))
	write("cert", second.Cert)
	write("key", second.Key)
	write("ca.pem", append(authority.CertPEM(), '\n'))
	got, err := conf.Renew()
	if err != nil || got.Password != "two" || string(got.Cert) != string(second.Cert) || string(got.Key) != string(second.Key) || string(got.CA) == string(conf.CA) {
		t.Errorf("after all were replaced: %v, password %q", err, got.Password)
	}
	write("pass", []byte("two\nlines\n"))
	if _, err := conf.Renew(); err == nil || !strings.Contains(err.Error(), "password_file: ") {
		t.Errorf("a password of two lines: %v", err)
	}
	write("pass", []byte("three\n"))
	if err := os.Remove(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.Renew(); err == nil || !strings.Contains(err.Error(), "key: ") {
		t.Errorf("a key that is gone: %v", err)
	}
}
