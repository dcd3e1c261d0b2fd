package chaos_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proxy is a wire between clients and Redis that can be cut, silenced and slowed. What goes through it is TLS, so it knows
// bytes only.
type proxy struct {
	listener net.Listener
	target   string
	wires    sync.WaitGroup

	mu     sync.Mutex
	moved  *sync.Cond // the state below has changed
	open   map[*wire]bool
	refuse bool
	silent bool
	delay  time.Duration
	closed bool
}

// wire is one connection through a proxy.
type wire struct {
	client, server net.Conn
	budget         int  // bytes of reply until it is cut; below 0: no end
	cut            bool // guarded, as budget, by the proxy's mu
}

// wireChunk is how much one read of a wire takes: small, so that a budget ends in the middle of replies.
const wireChunk = 4 << 10

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: l, target: target, open: map[*wire]bool{}}
	p.moved = sync.NewCond(&p.mu)
	p.wires.Go(p.serve)
	tb.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		if refuse {
			reset(c)
			continue
		}
		s, err := net.DialTimeout("tcp", p.target, time.Second)
		if err != nil {
			reset(c)
			continue
		}
		w := &wire{client: c, server: s, budget: -1}
		p.mu.Lock()
		p.open[w] = true
		p.mu.Unlock()
		p.wires.Go(func() { p.carry(w, w.server, w.client, false) })
		p.wires.Go(func() { p.carry(w, w.client, w.server, true) })
	}
}

// carry moves bytes from src to dst until either ends.
func (p *proxy) carry(w *wire, dst, src net.Conn, toRedis bool) {
	defer p.end(w)
	buf := make([]byte, wireChunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			take, whole := p.pass(w, n, !toRedis)
			if _, err := dst.Write(buf[:take]); err != nil || !whole {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits as long as the wire is silent or slow, and returns how many of n bytes may go on, and whether the wire lives.
func (p *proxy) pass(w *wire, n int, reply bool) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.silent && !w.cut && !p.closed {
		p.moved.Wait()
	}
	if d := p.delay; d > 0 {
		p.mu.Unlock()
		time.Sleep(d) // the delay that is asked for, and no wait for anything
		p.mu.Lock()
	}
	if w.cut || p.closed {
		return 0, false
	}
	if !reply || w.budget < 0 {
		return n, true
	}
	if w.budget < n {
		w.cut = true
		return w.budget, false
	}
	w.budget -= n
	return n, true
}

func (p *proxy) end(w *wire) {
	p.mu.Lock()
	w.cut = true
	delete(p.open, w)
	p.moved.Broadcast()
	p.mu.Unlock()
	reset(w.client)
	reset(w.server)
}

// reset closes c with a TCP reset where it can, so that the other side sees an error and no end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// dropAll resets every connection that is open.
func (p *proxy) dropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.open {
		w.cut = true
		reset(w.client)
		reset(w.server)
	}
	p.moved.Broadcast()
}

// partition resets what is open and whatever comes, until heal.
func (p *proxy) partition() {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	p.dropAll()
}

// silence leaves connections open and carries nothing, as a network does that lost its route, until heal.
func (p *proxy) silence() {
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
}

// slow holds every piece back for d, until heal.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	p.delay = d
	p.mu.Unlock()
}

// cutAfter resets each connection that is open once n more bytes of replies went through it.
func (p *proxy) cutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.open {
		w.budget = n
	}
}

// heal ends partition, silence and slowness. What was silent is reset: its bytes went nowhere.
func (p *proxy) heal() {
	p.mu.Lock()
	silent := p.silent
	p.refuse, p.silent, p.delay = false, false, 0
	p.moved.Broadcast()
	p.mu.Unlock()
	if silent {
		p.dropAll()
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.moved.Broadcast()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.dropAll()
	p.wires.Wait()
}

// TestProxy tries each of its faults on an echo.
func TestProxy(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	go func() { // ends with the listener
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }() // ends with its connection
		}
	}()
	p := newProxy(t, echo.Addr().String())
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	// ask sends six bytes and says how many came back, and whether the connection then ended, failed or was quiet.
	ask := func(c net.Conn, within time.Duration) (int, error) {
		_, _ = c.Write([]byte("abcdef"))
		_ = c.SetReadDeadline(time.Now().Add(within))
		n, err := io.ReadFull(c, make([]byte, 6))
		return n, err
	}
	c := dial()
	if n, err := ask(c, time.Minute); n != 6 || err != nil {
		t.Fatalf("open: %d bytes, %v", n, err)
	}
	p.cutAfter(3)
	if n, err := ask(c, time.Minute); n > 3 || err == nil || isTimeout(err) {
		t.Errorf("cut after 3 bytes: %d bytes, %v", n, err)
	}
	c = dial()
	p.silence()
	if n, err := ask(c, 100*time.Millisecond); n != 0 || !isTimeout(err) {
		t.Errorf("silent: %d bytes, %v", n, err)
	}
	p.heal()
	if n, err := ask(c, time.Minute); n != 0 || err == nil || isTimeout(err) {
		t.Errorf("silent and healed: %d bytes, %v, want a reset", n, err)
	}
	p.partition()
	if c, err := net.Dial("tcp", p.addr()); err == nil { // it can be reset before it is known to be open
		n, err := ask(c, time.Minute)
		if c.Close(); n != 0 || err == nil || isTimeout(err) {
			t.Errorf("partition: %d bytes, %v, want a reset", n, err)
		}
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("partition: %v, want a reset", err)
	}
	p.heal()
	p.slow(50 * time.Millisecond)
	began := time.Now()
	if n, err := ask(dial(), time.Minute); n != 6 || err != nil || time.Since(began) < 100*time.Millisecond {
		t.Errorf("slow by 50 ms each way: %d bytes, %v, in %v", n, err, time.Since(began))
	}
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}
