package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// TestCancelUnheard cancels a task whose worker, the test's own hand, takes no orders: that it goes on is a failure and no
// order that waits for its turn. What has ended is not said to end yet, whoever asks.
func TestCancelUnheard(t *testing.T) {
	server := queuetest.Start(t, queuetest.Options{})
	d := newDeployment(t, server)
	conn := d.connection(t)
	hand, err := redisqueue.OpenQueue(inspector(t, server), redisqueue.QueueConfig{Worker: "hand"})
	check(t, err)
	defer hand.Close()
	sent, err := conn.client.Send(t.Context(), client.Task{Name: "page.render"})
	check(t, err)
	lane := queue.Lane{Queue: sent.Queue, Tenant: conn.file.Tenant, Priority: queue.PriorityNormal}
	got, err := hand.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{lane}, Max: 1})
	check(t, err)
	started, err := hand.Start(t.Context(), []queue.Start{{Delivery: got[0], ID: sent.ID.String(), Digest: sent.Digest.String(), Expires: sent.Expires}})
	check(t, err)

	cancel := func(config string, more ...string) (status int, stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		args := append([]string{"task", "cancel", sent.ID.String(), "--timeout", "100ms", "--tenant", lane.Tenant, "--config", d.path(config)}, more...)
		status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
		return status, out.String(), errs.String()
	}
	if status, out, errs := cancel("client.toml"); status != 1 || out != "" || !strings.Contains(errs, "no worker has ended it within 100ms") || !strings.Contains(errs, "hint: may this key cancel it?") {
		t.Errorf("running: status %d, %q, %q", status, out, errs)
	}
	if status, out, _ := cancel("operator.toml", "--json"); status != 1 || !strings.Contains(out, `"status":"running"`) {
		t.Errorf("running, by the operator: status %d, %q", status, out)
	}
	_, err = hand.Settle(t.Context(), []queue.Settlement{{Lease: started[0].Lease, Verdict: queue.Done()}})
	check(t, err)
	if status, out, errs := cancel("operator.toml"); status != 0 || out != "task "+sent.ID.String()+" had ended: done\n" {
		t.Errorf("ended: status %d, %q, %q", status, out, errs)
	}
}

// TestCarriedOut: where workers share what they do, no number is said to be of all of them.
func TestCarriedOut(t *testing.T) {
	for count, want := range map[int]string{
		0:                  "requeued 0",
		runtime.ActMax - 1: "requeued 255",
		runtime.ActMax:     "requeued 256 by the worker that answered first, and what others did beside it",
	} {
		if got := carriedOut("requeued", count); got != want {
			t.Errorf("%d: %q", count, got)
		}
	}
}
