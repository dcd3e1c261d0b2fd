package redisqueue

import (
	"context"
	"errors"
	"maps"
	"net"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// earsQuiet is how long nothing may be heard before Redis is asked for a sign of
// life, and how long it may then take to give one.
const earsQuiet = 3 * time.Second

// ears is one subscribed connection and those who wait for what it hears.
// go-redis would connect again by itself too, but tell nobody why it cannot.
type ears struct {
	client *Client
	door   *door // inside: the goroutine that listens

	mu      sync.Mutex
	running bool
	deaf    error                           // why nothing is heard; nil while, as far as is known, something is
	pubsub  *redis.PubSub                   // of the session that goes on, or nil
	waiters map[string]map[*waiter]struct{} // by channel; channels stay until close
}

// errNoAnswer is why for as long as nothing has come: since the beginning, or since a sign of life was asked for.
var errNoAnswer = &queue.UnavailableError{Op: "wait", Reason: queue.ReasonTimeout, Err: errors.New("no answer so far")}

func newEars(c *Client) *ears {
	return &ears{client: c, door: newDoor(c.door.ctx), waiters: map[string]map[*waiter]struct{}{}, deaf: errNoAnswer}
}

func (e *ears) close() {
	e.door.shut()
	e.door.empty()
}

// join lets w hear of channel. A channel stays subscribed until close: there is
// one for each issuer and queue, and whoever waits once waits again.
func (e *ears) join(channel string, w *waiter) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.door.isShut() || !e.running && !e.door.enter() {
		return queue.ErrClosed
	}
	_, known := e.waiters[channel]
	if !known {
		e.waiters[channel] = map[*waiter]struct{}{}
	}
	e.waiters[channel][w] = struct{}{}
	switch {
	case !e.running:
		e.running = true
		go e.run()
	case known:
		// It may be that no word of a subscription comes any more.
		w.tellAll()
	case e.pubsub != nil:
		// One write of a few bytes. When it fails the session ends, and the next
		// one begins with all channels.
		if err := e.pubsub.Subscribe(e.door.ctx, channel); err != nil {
			_ = e.pubsub.Close()
		}
	}
	return nil
}

func (e *ears) leave(channel string, w *waiter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.waiters[channel], w)
}

// run holds session after session until close.
func (e *ears) run() {
	defer e.door.leave()
	defer e.fail(queue.ErrClosed)
	var retry backoff
	for !e.door.isShut() {
		heard, err := e.session()
		if e.door.isShut() {
			return
		}
		e.client.askAnew(err)
		err = unavailable("wait", err)
		e.setDeaf(err)
		if hopeless(err) {
			e.fail(err)
		}
		if heard {
			retry.worked()
		}
		retry.failed()
		select {
		case <-e.door.ctx.Done():
		case <-retry.after():
		}
	}
}

// session connects, subscribes to every channel and passes on what it hears until
// an error. heard says whether it got as far as hearing anything.
func (e *ears) session() (heard bool, err error) {
	pubsub, err := e.connect()
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(e.door.ctx, func() { _ = pubsub.Close() }) // ends its Receive
	defer stop()
	defer func() {
		e.mu.Lock()
		e.pubsub = nil
		e.mu.Unlock()
		_ = pubsub.Close()
	}()
	asked := false // for a sign of life
	for {
		message, err := pubsub.ReceiveTimeout(e.door.ctx, earsQuiet)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !asked {
			asked = true
			e.setDeaf(errNoAnswer)
			if err := pubsub.Ping(e.door.ctx); err != nil {
				return heard, err
			}
			continue
		}
		if err != nil && !(asked && isSign(err)) {
			return heard, err
		}
		if asked || !heard {
			e.setDeaf(nil)
		}
		heard, asked = true, false
		switch m := message.(type) {
		case *redis.Subscription:
			e.tell(m.Channel, (*waiter).tellAll)
		case *redis.Message:
			words := toldIn(m.Payload)
			e.tell(m.Channel, func(w *waiter) { w.tell(words) })
			goruntime.Gosched() // whoever waits goes first: to listen again costs system calls
		}
	}
}

// isSign says whether err is a sign of life all the same: while Redis cannot write to its disk it answers PING with MISCONF,
// and goes on to pass on what is published.
func isSign(err error) bool { return fromServer(err) && reason(err) == queue.ReasonReadOnly }

// connect subscribes to every channel. The lock is not held over the network, so
// that nobody's Wait is late to end; who joins meanwhile is subscribed after it.
func (e *ears) connect() (*redis.PubSub, error) {
	e.mu.Lock()
	channels := slices.Collect(maps.Keys(e.waiters))
	e.mu.Unlock()
	pubsub := e.client.rdb.Subscribe(e.door.ctx)
	if err := pubsub.Subscribe(e.door.ctx, channels...); err != nil {
		_ = pubsub.Close()
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.waiters {
		if !slices.Contains(channels, c) {
			if err := pubsub.Subscribe(e.door.ctx, c); err != nil {
				_ = pubsub.Close()
				return nil, err
			}
		}
	}
	e.pubsub = pubsub
	return pubsub, nil
}

func (e *ears) setDeaf(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deaf = why
}

// late is the error of a Wait whose ctx has ended: with why nothing could be heard or, if that is nil, with why nothing could
// be read. So whoever waited can tell a result that had not come from a broker that was away. That there was no answer says nothing
// to one who began so shortly before.
func (e *ears) late(ctx context.Context, unread error, began time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	why := e.deaf
	if why == errNoAnswer && time.Since(began) < answerSoon {
		why = nil
	}
	if why == nil {
		why = unread
	}
	if why == nil {
		return ctx.Err()
	}
	return errors.Join(ctx.Err(), why)
}

func (e *ears) tell(channel string, say func(*waiter)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.waiters[channel] {
		say(w)
	}
}

// fail ends every Wait.
func (e *ears) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ws := range e.waiters {
		for w := range ws {
			w.fail(err)
		}
	}
}

// hopeless says whether err is one that waiting cannot mend: we are not who may read this.
func hopeless(err error) bool {
	var u *queue.UnavailableError
	return err != nil && (!errors.As(err, &u) || u.Reason == queue.ReasonAuth || u.Reason == queue.ReasonPermission)
}
