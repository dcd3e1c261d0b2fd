// Package caisson is the page that a reader of the module meets first; it has no code.
//
// Caisson is a task-queue worker whose every task runs in a fresh WebAssembly sandbox that holds only the powers
// that the task's author asked for, the operator granted and the sender was allowed to use.
//
// A task's way leads through these packages, one type each:
//
//	queue            message bytes, out of Redis over TLS (queue/redisqueue)
//	queue/envelope   Verified: the signature holds, and only then is the body parsed
//	runtime/policy   Authorised: this principal may send this task to this queue, under these limits
//	manifest         Bound: the release that a publisher signed, and the very bytes it names
//	runtime/sandbox  Outcome: the run itself, with the powers of capability.Held and no others
//	runtime          the worker around them
//
// To send tasks from Go begin at sdk/client; to write one, at sdk/guest and sdk/tasktest. docs/layout.md has the
// whole table of rooms, which a test beside this file enforces.
package caisson
