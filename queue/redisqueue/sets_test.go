package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// Servers that Sentinels announce are verified as others are. Then the master is killed while workers drain a queue. What was accepted and replicated has its result in the end, and what
// had one before is not run again.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := queuetest.StartSentinels(t)
	announced(t, s)
	b := &broker{
		worker: dial(t, configOf(s.Login(queuetest.UserWorker))), producer: dial(t, configOf(s.Login(queuetest.UserProducer))),
		operator: dial(t, configOf(s.Login(queuetest.UserOperator))),
	}
	b.results = redisqueue.OpenResults(b.producer)
	t.Cleanup(func() { _ = b.results.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const n = 500
	ids, _ := messages(0, n)
	load(ctx, t, b, n)
	s.Synced(t)

	heard := make(chan string, 100)
	listening := make(chan error, 1)
	go func() {
		listening <- b.worker.Listen(ctx, []string{"jobs"}, func(_ string, order []byte) { heard <- string(order) }, quiet)
	}()
	crew := newCrew(t, b, 2, 2*time.Second)
	var came atomic.Int64
	some := make(chan struct{})
	waited := make(chan error, 1)
	go func() {
		waited <- b.results.Wait(ctx, "jobs", queuetest.Issuer, ids, func(string, []byte) {
			if came.Add(1) == n/10 {
				close(some)
			}
		})
	}()
	<-some
	s.Patience(t, 500*time.Millisecond)
	s.Master.Kill()
	if err := <-waited; err != nil {
		t.Fatalf("waiting: %v (%d of %d came)", err, came.Load(), n)
	}
	// Everything goes on at the new master: sending, orders, and what listens for them.
	hearAnother(ctx, t, b, heard)
	crew.end()
	if role, _ := s.Replica.Do("ROLE").([]any); len(role) == 0 || role[0] != "master" {
		t.Errorf("the replica is %v", role)
	}
	notGivenOut(ctx, t, b, s.Replica)
	cancel()
	<-listening
}

// hearAnother gives an order, once the new master takes it, and waits until it is heard.
func hearAnother(ctx context.Context, t *testing.T, b *broker, heard <-chan string) {
	t.Helper()
	for err := b.operator.Once(ctx, "jobs", []byte("after")); err != nil; err = b.operator.Once(ctx, "jobs", []byte("after")) {
		if !again(ctx, t, err) {
			t.FailNow()
		}
	}
	for got := ""; got != "after"; {
		select {
		case got = <-heard:
		case <-ctx.Done():
			t.Fatal("no order of the new master is heard")
		}
	}
}

// TestMasterCutOff: the Sentinels name another master while the old one lives, cut off from them, and so does what is subscribed there. Who waits for results and who listens
// to orders follows to the new one, whether or not there is anything else to ask for.
func TestMasterCutOff(t *testing.T) {
	t.Parallel()
	s := queuetest.StartSentinels(t)
	b := &broker{
		worker: dial(t, configOf(s.Login(queuetest.UserWorker))), producer: dial(t, configOf(s.Login(queuetest.UserProducer))),
		operator: dial(t, configOf(s.Login(queuetest.UserOperator))),
	}
	b.results = redisqueue.OpenResults(b.producer)
	idle := redisqueue.OpenResults(dial(t, configOf(s.Login(queuetest.UserProducer))))
	t.Cleanup(func() { _, _ = b.results.Close(), idle.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const n = 20
	ids, _ := messages(0, n)
	waited := make(chan error, 2)
	for _, r := range []*redisqueue.Results{b.results, idle} {
		go func() { waited <- r.Wait(ctx, "jobs", queuetest.Issuer, ids, func(string, []byte) {}) }()
	}
	heard := make(chan string, 10)
	listening := make(chan error, 1)
	go func() {
		listening <- b.worker.Listen(ctx, []string{"jobs"}, func(_ string, order []byte) { heard <- string(order) }, quiet)
	}()
	queuetest.Eventually(t, "all three are subscribed", func() bool {
		info, _ := s.Master.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)
		return strings.Count(info, "sub=1") == 3
	})

	s.Part(t)
	s.Master.Do("CLIENT", "KILL", "TYPE", "normal") // go-redis closes those by itself when it hears of it
	load(ctx, t, b, n)
	crew := newCrew(t, b, 1, 2*time.Second)
	for range cap(waited) {
		if err := <-waited; err != nil {
			t.Errorf("waiting: %v", err)
		}
	}
	hearAnother(ctx, t, b, heard)
	crew.end()
	cancel()
	<-listening
}

// notGivenOut: a worker can have claimed an entry from a master that is none any more. The one in its place, which never gave it out, lets nobody begin it, however
// lately that was: it may not even have it, and gives out itself what it has.
func notGivenOut(ctx context.Context, t *testing.T, b *broker, master *queuetest.Server) {
	t.Helper()
	if err := b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("late")}}); err != nil {
		t.Fatal(err)
	}
	q := openQueue(t, b.worker, "w", time.Hour)
	var ds []queue.Delivery
	for len(ds) == 0 {
		var err error
		if ds, err = q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: time.Second}); err != nil && !again(ctx, t, err) {
			t.Fatal("nothing to claim")
		}
	}
	if reply := master.Do("XACK", laneKey(acme), "workers", ds[0].Entry); reply != int64(1) {
		t.Fatalf("acknowledged: %v", reply)
	}
	got, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "late", Digest: "d", Expires: time.Now().Add(time.Minute)}})
	if err != nil || got[0].State != queue.Lost {
		t.Errorf("started what this master never gave out: %+v, %v", got, err)
	}
}

// announced: Sentinels and nodes say where to connect to, and never to whom: each certificate is verified all the same.
func announced(t *testing.T, s *queuetest.Sentinels) {
	t.Helper()
	authority, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name   string
		change func(c *redisqueue.Config)
		want   queue.Reason
	}{
		{"as it should be", func(*redisqueue.Config) {}, ""},
		{"by one name", func(c *redisqueue.Config) { c.ServerName = "localhost" }, ""},
		{"another name", func(c *redisqueue.Config) { c.ServerName = "redis.example.com" }, queue.ReasonAuth},
		{"another authority", func(c *redisqueue.Config) { c.CA = authority.CertPEM() }, queue.ReasonAuth},
		{"another password of the Sentinels", func(c *redisqueue.Config) { c.SentinelPassword = "wrong" }, queue.ReasonAuth},
		{"another password", func(c *redisqueue.Config) { c.Password = "wrong" }, queue.ReasonAuth},
		{"another master", func(c *redisqueue.Config) { c.Master = "play" }, queue.ReasonConnection},
	}
	for _, r := range rows {
		c := configOf(s.Login(queuetest.UserWorker))
		r.change(&c)
		err := dial(t, c).Ping(t.Context())
		if r.want == "" {
			if err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
			continue
		}
		wantReason(t, r.name, err, r.want)
		if r.name == "another master" && !strings.Contains(fmt.Sprint(err), `knows no master "play"`) {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// Queues whose keys lie on different nodes, and everything else that is kept, over one client of a cluster.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := queuetest.StartCluster(t, queuetest.Options{Conf: []string{"cluster-require-full-coverage no"}})
	c.Patience(t, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	worker, producer := dial(t, configOf(c.Login(queuetest.UserWorker))), dial(t, configOf(c.Login(queuetest.UserProducer)))
	results := redisqueue.OpenResults(producer)
	t.Cleanup(func() { _ = results.Close() })
	queues := oneOnEach(t, c)

	// Every sender sends to all queues in one batch; each queue has a worker of its own, as in the runtime.
	const each = 100
	var batch []queue.Outgoing
	var ids []string
	for i := range each {
		id := fmt.Sprintf("m%03d", i)
		ids = append(ids, id)
		for _, name := range queues {
			batch = append(batch, queue.Outgoing{Lane: queue.Lane{Queue: name, Tenant: queuetest.Tenant, Priority: queue.PriorityNormal}, Message: []byte(id)})
		}
	}
	q := openQueue(t, worker, "w", 5*time.Second)
	working, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	for _, name := range queues {
		workers.Go(func() { workIn(working, t, q, name) })
	}
	if err := producer.Send(ctx, batch); err != nil {
		t.Fatal(err)
	}
	for _, name := range queues {
		err := results.Wait(ctx, name, queuetest.Issuer, ids, func(id string, r []byte) {
			if string(r) != "result of "+id {
				t.Errorf("%s of %s: %q", id, name, r)
			}
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	stop()
	workers.Wait()
	lanes := make([]queue.Lane, len(queues))
	for i, name := range queues {
		lanes[i] = queue.Lane{Queue: name, Tenant: queuetest.Tenant, Priority: queue.PriorityNormal}
	}
	depths, err := worker.Depth(ctx, lanes)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range depths.Lanes {
		if d.Waiting != 0 || d.Running != 0 {
			t.Errorf("left: %+v", d)
		}
	}
	clusterOrders(ctx, t, c, worker, queues)
	clusterAnswers(ctx, t, c, worker, queues)
	clusterStores(ctx, t, c)
	clusterOrdersOfTheLiving(ctx, t, c, worker, queues)
}

// clusterOrdersOfTheLiving kills the node of the first queue: the orders of the others are heard, by who listened before and by who begins now, and
// trouble names that queue and no other. When it is back its orders are heard, too.
func clusterOrdersOfTheLiving(ctx context.Context, t *testing.T, c *queuetest.Cluster, worker *redisqueue.Client, queues []string) {
	ctx, cancel := context.WithCancel(ctx)
	operator := dial(t, configOf(c.Login(queuetest.UserOperator)))
	type word struct {
		queue, order string
		trouble      bool
	}
	words := make(chan word, 10000)
	listen := func(who string) (done chan struct{}) {
		done = make(chan struct{})
		go func() {
			defer close(done)
			_ = worker.Listen(ctx, queues, func(name string, order []byte) { words <- word{name, who + string(order), false} },
				func(name string, err error) { words <- word{name, who, err != nil} })
		}()
		return done
	}
	// until waits for all of what is wanted, in any order.
	until := func(want ...word) {
		t.Helper()
		for left := want; len(left) > 0; {
			select {
			case got := <-words:
				left = slices.DeleteFunc(slices.Clone(left), func(w word) bool { return w == got })
				if got.trouble && got.queue != queues[0] {
					t.Errorf("trouble with %s, whose node is there", got.queue)
				}
			case <-ctx.Done():
				t.Fatalf("never heard: %+v", left)
			}
		}
	}
	give := func(order string, to ...string) {
		t.Helper()
		for _, name := range to {
			for err := operator.Once(ctx, name, []byte(order)); err != nil; err = operator.Once(ctx, name, []byte(order)) {
				if !again(ctx, t, err) {
					return
				}
			}
		}
	}
	give("all", queues...)
	first := listen("first: ")
	until(word{queues[0], "first: all", false}, word{queues[1], "first: all", false}, word{queues[2], "first: all", false})
	c.Nodes[0].Kill()
	until(word{queues[0], "first: ", true})
	second := listen("second: ")
	until(word{queues[0], "second: ", true}, word{queues[1], "second: all", false}, word{queues[2], "second: all", false})
	give("now", queues[1:]...)
	until(word{queues[1], "first: now", false}, word{queues[2], "first: now", false},
		word{queues[1], "second: now", false}, word{queues[2], "second: now", false})
	c.Nodes[0].Restart()
	until(word{queues[0], "first: ", false}, word{queues[0], "second: ", false})
	cancel()
	<-first
	<-second
}

// oneOnEach returns a queue's name for each node.
func oneOnEach(t *testing.T, c *queuetest.Cluster) []string {
	byNode := map[*queuetest.Server]string{}
	for i := 0; len(byNode) < len(c.Nodes) && i < 100; i++ {
		name := fmt.Sprintf("queue-%d", i)
		byNode[c.Of(t, name)] = name
	}
	var out []string
	for _, n := range c.Nodes {
		out = append(out, byNode[n])
	}
	return out
}

// workIn runs what comes into one queue until ctx ends.
func workIn(ctx context.Context, t *testing.T, q *redisqueue.Queue, name string) {
	lanes := []queue.Lane{{Queue: name, Tenant: queuetest.Tenant, Priority: queue.PriorityNormal}}
	for ctx.Err() == nil {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 16, Wait: time.Second})
		if err != nil && !again(ctx, t, err) {
			return
		}
		if len(ds) == 0 {
			continue
		}
		starts := make([]queue.Start, len(ds))
		for i, d := range ds {
			starts[i] = queue.Start{Delivery: d, ID: string(d.Message), Digest: "d", Expires: time.Now().Add(time.Hour)}
		}
		started, err := q.Start(ctx, starts)
		if err != nil {
			t.Errorf("start: %v", err)
			return
		}
		batch := make([]queue.Settlement, len(started))
		for i, s := range started {
			batch[i] = queue.Settlement{
				Lease: s.Lease, Verdict: queue.Done(), Result: []byte("result of " + s.Lease.ID), ResultKey: queuetest.Issuer, ResultTTL: time.Hour,
			}
		}
		if _, err := q.Settle(ctx, batch); err != nil {
			t.Errorf("settle: %v", err)
			return
		}
	}
}

// clusterOrders: one listener hears the orders of queues on all nodes, and events are followed wherever they are.
func clusterOrders(ctx context.Context, t *testing.T, c *queuetest.Cluster, worker *redisqueue.Client, queues []string) {
	ctx, cancel := context.WithCancel(ctx)
	operator, watcher := dial(t, configOf(c.Login(queuetest.UserOperator))), dial(t, configOf(c.Login(queuetest.UserWatcher)))
	heard, done := make(chan string, 100), make(chan error, 1)
	go func() { done <- worker.Listen(ctx, queues, func(name string, _ []byte) { heard <- name }, quiet) }()
	seen := map[string]bool{}
	queuetest.Eventually(t, "orders of all queues are heard", func() bool {
		for _, name := range queues {
			if err := operator.Once(ctx, name, []byte("order")); err != nil {
				t.Fatal(err)
			}
		}
		for range queues {
			select {
			case name := <-heard:
				seen[name] = true
			case <-time.After(100 * time.Millisecond):
			}
		}
		return len(seen) == len(queues)
	})
	cancel()
	<-done
	for _, name := range queues {
		if err := worker.Emit(t.Context(), name, []queue.Event{{Kind: queue.EventDone, ID: name}}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := watcher.Follow(ctx, name, "0", func(_ string, e queue.Event) {
			if e.ID != name {
				t.Errorf("event %+v in %s", e, name)
			}
			cancel()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("follow %s: %v", name, err)
		}
		cancel()
		lane := queue.Lane{Queue: name, Tenant: queuetest.Tenant}
		if n, err := worker.Purge(t.Context(), []queue.Lane{lane}, time.Time{}, 100); err != nil || n != 0 {
			t.Errorf("purge of %s: %d, %v", name, n, err)
		}
	}
}

// clusterAnswers: who waits for an answer to an order hears of it when it can be read, and not before. PUBLISH goes to any node.
func clusterAnswers(ctx context.Context, t *testing.T, c *queuetest.Cluster, worker *redisqueue.Client, queues []string) {
	results := redisqueue.OpenResults(dial(t, configOf(c.Login(queuetest.UserOperator))))
	defer results.Close()
	for i := range 300 {
		name, id := queues[i%len(queues)], fmt.Sprintf("answer%03d", i)
		answered := make(chan error, 1)
		go func() { answered <- worker.Answer(ctx, name, queuetest.Operator, id, []byte("yes"), time.Minute) }()
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := results.Wait(within, name, queuetest.Operator, []string{id}, func(string, []byte) {})
		cancel()
		if err != nil {
			t.Fatalf("%s of %s: %v", id, name, err)
		}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
}

// clusterStores: modules have no hash tag and spread, a tenant's values share one.
func clusterStores(ctx context.Context, t *testing.T, c *queuetest.Cluster) {
	store := redisqueue.OpenBlobs(dial(t, configOf(c.Login(queuetest.UserStore))))
	reader := redisqueue.OpenBlobs(dial(t, configOf(c.Login(queuetest.UserWorker))))
	kv := openKV(t, dial(t, configOf(c.Login(queuetest.UserKV))), redisqueue.KVConfig{})
	for i := range 10 {
		name, data := fmt.Sprint("module/", i), bytes.Repeat([]byte{byte(i)}, 1000)
		if err := store.Put(ctx, name, data); err != nil {
			t.Fatal(err)
		}
		if got, err := reader.Get(ctx, name, 1000); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		tenant := fmt.Sprint("tenant-", i)
		if err := kv.Put(ctx, tenant, "k", data, 0); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := kv.Get(ctx, tenant, "k"); err != nil || !ok || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", tenant, len(got), err)
		}
	}
	if names, err := reader.List(ctx, "", 100); err != nil || len(names) != 10 {
		t.Errorf("listed %q, %v", names, err)
	}
}
