package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Send signs t and puts it into its queue. Calls at the same time share signatures and writes, see Config.Coalesce; the error is
// about t alone.
// Errors: *TaskError, final: nothing was sent. With ctx's error or the queue's t may have been sent: then the receipt is returned, and
// Resend is safe. With a zero receipt nothing was sent.
func (c *Client) Send(ctx context.Context, t Task) (Receipt, error) {
	task, err := c.prepare(t)
	if err != nil {
		return Receipt{}, &TaskError{0, t.Name, err}
	}
	return c.outbox.send(ctx, task)
}

// Sign signs t as Send does and sends nothing: Receipt.Message is the message, and Resend sends it. Until it expires, whoever has it
// and can write to the broker can have the task run once.
// Errors, final: *TaskError.
func (c *Client) Sign(t Task) (Receipt, error) {
	receipt, err := c.sign(t)
	if err != nil {
		return Receipt{}, &TaskError{0, t.Name, err}
	}
	return receipt, nil
}

// SendMany signs tasks with one signature and puts them into their queues with one call of Sender.Send. Receipts are in the order of
// tasks.
// Errors: *TaskError, one for each bad task, joined, and *BatchError, both final: nothing was sent. With an error of the
// queue some may have been sent; the receipts are returned, and Resend is safe.
func (c *Client) SendMany(ctx context.Context, tasks []Task) ([]Receipt, error) {
	receipts, err := c.SignMany(tasks)
	if err != nil {
		return nil, err
	}
	return receipts, c.Resend(ctx, receipts)
}

// SignMany signs tasks as SendMany does and sends nothing; see Sign.
// Errors, final: *TaskError, one for each bad task, joined, and *BatchError.
func (c *Client) SignMany(tasks []Task) ([]Receipt, error) {
	if len(tasks) > BatchMax {
		return nil, &BatchError{fmt.Sprintf("%d tasks, at most %d", len(tasks), BatchMax)}
	}
	prepared := make([]envelope.Task, len(tasks))
	faults := map[int]error{}
	size := 0
	for i, t := range tasks {
		var err error
		if prepared[i], err = c.prepare(t); err != nil {
			faults[i] = err
		}
		if size += len(prepared[i].Payload); size > BatchSizeMax {
			return nil, &BatchError{fmt.Sprintf("more than %d bytes", BatchSizeMax)}
		}
	}
	receipts, err := c.signAll(prepared)
	for i, fault := range batchFaults(err) {
		if faults[i] == nil {
			faults[i] = fault
		}
	}
	if len(faults) > 0 {
		var list []error
		for i, t := range tasks {
			if fault := faults[i]; fault != nil {
				list = append(list, &TaskError{i, t.Name, fault})
			}
		}
		return nil, errors.Join(list...)
	}
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// signAll signs tasks with one signature.
// Errors: of envelope.SignBatch.
func (c *Client) signAll(tasks []envelope.Task) ([]Receipt, error) {
	messages, err := envelope.SignBatch(tasks, c.cfg.Key)
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(messages))
	for i, msg := range messages {
		receipts[i] = receiptOf(&tasks[i], msg)
	}
	return receipts, nil
}

// batchFaults splits an error of envelope.SignBatch by the index in the batch; nil for any other error.
func batchFaults(err error) map[int]error {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var faults map[int]error
	for _, err := range list {
		var bad *envelope.BatchError
		if errors.As(err, &bad) {
			if faults == nil {
				faults = map[int]error{}
			}
			faults[bad.Index] = bad.Err
		}
	}
	return faults
}

// Resend puts the same messages into their queues again, with one call of Sender.Send, for example after an error of the queue. A
// second copy of a message never runs.
// Errors: *ReceiptError, final; else those of the queue.
func (c *Client) Resend(ctx context.Context, receipts []Receipt) error {
	if len(receipts) == 0 {
		return nil
	}
	batch := make([]queue.Outgoing, len(receipts))
	for i, r := range receipts {
		if len(r.Message) == 0 {
			return &ReceiptError{r.ID, "has no message to send again"}
		}
		batch[i] = queue.Outgoing{
			Lane:    queue.Lane{Queue: r.Queue, Tenant: c.cfg.Tenant, Priority: r.Priority},
			Message: r.Message,
		}
	}
	if err := c.cfg.Sender.Send(ctx, batch); err != nil {
		return fmt.Errorf("client: send: %w", err)
	}
	return nil
}

// sign makes the message for t.
func (c *Client) sign(t Task) (Receipt, error) {
	task, err := c.prepare(t)
	if err != nil {
		return Receipt{}, err
	}
	msg, err := envelope.Sign(task, c.cfg.Key)
	if err != nil {
		return Receipt{}, err
	}
	return receiptOf(&task, msg), nil
}

// receiptOf returns the receipt of a task that was signed as msg.
func receiptOf(t *envelope.Task, msg []byte) Receipt {
	return Receipt{
		ID: t.ID, Digest: envelope.DigestOf(msg), Queue: t.Queue, Task: t.Task, Expires: t.Expires,
		Message: msg, Priority: queue.Priority(t.Priority),
	}
}

// prepare returns t as it is to be signed.
func (c *Client) prepare(t Task) (envelope.Task, error) {
	priority, err := t.Priority.lane()
	if err != nil {
		return envelope.Task{}, err
	}
	payload, contentType, err := t.payload()
	if err != nil {
		return envelope.Task{}, err
	}
	within := t.Within
	if within == 0 {
		within = c.cfg.Within
	}
	name := t.Queue
	if name == "" {
		name = c.cfg.Queue
	}
	id := t.ID
	if id.IsZero() {
		id = envelope.NewMessageID()
	}
	issued, notBefore := c.cfg.Now(), t.NotBefore
	switch {
	case t.Delay < 0:
		return envelope.Task{}, &envelope.FieldError{Field: "delay", Text: "is negative"}
	case t.Delay > 0 && !notBefore.IsZero():
		return envelope.Task{}, &envelope.FieldError{Field: "delay", Text: "is given beside not_before"}
	case t.Delay > 0:
		notBefore = issued.Add(t.Delay)
	}
	return envelope.Task{
		ID: id, Audience: c.cfg.Audience, Tenant: c.cfg.Tenant, Queue: name, Task: t.Name, Module: t.Module,
		Issued: issued, NotBefore: notBefore, Expires: issued.Add(within), Attempts: t.Attempts, Limits: t.Limits,
		Narrowed: t.Narrowed, Caps: t.Caps, Priority: int(priority), ContentType: contentType, Payload: payload,
		UniqueKey: t.UniqueKey, UniqueWindow: t.UniqueWindow, Trace: t.Trace, Parent: t.Parent,
	}, nil
}

// payload returns the bytes to send and their content type.
func (t Task) payload() ([]byte, string, error) {
	if t.Input != nil && t.Payload != nil {
		return nil, "", &envelope.FieldError{Field: "payload", Text: "is given beside an input"}
	}
	payload, contentType := t.Payload, ""
	switch {
	case t.Input != nil:
		var err error
		if payload, err = json.Marshal(t.Input); err != nil {
			return nil, "", fmt.Errorf("input: %w", err)
		}
		contentType = "application/json"
	case t.Payload != nil:
		contentType = "application/octet-stream"
	}
	if t.ContentType != "" {
		contentType = t.ContentType
	}
	return payload, contentType, nil
}
