// A command task without an SDK: the first word of fd 0 says what to do.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

var touched int

func main() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	verb, rest, _ := strings.Cut(string(in), " ")
	switch verb {
	case "echo":
		fmt.Print(rest)
	case "exit":
		n, _ := strconv.Atoi(rest)
		os.Exit(n)
	case "passwd":
		b, err := os.ReadFile("/etc/passwd")
		fmt.Printf("%d bytes, %v", len(b), err)
		if _, err := os.Create("/tmp/x"); err == nil {
			fmt.Print(", created")
		}
		if _, err := os.ReadDir("/"); err == nil {
			fmt.Print(", listed")
		}
	case "environ":
		fmt.Printf("%q %q", os.Args, os.Environ())
	case "dial":
		_, err := net.Dial("tcp", "127.0.0.1:80")
		fmt.Print(err)
	case "flood1":
		line := strings.Repeat("x", 1023) + "\n"
		for {
			fmt.Print(line)
		}
	case "flood2":
		line := strings.Repeat("x", 1023) + "\n"
		for {
			fmt.Fprint(os.Stderr, line)
		}
	case "lines":
		for {
			fmt.Fprintln(os.Stderr)
		}
	case "year":
		time.Sleep(365 * 24 * time.Hour)
	case "nap":
		start := time.Now()
		time.Sleep(20 * time.Millisecond)
		fmt.Print(time.Since(start) >= 20*time.Millisecond)
	case "log":
		fmt.Fprint(os.Stderr, "plain\n\x1b[31mred\r\n\xff\u202etxt\nno newline")
	case "state":
		touched++
		f, err := os.OpenFile("state", os.O_RDWR|os.O_CREATE, 0o600)
		fmt.Print(touched, " ", f == nil, " ", err != nil)
	case "panic":
		var p *int
		fmt.Print(*p)
	}
}
