package redisqueue

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

//go:embed lua/kept.lua
var keptSource string

var keptScript = newScript(keptSource)

var (
	_ queue.Orders   = (*Client)(nil)
	_ queue.Listener = (*Client)(nil)
)

// Mode keeps order under the queue's mode and tells the workers.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Mode(ctx context.Context, name string, order []byte, ttl time.Duration) error {
	if err := checkOrder(name, order); err != nil {
		return err
	}
	if err := checkOrderTTL(ttl); err != nil {
		return err
	}
	return c.order(ctx, "mode", name, order, func(ctx context.Context, pipe redis.Pipeliner) (spare redis.Cmder) {
		pipe.Set(ctx, modeKey(name), order, ttl)
		return nil
	})
}

// KeptMode returns the order kept as the queue's mode, nil when there is none: the broker's word, until it is opened.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) KeptMode(ctx context.Context, name string) ([]byte, error) {
	if err := queue.CheckName("queue", name); err != nil {
		return nil, err
	}
	var text string
	err := c.do(ctx, "mode", func(ctx context.Context) error {
		var err error
		text, err = c.rdb.GetRange(ctx, modeKey(name), 0, queue.OrderBytesMax).Result()
		return err
	})
	if err != nil || text == "" {
		return nil, err
	}
	if len(text) > queue.OrderBytesMax {
		return nil, damaged("mode", fmt.Errorf("has more than %d bytes", queue.OrderBytesMax))
	}
	return []byte(text), nil
}

// Cancel keeps order for the message or plan and tells the workers: those that listen at once, those whose connection is
// lost when they are back. Workers that do not run the message find it when they start it. The list for those that are back is every
// sender's to write, so one that takes nothing more (its last id is the highest there is) keeps no order from counting.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Cancel(ctx context.Context, lane queue.Lane, id string, order []byte, ttl time.Duration) error {
	if err := lane.Check(); err != nil {
		return err
	}
	if err := queue.CheckID("id", id); err != nil {
		return err
	}
	if err := checkOrder(lane.Queue, order); err != nil {
		return err
	}
	if err := checkOrderTTL(ttl); err != nil {
		return err
	}
	return c.order(ctx, "cancel", lane.Queue, order, func(ctx context.Context, pipe redis.Pipeliner) (spare redis.Cmder) {
		pipe.Set(ctx, cancelKey(lane, id), order, ttl)
		pipe.Set(ctx, cancelKey(lane, ""), "", queue.OrderTTLMax) // start looks for orders only where this stands
		return pipe.XAdd(ctx, orderEntry(cancelsKey(lane.Queue), order))
	})
}

// Once keeps order among the newest and tells the workers.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (c *Client) Once(ctx context.Context, name string, order []byte) error {
	if err := checkOrder(name, order); err != nil {
		return err
	}
	return c.order(ctx, "order", name, order, func(ctx context.Context, pipe redis.Pipeliner) (spare redis.Cmder) {
		pipe.XAdd(ctx, orderEntry(ordersKey(name), order))
		return nil
	})
}

// keeping puts into a pipeline what is to be kept. Of the commands, spare, if it is not nil, may be refused over what its key holds.
type keeping func(ctx context.Context, pipe redis.Pipeliner) (spare redis.Cmder)

// order keeps an order and then tells it, so that a worker that subscribes between the two finds it.
func (c *Client) order(ctx context.Context, op, name string, order []byte, keep keeping) error {
	return c.keepAndTell(ctx, op, keep, ordersKey(name), order)
}

// keepAndTell writes what keep puts into a pipeline and, when that is done, publishes word on channel. They cannot go in one pipeline: a
// cluster's client sends PUBLISH, which names no key, to any node, beside what keep writes and perhaps before it, and whoever
// hears it would look, find nothing, and wait on.
func (c *Client) keepAndTell(ctx context.Context, op string, keep keeping, channel string, word any) error {
	return c.do(ctx, op, func(ctx context.Context) error {
		pipe := c.rdb.Pipeline()
		spare := keep(ctx, pipe)
		cmds, err := exec(ctx, pipe) // replies are looked at one by one below
		if err != nil {
			return err
		}
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && (cmd != spare || reason(err) != queue.ReasonData) {
				return fmt.Errorf("%v: %w", cmd.Args()[1], err) // the key: somebody may have spoilt it
			}
		}
		return c.rdb.Publish(ctx, channel, word).Err()
	})
}

func orderEntry(stream string, order []byte) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: stream, MaxLen: queue.OrdersMax, Approx: true, Values: []any{"o", order}}
}

func checkOrder(name string, order []byte) error {
	if err := queue.CheckName("queue", name); err != nil {
		return err
	}
	if n := len(order); n == 0 || n > queue.OrderBytesMax {
		return &queue.FieldError{Field: "order", Text: fmt.Sprintf("has %d bytes, want 1 to %d", n, queue.OrderBytesMax)}
	}
	return nil
}

func checkOrderTTL(ttl time.Duration) error {
	if ttl < time.Millisecond || ttl > queue.OrderTTLMax {
		return &queue.FieldError{Field: "ttl", Text: fmt.Sprintf("%s is not within 1ms to %s", ttl, queue.OrderTTLMax)}
	}
	return nil
}

// Listen calls heard for the orders of queues, as queue.Listener says. It subscribes before it reads what is kept, so
// nothing is missed and an order given in between is heard twice; after a loss of its connection it reads what has been
// kept since. trouble gets *queue.UnavailableError.
// Errors: *queue.FieldError, queue.ErrClosed, ctx's.
func (c *Client) Listen(ctx context.Context, queues []string, heard func(name string, order []byte), trouble func(name string, err error)) error {
	if n := len(queues); n == 0 || n > queue.LanesMax {
		return &queue.FieldError{Field: "queues", Text: fmt.Sprintf("%d, want 1 to %d", n, queue.LanesMax)}
	}
	var names []string
	met := map[string]bool{}
	for _, name := range queues {
		if err := queue.CheckName("queue", name); err != nil {
			return err
		}
		if !met[name] {
			met[name] = true
			names = append(names, name)
		}
	}
	together := [][]string{names}
	if c.conf.Cluster {
		// Each on the node that has it, where its orders are given, too: one that is gone takes no other queue's orders with it.
		together = slices.Collect(slices.Chunk(names, 1))
	}
	open, cancel := c.closer.until(ctx)
	defer cancel()
	var calls sync.Mutex
	var all sync.WaitGroup
	for _, names := range together {
		l := &listening{client: c, calls: &calls, heard: heard, trouble: trouble, names: map[string]string{}, at: map[string]keptAt{}}
		for _, name := range names {
			l.names[ordersKey(name)] = name
			l.channels = append(l.channels, ordersKey(name))
		}
		all.Go(func() { l.listen(open) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return queue.ErrClosed
}

// listening is what one connection of a Listen hears, and how far it has read what is kept.
type listening struct {
	client   *Client
	calls    *sync.Mutex // held for each call of heard and trouble
	heard    func(name string, order []byte)
	trouble  func(name string, err error)
	channels []string
	names    map[string]string // queue by channel
	at       map[string]keptAt // by queue
}

// keptAt are the newest entries of orders and of cancels that were read, "" for none.
type keptAt struct{ orders, cancels string }

// listen holds session after session until ctx ends.
func (l *listening) listen(ctx context.Context) {
	var retry backoff
	var told queue.Reason
	for {
		err := l.session(ctx, func() {
			retry.worked()
			if told != "" {
				told = ""
				l.tell(nil)
			}
		})
		if ctx.Err() != nil {
			return
		}
		var u *queue.UnavailableError
		if errors.As(unavailable("listen", err), &u) && u.Reason != told {
			told = u.Reason
			l.tell(u)
		}
		retry.failed()
		select {
		case <-ctx.Done():
			return
		case <-retry.after():
		}
	}
}

// tell tells the trouble of all its queues.
func (l *listening) tell(err error) {
	l.calls.Lock()
	defer l.calls.Unlock()
	for _, channel := range l.channels {
		l.trouble(l.names[channel], err)
	}
}

// pass passes an order on, or with nil that there is no more.
func (l *listening) pass(name string, order []byte) {
	l.calls.Lock()
	defer l.calls.Unlock()
	l.heard(name, order)
}

// session subscribes, reads what is kept and passes on what is published, until an error. works is called once orders
// are heard.
func (l *listening) session(ctx context.Context, works func()) error {
	pubsub := l.client.rdb.Subscribe(ctx)
	defer pubsub.Close()
	// go-redis does not end a read when its context ends.
	stop := context.AfterFunc(ctx, func() { _ = pubsub.Close() })
	defer stop()
	if err := pubsub.Subscribe(ctx, l.channels...); err != nil {
		return err
	}
	confirmed := 0
	asked := false // for a sign of life
	for {
		message, err := pubsub.ReceiveTimeout(ctx, subscriberQuiet)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !asked {
			asked = true
			if err := pubsub.Ping(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil && !(asked && isSign(err)) {
			return err
		}
		asked = false
		switch m := message.(type) {
		case *redis.Subscription:
			// The count goes down again when the server ends a subscription, which it does not unasked.
			if confirmed++; confirmed != len(l.channels) {
				continue
			}
			for _, channel := range l.channels {
				if err := l.readKept(ctx, l.names[channel]); err != nil {
					return err
				}
			}
			works()
		case *redis.Message:
			if name, ours := l.names[m.Channel]; ours && len(m.Payload) > 0 && len(m.Payload) <= queue.OrderBytesMax {
				l.pass(name, []byte(m.Payload))
			}
		}
	}
}

// readKept passes on the mode of a queue and the orders kept since the last time.
func (l *listening) readKept(ctx context.Context, name string) error {
	keys := []string{modeKey(name), ordersKey(name), cancelsKey(name)}
	for first := true; ; first = false {
		at := l.at[name]
		var reply []any
		err := l.client.do(ctx, "orders", func(ctx context.Context) error {
			var err error
			reply, err = keptScript.Run(ctx, l.client.rdb, keys, at.orders, at.cancels, keptPiece,
				queue.OrderBytesMax, cancelsSince.Milliseconds()).Slice()
			return err
		})
		if err != nil {
			return err
		}
		kept, err := parseKept(reply)
		if err != nil {
			return damaged("orders", err)
		}
		if first && kept.mode != "" {
			l.pass(name, []byte(kept.mode))
		}
		for _, order := range kept.orders {
			l.pass(name, []byte(order))
		}
		if kept.at.orders != "" {
			at.orders = kept.at.orders
		}
		if kept.at.cancels != "" {
			at.cancels = kept.at.cancels
		}
		l.at[name] = at
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !kept.more {
			l.pass(name, nil)
			return nil
		}
	}
}

// kept is a reply of lua/kept.lua.
type kept struct {
	mode   string
	at     keptAt
	more   bool
	orders []string
}

func parseKept(reply []any) (kept, error) {
	if len(reply) < 4 {
		return kept{}, fmt.Errorf("script returned %d values, want 4 or more", len(reply))
	}
	more, isNumber := reply[3].(int64)
	var texts []string
	for i, raw := range reply {
		text, isText := raw.(string)
		if i != 3 && (!isText || len(text) > queue.OrderBytesMax) {
			return kept{}, fmt.Errorf("value %d is no order", i)
		}
		texts = append(texts, text)
	}
	at := keptAt{orders: texts[1], cancels: texts[2]}
	if !isNumber || at.orders != "" && !entryID(at.orders) || at.cancels != "" && !entryID(at.cancels) {
		return kept{}, errors.New("script returned no place to go on from")
	}
	return kept{mode: texts[0], at: at, more: more == 1, orders: texts[4:]}, nil
}
