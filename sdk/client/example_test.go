package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// A Request and a Thumb are what task and sender agree on.
type (
	Request struct {
		URL   string
		Width int
	}
	Thumb struct{ Width, Height int }
)

// worker stands in for a queue and for a worker behind it: it answers what is sent, at once. Elsewhere Sender and Results come from
// queue/redisqueue.
type worker struct{ *broker }

func (w worker) Send(_ context.Context, batch []queue.Outgoing) error {
	for _, out := range batch {
		v, err := envelope.Reader{Keys: ring{submitKey.Public()}, Audience: "prod"}.Open(out.Message, time.Now())
		if err != nil {
			return err
		}
		t := v.Task()
		var in Request
		if err := json.Unmarshal(t.Payload, &in); err != nil {
			return err
		}
		output, err := json.Marshal(Thumb{in.Width, in.Width * 3 / 4})
		if err != nil {
			return err
		}
		signed, err := envelope.SignResult(envelope.Result{
			ID: t.ID, Message: v.Digest(), Audience: t.Audience, Tenant: t.Tenant, Queue: t.Queue, Task: t.Task,
			Status: envelope.StatusDone, Attempt: 1, Finished: time.Now(), ContentType: "application/json", Output: output,
		}, workerKey)
		if err != nil {
			return err
		}
		w.put(t.Queue, t.ID.String(), signed)
	}
	return nil
}

func Example() {
	q := worker{newBroker()}
	c, err := client.Open(client.Config{
		Sender: q, Results: q, Key: submitKey, Workers: ring{workerKey.Public()},
		Audience: "prod", Tenant: "acme", Queue: "images",
	})
	if err != nil {
		fmt.Println(err) // every faulty field at once
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sent, err := c.Send(ctx, client.Task{
		Name: "image.thumbnail", Input: Request{URL: "https://img.example.com/1.png", Width: 128}, Within: 5 * time.Minute,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.Wait(ctx, sent)
	if err != nil {
		fmt.Println(err) // *client.RefusedError, *client.FailedError
		return
	}
	var thumb Thumb
	if err := json.Unmarshal(result.Output, &thumb); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Status, thumb.Width, thumb.Height)
	// Output: done 128 96
}
