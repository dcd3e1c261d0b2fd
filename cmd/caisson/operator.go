package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
)

// answerDefault is how long an operator's order waits for a worker's answer.
const answerDefault = 15 * time.Second

// operatorFlags are what every verb of an operator takes.
type operatorFlags struct {
	config  string
	policy  string
	tenants []string
	timeout time.Duration
	note    string
	json    bool
}

func (f *operatorFlags) add(c *cobra.Command, shapes ...shape) {
	c.Flags().StringVarP(&f.config, "config", "c", "operator.toml", "settings as in client.toml, with a key of purpose operate")
	jsonFlag(c, &f.json, shapes...)
}

// addOrder adds the flags of verbs that give an order.
func (f *operatorFlags) addOrder(c *cobra.Command) {
	f.add(c, shape{"", orderInfo{}})
	c.Flags().DurationVar(&f.timeout, "timeout", answerDefault, "how long to wait for a worker's answer")
	c.Flags().StringVar(&f.note, "note", "", "why, for the workers' logs")
}

// addLanes adds the flags that say whose lanes are looked at.
func (f *operatorFlags) addLanes(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.tenants, "tenant", nil, "tenant to look at; may be repeated (default: all of --policy, or the one in the settings)")
	c.Flags().StringVar(&f.policy, "policy", "", "policy file, which names the tenants and whose orders count")
}

// operator is the connection and key of a command that inspects queues or gives orders.
type operator struct {
	*connection
	flags operatorFlags
	rules *policy.Policy // nil without --policy
}

// connectOperator is connect for a key of purpose operate, or any of purposes. A tenant is needed only to look at its lanes.
func connectOperator(f operatorFlags, queueName string, purposes ...envelope.Purpose) (*operator, error) {
	if f.timeout < 0 {
		return nil, misuse("--timeout: %v is negative", f.timeout)
	}
	o := &operator{flags: f}
	var err error
	if f.policy != "" {
		if o.rules, err = readPolicy(f.policy); err != nil {
			return nil, misused(err)
		}
	}
	if len(purposes) == 0 {
		purposes = []envelope.Purpose{envelope.Operate}
	}
	o.connection, err = connectAs(f.config, queueName, purposes...)
	return o, err
}

// tenants returns whose lanes are looked at.
func (o *operator) tenants() ([]string, error) {
	tenants := o.flags.tenants
	if len(tenants) == 0 && o.rules != nil {
		tenants = o.rules.Tenants()
	}
	if len(tenants) == 0 && o.file.Tenant != "" {
		tenants = []string{o.file.Tenant}
	}
	if len(tenants) == 0 {
		return nil, misuse("which tenants?").withHint("--tenant NAME, --policy policy.toml, or tenant in %s", o.flags.config)
	}
	for _, t := range tenants {
		if err := queue.CheckName("tenant", t); err != nil {
			return nil, misuse("--tenant: %v", err)
		}
	}
	return tenants, nil
}

// lanes returns the lanes of a queue that are looked at.
func (o *operator) lanes(name string) ([]queue.Lane, error) {
	tenants, err := o.tenants()
	if err != nil {
		return nil, err
	}
	var lanes []queue.Lane
	for _, t := range tenants {
		for _, p := range queue.Priorities() {
			lanes = append(lanes, queue.Lane{Queue: name, Tenant: t, Priority: p})
		}
	}
	return lanes, nil
}

// OrderKey implements envelope.OrderKeyring: the own key, and those of --policy.
func (o *operator) OrderKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	if own := o.key.Public(); own.ID() == id {
		return own, true
	}
	if o.rules != nil {
		return o.rules.OrderKey(id)
	}
	return envelope.PublicKey{}, false
}

// signed is an order that has been given.
type signed struct {
	order  envelope.Order
	bytes  []byte
	digest envelope.Digest
}

// sign fills in what all orders have and signs. life is how long the order counts.
func (o *operator) sign(order envelope.Order, life time.Duration) (signed, error) {
	order.ID, order.Audience, order.Queue, order.Note = envelope.NewMessageID(), o.file.Audience, o.file.Queue, o.flags.note
	order.Issued = time.Now()
	order.Expires = order.Issued.Add(life)
	b, err := envelope.SignOrder(order, o.key)
	if err != nil {
		return signed{}, misused(fmt.Errorf("order: %w", err))
	}
	return signed{order: order, bytes: b, digest: envelope.DigestOf(b)}, nil
}

// orderInfo is the outcome of an order.
type orderInfo struct {
	Order  string `json:"order"`
	Act    string `json:"act"`
	Queue  string `json:"queue"`
	Status string `json:"status"` // done, failed, or unanswered
	Count  int    `json:"count"`
	Worker string `json:"worker,omitempty"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`
}

// errUnanswered says that no worker answered in time.
var errUnanswered = errors.New("no worker answered")

// waitFor waits for one result, as the broker gives it: open it with the worker's key. What stands in its place and cannot be one is an error.
func waitFor(ctx context.Context, results queue.Results, name, key, id string) (raw []byte, err error) {
	if err = results.Wait(ctx, name, key, []string{id}, func(_ string, r []byte) { raw = r }); err != nil || raw != nil {
		return raw, err
	}
	return results.Result(ctx, name, key, id)
}

// await waits for a worker's signed answer to an order.
func (o *operator) await(ctx context.Context, s signed) (orderInfo, error) {
	info := orderInfo{Order: s.order.ID.String(), Act: string(s.order.Act), Queue: s.order.Queue, Status: "unanswered"}
	within, cancel := context.WithTimeout(ctx, o.flags.timeout)
	defer cancel()
	raw, err := waitFor(within, o.results, s.order.Queue, o.key.Public().ID().String(), info.Order)
	switch {
	case ctx.Err() != nil:
		return info, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return info, errUnanswered
	case err != nil:
		return info, err
	}
	r, err := envelope.OpenResult(raw, o.workers)
	if err != nil {
		return info, fmt.Errorf("the answer in the broker is not a worker's: %w", err)
	}
	if r.ID != s.order.ID || r.Message != s.digest || r.Audience != s.order.Audience || r.Queue != s.order.Queue || r.Task != info.Act {
		return info, errors.New("the answer in the broker is to another order")
	}
	var out struct {
		Count int `json:"count"`
	}
	_ = json.Unmarshal(r.Output, &out) // an answer without a count counts nothing
	info.Status, info.Count, info.Worker, info.Code, info.Error = string(r.Status), out.Count, r.Worker.String(), r.Code, r.Error
	return info, nil
}

// finish waits for the answer to s and prints it. kept says what becomes of an order that nobody has answered yet.
func (o *operator) finish(c *cobra.Command, s signed, say func(w io.Writer, info orderInfo) error, kept string) error {
	info, err := o.await(c.Context(), s)
	if err != nil && !errors.Is(err, errUnanswered) {
		return err
	}
	w := c.OutOrStdout()
	if o.flags.json {
		if printed := printJSON(w, info); printed != nil {
			return printed
		}
	}
	if err != nil {
		return &hintError{fmt.Errorf("no worker of queue %s answered within %v: %s", s.order.Queue, o.flags.timeout, kept), "is a worker of this queue running, and is this key in its policy?"}
	}
	if info.Status != string(envelope.StatusDone) {
		return fmt.Errorf("the worker could not %s: %s: %s (%d were done)", info.Act, info.Code, oneLine(info.Error), info.Count)
	}
	if o.flags.json {
		return nil
	}
	return say(w, info)
}

// mode returns the order that the broker keeps as the queue's mode, if there is one whose signature can be checked here.
func (o *operator) mode(ctx context.Context, name string) (string, error) {
	raw, err := o.redis.KeptMode(ctx, name)
	switch {
	case forbidden(err):
		return "hidden", nil
	case err != nil:
		return "", err
	case len(raw) == 0:
		return "running", nil
	}
	v, err := envelope.OrderReader{Keys: o, Audience: o.file.Audience}.Open(raw, time.Now())
	late := (*envelope.ExpiredError)(nil)
	switch {
	case errors.As(err, &late):
		return "running", nil
	case err != nil:
		return "unverified", nil
	case v.Order().Act == envelope.ActPause:
		return "paused", nil
	}
	return "running", nil
}
