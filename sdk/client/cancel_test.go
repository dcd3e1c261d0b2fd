package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// A desk is a queue.Orders that keeps the last order to cancel.
type desk struct {
	queue.Orders
	lane  queue.Lane
	id    string
	order []byte
	ttl   time.Duration
	fail  error
}

func (d *desk) Cancel(_ context.Context, lane queue.Lane, id string, order []byte, ttl time.Duration) error {
	d.lane, d.id, d.order, d.ttl = lane, id, order, ttl
	return d.fail
}

func (r ring) OrderKey(id envelope.KeyID) (envelope.PublicKey, bool) { return r.find(id) }

func TestCancel(t *testing.T) {
	d := &desk{}
	cfg := config(newBroker())
	cfg.Orders = d
	c := open(t, cfg)
	r := send(t, c, client.Task{Name: "a", Queue: "fast", Within: time.Hour})
	plan, err := c.SendPlan(t.Context(), client.Chain(client.Task{Name: "a"}, client.Task{Name: "b"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		cancel func() error
		id     envelope.MessageID
		queue  string
		ttl    time.Duration
	}{
		"a message":   {func() error { return c.Cancel(t.Context(), r) }, r.ID, "fast", 70 * time.Minute},
		"by id alone": {func() error { return c.Cancel(t.Context(), client.Receipt{ID: r.ID, Queue: "fast"}) }, r.ID, "fast", envelope.CancelLifetimeMax},
		"long expired": {func() error {
			return c.Cancel(t.Context(), client.Receipt{ID: r.ID, Queue: "fast", Expires: now.Add(-time.Hour)})
		}, r.ID, "fast", 10 * time.Minute},
		"a plan": {func() error { return c.CancelPlan(t.Context(), plan) }, plan.ID, "images", 70 * time.Minute},
	} {
		if err := row.cancel(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := envelope.OrderReader{Keys: ring{submitKey.Public()}, Audience: "prod"}.Open(d.order, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		o := v.Order()
		if o.Act != envelope.ActCancel || o.Target != row.id.String() || o.Tenant != "acme" || o.Queue != row.queue || o.Expires.Sub(o.Issued) != row.ttl {
			t.Errorf("%s: the order is %+v", name, o)
		}
		if d.lane.Queue != row.queue || d.lane.Tenant != "acme" || d.id != row.id.String() || d.ttl != row.ttl || d.lane.Check() != nil {
			t.Errorf("%s: kept for %s, %s, %s", name, d.lane, d.id, d.ttl)
		}
	}
	if err := c.Cancel(t.Context(), client.Receipt{Queue: "fast"}); code(err) != "client.receipt" {
		t.Errorf("without an id: %v", err)
	}
	d.fail = &queue.UnavailableError{Op: "cancel", Reason: queue.ReasonConnection, Err: errors.New("reset")}
	if err := c.Cancel(t.Context(), r); code(err) != "queue.unavailable" {
		t.Errorf("without a broker: %v", err)
	}
	cfg.Orders = nil
	if err := open(t, cfg).Cancel(t.Context(), r); code(err) != "client.config" {
		t.Errorf("without Orders: %v", err)
	}
}

func TestOwnIDsUniqueKeysAndDelays(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	id := envelope.NewMessageID()
	r := send(t, c, client.Task{Name: "a", ID: id, UniqueKey: "order 17", UniqueWindow: time.Minute, Delay: time.Second})
	got := verify(t, r.Message)
	if r.ID != id || got.ID != id || got.UniqueKey != "order 17" || got.UniqueWindow != time.Minute || !got.NotBefore.Equal(now.Add(time.Second)) {
		t.Errorf("sent %+v", got)
	}
	for name, row := range map[string]struct {
		task client.Task
		code string
	}{
		"a key without a window": {client.Task{Name: "a", UniqueKey: "x"}, envelope.CodeField},
		"a window without a key": {client.Task{Name: "a", UniqueWindow: time.Minute}, envelope.CodeField},
		"a delay and an instant": {client.Task{Name: "a", Delay: time.Second, NotBefore: now.Add(time.Second)}, envelope.CodeField},
		"a negative delay":       {client.Task{Name: "a", Delay: -time.Second}, envelope.CodeField},
		"a delay past within":    {client.Task{Name: "a", Delay: time.Hour, Within: time.Hour}, envelope.CodeField},
	} {
		if _, err := c.Send(t.Context(), row.task); code(err) != row.code {
			t.Errorf("%s: %v, want %s", name, err, row.code)
		}
	}
	if _, err := c.SendMany(t.Context(), []client.Task{{Name: "a", ID: id}, {Name: "a"}, {Name: "a", ID: id}, {Name: "a b"}}); code(err) != envelope.CodeField {
		t.Errorf("an id twice in a batch: %v", err)
	} else if list := err.(interface{ Unwrap() []error }).Unwrap(); len(list) != 2 || list[0].(*client.TaskError).Index != 2 || list[1].(*client.TaskError).Index != 3 {
		t.Errorf("not every bad task is named, in order: %v", err)
	}
}

func TestDuplicatesNameTheFirst(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	first := envelope.NewMessageID()
	for name, row := range map[string]struct {
		output string
		first  bool
	}{"as workers say it": {first.String(), true}, "of an old worker": {"", false}} {
		r := send(t, c, client.Task{Name: "a", UniqueKey: "x", UniqueWindow: time.Minute})
		b.put("images", r.ID.String(), answer(t, r, workerKey, func(x *envelope.Result) {
			x.Status, x.Code, x.Output, x.ContentType = envelope.StatusRefused, "task.duplicate", []byte(row.output), "text/plain"
		}))
		_, err := c.Wait(t.Context(), r)
		var duplicate *client.DuplicateError
		var refused *client.RefusedError
		if code(err) != "task.duplicate" || !errors.As(err, &refused) || errors.As(err, &duplicate) != row.first {
			t.Errorf("%s: %v", name, err)
		}
		if row.first && (duplicate.First != first || duplicate.Result.ID != r.ID) {
			t.Errorf("%s: %+v", name, duplicate)
		}
	}
}

// Results of a batch are verified by one signature, and each is still held against its own message.
func TestResultsOfABatch(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	receipts, err := c.SendMany(t.Context(), []client.Task{{Name: "a"}, {Name: "b"}, {Name: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	results := make([]envelope.Result, len(receipts))
	for i, r := range receipts {
		results[i] = envelope.Result{
			ID: r.ID, Message: r.Digest, Audience: "prod", Tenant: "acme", Queue: r.Queue, Task: r.Task,
			Status: envelope.StatusDone, Attempt: 1, Started: now, Finished: now, Output: []byte(r.Task),
		}
	}
	signed, err := envelope.SignResults(results, workerKey)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		b.put(r.Queue, r.ID.String(), signed[i])
	}
	n := 0
	err = c.WaitAll(t.Context(), receipts, func(r client.Receipt, result envelope.Result, err error) {
		if n++; err != nil || string(result.Output) != r.Task {
			t.Errorf("%s: %q, %v", r.Task, result.Output, err)
		}
	})
	if err != nil || n != 3 {
		t.Errorf("%d results, %v", n, err)
	}
}
