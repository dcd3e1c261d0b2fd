package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Config is what a Client is made of.
type Config struct {
	// Sender takes the messages. Required.
	Sender queue.Sender

	// Results reads the results of messages. nil: Wait and WaitAll return a *ConfigError.
	Results queue.Results

	// Orders takes orders to cancel. nil: Cancel and CancelPlan return a *ConfigError.
	Orders queue.Orders

	// Key signs the tasks; it must be a submit key. Required.
	Key envelope.PrivateKey

	// Workers finds the worker keys whose results are accepted, see WorkerKeys. Required if Results is set.
	Workers envelope.WorkerKeyring

	// Audience is the deployment, Tenant the one that the key belongs to, and Queue the default queue of tasks. Required.
	Audience, Tenant, Queue string

	// Within is the default of Task.Within, at most 24 h. 0: WithinDefault.
	Within time.Duration

	// Coalesce says how calls of Send that come at the same time share a signature and a write.
	Coalesce Coalesce

	// Rejected is called for each result that is not accepted, once for the same bytes. It must not block. nil: not called.
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

// A Client sends tasks and waits for their results. It is safe for concurrent use and needs no closing. The queue that it was given
// may be closed at any time: calls under way, and later ones that need it, then return queue.ErrClosed.
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

// Priority says how soon a task is served, among the tasks of its queue and tenant.
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

	// ID of the message. Zero, as is best: a random one. Set it when the id must be known beforehand, for example made from an
	// invoice number. A second message with the same tenant and id never runs, and becomes a dead letter.
	ID envelope.MessageID

	// Of all messages of the tenant with the same Name and UniqueKey, only the first runs within UniqueWindow (1 s to 24 h) of its
	// start; for the others Wait returns *DuplicateError, with the id of the first. Set both or neither. The key is printable ASCII,
	// at most 256 bytes, without a space at either end; use a digest of anything else.
	UniqueKey    string
	UniqueWindow time.Duration

	// Input is encoded as JSON. Payload is sent as it is, at most 224 KiB. Not both.
	Input   any
	Payload []byte

	// ContentType of the payload. "": application/json for Input, application/octet-stream for Payload.
	ContentType string

	// Within is how long after sending an attempt may begin, at most 24 h; a run that has begun by then goes on. 0: Config.Within.
	Within time.Duration

	// NotBefore is when it may start; zero: at once. Delay says the same as a time from now. Not both. Within counts from sending in
	// any case, so it must be longer.
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

// A Receipt identifies a message that was sent, to wait for its result. It may be stored, also as JSON, and used by another Client
// with the same key.
type Receipt struct {
	ID envelope.MessageID `json:"id"`
	// Digest of Message. It may be zero in a receipt that is made from an id alone. Then the result of any message with that id is
	// accepted, also of one that another sender of the same tenant has sent.
	Digest  envelope.Digest `json:"digest"`
	Queue   string          `json:"queue"`
	Task    string          `json:"task"`
	Expires time.Time       `json:"expires"`

	// Message is what was sent, and Priority that of its lane. Resend needs them, waiting does not.
	Message  []byte         `json:"-"`
	Priority queue.Priority `json:"-"`
}
