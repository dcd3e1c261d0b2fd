package redisqueue_test

import (
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
)

// TestNodeReplaced kills a node of a cluster and gives its slots to another one, as when a replica is promoted. Nobody redirects clients from a node that is
// gone; they find the other one by themselves, within seconds, and do not ask the dead one for a minute. Not parallel, since it looks at all goroutines.
func TestNodeReplaced(t *testing.T) {
	cluster := queuetest.StartCluster(t, queuetest.Options{})
	t.Cleanup(func() { // go-redis tries a server that it could not dial often enough from a goroutine of its own, which outlives Close by a second
		queuetest.Eventually(t, "nobody dials any more", func() bool {
			stacks := make([]byte, 1<<20)
			return !strings.Contains(string(stacks[:goruntime.Stack(stacks, true)]), "tryDial")
		})
	})
	c := dial(t, configOf(cluster.Login(queuetest.UserProducer)))
	send := func() error {
		return c.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m")}})
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	gone := cluster.Of(t, acme.Queue)
	var rest []*queuetest.Server
	for _, n := range cluster.Nodes {
		if n != gone {
			rest = append(rest, n)
		}
	}
	slot := fmt.Sprint(gone.Do("CLUSTER", "KEYSLOT", "cs:{"+acme.Queue+"}:in"))
	gone.Kill()
	wantReason(t, "while it is gone", send(), queue.ReasonConnection)
	next := rest[0]
	for _, args := range [][]string{{"CONFIG", "SET", "cluster-require-full-coverage", "no"}, {"CLUSTER", "DELSLOTS", slot}, {"CLUSTER", "ADDSLOTS", slot}, {"CLUSTER", "BUMPEPOCH"}} {
		if bad, failed := next.Do(args...).(queuetest.Error); failed {
			t.Fatal(args, bad)
		}
	}
	rest[1].Do("CONFIG", "SET", "cluster-require-full-coverage", "no")
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	late := time.Now().Add(20 * time.Second)
	for err := send(); err != nil; err = send() {
		if time.Now().After(late) {
			t.Fatalf("messages still go to the node that is gone: %v", err)
		}
		<-tick.C
	}
}
