// Package client turns Go values into signed tasks in a queue, and signed results back into Go values.
//
// It never opens a connection, reads a file, the environment or a key of its own accord: the queue and the key are
// given. It never takes a result on the broker's word: a result counts only when a known worker signed it for these very bytes
// that were sent. What does not count is told to Config.Rejected, and the wait goes on.
//
//	c, err := client.Open(client.Config{
//		Sender: q, Results: results, Key: key, Workers: workers,
//		Audience: "prod", Tenant: "acme", Queue: "images",
//	})
//	...
//	sent, err := c.Send(ctx, client.Task{Name: "image.thumbnail", Input: Request{URL: u}, Within: 5 * time.Minute})
//	...
//	result, err := c.Wait(ctx, sent) // *RefusedError, *FailedError: it ended, but not well
//
// What many goroutines send at the same time shares signatures and writes (Config.Coalesce); SendMany and SendPlan sign all
// they are given with one signature.
//
// Sending is safe to repeat with [Client.Resend], which writes the same bytes: a second copy never runs. Sending the same
// Task again with Send is another message.
//
// Limits: limits.go, and those of queue/envelope: 224 KiB of payload, 24 hours of life.
package client
