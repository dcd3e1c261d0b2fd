package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/client"
)

const (
	orderLife = 10 * time.Minute // of every order
	heedMax   = 4 * time.Second  // how long the operator waits for workers to hear or to answer, before it goes on
	clearSent = 5                // tasks sent into a pause
	beginMax  = 10 * time.Second // how long the operator waits for a task to run or to be parked
	claimEnds = 2200 * time.Millisecond
)

// command gives the orders of the plan, one after the other, and at last resumes what it has paused.
func (r *run) command(ctx context.Context) {
	for _, o := range r.plan.orders {
		r.until(o.at)
		order := envelope.Order{Act: envelope.Act(o.act), Queue: queueNames[o.queue], Code: o.code}
		switch o.act {
		case "pause":
			order.Code = ""
			pause, _ := r.give(ctx, order)
			if o.kills > 0 && r.awaitHeard(ctx, pause) { // what starts in a pause, and finds something to do, is to know of it
				sleep(ctx, holdMax)
				r.fill(ctx, order.Queue)
				r.places[o.kills-1].signal(syscall.SIGKILL)
			}
			sleep(ctx, o.lasts)
			r.give(ctx, envelope.Order{Act: envelope.ActResume, Queue: order.Queue})
		case "cancel":
			r.mu.Lock()
			sent := slices.Clone(r.receipts)
			r.mu.Unlock()
			if len(sent) == 0 {
				continue
			}
			c := sent[o.pick%uint64(len(sent))]
			r.give(ctx, envelope.Order{Act: envelope.ActCancel, Queue: c.Queue, Tenant: tenant, Target: c.ID.String()})
		case "purge":
			order.Code = ""
			r.give(ctx, order)
		case "clear":
			r.clear(ctx, order.Queue)
		default:
			r.give(ctx, order)
		}
	}
	if r.plan.has("pause") || r.plan.has("clear") {
		for _, name := range r.queues() {
			r.give(ctx, envelope.Order{Act: envelope.ActResume, Queue: name})
		}
	}
}

// clear pauses a queue, sends to it what nobody will have begun, purges it, and resumes it.
func (r *run) clear(ctx context.Context, name string) {
	pause, _ := r.give(ctx, envelope.Order{Act: envelope.ActPause, Queue: name})
	all := r.awaitHeard(ctx, pause)
	sleep(ctx, claimEnds) // what was asked of Redis before the pause may still come, and then be held
	if all {
		if !r.fill(ctx, name) {
			return
		}
		sleep(ctx, 20*time.Millisecond) // a purge leaves alone what came in its own millisecond
		if purge, signed := r.give(ctx, envelope.Order{Act: envelope.ActPurge, Queue: name}); signed != nil {
			r.awaitAnswer(ctx, purge, signed)
		}
	}
	r.give(ctx, envelope.Order{Act: envelope.ActResume, Queue: name})
}

// fill sends some tasks to a queue, and reports whether they were taken.
func (r *run) fill(ctx context.Context, name string) bool {
	var tasks []client.Task
	now := time.Now()
	for range clearSent {
		task, _ := taskOf(taskPlan{kind: "cleared", priority: 1}, now)
		task.Queue = name
		tasks = append(tasks, task)
	}
	receipts, err := r.client.SendMany(ctx, tasks)
	if len(receipts) != len(tasks) {
		r.fail(fmt.Errorf("send: %w", err))
		return false
	}
	for _, c := range receipts {
		r.add(event{At: now, Kind: sent, ID: c.ID.String(), Queue: name, Text: "cleared", Expires: c.Expires})
	}
	return r.persist(ctx, receipts, err)
}

// commandCalm gives orders once the faults of the plan are over, so that no worker has an excuse: it cancels what runs and, in a plan with purges,
// purges what waits and what is parked beside something that runs.
func (r *run) commandCalm(ctx context.Context) {
	if len(r.plan.orders) == 0 {
		return
	}
	held := r.sendAwait(ctx, taskPlan{kind: "unheard"}, queue.PhaseRunning)
	if held != nil {
		r.cancelUnheard(ctx, *held)
	}
	if !r.plan.has("clear") {
		return
	}
	parked := r.sendAwait(ctx, taskPlan{kind: "stored", queue: purgedQueue}, queue.PhaseWaiting)
	held = r.sendAwait(ctx, taskPlan{kind: "cancel", queue: purgedQueue}, queue.PhaseRunning)
	if parked != nil && held != nil {
		r.clear(ctx, queueNames[purgedQueue])
	}
}

// unheardFor is for how long no worker reaches Redis around an order to cancel: enough to lose their connections, and much less than a lease.
const unheardFor = 300 * time.Millisecond

// cancelUnheard orders the end of a task while no worker has a connection, where those are ours to cut: they find the order when they are back.
func (r *run) cancelUnheard(ctx context.Context, receipt client.Receipt) {
	began := time.Now()
	for i := range len(r.wires) - 1 { // the last is the clients'
		r.wires[i].partition()
	}
	r.cancel(ctx, receipt)
	sleep(ctx, time.Until(began.Add(unheardFor)))
	for i := range len(r.wires) - 1 {
		r.wires[i].heal()
		r.add(event{At: began, Kind: fault, Who: r.places[i].name, Text: "partition", Until: time.Now()})
	}
}

// sendAwait sends a task and waits, for a while, until it is in a phase; nil: it is not.
func (r *run) sendAwait(ctx context.Context, t taskPlan, phase queue.Phase) *client.Receipt {
	now := time.Now()
	task, notBefore := taskOf(t, now)
	receipts, err := r.client.SendMany(ctx, []client.Task{task})
	if len(receipts) != 1 {
		r.fail(fmt.Errorf("send: %w", err))
		return nil
	}
	c := receipts[0]
	r.add(event{At: now, Kind: sent, ID: c.ID.String(), Queue: c.Queue, Text: t.kind, Until: notBefore, Expires: c.Expires})
	if !r.persist(ctx, receipts, err) {
		return nil
	}
	for late := time.Now().Add(beginMax); time.Now().Before(late) && sleep(ctx, 20*time.Millisecond); {
		if s, err := r.admin.State(ctx, lanes(c.Queue)[0], c.ID.String()); err == nil && s.Phase == phase {
			return &c
		}
	}
	return nil
}

// give signs an order and gives it until the broker takes it.
func (r *run) give(ctx context.Context, o envelope.Order) (envelope.Order, []byte) {
	now := time.Now() // an order has whole milliseconds, by which a resume would come before the answer that it follows
	o.ID, o.Audience, o.Issued = envelope.NewMessageID(), audience, now.Truncate(time.Millisecond)
	o.Expires = o.Issued.Add(orderLife)
	b, err := envelope.SignOrder(o, r.kit.boss)
	if err != nil {
		r.fail(fmt.Errorf("order: %w", err))
		return o, nil
	}
	e := event{At: now, Kind: ordered, Queue: o.Queue, Order: o.ID.String(), Text: string(o.Act), Code: o.Code}
	if o.Act == envelope.ActCancel {
		e.ID = o.Target
	}
	r.add(e)
	for {
		switch o.Act {
		case envelope.ActPause, envelope.ActResume:
			err = r.boss.Mode(ctx, o.Queue, b, orderLife)
		case envelope.ActCancel:
			err = r.boss.Cancel(ctx, queue.Lane{Queue: o.Queue, Tenant: o.Tenant, Priority: queue.PriorityNormal}, o.Target, b, orderLife)
		default:
			err = r.boss.Once(ctx, o.Queue, b)
		}
		var away *queue.UnavailableError
		if err == nil {
			e.At, e.Kind = time.Now(), taken
			r.add(e)
			return o, b
		}
		if !errors.As(err, &away) {
			r.fail(fmt.Errorf("order: %w", err))
			return o, nil
		}
		if !sleep(ctx, 30*time.Millisecond) {
			return o, nil
		}
	}
}

// awaitHeard waits until every worker has heard an order to pause, for a while.
func (r *run) awaitHeard(ctx context.Context, o envelope.Order) bool {
	for late := time.Now().Add(heedMax); time.Now().Before(late) && sleep(ctx, 20*time.Millisecond); {
		r.mu.Lock()
		who := map[string]bool{}
		for _, e := range r.events {
			if e.Kind == heard && e.Order == o.ID.String() {
				who[e.Who] = true
			}
		}
		r.mu.Unlock()
		if len(who) == len(r.places) {
			return true
		}
	}
	return false
}

// awaitAnswer waits for a worker's signed answer, for a while, and notes it.
func (r *run) awaitAnswer(ctx context.Context, o envelope.Order, signed []byte) {
	for late := time.Now().Add(heedMax); time.Now().Before(late) && sleep(ctx, 30*time.Millisecond); {
		b, err := r.answers.Result(ctx, o.Queue, r.kit.boss.Public().ID().String(), o.ID.String())
		if err != nil {
			continue
		}
		answer, err := envelope.OpenResult(b, r.kit)
		if err != nil || answer.ID != o.ID || answer.Message != envelope.DigestOf(signed) || answer.Task != string(o.Act) {
			r.fail(fmt.Errorf("an answer that no operator would take: %+v, %w", answer, err))
			return
		}
		r.add(event{At: time.Now(), Kind: answered, Queue: o.Queue, Order: o.ID.String(), Text: string(answer.Status), Code: answer.Code})
		return
	}
}
