//go:build !wasip1

package guest

import (
	"crypto/rand"
	"fmt"
	"os"
	"unsafe"
)

// Stand-ins for a build that is not a task: each answers that this is not the sandbox.

func resultWrite(unsafe.Pointer, uint32) int32     { return codeOutside }
func logWrite(int32, unsafe.Pointer, uint32) int32 { return codeOutside }
func answerRead(unsafe.Pointer, uint32) int32      { return codeOutside }
func httpFetch(unsafe.Pointer, uint32) int32       { return codeOutside }
func kvGet(unsafe.Pointer, uint32) int32           { return codeOutside }
func kvPut(unsafe.Pointer, uint32) int32           { return codeOutside }
func kvDelete(unsafe.Pointer, uint32) int32        { return codeOutside }
func kvList(unsafe.Pointer, uint32) int32          { return codeOutside }
func progressWrite(unsafe.Pointer, uint32) int32   { return codeOutside }

// errorWrite tells whoever started the program.
func errorWrite(ptr unsafe.Pointer, size uint32) int32 {
	if fields, err := unframe(unsafe.Slice((*byte)(ptr), size)); err == nil && len(fields) == 3 {
		fmt.Fprintf(os.Stderr, "%s\n", fields[2])
	}
	return codeOutside
}

// inSandbox tells that this build is no task.
const inSandbox = false

// entropy fills p, so that a function which draws numbers can be tested as one.
func entropy(p []byte) { rand.Read(p) }

func inputRead([]byte) (int, error) {
	return 0, fmt.Errorf("this program %w; build it with: caisson module build", ErrOutside)
}
