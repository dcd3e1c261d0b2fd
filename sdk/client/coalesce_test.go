package client_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

// A slow broker takes a second for each write, and tells whose context ended meanwhile.
type slow struct {
	*broker
	cut int // writes whose context ended
}

func (s *slow) Send(ctx context.Context, batch []queue.Outgoing) error {
	err := s.broker.Send(ctx, batch)
	select {
	case <-ctx.Done():
		s.mu.Lock()
		s.cut++
		s.mu.Unlock()
		return ctx.Err()
	case <-time.After(time.Second):
		return err
	}
}

// sizes returns how many messages each write had.
func (b *broker) sizes() (n []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, batch := range b.batches {
		n = append(n, len(batch))
	}
	return n
}

// Those that come while writes are under way go out together, with one signature, and nobody else waits.
func TestSendsThatComeTogetherShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{broker: newBroker()}
		cfg := config(b.broker)
		cfg.Sender = b
		c := open(t, cfg)
		start := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				r, err := c.Send(t.Context(), client.Task{Name: "a", Input: i})
				if err != nil {
					t.Error(err)
				}
				if got := verify(t, r.Message); string(got.Payload) != itoa(i) || got.ID != r.ID {
					t.Errorf("send %d has the receipt of %s", i, got.Payload)
				}
				if took := time.Since(start); i < 2 && took != time.Second || took > 2*time.Second {
					t.Errorf("send %d took %s", i, took)
				}
			})
			synctest.Wait() // in this order
		}
		all.Wait()
		if got := b.sizes(); !reflect.DeepEqual(got, []int{1, 1, 8}) {
			t.Errorf("the writes had %v messages", got)
		}
		signatures := map[string]bool{}
		for _, out := range b.batches[2] {
			signatures[signatureOf(out.Message)] = true
		}
		if len(signatures) != 1 {
			t.Errorf("%d signatures for one batch", len(signatures))
		}
	})
}

// signatureOf finds the 64 bytes after the head of a signature.
func signatureOf(msg []byte) string {
	for i := len(msg) - 66; i >= 0; i-- {
		if msg[i] == 0xc4 && msg[i+1] == 64 {
			return string(msg[i+2 : i+66])
		}
	}
	return ""
}

func TestLoneSendsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker()
		c := open(t, config(b))
		start := time.Now()
		for i := range 20 {
			send(t, c, client.Task{Name: "a", Input: i})
		}
		if time.Since(start) != 0 || len(b.sizes()) != 20 {
			t.Errorf("%s, %v", time.Since(start), b.sizes())
		}
	})
}

func TestWindowAndMax(t *testing.T) {
	for name, row := range map[string]struct {
		how   client.Coalesce
		took  time.Duration // of all ten
		sizes []int
	}{
		"window":         {client.Coalesce{Window: 10 * time.Millisecond}, 10*time.Millisecond + time.Second, []int{10}},
		"window and max": {client.Coalesce{Window: 10 * time.Millisecond, Max: 4}, 10*time.Millisecond + time.Second, []int{4, 4, 2}},
		"max":            {client.Coalesce{Max: 4}, 2 * time.Second, []int{1, 1, 4, 4}},
		"alone":          {client.Coalesce{Max: 1}, time.Second, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &slow{broker: newBroker()}
				cfg := config(b.broker)
				cfg.Sender, cfg.Coalesce = b, row.how
				c := open(t, cfg)
				start := time.Now()
				var all sync.WaitGroup
				for i := range 10 {
					all.Go(func() { send(t, c, client.Task{Name: "a", Input: i}) })
					synctest.Wait()
				}
				all.Wait()
				took := time.Since(start)
				if name == "window and max" { // the third write has to wait for one of two
					took -= time.Second - 10*time.Millisecond
				}
				if got := b.sizes(); took != row.took || !reflect.DeepEqual(got, row.sizes) {
					t.Errorf("%s, %v; want %s, %v", took, got, row.took, row.sizes)
				}
			})
		})
	}
}

// Each fault goes to whom it concerns, and to nobody else.
func TestFaultsGoToTheRightSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{broker: newBroker()}
		cfg := config(b.broker)
		cfg.Sender = picky{b}
		c := open(t, cfg)
		same := envelope.NewMessageID()
		rows := []struct {
			task client.Task
			code string
		}{
			{client.Task{Name: "a"}, "ok"},
			{client.Task{Name: "a"}, "ok"},
			{client.Task{Name: "a", ID: same}, "ok"},
			{client.Task{Name: "a b"}, envelope.CodeField},
			{client.Task{Name: "a", Input: func() {}}, "client.task"},
			{client.Task{Name: "a", Within: 25 * time.Hour}, envelope.CodeTTL},
			{client.Task{Name: "a", Queue: "forbidden"}, "queue.unavailable"},
			{client.Task{Name: "a", ID: same}, "ok"}, // the broker's to judge, not its neighbour's
			{client.Task{Name: "a"}, "ok"},
		}
		var all sync.WaitGroup
		for i, row := range rows {
			all.Go(func() {
				r, err := c.Send(t.Context(), row.task)
				if code(err) != row.code {
					t.Errorf("send %d: %v, want %s", i, err, row.code)
				}
				var bad *client.TaskError
				if errors.As(err, &bad) != r.ID.IsZero() {
					t.Errorf("send %d: %v with receipt %+v", i, err, r)
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

// A picky broker refuses one queue, and with it a whole write.
type picky struct{ *slow }

func (p picky) Send(ctx context.Context, batch []queue.Outgoing) error {
	for _, out := range batch {
		if out.Lane.Queue == "forbidden" {
			return &queue.UnavailableError{Op: "send", Reason: queue.ReasonPermission, Err: errors.New("NOPERM")}
		}
	}
	return p.slow.Send(ctx, batch)
}

// A context that ends takes its own message back, or stops waiting for it, and leaves the others alone.
func TestContextsEndOneSendEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{broker: newBroker()}
		cfg := config(b.broker)
		cfg.Sender = b
		c := open(t, cfg)
		begin := func(ctx context.Context, i int) chan error {
			ended := make(chan error, 1)
			go func() {
				r, err := c.Send(ctx, client.Task{Name: "a", Input: i})
				if err != nil && !r.ID.IsZero() {
					err = fmt.Errorf("it may have been sent: %w", err)
				}
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		busy1, busy2 := begin(t.Context(), 0), begin(t.Context(), 1)
		pending, cancelPending := context.WithCancel(t.Context())
		taken, cancelTaken := context.WithCancel(t.Context())
		a, b1, b2 := begin(pending, 2), begin(taken, 3), begin(t.Context(), 4)
		cancelPending()
		if err := <-a; err == nil || err.Error() != "context canceled" {
			t.Errorf("ended while it waited: %v", err)
		}
		<-busy1
		<-busy2
		synctest.Wait()
		cancelTaken()
		if err := <-b1; !errors.Is(err, context.Canceled) || err.Error() == "context canceled" {
			t.Errorf("ended while it was written: %v", err)
		}
		if err := <-b2; err != nil {
			t.Errorf("its neighbour: %v", err)
		}
		if got := b.sizes(); !reflect.DeepEqual(got, []int{1, 1, 2}) || b.cut != 0 {
			t.Errorf("%v messages, %d writes were cut", got, b.cut)
		}
		// When nobody waits any more, the write ends too.
		busy1, busy2 = begin(t.Context(), 5), begin(t.Context(), 6)
		last, cancelLast := context.WithCancel(t.Context())
		l1, l2 := begin(last, 7), begin(last, 8)
		<-busy1
		<-busy2
		synctest.Wait()
		cancelLast()
		<-l1
		<-l2
		synctest.Wait()
		if b.cut != 1 {
			t.Errorf("%d writes were cut", b.cut)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if r, err := c.Send(ended, client.Task{Name: "a"}); !errors.Is(err, context.Canceled) || !r.ID.IsZero() {
			t.Errorf("ended before: %+v, %v", r, err)
		}
	})
}

func TestManySendersUnderRace(t *testing.T) {
	b := newBroker()
	c := open(t, config(b))
	var all sync.WaitGroup
	for g := range 32 {
		all.Go(func() {
			for i := range 20 {
				r, err := c.Send(t.Context(), client.Task{Name: "a", Input: g*20 + i})
				if err != nil || string(verify(t, r.Message).Payload) != itoa(g*20+i) {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range b.sizes() {
		total += n
	}
	if total != 640 {
		t.Errorf("%d messages were written", total)
	}
}
