package host

import (
	"context"
	"encoding/binary"
)

// Descriptors of a task. There are no others.
const (
	fdInput  = 0
	fdOutput = 1
	fdLog    = 2
)

// Rights of WASI preview 1 that fd 0-2 have.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-rights-record
const (
	rightRead  = 1 << 1
	rightWrite = 1 << 6
	rightPoll  = 1 << 27
)

// open says whether fd is one of 0-2 and was not closed.
func (r *Run) open(fd uint32) bool { return fd <= fdLog && !r.closed[fd] }

func fdClose(_ context.Context, r *Run, p []uint64) errno {
	fd := uint32(p[0])
	if !r.open(fd) {
		return errnoBadf
	}
	r.closed[fd] = true
	return errnoSuccess
}

// fdSync succeeds on the outputs: what was written is in the host's hands.
func fdSync(_ context.Context, r *Run, p []uint64) errno {
	if !r.open(uint32(p[0])) {
		return errnoBadf
	}
	return errnoSuccess
}

// fdFdstatGet writes 24 bytes: file type (u8), flags (u16 at 2), rights (u64 at 8), inherited rights (u64 at 16).
// The type is "unknown", as for a pipe: no toolchain takes it for a terminal and buffers by line.
func fdFdstatGet(_ context.Context, r *Run, p []uint64) errno {
	fd := uint32(p[0])
	if !r.open(fd) {
		return errnoBadf
	}
	span, ok := r.view(uint32(p[1]), 24)
	if !ok {
		return errnoFault
	}
	clear(span)
	rights := uint64(rightWrite | rightPoll)
	if fd == fdInput {
		rights = rightRead | rightPoll
	}
	binary.LittleEndian.PutUint64(span[8:], rights)
	return errnoSuccess
}

// fdFdstatSetFlags accepts any flags: reads and writes never block, so append and non-blocking are true already.
func fdFdstatSetFlags(_ context.Context, r *Run, p []uint64) errno {
	if !r.open(uint32(p[0])) {
		return errnoBadf
	}
	return errnoSuccess
}

// fdFilestatGet writes 64 bytes, all zero: type "unknown", no size, no times.
func fdFilestatGet(_ context.Context, r *Run, p []uint64) errno {
	if !r.open(uint32(p[0])) {
		return errnoBadf
	}
	span, ok := r.view(uint32(p[1]), 64)
	if !ok {
		return errnoFault
	}
	clear(span)
	return errnoSuccess
}

// iovecs reads the array of (ptr, len) pairs at ptr, checks that every span and the place for the total are inside the memory,
// and returns the array. Nothing is written or consumed before all of that holds.
func (r *Run) iovecs(ptr, count, total uint32) ([]byte, errno) {
	if count > iovecsMax {
		return nil, errnoInval
	}
	array, ok := r.view(ptr, 8*count)
	if !ok {
		return nil, errnoFault
	}
	if _, ok := r.view(total, 4); !ok {
		return nil, errnoFault
	}
	r.charge(len(array))
	for rest := array; len(rest) > 0; rest = rest[8:] {
		if _, ok := r.span(rest); !ok {
			return nil, errnoFault
		}
	}
	return array, errnoSuccess
}

// span is the memory that the first pair of an iovec array points at.
func (r *Run) span(iovec []byte) ([]byte, bool) {
	return r.view(binary.LittleEndian.Uint32(iovec), binary.LittleEndian.Uint32(iovec[4:]))
}

// fdRead implements fd_read(fd, iovs, iovs_len, nread): the payload, then end of file (0 bytes).
func fdRead(_ context.Context, r *Run, p []uint64) errno {
	fd, ptr, count, total := uint32(p[0]), uint32(p[1]), uint32(p[2]), uint32(p[3])
	if fd != fdInput || !r.open(fd) {
		return errnoBadf
	}
	array, e := r.iovecs(ptr, count, total)
	if e != errnoSuccess {
		return e
	}
	// The array may lie in a span that is filled: it is read from a copy, which is mostly short enough for our stack.
	var few [8 * 8]byte
	array = append(few[:0], array...)
	n := 0
	for ; len(array) > 0 && len(r.unread) > 0; array = array[8:] {
		span, _ := r.span(array)
		k := copy(span, r.unread)
		r.unread = r.unread[k:]
		n += k
	}
	r.charge(n)
	return r.writeUint32(total, uint32(n))
}

// fdWrite implements fd_write(fd, iovs, iovs_len, nwritten): fd 1 to the result or the log, fd 2 to the log. All is taken, or the run ends at a limit.
func fdWrite(ctx context.Context, r *Run, p []uint64) errno {
	fd, ptr, count, total := uint32(p[0]), uint32(p[1]), uint32(p[2]), uint32(p[3])
	if fd == fdInput || !r.open(fd) {
		return errnoBadf
	}
	array, e := r.iovecs(ptr, count, total)
	if e != errnoSuccess {
		return e
	}
	n := uint64(0)
	for ; len(array) > 0; array = array[8:] {
		span, _ := r.span(array)
		n += uint64(len(span))
		r.charge(len(span))
		switch {
		case fd == fdLog:
			r.writeStream(ctx, &r.stderr, span)
		case r.config.StdoutLogs:
			r.writeStream(ctx, &r.stdout, span)
		default:
			r.writeResult(span)
		}
	}
	// n fits: a run that wrote more than its limits, far below 4 GiB, has ended.
	return r.writeUint32(total, uint32(n))
}

func (r *Run) writeUint32(ptr, v uint32) errno {
	span, ok := r.view(ptr, 4)
	if !ok {
		return errnoFault
	}
	binary.LittleEndian.PutUint32(span, v)
	return errnoSuccess
}
