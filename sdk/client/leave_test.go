package client

import (
	"context"
	"errors"
	"testing"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// sentOnly takes messages and keeps them.
type sentOnly struct{ batch []queue.Outgoing }

func (s *sentOnly) Send(_ context.Context, batch []queue.Outgoing) error {
	s.batch = append(s.batch, batch...)
	return nil
}

// A Send whose context ends while its batch is being signed returns no receipt, which says that nothing was sent. From outside
// nobody can stop the signing in its midst, so this test is the writing goroutine itself.
func TestWithoutAReceiptNothingIsSent(t *testing.T) {
	key, err := envelope.GenerateKey(envelope.Submit, nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := &sentOnly{}
	c, err := Open(Config{Sender: sent, Key: key, Audience: "prod", Tenant: "acme", Queue: "jobs"})
	if err != nil {
		t.Fatal(err)
	}
	letters := make([]*letter, 2)
	for i := range letters {
		task, err := c.prepare(Task{Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		letters[i] = &letter{task: task, done: make(chan struct{})}
	}
	o := &c.outbox
	o.pending = letters
	b := o.take()
	early, err := o.leave(letters[0], context.Canceled)
	if !errors.Is(err, context.Canceled) || !early.ID.IsZero() {
		t.Fatalf("before it was signed: %+v, %v", early, err)
	}
	o.write(b)
	<-letters[1].done
	if letters[1].err != nil || len(sent.batch) != 1 || string(sent.batch[0].Message) != string(letters[1].receipt.Message) {
		t.Errorf("%d messages were sent, %v", len(sent.batch), letters[1].err)
	}
	if late, _ := o.leave(letters[1], context.Canceled); late.ID != letters[1].task.ID {
		t.Errorf("after it was signed: %+v", late)
	}
}
