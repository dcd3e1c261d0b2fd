// A reactor task without an SDK: the first word of fd 0 says what to do. The result goes by result_write.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

//go:wasmimport caisson result_write
//go:noescape
func resultWrite(ptr unsafe.Pointer, n uint32) int32

//go:wasmimport caisson error_write
//go:noescape
func errorWrite(ptr unsafe.Pointer, n uint32) int32

//go:wasmimport caisson log_write
//go:noescape
func logWrite(level int32, ptr unsafe.Pointer, n uint32) int32

//go:wasmimport caisson answer_read
//go:noescape
func answerRead(ptr unsafe.Pointer, n uint32) int32

//go:wasmimport caisson http_fetch
//go:noescape
func httpFetch(ptr unsafe.Pointer, n uint32) int32

//go:wasmimport caisson kv_get
//go:noescape
func kvGet(ptr unsafe.Pointer, n uint32) int32

func frame(fields ...string) []byte {
	var b []byte
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

func ptr(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func input() []byte {
	var in []byte
	buf := make([]byte, 4096)
	for {
		n, err := syscall.Read(0, buf)
		if n <= 0 || err != nil {
			return in
		}
		in = append(in, buf[:n]...)
	}
}

var (
	counter int
	keep    [][]byte
	zero    uint64
)

func result(s string) int32 { return resultWrite(ptr([]byte(s))) }

//go:noinline
func recurse(n int) int {
	var pad [64]int
	pad[n%64] = n
	return recurse(n+1) + pad[(n+1)%64]
}

// atInit is what the module could reach before its task began.
var atInit string

func init() {
	n := kvGet(ptr(frame("a/b")))
	atInit = fmt.Sprintf("%d bytes of input, kv_get answers %d", len(input()), n)
	result("left behind")
	errorWrite(ptr(frame("fail", "0", "left behind")))
}

//go:wasmexport caisson_run
func run() int32 {
	verb, rest, _ := strings.Cut(string(input()), " ")
	switch verb {
	case "echo":
		fmt.Println("a stray print")
		return result(rest)
	case "init":
		return result(atInit)
	case "count":
		counter++
		return result(strconv.Itoa(counter))
	case "status":
		n, _ := strconv.ParseInt(rest, 10, 32)
		return int32(n)
	case "retry":
		errorWrite(ptr(frame("retry", "1500", "later,\x1b[0m please")))
		return 1
	case "fail":
		errorWrite(ptr(frame("fail", "0", "never")))
		return 65
	case "loop":
		for {
			zero++
		}
	case "recurse":
		return int32(recurse(1))
	case "grow":
		for {
			keep = append(keep, make([]byte, 1<<20))
			keep[len(keep)-1][0] = 1
		}
	case "divide":
		return int32(1 / zero)
	case "big":
		b := make([]byte, 1<<16)
		for {
			resultWrite(ptr(b))
		}
	case "logs":
		for {
			p, n := ptr([]byte("again"))
			logWrite(1, p, n)
		}
	case "calls":
		for {
			kvGet(ptr(frame("a/b")))
		}
	case "kv":
		n := kvGet(ptr(frame(rest)))
		if n < 0 {
			return result(strconv.Itoa(int(n)))
		}
		b := make([]byte, n)
		if answerRead(ptr(b)) != n {
			return 4
		}
		return result(string(b[4:]))
	case "fetch":
		n := httpFetch(ptr(frame("GET", rest, "")))
		return result(strconv.Itoa(int(n)))
	case "exit":
		n, _ := strconv.Atoi(rest)
		os.Exit(n)
	case "json":
		return result(`{"ok":true}`)
	}
	return 3
}

func main() {}
