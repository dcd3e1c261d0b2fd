package redisqueue

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

// QueueConfig says how a worker takes part in queues.
type QueueConfig struct {
	// Worker names the worker in states and dead letters: the grammar of
	// queue.CheckName. Required. A random part is added, since two processes
	// under one name could settle for each other.
	Worker string

	// Lease is how long a delivery is this worker's without Renew, 100 ms to 1 h.
	// Default 15 s. All workers of a queue should have the same: Recover takes
	// over what has been idle for its own worker's Lease.
	Lease time.Duration

	// DeadMax is about how many dead letters a queue keeps, 1 to 1,000,000; the
	// oldest go first. Default 10,000.
	DeadMax int

	// DeadKeep is how long a dead letter is kept, 1 min to 366 days. Default 7 days. A queue's letters are dropped by
	// whichever worker promotes or buries, so all workers should have the same.
	DeadKeep time.Duration

	// Now tells how far away the times of Retry, Park and Start are. Redis counts
	// them from its own clock. Default time.Now.
	Now func() time.Time

	// Logger is told of lanes that are left out. Default: nobody is.
	Logger hclog.Logger
}

// Queue is one worker's hand in any number of queues. It is safe for concurrent use.
type Queue struct {
	client   *Client
	conf     QueueConfig
	consumer string // in every consumer group

	fence  string        // of tokens, random for each Queue
	tokens atomic.Uint64 // of tokens, counts

	closer *closer // counts calls of Claim, and reads whose Claim has returned

	mu         sync.Mutex
	turn       int                      // where the next look at many lanes begins
	hot        map[queue.Lane]bool      // lanes that had more than their share
	quiet      map[string]bool          // queues whose last waiting read brought nothing
	broken     map[queue.Lane]time.Time // lanes left out, until then
	held       []queue.Delivery         // claimed beyond Max, see readAll
	cursors    map[queue.Lane]string    // where Recover goes on in a lane's pending list
	retireTurn int
	retireNext time.Time
}

var (
	_ queue.Queue      = (*Queue)(nil)
	_ queue.Maintainer = (*Queue)(nil)
)

// OpenQueue returns worker's hand in the queues of c. It connects to nothing.
// Errors: all faulty fields at once, each *ConfigError, joined.
func OpenQueue(c *Client, conf QueueConfig) (*Queue, error) {
	if err := conf.check(); err != nil {
		return nil, err
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("redis: random: %w", err)
	}
	return &Queue{
		client:   c,
		closer:   newCloser(c.closer.ctx),
		conf:     conf,
		consumer: conf.Worker + "-" + hex.EncodeToString(random[:6]),
		fence:    hex.EncodeToString(random[6:]) + "-",
		hot:      map[queue.Lane]bool{},
		quiet:    map[string]bool{},
		broken:   map[queue.Lane]time.Time{},
		cursors:  map[queue.Lane]string{},
	}, nil
}

// Check returns what OpenQueue would find faulty.
// Errors: all faulty fields at once, each *ConfigError, joined.
func (c QueueConfig) Check() error { return c.check() }

// check fills in defaults.
func (c *QueueConfig) check() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &ConfigError{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if err := queue.CheckName("worker", c.Worker); err != nil {
		fault("Worker", "%v", err)
	}
	orDefault(&c.Lease, 15*time.Second)
	if c.Lease < leaseMin || c.Lease > leaseMax {
		fault("Lease", "%s is not within %s to %s", c.Lease, leaseMin, leaseMax)
	}
	if c.DeadMax == 0 {
		c.DeadMax = deadMaxDefault
	}
	if c.DeadMax < 1 || c.DeadMax > deadMaxMax {
		fault("DeadMax", "%d is not within 1 to %d", c.DeadMax, deadMaxMax)
	}
	orDefault(&c.DeadKeep, deadKeepDefault)
	if c.DeadKeep < deadKeepMin || c.DeadKeep > deadKeepMax {
		fault("DeadKeep", "%s is not within %s to %s", c.DeadKeep, deadKeepMin, deadKeepMax)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return errors.Join(faults...)
}

// Worker returns the name under which this Queue appears in states and dead letters.
func (q *Queue) Worker() string { return q.consumer }

// Lease returns how long a delivery is this worker's without Renew.
func (q *Queue) Lease() time.Duration { return q.conf.Lease }

// Close ends every Claim; these, and all later ones, give queue.ErrClosed. What has been claimed can still be renewed and
// settled. It waits, for a second or so, until no read goes on that a Claim has left behind, and gives back what such reads
// still brought. It does not close the Client.
func (q *Queue) Close() error {
	q.closer.close()
	q.closer.wait()
	q.mu.Lock()
	held := q.held
	q.held = nil
	q.mu.Unlock()
	q.giveBack(held)
	return nil
}

// token returns a fence that nobody had before.
func (q *Queue) token() string {
	return q.fence + strconv.FormatUint(q.tokens.Add(1), 10)
}
