package runtime_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// revoked is policyText in which the shop's key does not count any more.
func revoked(t testing.TB) []string {
	t.Helper()
	return []string{`keys    = ["@shop"]`, `keys    = ["@shop"]` + "\nrevoked = true"}
}

// TestPolicyReplaced revokes a key while one of its tasks runs and another waits for the runner: what runs goes on
// under the policy that let it begin, and nothing else of the key runs.
func TestPolicyReplaced(t *testing.T) {
	w := newWorld(t)
	gate := newGate("policy-replaced")
	worker := w.work(patient)
	running := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	waiting := w.send(client.Task{Input: wish{Mode: "echo"}})
	w.await("the second message has started", func() bool { return w.state(waiting.ID).Phase == "running" })
	check(t, worker.UsePolicy(parsePolicy(t, revoked(t)...)))
	close(gate.open)
	if r := w.ended(running); r.Status != envelope.StatusDone {
		t.Errorf("what ran: %+v", r)
	}
	for name, receipt := range map[string]client.Receipt{"what waited": waiting, "a new one": w.send(client.Task{Input: wish{Mode: "echo"}})} {
		if r := w.ended(receipt); r.Status != envelope.StatusRefused || r.Code != "policy.key_revoked" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	check(t, worker.UsePolicy(parsePolicy(t)))
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Errorf("with the first policy again: %+v", r)
	}
}

// TestPublisherRevoked revokes a publisher while the worker runs: its release does not run again, although it had been
// resolved.
func TestPublisherRevoked(t *testing.T) {
	w := newWorld(t)
	var c clock
	worker := w.work(c.config)
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
		t.Fatalf("got %+v", r)
	}
	check(t, worker.UsePolicy(parsePolicy(t, `keys  = ["@publisher"]`, `keys  = ["@publisher"]`+"\nrevoked = true")))
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusRefused || r.Code != "release.publisher" {
		t.Errorf("got %+v", r)
	}
}

// TestTenantAdded gives a new tenant a lane while the worker runs.
func TestTenantAdded(t *testing.T) {
	w := newWorld(t)
	without := []string{"[[tenant]]\nname = \"globex\"\n", "", `tenant  = "globex"`, `tenant  = "acme"`}
	worker := w.work(func(c *runtime.Config) { c.Policy = parsePolicy(t, without...) })
	globex := w.client(globexKey, "globex")
	r, err := globex.Send(t.Context(), client.Task{Name: "job.run", Input: wish{Mode: "echo", Text: "new"}})
	check(t, err)
	if n := w.server.Do("XLEN", "cs:{work}:in:globex:1"); n != int64(1) {
		t.Fatalf("%v messages wait in the lane", n)
	}
	check(t, worker.UsePolicy(parsePolicy(t)))
	if got := w.endedFor(globex, r); got.Status != envelope.StatusDone {
		t.Errorf("got %+v", got)
	}
}

// TestPolicyRefused offers policies that the worker cannot use: the old one stays in force.
func TestPolicyRefused(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	var many strings.Builder
	for i := range 6000 { // times 3 priorities are more than queue.LanesMax
		fmt.Fprintf(&many, "[[tenant]]\nname = \"t%d\"\n", i)
	}
	rows := []struct{ name, old, new, want string }{
		{"another deployment", `audience = "test"`, `audience = "prod"`, `worker: policy: audience "prod" is not this deployment's "test"`},
		{"too many lanes", "[[tenant]]\nname = \"acme\"\n", "[[tenant]]\nname = \"acme\"\n" + many.String(), "worker: policy: 6002 tenants make 18006 lanes in a queue, more than 16384"},
	}
	for _, row := range rows {
		changes := append([]string{row.old, row.new}, revoked(t)...)
		if err := worker.UsePolicy(parsePolicy(t, changes...)); err == nil || err.Error() != row.want {
			t.Errorf("%s: %v", row.name, err)
		}
		if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Status != envelope.StatusDone {
			t.Errorf("%s: the old policy is not in force: %+v", row.name, r)
		}
	}
	cfg := offlineConfig(t)
	cfg.Policy = parsePolicy(t, rows[1].old, rows[1].new)
	if _, err := runtime.Open(cfg); err == nil || err.Error() != rows[1].want {
		t.Errorf("Open: %v", err)
	}
}

// TestPolicyWithoutWorker replaces the policy by one that does not list the worker's key: it is taken, since it may
// revoke others, and the log says that results will not count.
func TestPolicyWithoutWorker(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	check(t, worker.UsePolicy(parsePolicy(t, `keys = ["@worker"]`, `keys = ["`+makeKey(envelope.Worker, "another").Public().String()+`"]`)))
	worker.await("policy does not list this worker's key, senders will refuse its results", "key", workerKey.Public().ID())
}
