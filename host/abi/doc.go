// Package abi is the list of names, numbers and sizes that both sides of the sandbox wall agree on: the host that offers
// functions and the guest that imports them.
//
// It holds constants and one table, never behaviour: it imports nothing, allocates nothing at start, and compiles for the
// host and for GOOS=wasip1 alike. The page docs/reference/task-contract.md says the same for those who write a task with no SDK.
//
// A guest imports functions of the module "caisson" (Module). All parameters and results are i32. A pair (ptr, len) is a
// span of the guest's own memory. A function answers a number >= 0, or a Code, which is < 0.
//
//	result_write(ptr, len)       -> 0 or Code      appends to the result; when it is imported, fd 1 is a log
//	error_write(ptr, len)        -> 0 or Code      frame [kind, after, message]; the last call counts
//	log_write(level, ptr, len)   -> 0 or Code      one or more lines of log
//	answer_read(ptr, len)        -> length or Code copies the answer that waits and forgets it
//	http_fetch(ptr, len)         -> length or Code frame [method, url, body, name1, value1, ...] -> [status, body, name1, value1, ...]
//	kv_get(ptr, len)             -> length or Code frame [key] -> [value]
//	kv_put(ptr, len)             -> length or Code frame [key, value, ttl] -> []
//	kv_delete(ptr, len)          -> length or Code frame [key] -> []
//	kv_list(ptr, len)            -> length or Code frame [prefix, after, max] -> [key1, key2, ...]
//	clock_fine(ptr, len)         -> length or Code frame [] -> [realtime, monotonic]
//	progress_write(ptr, len)     -> 0 or Code      text, of which the newest counts
//
// A frame is its fields one after the other, each a u32 in little-endian order that counts the bytes of the field, then
// those bytes. A frame of no fields is no bytes. Numbers inside a frame are decimal text: status, after (milliseconds, at least 0),
// ttl (seconds, "" for none), max, realtime (nanoseconds since 1970) and monotonic (nanoseconds since some instant before this run).
//
// The second group are the capability calls. Each needs a capability (Imports says which kind), takes one request frame,
// and answers the length of the frame that waits for answer_read. That length may be 0: then nothing waits. One answer waits at a time: the next capability
// call drops the one before. answer_read with a len that is too small writes nothing, answers TooSmall, and the answer stays.
package abi
