package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A pipeListener gives out one connection.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// Whoever asks slowly, does not take the answer or asks nothing more holds a connection of the worker's pages for a while only.
func TestPagesEndConnections(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: worker\r\n"
	for name, row := range map[string]struct {
		say    string
		answer bool // is read
		within time.Duration
	}{
		"says nothing":    {"", false, pagesTimeout},
		"half a request":  {get, false, pagesTimeout},
		"takes no answer": {get + "\r\n", false, pagesTimeout},
		"half a body":     {"POST / HTTP/1.1\r\nHost: worker\r\nContent-Length: 10\r\n\r\n12345", false, pagesTimeout},
		"asks no more":    {get + "\r\n", true, pagesIdle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				listener := &pipeListener{make(chan net.Conn, 1), make(chan struct{})}
				listener.conns <- theirs
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
					servePages(ctx, listener, pages, hclog.NewNullLogger())
				}()
				begun := time.Now()
				if _, err := io.WriteString(ours, row.say); err != nil {
					t.Fatal(err)
				}
				in := bufio.NewReader(ours)
				if row.answer {
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, answer.Body); n != 1<<20 || err != nil {
						t.Fatal(n, err)
					}
				} else {
					time.Sleep(row.within + time.Second) // in the bubble's time
				}
				_ = ours.SetReadDeadline(time.Now().Add(time.Hour))
				_, err := io.Copy(io.Discard, in)
				if took := time.Since(begun); errors.Is(err, context.DeadlineExceeded) || took > row.within+2*time.Second {
					t.Errorf("the connection ended after %s, %v", took, err)
				}
				stop()
				<-done
			})
		})
	}
}
