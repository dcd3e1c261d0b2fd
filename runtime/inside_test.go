package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// fake is a Broker whose answers are the test's. An act without an answer fails the test's expectations by doing the
// least: nothing is claimed, everything is granted, kept and applied.
type fake struct {
	mu        sync.Mutex
	claims    [][]queue.Delivery // given out one at a time
	starts    int
	renewed   [][]queue.Lease
	tried     [][]queue.Settlement // every batch that was offered
	settled   []queue.Settlement   // what was applied
	onClaim   func() error
	onStart   func(ctx context.Context, n int) error // n counts from 1
	onState   queue.State                            // answered by Start; 0: Granted
	onInvalid bool                                   // Start answers with no state at all
	onRenew   func([]queue.Lease) ([]queue.Lease, error)
	onSettle  func(n int, batch []queue.Settlement) error
	onPromote func() error
	onRecover func() error
}

func (f *fake) Claim(ctx context.Context, c queue.Claim) ([]queue.Delivery, error) {
	f.mu.Lock()
	if f.onClaim != nil {
		defer f.mu.Unlock()
		return nil, f.onClaim()
	}
	if len(f.claims) > 0 {
		defer f.mu.Unlock()
		got := f.claims[0]
		f.claims = f.claims[1:]
		return got, nil
	}
	f.mu.Unlock()
	if !sleep(ctx, c.Wait) {
		return nil, ctx.Err()
	}
	return nil, nil
}

func (f *fake) Start(ctx context.Context, batch []queue.Start) ([]queue.Started, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts++
	if f.onStart != nil {
		if err := f.onStart(ctx, f.starts); err != nil {
			return nil, err
		}
	}
	out := make([]queue.Started, len(batch))
	for i, s := range batch {
		out[i] = queue.Started{State: queue.Granted, Lease: s.Delivery.Unstarted(), Attempt: 1}
		out[i].Lease.ID = s.ID
		if f.onState != 0 || f.onInvalid {
			out[i].State = f.onState
		} else {
			out[i].Lease.Token = s.Delivery.Token
		}
	}
	return out, nil
}

func (f *fake) Renew(_ context.Context, batch []queue.Lease) ([]queue.Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = append(f.renewed, slices.Clone(batch))
	if f.onRenew != nil {
		return f.onRenew(batch)
	}
	return nil, nil
}

func (f *fake) Settle(_ context.Context, batch []queue.Settlement) ([]queue.Settled, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = append(f.tried, slices.Clone(batch))
	if f.onSettle != nil {
		if err := f.onSettle(len(f.tried), batch); err != nil {
			return nil, err
		}
	}
	f.settled = append(f.settled, batch...)
	out := make([]queue.Settled, len(batch))
	for i := range out {
		out[i] = queue.Applied
	}
	return out, nil
}

func (f *fake) Promote(context.Context, string, int) (int, time.Time, error) {
	if f.onPromote != nil {
		return 0, time.Time{}, f.onPromote()
	}
	return 0, time.Time{}, nil
}

func (f *fake) LeftOut() []queue.Lane { return nil }

func (f *fake) Recover(context.Context, []queue.Lane, int) (queue.Recovered, error) {
	if f.onRecover != nil {
		return queue.Recovered{}, f.onRecover()
	}
	return queue.Recovered{}, nil
}

// verdicts are those that were applied, by id or, without one, by entry.
func (f *fake) verdicts() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := map[string]string{}
	for _, s := range f.settled {
		name := s.Lease.ID
		if name == "" {
			name = s.Lease.Entry
		}
		got[name] = s.Verdict.String()
	}
	return got
}

// nowhere is an error of a broker that is away.
var nowhere = &queue.UnavailableError{Op: "test", Reason: queue.ReasonConnection, Err: errors.New("nobody there")}

func insideKey(p envelope.Purpose, n byte) envelope.PrivateKey {
	key, err := envelope.GenerateKey(p, bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	insideSubmit = insideKey(envelope.Submit, 1)
	insideWorker = insideKey(envelope.Worker, 2)

	insideOperate = insideKey(envelope.Operate, 3)
)

// insidePolicy grants nothing in this queue: what begins is refused, and nothing ever reaches a sandbox.
func insidePolicy(t *testing.T) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.toml", fmt.Appendf(nil, `version = 1
audience = "test"
[[tenant]]
name = "acme"
[[role]]
name = "none"
[[role.grant]]
queues = ["other"]
tasks = ["other.run"]
[[principal]]
name = "shop"
purpose = "submit"
tenant = "acme"
keys = [%q]
roles = ["none"]
[[principal]]
name = "ops"
purpose = "operate"
keys = [%q]
[[worker]]
name = "worker"
keys = [%q]
`, insideSubmit.Public(), insideOperate.Public(), insideWorker.Public()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type noFloor struct{}

func (noFloor) Lowest(string) uint64       { return 0 }
func (noFloor) Raise(string, uint64) error { return nil }

type noBlobs struct{}

func (noBlobs) Get(context.Context, string, int64) ([]byte, error)  { return nil, errors.New("none") }
func (noBlobs) Put(context.Context, string, []byte) error           { return errors.New("none") }
func (noBlobs) List(context.Context, string, int) ([]string, error) { return nil, errors.New("none") }

// openInside makes a worker over f that has no sandbox to run anything in, and its log.
func openInside(t *testing.T, f *fake) (*Worker, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	w, err := Open(Config{
		Broker: f, Queues: []string{"work"}, Policy: insidePolicy(t), Key: insideWorker, Modules: modstore.Over(noBlobs{}),
		Floor: noFloor{}, Sandbox: &sandbox.Sandbox{}, Name: "worker-1", Concurrency: 1, Lease: 15 * time.Second,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: &log}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, &log
}

// take takes deliveries in, as if the one post of w had claimed them.
func (w *Worker) take(t *testing.T, batch ...queue.Delivery) {
	t.Helper()
	w.capacity.take(len(batch))
	w.handOver(w.takeIn(t.Context(), w.posts[0], batch))
}

// len returns how many wait.
func (r *ready) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// waiting counts the outcomes that wait for the settler.
func (w *Worker) waiting() int {
	return len(w.posts[0].ended.list)
}

// outcomes takes those that wait for the settler, as if they were written at once.
func (w *Worker) outcomes() []*ending {
	batch, _ := w.posts[0].ended.take()
	w.posts[0].ended.written()
	return batch
}

// delivery is of a message that the shop signed.
func delivery(t *testing.T, n int) queue.Delivery {
	t.Helper()
	now := time.Now()
	msg, err := envelope.Sign(envelope.Task{
		ID: envelope.MessageID{byte(n), 1}, Audience: "test", Tenant: "acme", Queue: "work", Task: "job.run",
		Issued: now, Expires: now.Add(time.Hour), Priority: int(queue.PriorityNormal),
	}, insideSubmit)
	if err != nil {
		t.Fatal(err)
	}
	return queue.Delivery{
		Lane:  queue.Lane{Queue: "work", Tenant: "acme", Priority: queue.PriorityNormal},
		Entry: fmt.Sprintf("%d-0", n), Message: msg, Token: fmt.Sprintf("token-%d", n),
	}
}
