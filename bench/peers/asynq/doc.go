// Command asynq is asynq as a program of its users would use it, over the Redis that a file names, for package line.
//
// The ops: "serve" starts the server (q.Workers at a time; q.Limit is how often it looks for work when there was none, 0 for its default), whose handler does
// nothing and writes a result, which is kept. "send" enqueues q.Count tasks from q.Workers goroutines. "trip" enqueues one after the other and asks for
// each until it is completed, since asynq tells nobody. "check" asks whether all that was sent is completed, with its result.
package main
