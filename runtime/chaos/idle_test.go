package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/sdk/client"
)

// What idle things may cost a worker's heap: a lane its name in the policy and in what is asked of Redis; a task that waits in Redis, nothing.
const (
	idleLaneBytes = 512 // some 100, and 300 more while it is being asked for
	idleTaskBytes = 0
	idleLeast     = 2 << 20 // what a heap differs by from one collection to the next
	idleWarm      = 40      // tasks before the first weighing
	idleSettle    = 2       // seconds between a change and the collection that is looked at
)

// TestIdle weighs a worker as it is, then with tasks that wait behind what runs, then with lanes in which there is nothing. Many of both
// are for -idle-tasks and -idle-tenants: see the table in docs/reference/worker.md.
func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRun(t, plan{seed: 1, sync: "everysec", workers: make([]workerPlan, 1)}, t.TempDir())
	r.pages, r.quiet = true, true
	r.open()
	for _, receipt := range r.sendAll("done", idleWarm) {
		if _, err := r.client.Wait(t.Context(), receipt); err != nil {
			t.Fatal(err)
		}
	}
	bare := r.weighWorker("as it is")
	r.sendAll("sleep", *idleTasksFlag)
	waiting := r.weighWorker(fmt.Sprintf("%d tasks wait", *idleTasksFlag))
	r.addTenants(*idleTenantsFlag)
	lanes := *idleTenantsFlag * len(queue.Priorities())
	quiet := r.weighWorker(fmt.Sprintf("and %d lanes more", lanes))
	if more := waiting - bare; more > float64(*idleTasksFlag*idleTaskBytes+idleLeast) {
		t.Errorf("%d waiting tasks took %.0f bytes", *idleTasksFlag, more)
	}
	if more := quiet - waiting; more > float64(lanes*idleLaneBytes+idleLeast) {
		t.Errorf("%d quiet lanes took %.0f bytes, %.0f each", lanes, more, more/float64(lanes))
	}
}

// sendAll sends n tasks of a kind.
func (r *run) sendAll(kind string, n int) []client.Receipt {
	r.tb.Helper()
	var all []client.Receipt
	for n > 0 {
		tasks := make([]client.Task, min(n, queue.BatchMax))
		for i := range tasks {
			tasks[i], _ = taskOf(taskPlan{kind: kind, priority: 1}, time.Now())
		}
		receipts, err := r.client.SendMany(r.tb.Context(), tasks)
		if err != nil {
			r.tb.Fatal(err)
		}
		if n -= len(tasks); n < queue.BatchMax {
			all = append(all, receipts...)
		}
	}
	return all
}

// addTenants adds tenants to the policy of the first worker, and waits until it has taken it.
func (r *run) addTenants(n int) {
	r.tb.Helper()
	path := filepath.Join(r.places[0].dir, "policy.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		r.tb.Fatal(err)
	}
	var b strings.Builder
	b.Write(text)
	for i := range n {
		fmt.Fprintf(&b, "\n[[tenant]]\nname = \"idle%d\"\n", i)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		r.tb.Fatal(err)
	}
	late := time.Now().Add(settleBound)
	for sleep(r.tb.Context(), 50*time.Millisecond) && time.Now().Before(late) {
		log, err := os.ReadFile(filepath.Join(r.dir, r.places[0].name+".log"))
		if err != nil {
			r.tb.Fatal(err)
		}
		if strings.Contains(string(log), `"policy replaced"`) {
			return
		}
	}
	r.tb.Fatal("the policy was not replaced")
}

// weighWorker waits until the first worker has collected its heap once more and returns how much of it was in use, in bytes.
// Reading its page is what makes it collect: the garbage of some dozens fills the heap.
func (r *run) weighWorker(what string) float64 {
	r.tb.Helper()
	begun := float64(time.Now().Unix())
	for sleep(r.tb.Context(), 5*time.Millisecond) {
		page, err := metricsOf(r.places[0].page)
		if err != nil {
			r.tb.Fatal(err)
		}
		if page["go_memstats_last_gc_time_seconds"] < begun+idleSettle {
			continue
		}
		weighed, err := r.places[0].weighParts()
		if err != nil {
			r.tb.Fatal(err)
		}
		live := page["go_memstats_next_gc_bytes"] / (1 + page["go_gc_gogc_percent"]/100)
		r.tb.Logf("%s: %.1f MiB in memory, %.1f MiB of the heap in use: %s", what, page["process_resident_memory_bytes"]/(1<<20), live/(1<<20), inParts(weighed))
		return live
	}
	return 0
}
