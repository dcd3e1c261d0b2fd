package client

import (
	"context"
	"errors"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Coalesce says how calls of Send at the same time share a signature and a write.
//
// Without a Window no Send waits for others: one that comes alone is signed and written at once. Those that come while writes are
// under way go out together when one of the writes ends.
type Coalesce struct {
	// Window is how long a Send waits for others, at most CoalesceWindowMax. 0: it does not.
	Window time.Duration

	// Max is how many tasks may share a signature, at most BatchMax. 0: CoalesceMaxDefault. 1: each is signed and written by itself,
	// any number at the same time.
	Max int
}

// An outbox gathers the tasks of calls of Send into batches. The zero outbox with a client is ready.
type outbox struct {
	client *Client

	mu      sync.Mutex
	writes  int       // under way, at most writesMax
	pending []*letter // not yet taken into a write
	timer   *time.Timer
}

// A letter is a call of Send that waits for its batch.
type letter struct {
	task envelope.Task
	done chan struct{} // closed when receipt and err are set

	// Guarded by outbox.mu until done is closed.
	batch   *batch // nil: it is pending
	gone    bool   // its caller did not wait
	receipt Receipt
	err     error
}

// A batch is the letters that are signed and written together. Its context ends when no caller waits for it any more.
type batch struct {
	letters []*letter
	waiting int
	ctx     context.Context
	cancel  context.CancelFunc
}

// send signs and writes task, alone or with others.
func (o *outbox) send(ctx context.Context, task envelope.Task) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	how := o.client.cfg.Coalesce
	if how.Max == 1 {
		return o.alone(ctx, task)
	}
	o.mu.Lock()
	if o.writes < writesMax && len(o.pending) == 0 && how.Window == 0 {
		o.writes++
		o.mu.Unlock()
		defer o.ended()
		return o.alone(ctx, task)
	}
	l := &letter{task: task, done: make(chan struct{})}
	o.pending = append(o.pending, l)
	if o.timer == nil && how.Window > 0 {
		o.timer = time.AfterFunc(how.Window, o.windowOver)
	}
	if len(o.pending) >= how.Max && o.writes < writesMax {
		o.begin()
	}
	o.mu.Unlock()
	select {
	case <-l.done:
		return l.receipt, l.err
	case <-ctx.Done():
		return o.leave(l, ctx.Err())
	}
}

// alone signs and writes task by itself, within the caller's own context.
func (o *outbox) alone(ctx context.Context, task envelope.Task) (Receipt, error) {
	msg, err := envelope.Sign(task, o.client.cfg.Key)
	if err != nil {
		return Receipt{}, &TaskError{0, task.Task, err}
	}
	receipt := receiptOf(&task, msg)
	return receipt, o.client.Resend(ctx, []Receipt{receipt})
}

// leave removes l, whose caller's context has ended, from the pending ones, or lets its batch go on without it. The receipt is zero if
// l has not been signed, and then it never is: see sign.
func (o *outbox) leave(l *letter, err error) (Receipt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.batch == nil {
		o.pending = slices.DeleteFunc(o.pending, func(x *letter) bool { return x == l })
		return Receipt{}, err
	}
	l.gone = true
	if l.batch.waiting--; l.batch.waiting == 0 {
		l.batch.cancel()
	}
	return l.receipt, err
}

// windowOver begins a write of what has come within the window.
func (o *outbox) windowOver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer = nil
	if len(o.pending) > 0 && o.writes < writesMax {
		o.begin()
	}
}

// begin writes what is pending on a goroutine, which ends with the write. o.mu is held.
func (o *outbox) begin() {
	o.writes++
	go func() {
		goruntime.Gosched() // callers that the last write has released may have more to send
		o.mu.Lock()
		b := o.take()
		o.mu.Unlock()
		o.write(b)
		o.ended()
	}()
}

// ended is called after each write, and begins the next one if something is pending.
func (o *outbox) ended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes--
	// With a window, what is there waits for its end unless it is full.
	if len(o.pending) > 0 && (o.timer == nil || len(o.pending) >= o.client.cfg.Coalesce.Max) {
		o.begin()
	}
}

// take makes a batch of the pending letters, as far as they fit. Two letters with one id are never in one batch. o.mu is held.
func (o *outbox) take() *batch {
	b := &batch{}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	ids := map[envelope.MessageID]bool{}
	size := 0
	var left []*letter
	for _, l := range o.pending {
		size += len(l.task.Payload)
		if ids[l.task.ID] || len(b.letters) >= o.client.cfg.Coalesce.Max || len(b.letters) > 0 && size > coalesceSizeMax {
			left = append(left, l)
			continue
		}
		ids[l.task.ID] = true
		l.batch = b
		b.letters = append(b.letters, l)
	}
	b.waiting = len(b.letters)
	o.pending = left
	return b
}

// write signs and writes b, and gives each of its letters its outcome.
func (o *outbox) write(b *batch) {
	defer b.cancel()
	letters := o.sign(b.letters)
	outgoing := make([]Receipt, len(letters))
	for i, l := range letters {
		outgoing[i] = l.receipt
	}
	err := o.client.Resend(b.ctx, outgoing)
	alone := len(letters) > 1 && ofOne(err)
	for i, l := range letters {
		fault := err
		if alone { // each by itself: the same bytes again, for those that the error is not about
			fault = o.client.Resend(b.ctx, outgoing[i:i+1])
		}
		o.tell(l, fault)
	}
}

// sign signs letters, sets their receipts and returns those that are to be sent. Letters that cannot be signed get their error and are
// left out. So are those whose callers have left: they got no receipt, which says that nothing is sent.
func (o *outbox) sign(letters []*letter) []*letter {
	for {
		tasks := make([]envelope.Task, len(letters))
		for i, l := range letters {
			tasks[i] = l.task
		}
		receipts, err := o.client.signAll(tasks)
		if err == nil {
			return o.hand(letters, receipts)
		}
		faults := batchFaults(err)
		var good []*letter
		for i, l := range letters {
			switch fault := faults[i]; {
			case fault != nil:
				o.tell(l, &TaskError{0, l.task.Task, fault})
			case len(faults) == 0:
				o.tell(l, &TaskError{0, l.task.Task, err})
			default:
				good = append(good, l)
			}
		}
		letters = good
	}
}

// hand sets the receipts of the letters whose callers still wait, and returns those letters.
func (o *outbox) hand(letters []*letter, receipts []Receipt) []*letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := make([]*letter, 0, len(letters))
	for i, l := range letters {
		if !l.gone {
			l.receipt = receipts[i]
			waiting = append(waiting, l)
		}
	}
	return waiting
}

// tell ends the wait of l.
func (o *outbox) tell(l *letter, err error) {
	o.mu.Lock()
	l.err = err
	o.mu.Unlock()
	close(l.done)
}

// ofOne says whether err may be about one message of a write only: its lane is forbidden or is no stream, or the message itself is
// refused.
func ofOne(err error) bool {
	var field *queue.FieldError
	var away *queue.UnavailableError
	return errors.As(err, &field) ||
		errors.As(err, &away) && (away.Reason == queue.ReasonPermission || away.Reason == queue.ReasonData)
}
