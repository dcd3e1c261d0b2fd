package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Config says for whom, with what and where a Client sends.
type Config struct {
	// Sender takes the messages. Required.
	Sender queue.Sender

	// Results gives back what became of them. nil: Wait and WaitAll give a *ConfigError.
	Results queue.Results

	// Key signs the tasks; it must be a submit key. Required.
	Key envelope.PrivateKey

	// Workers knows the keys whose results count. Required if Results is set.
	Workers envelope.WorkerKeyring

	// Audience is the deployment, Tenant whom the key belongs to, Queue where tasks go that name no other. Required.
	Audience, Tenant, Queue string

	// Within is how long tasks live that do not say: at most 24 h. 0: WithinDefault.
	Within time.Duration

	// Rejected is told of each result that does not count, once for the same bytes. It must not block. nil: nobody is.
	Rejected func(*RejectedError)

	// Now is the clock by which tasks are issued. nil: time.Now.
	Now func() time.Time
}

// check returns all faults, joined.
func (c Config) check() error {
	var faults []error
	fault := func(field, text string) { faults = append(faults, &ConfigError{field, text}) }
	if c.Sender == nil {
		fault("Sender", "is missing")
	}
	if c.Key.IsZero() {
		fault("Key", "is missing")
	} else if p := c.Key.Purpose(); p != envelope.Submit {
		fault("Key", fmt.Sprintf("is for %q, want %q", p, envelope.Submit))
	}
	if c.Results != nil && c.Workers == nil {
		fault("Workers", "is missing: without the workers' keys no result could be told from a forged one")
	}
	for _, name := range [][2]string{{"Audience", c.Audience}, {"Tenant", c.Tenant}, {"Queue", c.Queue}} {
		var bad *envelope.FieldError
		if errors.As(envelope.CheckName(name[0], name[1]), &bad) {
			fault(bad.Field, bad.Text)
		}
	}
	if c.Within < 0 || c.Within > envelope.LifetimeMax {
		fault("Within", "is not from 0 to "+envelope.LifetimeMax.String())
	}
	return errors.Join(faults...)
}

// A Client sends tasks and waits for their results. It is safe for concurrent use and needs no closing; the queue that it
// was given does.
type Client struct{ cfg Config }

// Open checks cfg. It does not touch the queue.
// Errors, final: *ConfigError, one for each faulty field, joined.
func Open(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Within == 0 {
		cfg.Within = WithinDefault
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg}, nil
}

// Priority is how soon a task is served, among those of its queue and tenant.
type Priority string

// The priorities. "" is Normal.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

func (p Priority) lane() (queue.Priority, error) {
	switch p {
	case High:
		return queue.PriorityHigh, nil
	case Normal, "":
		return queue.PriorityNormal, nil
	case Low:
		return queue.PriorityLow, nil
	}
	return 0, &envelope.FieldError{Field: "priority", Text: `is not "high", "normal" or "low"`}
}

// A Task is what to run. Only Name is required.
type Task struct {
	Name string

	// Input is written as JSON. For other data use Payload, which goes as it is; not both.
	Input   any
	Payload []byte

	// ContentType of the payload. "": application/json for Input, application/octet-stream for Payload.
	ContentType string

	// Within is how long the task may wait and run, all attempts together. 0: Config.Within.
	Within time.Duration

	// NotBefore is when it may start; zero: at once. Within counts from sending all the same.
	NotBefore time.Time

	// Queue to send to. "": Config.Queue.
	Queue string

	// Module is the only module that may run it. Zero: the newest release that the worker trusts.
	Module envelope.Digest

	// Narrowed gives up every capability that is not in Caps. Without it, Caps must be empty.
	Narrowed bool
	Caps     []string

	Attempts int             // most attempts; 0: as the manifest says
	Limits   envelope.Limits // tighter limits; zero fields: as manifest and policy say
	Priority Priority        // "": Normal

	Trace  string             // W3C traceparent; "": none
	Parent envelope.MessageID // the message that caused this one; zero: none
}

// A Receipt is what to wait with. It may be kept, also as JSON, and used by another Client of the same key.
type Receipt struct {
	ID envelope.MessageID `json:"id"`
	// Digest of Message. Zero, for a receipt made of an id alone: the result of any message of that id is taken, which
	// somebody who can send for the same tenant and write to the broker could have signed a worker's result for.
	Digest  envelope.Digest `json:"digest"`
	Queue   string          `json:"queue"`
	Task    string          `json:"task"`
	Expires time.Time       `json:"expires"`

	// Message is what was sent, and Priority its lane, for Resend. Waiting does not need them.
	Message  []byte         `json:"-"`
	Priority queue.Priority `json:"-"`
}

// Send signs t and puts it into its queue.
// Errors: as SendMany's.
func (c *Client) Send(ctx context.Context, t Task) (Receipt, error) {
	receipts, err := c.SendMany(ctx, []Task{t})
	if len(receipts) == 0 {
		return Receipt{}, err
	}
	return receipts[0], err
}

// Sign signs t as Send does and sends nothing: Receipt.Message is the message, which Resend puts into its queue. Until it
// expires, whoever has it and can write to the broker can have the task run once.
// Errors, final: *TaskError.
func (c *Client) Sign(t Task) (Receipt, error) {
	receipt, err := c.sign(t)
	if err != nil {
		return Receipt{}, &TaskError{0, t.Name, err}
	}
	return receipt, nil
}

// SendMany signs all of tasks and puts them into their queues with one call of Sender.Send. Receipts stand in the order of
// tasks.
// Errors: *TaskError, one for each bad task, joined, and *BatchError, both final: nothing was sent. With an error of the
// queue some may have been; the receipts are returned, and Resend is safe.
func (c *Client) SendMany(ctx context.Context, tasks []Task) ([]Receipt, error) {
	if len(tasks) > BatchMax {
		return nil, &BatchError{fmt.Sprintf("%d tasks, at most %d", len(tasks), BatchMax)}
	}
	receipts := make([]Receipt, len(tasks))
	var faults []error
	size := 0
	for i, t := range tasks {
		var err error
		if receipts[i], err = c.sign(t); err != nil {
			faults = append(faults, &TaskError{i, t.Name, err})
		}
		if size += len(receipts[i].Message); size > BatchSizeMax {
			return nil, &BatchError{fmt.Sprintf("more than %d bytes", BatchSizeMax)}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return receipts, c.Resend(ctx, receipts)
}

// Resend puts the same messages into their queues again, with one call of Sender.Send: for when the queue gave an error.
// Copies never run twice.
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
	return receiptOf(task, msg), nil
}

// receiptOf returns the receipt of a task that was signed as msg.
func receiptOf(t envelope.Task, msg []byte) Receipt {
	return Receipt{
		ID: t.ID, Digest: envelope.DigestOf(msg), Queue: t.Queue, Task: t.Task, Expires: t.Expires,
		Message: msg, Priority: queue.Priority(t.Priority),
	}
}

// prepare makes of t what is to be signed.
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
	issued := c.cfg.Now()
	return envelope.Task{
		ID: envelope.NewMessageID(), Audience: c.cfg.Audience, Tenant: c.cfg.Tenant, Queue: name, Task: t.Name, Module: t.Module,
		Issued: issued, NotBefore: t.NotBefore, Expires: issued.Add(within), Attempts: t.Attempts, Limits: t.Limits,
		Narrowed: t.Narrowed, Caps: t.Caps, Priority: int(priority), ContentType: contentType, Payload: payload,
		Trace: t.Trace, Parent: t.Parent,
	}, nil
}

// payload returns the bytes to send and what they are.
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
