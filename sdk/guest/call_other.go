//go:build !wasip1

package guest

import "unsafe"

// Stand-ins for a build that is not a task: each answers that this is not the sandbox.

func resultWrite(unsafe.Pointer, uint32) int32     { return codeOutside }
func errorWrite(unsafe.Pointer, uint32) int32      { return codeOutside }
func logWrite(int32, unsafe.Pointer, uint32) int32 { return codeOutside }
func answerRead(unsafe.Pointer, uint32) int32      { return codeOutside }
func httpFetch(unsafe.Pointer, uint32) int32       { return codeOutside }
func kvGet(unsafe.Pointer, uint32) int32           { return codeOutside }
func kvPut(unsafe.Pointer, uint32) int32           { return codeOutside }
func kvDelete(unsafe.Pointer, uint32) int32        { return codeOutside }
func kvList(unsafe.Pointer, uint32) int32          { return codeOutside }

func inputRead([]byte) (int, error) { return 0, ErrOutside }
