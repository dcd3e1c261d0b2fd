// Package client turns Go values into signed tasks in a queue, and signed results back into Go values.
//
// It never opens a connection and never reads a file, the environment or a key: the queue and the key are given. It never takes a
// result on the broker's word: a result is accepted only when a known worker signed it for the very bytes that were sent. Others
// are passed to Config.Rejected, and the wait goes on.
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
// Calls of Send from many goroutines share signatures and writes (Config.Coalesce); SendMany and SendPlan sign everything that they
// are given with one signature.
//
// [Client.Resend] writes the same bytes again, which is safe: a second copy never runs. Sending the same Task again with Send makes
// another message.
//
// Limits: limits.go, and those of queue/envelope: 224 KiB of payload, 24 hours of life.
package client
