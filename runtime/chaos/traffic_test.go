package chaos_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
)

// payload is the guest's input.
type payload struct {
	Kind  string `json:"kind"`
	Until int64  `json:"until,omitempty"`
	For   int    `json:"for,omitempty"`
	Text  string `json:"text,omitempty"`
}

// laterBy is how long a task waits for its time that nobody meddles with.
const laterBy = 700 * time.Millisecond

// shelf is how long a task waits that is cancelled meanwhile: so long that whatever runs then has defied the order, see judgement.cancelled.
const shelf = lease + 2200*time.Millisecond

// storage is how long a task is parked that is purged meanwhile: longer than what is done before its purge.
const storage = beginMax + 2*heedMax + claimEnds

// taskOf makes the task that a plan asks for, and the time before which it must not run.
func taskOf(t taskPlan, now time.Time) (client.Task, time.Time) {
	in := payload{Kind: t.kind, Text: "x"}
	task := client.Task{Name: taskName, Queue: queueNames[t.queue], Within: time.Hour, Priority: []client.Priority{client.High, client.Normal, client.Low}[t.priority]}
	switch t.kind {
	case "until":
		in.Until = now.Add(500 * time.Millisecond).UnixMilli()
	case "after":
		in.Until = now.Add(600 * time.Millisecond).UnixMilli()
	case "sleep":
		in.For = int(lease.Milliseconds()) + 500
	case "later":
		in.Kind, task.NotBefore = "done", now.Add(laterBy)
	case "always", "panic":
		task.Attempts = 2
	case "brief":
		in.Kind, task.Within = "done", 400*time.Millisecond
	case "denied":
		in.Kind, task.Name = "done", "other.work"
	case "unique", "step", "cut", "cleared":
		in.Kind = "done"
	case "gated":
		in.Kind, in.For, task.Name = "sleep", 50, gatedName
	case "cancel":
		in.Kind, in.For = "sleep", int(3*lease.Milliseconds()) // it ends sooner, unless its order is lost or comes before it
	case "unheard":
		in.Kind, in.For = "sleep", int((2*hearMax + time.Second).Milliseconds()) // likewise, and long after whoever hears its order late
	case "shelved":
		in.Kind, task.NotBefore = "done", now.Add(shelf)
	case "stored":
		in.Kind, task.NotBefore = "done", now.Add(storage)
	case "poison":
		in.Kind, in.For, in.Text = "sleep", 8000, poisonMark // longer than its worker may be stopped before it dies of it
	}
	task.Input = in
	return task, task.NotBefore
}

// produce sends every second batch of the plan, those with the parity, each until it is taken.
func (r *run) produce(ctx context.Context, batches []batchPlan, parity int) {
	for i, b := range batches {
		if i%2 != parity {
			continue
		}
		r.until(b.at)
		now := time.Now()
		var tasks []client.Task
		var notBefore []time.Time
		for _, t := range b.tasks {
			task, when := taskOf(t, now)
			tasks, notBefore = append(tasks, task), append(notBefore, when)
		}
		receipts, err := r.client.SendMany(ctx, tasks)
		if len(receipts) != len(tasks) {
			r.fail(fmt.Errorf("send: %w", err))
			return
		}
		for i, c := range receipts {
			r.add(event{At: now, Kind: sent, ID: c.ID.String(), Queue: c.Queue, Text: b.tasks[i].kind, Until: notBefore[i], Expires: c.Expires})
		}
		r.persist(ctx, receipts, err)
	}
}

// produceExtras sends what belongs together.
func (r *run) produceExtras(ctx context.Context) {
	for i, e := range r.plan.extras {
		r.until(e.at)
		now := time.Now()
		var tasks []client.Task
		for _, kind := range e.kinds {
			task, _ := taskOf(taskPlan{kind, 1, e.queue}, now)
			tasks = append(tasks, task)
		}
		var receipts []client.Receipt
		var err error
		switch key := fmt.Sprint("key-", i); e.what {
		case "chain", "group":
			p := r.planOf(e, tasks)
			var got client.PlanReceipt
			got, err = r.client.SendPlan(ctx, p)
			receipts = got.Receipts()
		case "unique":
			for i := range tasks {
				tasks[i].UniqueKey, tasks[i].UniqueWindow = key, time.Hour
			}
			if e.wait < time.Second/2 { // the first comes before its time, and must ask for its key again then
				tasks[0].NotBefore = now.Add(e.wait)
			}
			receipts, err = r.client.SendMany(ctx, tasks)
		default:
			receipts, err = r.client.SendMany(ctx, tasks)
		}
		if len(receipts) != len(tasks) {
			r.fail(fmt.Errorf("send: %w", err))
			return
		}
		for n, c := range receipts {
			s := event{At: now, Kind: sent, ID: c.ID.String(), Queue: c.Queue, Text: e.kinds[n], Until: tasks[n].NotBefore, Expires: c.Expires}
			switch {
			case e.what == "unique":
				s.Code = fmt.Sprint("key-", i)
			case e.what == "chain" && n > 0:
				s.After = idsOf(receipts[n-1 : n])
			case e.what == "group" && n == len(receipts)-1:
				s.After = idsOf(receipts[:n])
			}
			r.add(s)
		}
		if !r.persist(ctx, receipts, err) {
			return
		}
		if e.what == "cancel" && sleep(ctx, e.wait) {
			for _, c := range receipts {
				r.cancel(ctx, c)
			}
		}
	}
}

func idsOf(receipts []client.Receipt) (ids []string) {
	for _, c := range receipts {
		ids = append(ids, c.ID.String())
	}
	return ids
}

// planOf makes a plan of tasks: one after the other, or the last after all others. What waits for a step that was lost with Redis, or purged, is
// to end while the run lasts.
func (r *run) planOf(e extraPlan, tasks []client.Task) client.Plan {
	for i := range tasks {
		tasks[i].Within, tasks[i].Queue = 0, "" // the plan's
		if e.what == "chain" && i > 0 || i == len(tasks)-1 {
			tasks[i].Input = nil // the result of what comes before
		}
	}
	last := len(tasks) - 1
	p := client.Chord(tasks[last], tasks[:last]...)
	if e.what == "chain" {
		p = client.Chain(tasks...)
	}
	p.Queue, p.Within = queueNames[e.queue], time.Hour
	if r.plan.set == failover || r.plan.set == stale || r.plan.has("purge") || r.plan.has("clear") {
		p.Within = planBrief
	}
	return p
}

// planBrief is enough for a plan's steps, with a lease that runs out in between.
const planBrief = 20 * time.Second

// cancel orders the end of a task, until the order is taken.
func (r *run) cancel(ctx context.Context, receipt client.Receipt) {
	e := event{At: time.Now(), Kind: ordered, ID: receipt.ID.String(), Queue: receipt.Queue, Text: "cancel"}
	r.add(e)
	for sleep(ctx, 30*time.Millisecond) {
		err := r.client.Cancel(ctx, receipt)
		var away *queue.UnavailableError
		switch {
		case err == nil:
			e.At, e.Kind = time.Now(), taken
			r.add(e)
			return
		case !errors.As(err, &away):
			r.fail(fmt.Errorf("cancel: %w", err))
			return
		}
	}
}

// persist notes what was sent and, while that failed, sends it again until it is taken. It reports whether it was.
func (r *run) persist(ctx context.Context, receipts []client.Receipt, err error) bool {
	r.mu.Lock()
	r.receipts = append(r.receipts, receipts...)
	r.mu.Unlock()
	for err != nil {
		var away *queue.UnavailableError
		if !errors.As(err, &away) {
			r.fail(fmt.Errorf("send: %w", err))
			return false
		}
		if !sleep(ctx, 30*time.Millisecond) {
			return false
		}
		err = r.client.Resend(ctx, receipts)
	}
	at := time.Now()
	r.mu.Lock()
	for _, c := range receipts {
		r.accepted[c.ID.String()] = c.Queue
	}
	r.mu.Unlock()
	for _, c := range receipts {
		r.add(event{At: at, Kind: accepted, ID: c.ID.String()})
	}
	return true
}

// attack writes what somebody writes who has every right over Redis and no key: copies of what was sent, the same in another
// lane, and garbage.
func (r *run) attack(ctx context.Context) {
	random := rand.New(rand.NewPCG(r.plan.seed, 2))
	for _, at := range r.plan.forge {
		r.until(at)
		r.mu.Lock()
		sent := slices.Clone(r.receipts)
		r.mu.Unlock()
		act := []string{"copy", "copy", "moved", "garbage"}[random.IntN(4)]
		pick := random.Uint64()
		if len(sent) == 0 {
			act = "garbage"
		}
		lane := queue.Lane{Queue: queueNames[pick%uint64(r.plan.queues)], Tenant: tenant, Priority: queue.PriorityHigh}
		id, message := "", []byte(fmt.Sprintf("garbage %d", pick))
		if act != "garbage" {
			c := sent[pick%uint64(len(sent))]
			id, message, lane.Queue, lane.Priority = c.ID.String(), c.Message, c.Queue, c.Priority
		}
		if act == "moved" {
			lane.Priority = (lane.Priority + 1) % queue.Priority(len(queue.Priorities()))
		}
		if r.admin.Send(ctx, []queue.Outgoing{{Lane: lane, Message: message}}) == nil {
			r.add(event{At: time.Now(), Kind: forged, ID: id, Queue: lane.Queue, Text: act})
		}
	}
}

// observe reads the results of all that was sent, over and over, as somebody does who never looks away.
func (r *run) observe(ctx context.Context) {
	for sleep(ctx, 50*time.Millisecond) {
		r.look(ctx)
	}
}

// look reads the results of all that was sent, once.
func (r *run) look(ctx context.Context) {
	results := redisqueue.OpenResults(r.admin)
	defer results.Close()
	r.mu.Lock()
	sent := slices.Clone(r.receipts)
	r.mu.Unlock()
	for _, c := range sent {
		b, err := results.Result(ctx, c.Queue, r.kit.shop.Public().ID().String(), c.ID.String())
		switch id := c.ID.String(); {
		case err == nil:
			hash := sha256.Sum256(b)
			sum := hex.EncodeToString(hash[:])
			if r.last[id] != sum {
				r.last[id] = sum
				r.see(ctx, c, b, sum)
			}
		case errors.Is(err, queue.ErrNoResult) && r.last[id] != "":
			delete(r.last, id)
			r.add(event{At: time.Now(), Kind: gone, ID: id})
		}
		if err != nil && !errors.Is(err, queue.ErrNoResult) {
			return // Redis is away
		}
	}
}

// see verifies a result as its sender would, and notes it.
func (r *run) see(ctx context.Context, c client.Receipt, b []byte, sum string) {
	reader, err := client.Open(client.Config{
		Sender: r.admin, Results: oneResult(b), Key: r.kit.shop, Workers: r.kit, Audience: audience, Tenant: tenant, Queue: queueName,
	})
	if err != nil {
		r.fail(err)
		return
	}
	once, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	result, err := reader.Wait(once, c)
	var refused *client.RefusedError
	var failed *client.FailedError
	if err != nil && !errors.As(err, &refused) && !errors.As(err, &failed) {
		r.fail(fmt.Errorf("a result that no sender would take: %w", err))
		return
	}
	code := result.Code
	if result.Status == envelope.StatusDone {
		code = ""
	}
	r.add(event{At: time.Now(), Kind: seen, ID: c.ID.String(), Text: string(result.Status), Code: code, Sum: sum, Attempt: result.Attempt})
}

// oneResult is a broker that has one result.
type oneResult []byte

func (b oneResult) Result(context.Context, string, string, string) ([]byte, error) { return b, nil }

func (b oneResult) Wait(_ context.Context, _, _ string, ids []string, got func(string, []byte)) error {
	for _, id := range ids {
		got(id, b)
	}
	return nil
}
