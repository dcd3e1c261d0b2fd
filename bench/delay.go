package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// A delayProxy stands between clients and a server and makes each round trip last longer by the delay. It holds back what the server says and nothing
// else: a request is answered later by the delay, many at once are held back together, and nothing gets slower than that.
type delayProxy struct {
	listener net.Listener
	target   string
	delay    time.Duration
	ends     sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// startDelay listens on loopback for clients of target.
func startDelay(target string, delay time.Duration) (*delayProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &delayProxy{listener: l, target: target, delay: delay, open: map[net.Conn]bool{}}
	p.ends.Go(p.accept) // until close
	return p, nil
}

func (p *delayProxy) addr() string { return p.listener.Addr().String() }

// close ends all connections and waits for what served them.
func (p *delayProxy) close() {
	p.mu.Lock()
	p.closed = true
	_ = p.listener.Close()
	for c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.ends.Wait()
}

func (p *delayProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		p.ends.Go(func() { _, _ = io.Copy(server, client); p.drop(client, server) }) // until either side ends
		p.ends.Go(func() { p.holdBack(client, server); p.drop(client, server) })
	}
}

func (p *delayProxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			_ = c.Close()
		}
		p.open[c] = true
	}
	return !p.closed
}

func (p *delayProxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.open, c)
	}
}

// A heldPiece is bytes and when they may go on.
type heldPiece struct {
	data []byte
	due  time.Time
}

// holdBack copies from server to client, each piece the delay after it came.
func (p *delayProxy) holdBack(client, server net.Conn) {
	pieces := make(chan heldPiece, heldPiecesMax)
	p.ends.Go(func() { // until pieces is closed; it empties it even when the client is gone, so that nothing waits for ever
		for piece := range pieces {
			time.Sleep(time.Until(piece.due))
			if _, err := client.Write(piece.data); err != nil {
				_ = server.Close()
			}
		}
		_ = client.Close()
	})
	defer close(pieces)
	for {
		data := make([]byte, heldPieceSize)
		n, err := server.Read(data)
		if n > 0 {
			pieces <- heldPiece{data[:n], time.Now().Add(p.delay)}
		}
		if err != nil {
			return
		}
	}
}
