package client

import (
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

	// Orders takes orders to cancel. nil: Cancel gives a *ConfigError.
	Orders queue.Orders

	// Key signs the tasks; it must be a submit key. Required.
	Key envelope.PrivateKey

	// Workers knows the keys whose results count, see WorkerKeys. Required if Results is set.
	Workers envelope.WorkerKeyring

	// Audience is the deployment, Tenant whom the key belongs to, Queue where tasks go that name no other. Required.
	Audience, Tenant, Queue string

	// Within is how long tasks live that do not say: at most 24 h. 0: WithinDefault.
	Within time.Duration

	// Coalesce says how calls of Send that come at the same time share a signature and a write.
	Coalesce Coalesce

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
	if c.Coalesce.Window < 0 || c.Coalesce.Window > CoalesceWindowMax {
		fault("Coalesce.Window", "is not from 0 to "+CoalesceWindowMax.String())
	}
	if c.Coalesce.Max < 0 || c.Coalesce.Max > BatchMax {
		fault("Coalesce.Max", fmt.Sprintf("is not from 0 to %d", BatchMax))
	}
	return errors.Join(faults...)
}

// A Client sends tasks and waits for their results. It is safe for concurrent use and needs no closing; the queue that it
// was given does, at any time: calls that go on, and all later ones that need it, then give queue.ErrClosed.
type Client struct {
	cfg    Config
	outbox outbox
	roots  envelope.Roots // of results
}

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
	if cfg.Coalesce.Max == 0 {
		cfg.Coalesce.Max = CoalesceMaxDefault
	}
	c := &Client{cfg: cfg}
	c.outbox.client = c
	return c, nil
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

	// ID of the message. Zero: a random one, as is best. For one that is known before it is sent, from an order's number
	// for instance: another message of the same tenant and id is never run, and becomes a dead letter.
	ID envelope.MessageID

	// Of all messages of the tenant with the same Name and UniqueKey only the first runs within UniqueWindow of its start,
	// 1 s to 24 h; Wait says of the others *DuplicateError, with the id of the first. Both or neither. The key is printable
	// ASCII, 256 bytes at most, without a space at either end: give a digest of what is longer or of another alphabet.
	UniqueKey    string
	UniqueWindow time.Duration

	// Input is written as JSON. For other data use Payload, which goes as it is; not both.
	Input   any
	Payload []byte

	// ContentType of the payload. "": application/json for Input, application/octet-stream for Payload.
	ContentType string

	// Within is how long after sending it may begin, each attempt of it; what has begun by then goes on. 0: Config.Within.
	Within time.Duration

	// NotBefore is when it may start; zero: at once. Delay says the same from now on; not both. Within counts from sending
	// all the same, so it must be longer.
	NotBefore time.Time
	Delay     time.Duration

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
