package queuetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
)

// Worker is what a worker does with a broker.
type Worker interface {
	queue.Queue
	queue.Maintainer
}

// Broker is what the suite needs of a broker that is tested: empty, and used by
// this test only.
type Broker interface {
	// Worker returns another worker's hand in the queues. It ends with the test.
	Worker(tb testing.TB, name string, lease time.Duration) Worker
	Sender() queue.Sender
	Results() queue.Results
	Inspector() queue.Inspector
	Orders() queue.Orders
	Listener() queue.Listener
	Admin() queue.Admin
	Events() queue.Events
	Progress() queue.Progress

	// Put adds an entry of these fields to a lane, as only an attacker would.
	Put(tb testing.TB, lane queue.Lane, fields ...string)
	// Delete deletes an entry from its lane behind everybody's back.
	Delete(tb testing.TB, lane queue.Lane, entry string)
	// Forget deletes what is kept about a message.
	Forget(tb testing.TB, lane queue.Lane, id string)
	// Pass lets time pass for brokers whose keys do not expire by themselves.
	Pass(d time.Duration)
}

// Run holds a broker to the suite; open is called for each part of it.
func Run(t *testing.T, open func(tb testing.TB) Broker) {
	parts := []part{
		{"claims/what was sent", testClaimReturnsWhatWasSent},
		{"claims/at most max", testClaimKeepsToMax},
		{"claims/waits and wakes", testClaimWaits},
		{"claims/wait passes", testClaimWaitPasses},
		{"claims/cancel loses nothing", testClaimCancelLosesNothing},
		{"claims/one lane cannot starve another", testClaimIsFair},
		{"claims/more lanes than max", testClaimManyLanes},
		{"claims/priorities", testClaimPriorities},
		{"claims/one at a time", testClaimOneAtATime},
		{"claims/malformed entries", testClaimMalformed},
		{"starts/granted", testStartGranted},
		{"starts/same bytes", testStartSameBytes},
		{"starts/other bytes", testStartOtherBytes},
		{"starts/tenants share no ids", testStartTenants},
		{"starts/first copy vanished", testStartFirstCopyVanished},
		{"starts/cancelled", testStartCancels},
		{"starts/unique", testUnique},
		{"starts/unique, its holder returns late", testUniqueHolderReturns},
		{"starts/unique, parked before its time", testUniqueParked},
		{"starts/unique, not asked before its time", testUniqueUnasked},
		{"gates/in flight", testGateInFlight},
		{"gates/crash", testGateCrash},
		{"gates/rate", testGateRate},
		{"gates/all or none", testGatesAllOrNone},
		{"gates/expired", testGateExpired},
		{"plans/fan in", testPlanFanIn},
		{"plans/fan out", testPlanFanOut},
		{"plans/expires", testPlanExpires},
		{"plans/large inputs", testPlanLargeInputs},
		{"settles/done", testSettleDone},
		{"settles/again", testSettleAgain},
		{"settles/retry", testSettleRetry},
		{"settles/crash", testSettleCrash},
		{"settles/park", testSettlePark},
		{"settles/release", testSettleRelease},
		{"settles/dead", testSettleDead},
		{"settles/unstarted", testSettleUnstarted},
		{"settles/copy", testSettleCopy},
		{"settles/drop", testSettleDrop},
		{"settles/vanished", testSettleVanished},
		{"settles/passed on", testSettlePassedOn},
		{"settles/state forgotten", testSettleStateForgotten},
		{"settles/mixed batch", testSettleMixedBatch},
		{"leases/recovered", testRecover},
		{"leases/fenced", testFenced},
		{"leases/fenced without a state", testFencedStateForgotten},
		{"leases/fenced before start", testFencedBeforeStart},
		{"leases/renewed", testRenewed}, {"leases/from-start", testLeaseFromStart},
		{"leases/recovered in pieces", testRecoverInPieces},
		{"leases/suspects one at a time", testSuspects},
		{"leases/a suspect crashes", testSuspectCrashes},
		{"leases/a suspect that has not begun", testSuspectHeld},
		{"promotes/in pieces and in time", testPromote},
		{"results/kept and expire", testResult},
		{"results/wait", testWait},
		{"results/many waiters", testWaitMany},
		{"results/wait ends with its context", testWaitCancel},
		{"inspects/dead letters page", testDeadLetterPages},
		{"inspects/depth", testDepth},
		{"refuses/what cannot be", testRefuses},
		{"workers/each message settled once", testSettledOnce},
	}
	for _, p := range append(parts, operatorParts()...) {
		t.Run(p.name, func(t *testing.T) { p.test(t, open(t)) })
	}
}

// Lanes of the suite.
var (
	acme   = queue.Lane{Queue: "jobs", Tenant: Tenant, Priority: queue.PriorityNormal}
	urgent = queue.Lane{Queue: "jobs", Tenant: Tenant, Priority: queue.PriorityHigh}
	other  = queue.Lane{Queue: "jobs", Tenant: "other", Priority: queue.PriorityNormal}
)

// long is a lease that does not run out within a test; short is one to wait out.
const (
	long  = time.Minute
	short = 150 * time.Millisecond
)

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*eventually)
	t.Cleanup(cancel)
	return ctx
}

// Eventually looks at a condition on the other side of a wire until it holds.
func Eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline, tick := time.NewTimer(eventually), time.NewTicker(pollEvery)
	defer deadline.Stop()
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			tb.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// InTime tries what must be done before some time is over, which runs on while the machine stands still: try says false when it was over too soon for
// anything to be proved by it, and is given more.
func InTime(tb testing.TB, least time.Duration, try func(within time.Duration) bool) {
	tb.Helper()
	for within, n := least, 0; !try(within); within, n = 2*within, n+1 {
		if n == timeTries-1 {
			tb.Fatalf("%s were over before they were looked at", within)
		}
	}
}

func send(t testing.TB, b Broker, lane queue.Lane, messages ...string) {
	t.Helper()
	batch := make([]queue.Outgoing, len(messages))
	for i, m := range messages {
		batch[i] = queue.Outgoing{Lane: lane, Message: []byte(m)}
	}
	if err := b.Sender().Send(ctxOf(t), batch); err != nil {
		t.Fatal(err)
	}
}

func claim(t testing.TB, w Worker, limit int, lanes ...queue.Lane) []queue.Delivery {
	t.Helper()
	got, err := w.Claim(ctxOf(t), queue.Claim{Lanes: lanes, Max: limit})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// claimOne claims the one message that must be there.
func claimOne(t testing.TB, w Worker, lane queue.Lane) queue.Delivery {
	t.Helper()
	got := claim(t, w, 10, lane)
	if len(got) != 1 {
		t.Fatalf("claimed %d, want 1", len(got))
	}
	return got[0]
}

// begin starts a delivery whose message is its id and whose digest is the bytes.
func begin(t testing.TB, w Worker, d queue.Delivery, id string) queue.Started {
	t.Helper()
	got, err := w.Start(ctxOf(t), []queue.Start{startOf(d, id)})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func startOf(d queue.Delivery, id string) queue.Start {
	return queue.Start{Delivery: d, ID: id, Digest: fmt.Sprintf("sum:%x", d.Message), Expires: time.Now().Add(time.Hour)}
}

// granted is begin for a message that must be granted.
func granted(t testing.TB, w Worker, d queue.Delivery, id string) queue.Started {
	t.Helper()
	s := begin(t, w, d, id)
	if s.State != queue.Granted {
		t.Fatalf("start of %s: %s, want granted", id, s.State)
	}
	return s
}

func settle(t testing.TB, w Worker, s queue.Settlement) queue.Settled {
	t.Helper()
	got, err := w.Settle(ctxOf(t), []queue.Settlement{s})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// apply is settle for a verdict that must be applied.
func apply(t testing.TB, w Worker, l queue.Lease, v queue.Verdict) {
	t.Helper()
	if got := settle(t, w, queue.Settlement{Lease: l, Verdict: v}); got != queue.Applied {
		t.Fatalf("%s of %s: %s, want applied", v, l.ID, got)
	}
}

func stateOf(t testing.TB, b Broker, lane queue.Lane, id string) queue.TaskState {
	t.Helper()
	s, err := b.Inspector().State(ctxOf(t), lane, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func letters(t testing.TB, b Broker) []queue.DeadLetter {
	t.Helper()
	got, err := b.Inspector().DeadLetters(ctxOf(t), "jobs", "", queue.PageMax)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// recoverAll asks until n deliveries have been recovered. One that the same worker recovers again, since its lease was over before it asked again, is
// one, and the newer counts.
func recoverAll(t testing.TB, w Worker, n int, lanes ...queue.Lane) []queue.Delivery {
	t.Helper()
	var got []queue.Delivery
	Eventually(t, fmt.Sprintf("%d deliveries recovered", n), func() bool {
		r, err := w.Recover(ctxOf(t), lanes, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Deliveries {
			again := func(before queue.Delivery) bool { return before.Lane == d.Lane && before.Entry == d.Entry }
			if i := slices.IndexFunc(got, again); i >= 0 {
				got[i] = d
				continue
			}
			got = append(got, d)
		}
		return len(got) >= n
	})
	return got
}

// promoteAll asks until n messages have been promoted.
func promoteAll(t testing.TB, w Worker, n int) {
	t.Helper()
	total := 0
	Eventually(t, fmt.Sprintf("%d messages promoted", n), func() bool {
		moved, _, err := w.Promote(ctxOf(t), "jobs", 100)
		if err != nil {
			t.Fatal(err)
		}
		total += moved
		return total >= n
	})
}

func texts(ds []queue.Delivery) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = string(d.Message)
	}
	return out
}
