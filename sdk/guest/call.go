package guest

import (
	"context"
	"sync"
	"unsafe"

	"github.com/caisson-run/caisson/host/abi"
)

// An importedFunc is a host function: it takes a span of the guest's memory.
type importedFunc func(ptr unsafe.Pointer, size uint32) int32

// calling keeps a call and the reading of its answer together. One answer waits at a time, and between the two the
// allocation of the buffer can let another goroutine run.
var calling sync.Mutex

// ask makes one capability call and returns the fields of its answer, which the caller owns.
// Errors: ctx's cause when it has ended; one of the Err values.
func ask(ctx context.Context, f importedFunc, fields ...[]byte) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	request, err := frame(fields...)
	if err != nil {
		return nil, err
	}
	calling.Lock()
	defer calling.Unlock()
	size := f(span(request))
	if size < 0 {
		return nil, errorOf(size)
	}
	if size == 0 {
		return nil, nil
	}
	if size > abi.AnswerSizeMax {
		return nil, ErrTooLarge
	}
	answer := make([]byte, size)
	n := answerRead(span(answer))
	if n < 0 {
		return nil, errorOf(n)
	}
	if n != size {
		return nil, ErrInvalid
	}
	return unframe(answer)
}

// span is b as the host wants it. The pointer of an empty b is never read.
func span(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}
