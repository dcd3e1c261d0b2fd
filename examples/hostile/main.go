package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/caisson-run/caisson/sdk/guest"
)

func init() { guest.Handle(act) }

func main() { guest.Main() }

// Request is the input of the task.
type Request struct {
	// Mode is one of:
	//
	//	loop       a loop without an end, without a call
	//	calls      calls without an end, without a loop
	//	memory     memory until there is no more
	//	print      lines on standard output without an end
	//	log        lines in the log without an end
	//	result     a result of 256 MiB
	//	files      /etc/passwd, the environment, the folders of the machine, files to write
	//	sleep      a year of sleep
	//	recursion  a call within a call without an end
	//	panic      a panic
	//	exit       ends with Status
	Mode   string `json:"mode"`
	Status int    `json:"status"`
}

func act(_ context.Context, in Request) ([]byte, error) {
	switch in.Mode {
	case "loop":
		loop()
	case "calls":
		sink += calls(1 << 62)
	case "memory":
		hoard()
	case "print":
		for {
			fmt.Println(strings.Repeat("all work and no play ", 4))
		}
	case "log":
		for {
			guest.Log.Info("all work and no play", "again", true)
		}
	case "result":
		return make([]byte, 256<<20), nil
	case "files":
		return pry()
	case "sleep":
		time.Sleep(365 * 24 * time.Hour)
		return []byte("a year went by"), nil
	case "recursion":
		sink += recurse(1)
	case "panic":
		panic("hostile: on purpose")
	case "exit":
		os.Exit(in.Status)
	}
	return nil, guest.Fail(fmt.Errorf("hostile: there is no mode %q", in.Mode))
}

// sink keeps what is computed from being optimised away.
var sink uint64

//go:noinline
func loop() {
	for {
		sink = sink*6364136223846793005 + 1442695040888963407
	}
}

// calls is a tree of calls which no loop holds together and which is never deeper than 62.
//
//go:noinline
func calls(n uint64) uint64 {
	if n <= 1 {
		return 1
	}
	return calls(n/2) + calls(n/2) + 1
}

// recurse goes down 2^64 times. Each frame is large, so that not the heap but the stack is what fills.
//
//go:noinline
func recurse(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	var frame [64]uint64
	frame[n%64] = n
	return recurse(n+1) + frame[(n+1)%64]
}

// hoarded keeps what hoard takes.
var hoarded [][]byte

func hoard() {
	for {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		hoarded = append(hoarded, block)
	}
}

// pry looks around. What it finds is its result, which nobody should ever see; finding nothing is its failure.
func pry() ([]byte, error) {
	var found, missed []string
	try := func(what string, err error, got string) {
		if err != nil {
			missed = append(missed, fmt.Sprintf("%s: %v", what, err))
			return
		}
		found = append(found, what+": "+got)
	}
	for _, path := range []string{"/etc/passwd", "../../../../etc/passwd", "/proc/self/environ"} {
		data, err := os.ReadFile(path)
		try("read "+path, err, string(data))
	}
	for _, path := range []string{"/", "."} {
		entries, err := os.ReadDir(path)
		try("list "+path, err, fmt.Sprint(entries))
	}
	try("write /tmp/x", os.WriteFile("/tmp/x", []byte("x"), 0o600), "written")
	// Past os.Environ, which may only be called where configuration is read: this asks the sandbox itself.
	environment := syscall.Environ()
	err := errors.New("empty")
	if len(environment) > 0 {
		err = nil
	}
	try("environment", err, strings.Join(environment, " "))
	if len(found) > 0 {
		return []byte(strings.Join(found, "\n")), nil
	}
	return nil, guest.Fail(fmt.Errorf("hostile: found nothing: %s", strings.Join(missed, "; ")))
}
