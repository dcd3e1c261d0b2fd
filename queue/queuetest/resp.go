package queuetest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// conn is the least of a Redis client: commands of strings, replies of RESP2. It
// is here so that this room needs no client library.
// Source: the Redis serialization protocol specification, version 2.
type conn struct {
	net net.Conn
	in  *bufio.Reader
}

// Error is an error reply.
type Error string

func (e Error) Error() string { return string(e) }

func dial(addr, user, password string, conf *tls.Config) (*conn, error) {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialMax}, Config: conf}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(startMax)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	out := &conn{net: c, in: bufio.NewReader(c)}
	reply, err := out.do("AUTH", user, password)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if reply != "OK" {
		return nil, errors.Join(fmt.Errorf("AUTH: %v", reply), c.Close())
	}
	return out, nil
}

func (c *conn) close() { _ = c.net.Close() }

// do sends a command and returns its reply; an error reply is an Error among the
// replies, not an error.
func (c *conn) do(args ...string) (any, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(c.net, b.String()); err != nil {
		return nil, err
	}
	return c.read()
}

func (c *conn) read() (any, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, errors.New("empty reply")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return Error(rest), nil
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || kind != ':' && n > replyBytesMax {
		return nil, fmt.Errorf("reply %q", line)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		data := make([]byte, n+2)
		if _, err := io.ReadFull(c.in, data); err != nil {
			return nil, err
		}
		return string(data[:n]), nil
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = c.read(); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("reply %q", line)
}
