// Package guest turns a Go function into a task: it reads the input, calls the function, and gives the result or the
// error to the worker.
//
// It never opens a file, a socket or the environment, and offers no way to: inside the sandbox there are none. A call to
// [KV] or [HTTP] links its import into the module only when the task makes that call, so the import section of a module
// names exactly the powers it can use, and admission compares it with the needs in task.toml.
//
// A task registers its function from init, since a module is built as a reactor, whose main does not run:
//
//	func init() { guest.Handle(greet) }
//	func main() { guest.Main() }
//
//	func greet(ctx context.Context, in Request) (Reply, error) { ... }
//
// Input and output are JSON; a []byte passes as it is. What the function returns decides the verdict:
//
//	nil                    done
//	Fail(err)              failed for good
//	Retry(err, after)      failed, tried again not before after
//	wraps ErrDenied        failed for good: the authority of a message does not change between attempts
//	any other error        failed, tried again as [retry] in task.toml says
//	panic                  the same, with "panic: " and its value as the message, and the stack in the log
//
// Input that is not the JSON of the function's parameter, and output that has no JSON, are failures for good.
//
// With start = "template" in task.toml, init runs once and many tasks begin from the memory that it left. [Rand] is drawn
// anew in each of them; the functions at the top of math/rand, and the seeds of maps, repeat.
//
// Outside the sandbox the package compiles, so that editors, vet and tests of the function itself work, but each call
// answers [ErrOutside].
//
// The wire is described in docs/reference/task-contract.md, the way to write a task in docs/guide/writing-tasks.md.
package guest
