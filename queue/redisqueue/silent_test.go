package redisqueue_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// TestSilentDial: a server that takes connections and says nothing is unavailable, which can be tried again. The dialler's own
// deadline is not the caller's.
func TestSilentDial(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	login := s.Login(queuetest.UserWorker)
	c, err := redisqueue.Dial(redisqueue.Config{
		Addr: l.Addr().String(), User: login.User, Password: login.Password, CA: login.CA, Cert: login.Cert, Key: login.Key,
		DialTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	err = c.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m")}})
	var away *queue.UnavailableError
	if !errors.As(err, &away) || away.Reason != queue.ReasonTimeout {
		t.Errorf("got %v, want *queue.UnavailableError for %q", err, queue.ReasonTimeout)
	}
}
