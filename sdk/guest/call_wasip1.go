package guest

import (
	"syscall"
	"unsafe"
)

// The linker keeps an import only when something reachable calls it. So each capability call has a function of its own
// here, named only by the method that makes it, and nothing takes them together in a table.

//go:wasmimport caisson result_write
//go:noescape
func resultWrite(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson error_write
//go:noescape
func errorWrite(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson log_write
//go:noescape
func logWrite(level int32, ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson answer_read
//go:noescape
func answerRead(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson http_fetch
//go:noescape
func httpFetch(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson kv_get
//go:noescape
func kvGet(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson kv_put
//go:noescape
func kvPut(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson kv_delete
//go:noescape
func kvDelete(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson kv_list
//go:noescape
func kvList(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport caisson progress_write
//go:noescape
func progressWrite(ptr unsafe.Pointer, size uint32) int32

//go:wasmimport wasi_snapshot_preview1 random_get
//go:noescape
func randomGet(ptr unsafe.Pointer, size uint32) uint32

// inSandbox tells that this build is a task.
const inSandbox = true

// resumed is what the worker calls first in each cell, after the start that many cells may share.
//
//go:wasmexport caisson_resume
func resumed() { resume() }

// exported is what the worker calls, once in the life of an instance.
//
//go:wasmexport caisson_run
func exported() int32 { return run() }

// inputRead reads from fd 0. It goes past os.Stdin, whose poller would cost each fresh instance its set-up.
func inputRead(p []byte) (int, error) { return syscall.Read(0, p) }

// entropy fills p from the host. It panics where there is none, as crypto/rand ends the program: no caller could go on.
func entropy(p []byte) {
	if errno := randomGet(span(p)); errno != 0 {
		panic("guest: random_get: " + syscall.Errno(errno).Error())
	}
}
