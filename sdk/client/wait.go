package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// Wait waits for the result of the message of receipt r. Give ctx a deadline: a result that nobody writes, or whose time to live has
// passed before the wait began, never arrives.
// Errors: with the result, *RefusedError (for a duplicate, *DuplicateError, which wraps one) and *FailedError. *ReceiptError and
// *ConfigError, final. Else ctx's or the queue's (both joined, if the queue could not be used at that moment), joined with a
// *RejectedError for bytes that were no result.
func (c *Client) Wait(ctx context.Context, r Receipt) (envelope.Result, error) {
	var result envelope.Result
	var ended error
	err := c.WaitAll(ctx, []Receipt{r}, func(_ Receipt, got envelope.Result, err error) { result, ended = got, err })
	if err != nil {
		return envelope.Result{}, err
	}
	return result, ended
}

// WaitAll calls got once for each receipt, one call at a time, in the order in which results arrive, and returns nil when all have
// arrived. got's err is nil, *RefusedError or *FailedError, as Wait's. All waits of a Client share one connection of its Results.
// Errors: as Wait's without *RefusedError and *FailedError. Results that got was called for are valid all the same.
func (c *Client) WaitAll(ctx context.Context, receipts []Receipt, got func(r Receipt, result envelope.Result, err error)) error {
	if c.cfg.Results == nil {
		return &ConfigError{"Results", "is missing"}
	}
	queues, err := byQueue(receipts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var calls sync.Mutex // so that there is one call of got at a time, over all queues
	deliver := func(r Receipt, result envelope.Result) {
		calls.Lock()
		defer calls.Unlock()
		got(r, result, verdict(result))
	}
	errs := make(chan error, len(queues))
	for name, pending := range queues {
		w := &wait{client: c, queue: name, pending: pending, rejected: map[string]rejection{}, deliver: deliver}
		if len(queues) == 1 { // here, since to hand a result over from goroutine to goroutine takes time
			return w.run(ctx)
		}
		go func() { errs <- w.run(ctx) }() // ends with ctx, and is waited for below
	}
	var first error
	for range queues {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// byQueue groups receipts by queue and id. The same receipt twice counts once.
func byQueue(receipts []Receipt) (map[string]map[string]Receipt, error) {
	queues := map[string]map[string]Receipt{}
	for _, r := range receipts {
		if r.ID.IsZero() || r.Queue == "" {
			return nil, &ReceiptError{r.ID, "has no id or no queue"}
		}
		pending := queues[r.Queue]
		if pending == nil {
			pending = map[string]Receipt{}
			queues[r.Queue] = pending
		}
		id := r.ID.String()
		if same, ok := pending[id]; ok && same.Digest != r.Digest {
			return nil, &ReceiptError{r.ID, "is given twice, with two digests"}
		}
		pending[id] = r
	}
	return queues, nil
}

// verdict returns the error for a result, nil if the task was done.
func verdict(r envelope.Result) error {
	switch r.Status {
	case envelope.StatusDone:
		return nil
	case envelope.StatusRefused:
		return refusal(r)
	}
	return &FailedError{r}
}

// A wait is one WaitAll on one queue.
type wait struct {
	client   *Client
	queue    string
	pending  map[string]Receipt   // by id
	rejected map[string]rejection // by id: the last bytes that were no result
	deliver  func(Receipt, envelope.Result)
}

type rejection struct {
	digest envelope.Digest
	err    *RejectedError
}

// run returns when nothing is pending. The queue reports each id once; so after a rejection the round is ended, after a pause that
// grows, and a new round asks again for what is pending.
func (w *wait) run(ctx context.Context) error {
	pause := againMin
	for {
		round, stop := context.WithCancel(ctx)
		var again *time.Timer
		ids := make([]string, 0, len(w.pending))
		for id := range w.pending {
			ids = append(ids, id)
		}
		err := w.client.cfg.Results.Wait(round, w.queue, w.client.resultKey(), ids, func(id string, b []byte) {
			if !w.take(ctx, id, b) && again == nil {
				again = time.AfterFunc(pause, stop)
			}
		})
		if again == nil || len(w.pending) == 0 || ctx.Err() != nil || err != nil && round.Err() == nil {
			if again != nil {
				again.Stop()
			}
			stop()
			if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
				err = ended
			}
			return w.end(err)
		}
		<-round.Done() // nothing more to come in this round, but the pause is not over
		pause = min(2*pause, againMax)
	}
}

// take verifies what the queue returned for id, and reports whether it was the result.
func (w *wait) take(ctx context.Context, id string, b []byte) bool {
	r, ok := w.pending[id]
	if !ok {
		return true // not asked for
	}
	if b == nil { // the key holds something that cannot be a result
		var fault error
		if b, fault = w.client.cfg.Results.Result(ctx, w.queue, w.client.resultKey(), id); fault != nil {
			w.reject(id, nil, &RejectedError{r.ID, fault})
			return false
		}
	}
	result, err := w.client.open(r, b)
	if err == nil {
		delete(w.pending, id)
		delete(w.rejected, id)
		w.deliver(r, result)
		return true
	}
	w.reject(id, b, err)
	return false
}

// reject records why b is not the result of id, and calls Config.Rejected unless the same bytes were rejected before.
func (w *wait) reject(id string, b []byte, err *RejectedError) {
	before, digest := w.rejected[id], envelope.DigestOf(b)
	if before.digest == digest {
		return
	}
	w.rejected[id] = rejection{digest, err}
	if tell := w.client.cfg.Rejected; tell != nil {
		tell(err)
	}
}

// resultKey returns the key under which the results of this Client's messages are kept.
func (c *Client) resultKey() string { return c.cfg.Key.Public().ID().String() }

// end returns nil when nothing is pending, else err joined with the rejections of what is pending.
func (w *wait) end(err error) error {
	if len(w.pending) == 0 {
		return nil
	}
	if err == nil {
		err = errors.New("the queue reported fewer results than it was asked for")
	}
	errs := []error{err}
	for _, r := range w.rejected {
		if len(errs) > rejectedMax {
			break
		}
		errs = append(errs, r.err)
	}
	return fmt.Errorf("client: wait: %d of queue %s have not come: %w", len(w.pending), w.queue, errors.Join(errs...))
}

// open verifies b, and that it is the result of the message of r.
func (c *Client) open(r Receipt, b []byte) (envelope.Result, *RejectedError) {
	result, err := envelope.ResultReader{Keys: c.cfg.Workers, Roots: &c.roots}.Open(b)
	if err != nil {
		return envelope.Result{}, &RejectedError{r.ID, err}
	}
	for _, part := range []struct {
		field string
		same  bool
	}{
		{"id", result.ID == r.ID},
		{"message", result.Message == r.Digest || r.Digest.IsZero()},
		{"audience", result.Audience == c.cfg.Audience},
		{"tenant", result.Tenant == c.cfg.Tenant},
		{"queue", result.Queue == r.Queue},
		{"task", result.Task == r.Task || r.Task == ""},
	} {
		if !part.same {
			return envelope.Result{}, &RejectedError{r.ID, &MismatchError{part.field}}
		}
	}
	return result, nil
}
