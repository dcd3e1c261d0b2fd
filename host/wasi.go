package host

import (
	"context"
	"encoding/binary"
	"io"
	goruntime "runtime"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/tetratelabs/wazero/api"
)

// errno is the answer of a WASI function.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-errno-variant
type errno uint32

const (
	errnoSuccess    errno = 0
	errnoBadf       errno = 8
	errnoFault      errno = 21
	errnoInval      errno = 28
	errnoIO         errno = 29
	errnoNosys      errno = 52
	errnoNotsup     errno = 58
	errnoSpipe      errno = 70
	errnoNotcapable errno = 76
)

// A wasiCall is one WASI function: its parameters as wazero passes them, its answer an errno.
type wasiCall func(ctx context.Context, r *Run, p []uint64) errno

// wasiFunctions is all of preview 1, in the order of its documentation, so that whatever a toolchain imports links.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#functions
func wasiFunctions() []function {
	t := func(types ...api.ValueType) []api.ValueType { return types }
	table := []struct {
		name   string
		params []api.ValueType
		call   wasiCall
	}{
		{"args_get", t(i32, i32), argsGet},
		{"args_sizes_get", t(i32, i32), argsSizesGet},
		{"environ_get", t(i32, i32), environGet},
		{"environ_sizes_get", t(i32, i32), environSizesGet},
		{"clock_res_get", t(i32, i32), clockResGet},
		{"clock_time_get", t(i32, i64, i32), clockTimeGet},
		{"fd_advise", t(i32, i64, i64, i32), onFile},
		{"fd_allocate", t(i32, i64, i64), onFile},
		{"fd_close", t(i32), fdClose},
		{"fd_datasync", t(i32), fdSync},
		{"fd_fdstat_get", t(i32, i32), fdFdstatGet},
		{"fd_fdstat_set_flags", t(i32, i32), fdFdstatSetFlags},
		{"fd_fdstat_set_rights", t(i32, i64, i64), onFile},
		{"fd_filestat_get", t(i32, i32), fdFilestatGet},
		{"fd_filestat_set_size", t(i32, i64), onFile},
		{"fd_filestat_set_times", t(i32, i64, i64, i32), onFile},
		{"fd_pread", t(i32, i32, i32, i64, i32), onPipe},
		{"fd_prestat_get", t(i32, i32), noFile},
		{"fd_prestat_dir_name", t(i32, i32, i32), noFile},
		{"fd_pwrite", t(i32, i32, i32, i64, i32), onPipe},
		{"fd_read", t(i32, i32, i32, i32), fdRead},
		{"fd_readdir", t(i32, i32, i32, i64, i32), onFile},
		{"fd_renumber", t(i32, i32), onFile},
		{"fd_seek", t(i32, i64, i32, i32), onPipe},
		{"fd_sync", t(i32), fdSync},
		{"fd_tell", t(i32, i32), onPipe},
		{"fd_write", t(i32, i32, i32, i32), fdWrite},
		{"path_create_directory", t(i32, i32, i32), onFile},
		{"path_filestat_get", t(i32, i32, i32, i32, i32), onFile},
		{"path_filestat_set_times", t(i32, i32, i32, i32, i64, i64, i32), onFile},
		{"path_link", t(i32, i32, i32, i32, i32, i32, i32), onFile},
		{"path_open", t(i32, i32, i32, i32, i32, i64, i64, i32, i32), onFile},
		{"path_readlink", t(i32, i32, i32, i32, i32, i32), onFile},
		{"path_remove_directory", t(i32, i32, i32), onFile},
		{"path_rename", t(i32, i32, i32, i32, i32, i32), onFile},
		{"path_symlink", t(i32, i32, i32, i32, i32), noLink},
		{"path_unlink_file", t(i32, i32, i32), onFile},
		{"poll_oneoff", t(i32, i32, i32, i32), pollOneoff},
		{"proc_raise", t(i32), noSuch},
		{"sched_yield", t(), schedYield},
		{"random_get", t(i32, i32), randomGet},
		{"sock_accept", t(i32, i32, i32), onFile},
		{"sock_recv", t(i32, i32, i32, i32, i32, i32), onFile},
		{"sock_send", t(i32, i32, i32, i32, i32), onFile},
		{"sock_shutdown", t(i32, i32), onFile},
	}
	functions := make([]function, 0, len(table)+1)
	for _, f := range table {
		functions = append(functions, function{
			module: abi.WASI, name: f.name, params: f.params, results: t(i32),
			call: func(ctx context.Context, r *Run, p []uint64) uint64 { return uint64(f.call(ctx, r, p)) },
		})
	}
	return append(functions, function{module: abi.WASI, name: "proc_exit", params: t(i32), call: procExit})
}

// Answers of functions for what a task has not: files, directories, sockets, signals.

// onFile refuses on fd 0-2, which are streams without such powers; no other descriptor exists.
func onFile(_ context.Context, r *Run, p []uint64) errno {
	return r.noPower(uint32(p[0]), errnoNotcapable)
}

// onPipe answers as a pipe does: it has no position.
func onPipe(_ context.Context, r *Run, p []uint64) errno { return r.noPower(uint32(p[0]), errnoSpipe) }

// noFile ends the search for preopened directories, which starts at fd 3 and stops at EBADF.
func noFile(context.Context, *Run, []uint64) errno { return errnoBadf }

// noLink is path_symlink, whose first parameter is no descriptor.
func noLink(_ context.Context, r *Run, p []uint64) errno {
	return r.noPower(uint32(p[2]), errnoNotcapable)
}

func noSuch(context.Context, *Run, []uint64) errno { return errnoNosys }

func (r *Run) noPower(fd uint32, onStream errno) errno {
	if !r.open(fd) {
		return errnoBadf
	}
	return onStream
}

// argsGet and environGet write the manifest's constants.
//
//	offsets: [ptr1][ptr2]...    strings: value1 NUL value2 NUL ...
func argsGet(_ context.Context, r *Run, p []uint64) errno {
	return r.writeStrings(r.config.Args, uint32(p[0]), uint32(p[1]))
}

func argsSizesGet(_ context.Context, r *Run, p []uint64) errno {
	return r.writeSizes(r.config.Args, uint32(p[0]), uint32(p[1]))
}

func environGet(_ context.Context, r *Run, p []uint64) errno {
	return r.writeStrings(r.config.Env, uint32(p[0]), uint32(p[1]))
}

func environSizesGet(_ context.Context, r *Run, p []uint64) errno {
	return r.writeSizes(r.config.Env, uint32(p[0]), uint32(p[1]))
}

func stringsSize(values []string) uint32 {
	n := 0
	for _, v := range values {
		n += len(v) + 1
	}
	return uint32(n)
}

func (r *Run) writeStrings(values []string, offsets, text uint32) errno {
	o, ok1 := r.view(offsets, uint32(4*len(values)))
	t, ok2 := r.view(text, stringsSize(values))
	if !ok1 || !ok2 {
		return errnoFault
	}
	for _, v := range values {
		binary.LittleEndian.PutUint32(o, text)
		n := copy(t, v)
		t[n] = 0
		o, t, text = o[4:], t[n+1:], text+uint32(n)+1
	}
	return errnoSuccess
}

func (r *Run) writeSizes(values []string, count, size uint32) errno {
	c, ok1 := r.view(count, 4)
	s, ok2 := r.view(size, 4)
	if !ok1 || !ok2 {
		return errnoFault
	}
	binary.LittleEndian.PutUint32(c, uint32(len(values)))
	binary.LittleEndian.PutUint32(s, stringsSize(values))
	return errnoSuccess
}

func clockResGet(_ context.Context, r *Run, p []uint64) errno {
	ns, e := r.clockResolution(uint32(p[0]))
	if e != errnoSuccess {
		return e
	}
	return r.writeUint64(uint32(p[1]), ns)
}

func clockTimeGet(_ context.Context, r *Run, p []uint64) errno {
	ns, e := r.clock(uint32(p[0]))
	if e != errnoSuccess {
		return e
	}
	return r.writeUint64(uint32(p[2]), ns)
}

func (r *Run) writeUint64(ptr uint32, v uint64) errno {
	span, ok := r.view(ptr, 8)
	if !ok {
		return errnoFault
	}
	binary.LittleEndian.PutUint64(span, v)
	return errnoSuccess
}

// randomGet fills (ptr, len) in chunks, so that neither one call over a whole memory nor many of them outlive the run or its limit on calls.
func randomGet(ctx context.Context, r *Run, p []uint64) errno {
	span, ok := r.view(uint32(p[0]), uint32(p[1]))
	if !ok {
		return errnoFault
	}
	for len(span) > 0 {
		r.checkContext(ctx)
		n := int(min(int64(len(span)), randomChunkSize-r.randomSize%randomChunkSize))
		if _, err := io.ReadFull(r.host.rand, span[:n]); err != nil {
			return errnoIO
		}
		r.charge(n)
		if r.randomSize += int64(n); r.randomSize%randomChunkSize == 0 {
			r.countCall()
		}
		span = span[n:]
	}
	return errnoSuccess
}

// schedYield gives the processor to other runs.
func schedYield(context.Context, *Run, []uint64) errno {
	goruntime.Gosched()
	return errnoSuccess
}

// procExit ends the guest with its status. Every status is the guest's own, -1 and those that wazero uses for itself included.
func procExit(_ context.Context, r *Run, p []uint64) uint64 {
	r.stop(Ending{Kind: EndingExit, Status: int32(uint32(p[0]))})
	return 0
}
