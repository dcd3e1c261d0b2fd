package redisqueue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// TestCredentialsReplaced replaces password, authority and certificate while a Client lives: what Renew gives is used with the next connection. What it cannot
// give, or is half replaced, is not, and an error says so.
func TestCredentialsReplaced(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t, queuetest.Options{})
	conf := configOf(server.Login(queuetest.UserWorker))
	good := redisqueue.Credentials{Password: conf.Password, CA: conf.CA, Cert: conf.Cert, Key: conf.Key}
	now, unread := good, error(nil)
	conf.Connections = 64 // after so many dials in vain go-redis dials from a goroutine of its own
	conf.Renew = func() (redisqueue.Credentials, error) { return now, unread }
	c := dial(t, conf)
	do := func(args ...string) {
		t.Helper()
		if bad, failed := server.Do(args...).(queuetest.Error); failed {
			t.Fatal(args, bad)
		}
	}
	connectAnew := func() error {
		do("CLIENT", "KILL", "USER", queuetest.UserWorker)
		return c.Ping(t.Context())
	}
	fine := func(what string) {
		t.Helper()
		if err := connectAnew(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused := func(what, says string) {
		t.Helper()
		err := connectAnew()
		wantReason(t, what, err, queue.ReasonAuth)
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q in it", what, err, says)
		}
	}
	fine("at first")

	do("ACL", "SETUSER", queuetest.UserWorker, "resetpass", ">another")
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("a connection from before the password was changed: %v", err)
	}
	refused("another password", "WRONGPASS")
	good.Password, now.Password = "another", "another"
	fine("the new password")

	authority, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := authority.Client("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	now.CA = authority.CertPEM()
	refused("trust in another authority", "signed by unknown authority")
	now.CA = append(authority.CertPEM(), good.CA...)
	fine("trust in both")
	now.Cert, now.Key = foreign.Cert, foreign.Key
	if err := connectAnew(); err == nil { // of an alert, or of a reset before it was read
		t.Error("a certificate that the server does not know was accepted")
	}
	now = good
	fine("a certificate that it knows")

	now.Cert = foreign.Cert
	fine("a certificate whose key is not there yet: those before are used")
	now, unread = good, errors.New("no such file")
	fine("nothing can be read: those before are used")
	do("ACL", "SETUSER", queuetest.UserWorker, "resetpass", ">a third")
	refused("nothing can be read", "new passwords and certificates are not used: no such file")
	now.Password, unread = "a third", nil
	fine("it can be read again")
}
