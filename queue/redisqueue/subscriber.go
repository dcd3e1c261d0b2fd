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

// subscriberQuiet is how long the connection may be silent before a PING is sent, and how
// long its answer may take.
const subscriberQuiet = 3 * time.Second

// A subscriber is one pub/sub connection, and the waiters for what it receives.
// go-redis would reconnect by itself, too, but does not tell why it cannot.
type subscriber struct {
	client *Client
	closer *closer // counts the goroutine that listens

	mu        sync.Mutex
	running   bool
	fault     error                           // why nothing is heard; nil while, as far as is known, something is
	pubsub    *redis.PubSub                   // of the session that goes on, or nil
	questions []string                        // what it has asked for and has no reply to, in order: channels, and "" for a sign of life
	barred    map[string]bool                 // channels that we may not hear; who joins one asks for it anew
	waiters   map[string]map[*waiter]struct{} // by channel; channels stay until close
}

// errNoAnswer is the fault while nothing has been received: since the beginning, or since a PING was sent.
var errNoAnswer = &queue.UnavailableError{Op: "wait", Reason: queue.ReasonTimeout, Err: errors.New("no answer so far")}

func newSubscriber(c *Client) *subscriber {
	return &subscriber{
		client: c, closer: newCloser(c.closer.ctx), fault: errNoAnswer, barred: map[string]bool{}, waiters: map[string]map[*waiter]struct{}{},
	}
}

func (s *subscriber) close() {
	s.closer.close()
	s.closer.wait()
}

// join lets w hear of channel. A channel stays subscribed until close: there is
// one for each issuer and queue, and whoever waits once waits again.
func (s *subscriber) join(channel string, w *waiter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closer.isClosed() || !s.running && !s.closer.begin() {
		return queue.ErrClosed
	}
	_, known := s.waiters[channel]
	if !known {
		s.waiters[channel] = map[*waiter]struct{}{}
	}
	s.waiters[channel][w] = struct{}{}
	switch {
	case !s.running:
		s.running = true
		go s.run()
	case known && !s.barred[channel]:
		// The confirmation of the subscription may have come before w joined.
		w.tellAll()
	case s.pubsub != nil:
		// One write of a few bytes. When it fails the session ends, and the next
		// one begins with all channels.
		delete(s.barred, channel)
		s.questions = append(s.questions, channel)
		if err := s.pubsub.Subscribe(s.closer.ctx, channel); err != nil {
			_ = s.pubsub.Close()
		}
	}
	return nil
}

func (s *subscriber) leave(channel string, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiters[channel], w)
}

// run reconnects, session after session, until close.
func (s *subscriber) run() {
	defer s.closer.end()
	defer s.fail(queue.ErrClosed)
	var retry backoff
	for !s.closer.isClosed() {
		heard, err := s.session()
		if s.closer.isClosed() {
			return
		}
		s.client.askAnew(err)
		err = unavailable("wait", err)
		s.setFault(err)
		if permanent(err) {
			s.fail(err)
		}
		if heard {
			retry.worked()
		}
		retry.failed()
		select {
		case <-s.closer.ctx.Done():
		case <-retry.after():
		}
	}
}

// session connects, subscribes to every channel and passes on what it receives until
// an error. heard says whether it received anything.
func (s *subscriber) session() (heard bool, err error) {
	pubsub, err := s.connect()
	if err != nil {
		return false, err
	}
	stop := context.AfterFunc(s.closer.ctx, func() { _ = pubsub.Close() }) // ends its Receive
	defer stop()
	defer func() {
		s.mu.Lock()
		s.pubsub = nil
		s.mu.Unlock()
		_ = pubsub.Close()
	}()
	looked := time.Now()
	for asked := false; ; { // for a sign of life
		if time.Since(looked) >= subscriberQuiet {
			s.client.lookForMaster(s.closer.ctx)
			looked = time.Now()
		}
		message, err := pubsub.ReceiveTimeout(s.closer.ctx, subscriberQuiet)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !asked {
			asked = true
			if err := s.askForSign(pubsub); err != nil {
				return heard, err
			}
			continue
		}
		if err != nil {
			if err = s.refused(err); err != nil {
				return heard, err
			}
		}
		if asked || !heard {
			s.setFault(nil)
		}
		heard, asked = true, false
		switch m := message.(type) {
		case *redis.Subscription:
			s.answered()
			s.tell(m.Channel, (*waiter).tellAll)
		case *redis.Pong:
			s.answered()
		case *redis.Message:
			words := toldIn(m.Payload)
			s.tell(m.Channel, func(w *waiter) { w.tell(words) })
			goruntime.Gosched() // whoever waits goes first: to listen again costs system calls
		}
	}
}

// askForSign sends a PING.
func (s *subscriber) askForSign(pubsub *redis.PubSub) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = errNoAnswer
	s.questions = append(s.questions, "")
	return pubsub.Ping(s.closer.ctx)
}

// answered removes and returns the oldest question, which has its reply now. Redis replies in order.
func (s *subscriber) answered() (question string, pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.questions) == 0 {
		return "", false
	}
	question, s.questions = s.questions[0], s.questions[1:]
	return question, true
}

// refused returns err unless the session can go on in spite of it. When err says that one channel is forbidden to us, only the waits on
// that channel end: they asked for a queue that is not theirs.
func (s *subscriber) refused(err error) error {
	if !fromServer(err) {
		return err
	}
	channel, pending := s.answered()
	switch {
	case pending && channel == "" && isSign(err):
		return nil
	case pending && channel != "" && reason(err) == queue.ReasonPermission:
		s.bar(channel, unavailable("wait", err))
		return nil
	}
	return err
}

// bar ends every Wait on channel, which is forbidden to us.
func (s *subscriber) bar(channel string, why error) {
	s.mu.Lock()
	s.barred[channel] = true
	s.mu.Unlock()
	s.tell(channel, func(w *waiter) { w.fail(why) })
}

// isSign says whether err is an answer to PING all the same: while Redis cannot write to its disk it answers with MISCONF, and
// still passes on what is published.
func isSign(err error) bool { return fromServer(err) && reason(err) == queue.ReasonReadOnly }

// connect subscribes to every channel, to each with a command of its own: of several in one command Redis would say only that one of
// them is forbidden. The lock is not held during network calls, so that no Wait ends late; channels that are joined meanwhile are
// subscribed after it.
func (s *subscriber) connect() (*redis.PubSub, error) {
	s.mu.Lock()
	channels := slices.Collect(maps.Keys(s.waiters))
	s.mu.Unlock()
	pubsub := s.client.rdb.Subscribe(s.closer.ctx)
	for _, c := range channels {
		if err := pubsub.Subscribe(s.closer.ctx, c); err != nil {
			_ = pubsub.Close()
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.waiters {
		if !slices.Contains(channels, c) {
			channels = append(channels, c)
			if err := pubsub.Subscribe(s.closer.ctx, c); err != nil {
				_ = pubsub.Close()
				return nil, err
			}
		}
	}
	s.pubsub, s.questions = pubsub, channels
	clear(s.barred)
	return pubsub, nil
}

func (s *subscriber) setFault(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = why
}

// late is the error of a Wait whose ctx has ended: ctx's, joined with why nothing could be received or, if there is no such
// reason, why nothing could be read. So the caller can tell a result that is not there yet from a broker that is away. For a Wait
// that began less than answerSoon ago, no answer so far is no reason.
func (s *subscriber) late(ctx context.Context, unread error, began time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.fault
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

func (s *subscriber) tell(channel string, say func(*waiter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.waiters[channel] {
		say(w)
	}
}

// fail ends every Wait.
func (s *subscriber) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ws := range s.waiters {
		for w := range ws {
			w.fail(err)
		}
	}
}

// permanent says whether err is one that waiting does not cure: wrong credentials, or a missing right.
func permanent(err error) bool {
	var u *queue.UnavailableError
	return err != nil && (!errors.As(err, &u) || u.Reason == queue.ReasonAuth || u.Reason == queue.ReasonPermission)
}
