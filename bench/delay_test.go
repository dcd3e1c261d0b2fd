package main

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// TestDelay: an answer comes through whole and late, what was asked together is answered together, and close ends everything.
func TestDelay(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() { // until echo is closed
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }() // until the client goes
		}
	}()
	const delay = 30 * time.Millisecond
	p, err := startDelay(echo.Addr().String(), delay)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{1, 16 << 20} { // of 512 pieces at the least, which would take 15 s one after the other
		want := bytes.Repeat([]byte{'x'}, size)
		begun := time.Now()
		go func() { _, _ = c.Write(want) }()
		got := make([]byte, size)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: error %v", size, err)
		}
		if took := time.Since(begun); took < delay || took > 5*time.Second { // of which a busy machine needs a second without any delay
			t.Errorf("%d bytes took %s, want little more than %s", size, took, delay)
		}
	}
	p.close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a closed proxy", n)
	}
}
