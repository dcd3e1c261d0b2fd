package abi

// Module is the import module of every function that this package names.
const Module = "caisson"

// WASI is the import module of the WASI preview 1 functions, which the host offers beside Module.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
const WASI = "wasi_snapshot_preview1"

// Names of what a guest exports.
const (
	ExportStart      = "_start"         // command: () -> (); its proc_exit status is the run's status
	ExportInitialize = "_initialize"    // reactor, optional: () -> ()
	ExportResume     = "caisson_resume" // reactor, optional: () -> (); called first in each cell, before caisson_run
	ExportRun        = "caisson_run"    // reactor: () -> i32, the run's status
	ExportMemory     = "memory"         // the memory that every ptr points into
)

// Names of what a guest imports from Module.
const (
	ResultWrite   = "result_write"
	ErrorWrite    = "error_write"
	LogWrite      = "log_write"
	AnswerRead    = "answer_read"
	HTTPFetch     = "http_fetch"
	KVGet         = "kv_get"
	KVPut         = "kv_put"
	KVDelete      = "kv_delete"
	KVList        = "kv_list"
	ClockFine     = "clock_fine"
	ProgressWrite = "progress_write"
)

// A Status is what a run ends with: the return value of caisson_run, or the exit status of a command.
// Any status that has no name here is a failure that is retried as the manifest says.
type Status = int32

const (
	StatusDone   Status = 0  // the result stands
	StatusFailed Status = 65 // failed for good, not retried; EX_DATAERR of sysexits.h
)

// A Code is what a host function answers instead of a length. It is always below zero.
type Code = int32

const (
	Denied      Code = -1 // a layer of authority refused: manifest, policy or sender. Final for this run
	NotFound    Code = -2 // there is no such key
	Invalid     Code = -3 // the pointer, the length, the frame or a field is not acceptable
	TooLarge    Code = -4 // a request, a value or an answer is above its size limit
	Limit       Code = -5 // reserved: a limit that is spent ends the run instead of being answered
	Unavailable Code = -6 // the other side could not be reached or failed; may work later
	Timeout     Code = -7 // the other side took too long
	TooSmall    Code = -8 // answer_read: the span is smaller than the answer, which stays
	Quota       Code = -9 // the tenant's quota in the store is full
)

// Levels of log_write.
const (
	LevelDebug int32 = 0
	LevelInfo  int32 = 1
	LevelWarn  int32 = 2
	LevelError int32 = 3
)

// Kinds of error_write, the first field of its frame. The status decides the verdict; the kind only has to agree with it.
const (
	ErrorRetry = "retry" // "after" asks for a delay before the next attempt; "0" leaves it to the manifest
	ErrorFail  = "fail"
)

// Words of authority that Imports names, equal to the kinds of manifest/capability. They are repeated here because this package imports nothing; a test
// in host compares them.
const (
	KindClock    = "clock"
	KindHTTP     = "http"
	KindKV       = "kv"
	KindProgress = "progress"
)

// An Import is one function of Module that a guest may import.
type Import struct {
	Name   string
	Params int    // how many i32 parameters it takes; the result is always one i32
	Kind   string // kind of capability that the manifest must need for it; "" for none
}

// Imports is the whole list, in the order of the doc comment.
// It is a function, so that a guest that does not call it does not link it.
func Imports() []Import {
	return []Import{
		{ResultWrite, 2, ""},
		{ErrorWrite, 2, ""},
		{LogWrite, 3, ""},
		{AnswerRead, 2, ""},
		{HTTPFetch, 2, KindHTTP},
		{KVGet, 2, KindKV},
		{KVPut, 2, KindKV},
		{KVDelete, 2, KindKV},
		{KVList, 2, KindKV},
		{ClockFine, 2, KindClock},
		{ProgressWrite, 2, KindProgress},
	}
}
