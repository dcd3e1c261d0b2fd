package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

var acme = queue.Lane{Queue: "jobs", Tenant: queuetest.Tenant, Priority: queue.PriorityNormal}

// crew is some workers that run whatever comes, over whatever happens.
type crew struct {
	granted sync.Map // id -> *atomic.Int64: how often it was granted
	ended   sync.Map // ids whose results have been seen: they must not run again
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// newCrew starts n workers that end, at the latest, with the test.
func newCrew(t *testing.T, b *broker, n int, lease time.Duration) *crew {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crew{stop: cancel}
	for i := range n {
		q := openQueue(t, b.worker, fmt.Sprint("w", i), lease)
		c.done.Go(func() { c.run(ctx, t, q) })
		c.done.Go(func() { c.maintain(ctx, t, q) })
	}
	t.Cleanup(c.end)
	return c
}

func (c *crew) end() { c.stop(); c.done.Wait() }

// again says whether to try again after err, which must be one that says so.
func again(ctx context.Context, t *testing.T, err error) bool {
	var u *queue.UnavailableError
	switch {
	case ctx.Err() != nil:
		return false
	case errors.As(err, &u):
		select { // as a worker would: not at once
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		return true
	}
	t.Errorf("unexpected: %v", err)
	return false
}

func (c *crew) run(ctx context.Context, t *testing.T, q *redisqueue.Queue) {
	for ctx.Err() == nil {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 16, Wait: time.Second})
		if err != nil && !again(ctx, t, err) {
			return
		}
		c.handle(ctx, t, q, ds)
	}
}

// maintain recovers and promotes every few milliseconds.
func (c *crew) maintain(ctx context.Context, t *testing.T, q *redisqueue.Queue) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, _, err := q.Promote(ctx, "jobs", 100); err != nil && !again(ctx, t, err) {
			return
		}
		r, err := q.Recover(ctx, []queue.Lane{acme}, 100)
		if err != nil && !again(ctx, t, err) {
			return
		}
		c.handle(ctx, t, q, r.Deliveries)
	}
}

// handle starts and settles ds, asking again until Redis answers.
func (c *crew) handle(ctx context.Context, t *testing.T, q *redisqueue.Queue, ds []queue.Delivery) {
	if len(ds) == 0 {
		return
	}
	starts := make([]queue.Start, len(ds))
	for i, d := range ds {
		starts[i] = queue.Start{Delivery: d, ID: string(d.Message), Digest: "sum:" + string(d.Message), Expires: time.Now().Add(time.Hour)}
	}
	var started []queue.Started
	var err error
	for started, err = q.Start(ctx, starts); err != nil; started, err = q.Start(ctx, starts) {
		if !again(ctx, t, err) {
			return
		}
	}
	batch := make([]queue.Settlement, len(started))
	for i, s := range started {
		batch[i] = queue.Settlement{Lease: s.Lease, Verdict: queue.Drop()}
		if s.State != queue.Granted {
			continue
		}
		if _, over := c.ended.Load(s.Lease.ID); over {
			t.Errorf("%s is run again after its result was there", s.Lease.ID)
		}
		n, _ := c.granted.LoadOrStore(s.Lease.ID, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		batch[i] = queue.Settlement{
			Lease: s.Lease, Verdict: queue.Done(), Result: []byte("result of " + s.Lease.ID),
			ResultKey: queuetest.Issuer, ResultTTL: time.Hour,
		}
	}
	for _, err = q.Settle(ctx, batch); err != nil; _, err = q.Settle(ctx, batch) {
		if !again(ctx, t, err) {
			return
		}
	}
}

func messages(from, to int) (ids []string, batch []queue.Outgoing) {
	for i := from; i < to; i++ {
		id := fmt.Sprintf("m%05d", i)
		ids = append(ids, id)
		batch = append(batch, queue.Outgoing{Lane: acme, Message: []byte(id)})
	}
	return ids, batch
}

// load sends n messages in small batches, over whatever happens.
func load(ctx context.Context, t *testing.T, b *broker, n int) {
	for from := 0; from < n; from += 20 {
		_, batch := messages(from, min(from+20, n))
		for err := b.producer.Send(ctx, batch); err != nil; err = b.producer.Send(ctx, batch) {
			if !again(ctx, t, err) {
				return
			}
		}
	}
}

// interrupted runs n messages through a crew while trouble happens once or twice,
// and checks that each has its result and nothing is left.
func interrupted(t *testing.T, opts queuetest.Options, lease time.Duration, n int, trouble func(s *queuetest.Server)) *crew {
	s := queuetest.Start(t, opts)
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	crew := newCrew(t, b, 3, lease)
	ids, _ := messages(0, n)
	var half atomic.Int64
	halfway := make(chan struct{})
	got := map[string]int{}
	waited := make(chan error, 1)
	go func() {
		waited <- b.results.Wait(ctx, "jobs", queuetest.Issuer, ids, func(id string, r []byte) {
			if string(r) != "result of "+id {
				t.Errorf("%s: %q", id, r)
			}
			got[id]++
			crew.ended.Store(id, true)
			if half.Add(1) == int64(n/4) {
				close(halfway)
			}
		})
	}()
	var sending sync.WaitGroup
	sending.Go(func() { load(ctx, t, b, n) })
	<-halfway
	trouble(s)
	if err := <-waited; err != nil {
		t.Fatalf("waiting: %v (%d of %d came)", err, len(got), n)
	}
	sending.Wait()
	queuetest.Eventually(t, "nothing is left", func() bool {
		d, err := b.worker.Depth(ctx, []queue.Lane{acme})
		return err == nil && d.Lanes[0].Waiting == 0 && d.Lanes[0].Running == 0 && d.Due["jobs"] == 0
	})
	crew.end()
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err != nil || d.Dead["jobs"] != 0 {
		t.Errorf("depth %+v, %v", d, err)
	}
	return crew
}

func TestRedisKilledUnderLoad(t *testing.T) {
	interrupted(t, queuetest.Options{Sync: "always"}, time.Second, 3000, func(s *queuetest.Server) {
		for range 2 {
			s.Kill()
			s.Restart()
		}
		// Redis says so when it could not replay what it had written.
		if log := s.Log(); strings.Contains(log, "NOPERM") {
			t.Errorf("the append-only file was not replayed: %s", log)
		}
	})
}

func TestRedisStoppedUnderLoad(t *testing.T) {
	interrupted(t, queuetest.Options{}, time.Second, 3000, func(s *queuetest.Server) {
		s.Stop()
		// Long enough that everybody notices, and that leases (1 s) run out.
		<-time.After(1500 * time.Millisecond)
		s.Restart()
	})
}

func TestScriptsFlushedUnderLoad(t *testing.T) {
	crew := interrupted(t, queuetest.Options{}, time.Minute, 1000, func(s *queuetest.Server) { s.Do("SCRIPT", "FLUSH") })
	crew.granted.Range(func(id, n any) bool {
		if n := n.(*atomic.Int64).Load(); n != 1 {
			t.Errorf("%s was granted %d times though nobody failed", id, n)
		}
		return true
	})
}

func TestFrozenRedis(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	conf := configOf(s.Login(queuetest.UserWorker))
	conf.Timeout = 2 * time.Second
	c := dial(t, conf)
	ctx := t.Context()
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	wantReason(t, "ping", c.Ping(ctx), queue.ReasonTimeout)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := c.Ping(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) >= conf.Timeout {
		t.Errorf("%v after %s, want the context's error at once", err, time.Since(begun))
	}
	s.Thaw()
	if err := c.Ping(ctx); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func wantReason(t *testing.T, what string, err error, want queue.Reason) {
	t.Helper()
	var u *queue.UnavailableError
	if !errors.As(err, &u) || u.Reason != want {
		t.Errorf("%s: %v, want reason %q", what, err, want)
	}
}

// everything calls each method once and hands over its error.
func everything(ctx context.Context, t *testing.T, b *broker, q *redisqueue.Queue, check func(what string, err error)) {
	t.Helper()
	lanes := []queue.Lane{acme}
	lease := queue.Lease{Lane: acme, Entry: "1-1", ID: "id", Token: "t"}
	check("send", b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}}))
	_, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 1})
	check("claim", err)
	_, err = q.Start(ctx, []queue.Start{{Delivery: queue.Delivery{Lane: acme, Entry: "1-1", Token: "t"}, ID: "id", Digest: "d"}})
	check("start", err)
	_, err = q.Renew(ctx, []queue.Lease{lease})
	check("renew", err)
	_, err = q.Settle(ctx, []queue.Settlement{{Lease: lease, Verdict: queue.Done()}})
	check("settle", err)
	_, _, err = q.Promote(ctx, "jobs", 1)
	check("promote", err)
	_, err = q.Recover(ctx, lanes, 1)
	check("recover", err)
	_, err = b.results.Result(ctx, "jobs", queuetest.Issuer, "id")
	check("result", err)
	_, err = b.worker.DeadLetters(ctx, "jobs", "", 1)
	check("dead letters", err)
	_, err = b.worker.State(ctx, acme, "id")
	check("state", err)
	_, err = b.worker.Depth(ctx, lanes)
	check("depth", err)
	kv, err := redisqueue.OpenKV(b.worker, redisqueue.KVConfig{})
	if err != nil {
		t.Fatal(err)
	}
	check("kv put", kv.Put(ctx, "acme", "k", []byte("v"), 0))
	check("kv delete", kv.Delete(ctx, "acme", "k"))
	_, _, err = kv.Get(ctx, "acme", "k")
	check("kv get", err)
	_, err = kv.List(ctx, "acme", "", "", 1)
	check("kv list", err)
	check("mode", b.operator.Mode(ctx, "jobs", []byte("o"), time.Minute))
	check("cancel", b.operator.Cancel(ctx, acme, "id", []byte("o"), time.Minute))
	check("once", b.operator.Once(ctx, "jobs", []byte("o")))
	_, err = b.worker.Requeue(ctx, "jobs", queue.DeadFilter{}, 1)
	check("requeue", err)
	_, err = b.worker.PurgeDead(ctx, "jobs", queue.DeadFilter{}, 1)
	check("purge dead", err)
	_, err = b.worker.Purge(ctx, lanes, time.Unix(1, 0), 1)
	check("purge", err)
	check("answer", b.worker.Answer(ctx, "jobs", queuetest.Issuer, "order", []byte("r"), time.Minute))
	check("emit", b.worker.Emit(ctx, "jobs", []queue.Event{{Kind: queue.EventDone}}))
	check("report", b.worker.Report(ctx, acme, "id", "text", time.Minute))
	_, _, err = b.watcher.Progress(ctx, acme, "id")
	check("progress", err)
	blobs := redisqueue.OpenBlobs(b.worker)
	check("blob put", blobs.Put(ctx, "name", []byte("v")))
	_, err = blobs.Get(ctx, "name", 10)
	check("blob get", err)
	_, err = blobs.List(ctx, "", 10)
	check("blob list", err)
}

// Every error reply, at every method, is typed and never taken for success.
func TestErrorReplies(t *testing.T) {
	rows := []struct {
		reply string
		want  queue.Reason
	}{
		{"LOADING Redis is loading the dataset in memory", queue.ReasonLoading},
		{"READONLY You can't write against a read only replica.", queue.ReasonReadOnly},
		{"MISCONF Errors writing to the AOF file: No space left on device", queue.ReasonReadOnly},
		{"OOM command not allowed when used memory > 'maxmemory'.", queue.ReasonMemory},
		{"NOPERM this user has no permissions to run the 'evalsha' command", queue.ReasonPermission},
		{"ERR The user executing the script can't run this command or subcommand", queue.ReasonPermission},
		{"ERR ACL failure in script: User worker has no permissions to run the 'time' command", queue.ReasonPermission},
		{"NOAUTH Authentication required.", queue.ReasonAuth},
		{"CLUSTERDOWN Hash slot not served", queue.ReasonCluster},
		{"MOVED 3999 127.0.0.1:6381", queue.ReasonCluster},
		{"ASK 3999 127.0.0.1:6381", queue.ReasonCluster},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", queue.ReasonMasterDown},
		{"BUSY Redis is busy running a script.", queue.ReasonBusy},
		{"TRYAGAIN Multiple keys request during rehashing of slot", queue.ReasonCluster},
		{"WRONGTYPE Operation against a key holding the wrong kind of value", queue.ReasonData},
		{"ERR something nobody has seen", queue.ReasonData},
	}
	// A connection can be refused before its first command, or a command on a
	// connection that stands. go-redis treats them differently.
	for _, standing := range []bool{false, true} {
		b, m := openMiniWithServer(t)
		q := openQueue(t, b.worker, "w", time.Minute)
		good := func(what string, err error) {
			if err != nil && !errors.Is(err, queue.ErrNoResult) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if standing {
			everything(t.Context(), t, b, q, good)
		}
		for _, r := range rows {
			m.SetError(r.reply)
			everything(t.Context(), t, b, q, func(what string, err error) {
				wantReason(t, fmt.Sprintf("%s at %s (standing: %t)", r.reply, what, standing), err, r.want)
			})
		}
		m.SetError("")
		everything(t.Context(), t, b, q, good)
	}
}

// At maxmemory Redis refuses to record and still hands out work: a worker sees
// that at the first thing it wants to write down, and nothing half done is left.
func TestMemoryFull(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	_, batch := messages(0, 3)
	if err := b.producer.Send(ctx, batch); err != nil {
		t.Fatal(err)
	}
	first, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	start := func(d queue.Delivery) ([]queue.Started, error) {
		return q.Start(ctx, []queue.Start{{Delivery: d, ID: string(d.Message), Digest: "d", Expires: time.Now().Add(time.Hour)}})
	}
	started, err := start(first[0])
	if err != nil {
		t.Fatal(err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "100kb")
	wantReason(t, "send", b.producer.Send(ctx, batch), queue.ReasonMemory)
	second, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(second) != 1 {
		t.Fatalf("claim: %v, %v", second, err)
	}
	_, err = start(second[0])
	wantReason(t, "start", err, queue.ReasonMemory)
	for _, v := range []queue.Verdict{queue.Done(), queue.Retry(time.Now()), queue.Release(), queue.Dead("c", "r")} {
		_, err = q.Settle(ctx, []queue.Settlement{{Lease: started[0].Lease, Verdict: v}})
		wantReason(t, v.String(), err, queue.ReasonMemory)
	}
	_, err = q.Settle(ctx, []queue.Settlement{{Lease: second[0].Unstarted(), Verdict: queue.Release()}})
	wantReason(t, "release of what was not started", err, queue.ReasonMemory)
	if lost, err := q.Renew(ctx, []queue.Lease{started[0].Lease, second[0].Unstarted()}); err != nil || len(lost) != 0 {
		t.Errorf("leases can be kept: lost %v, %v", lost, err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	got, err := q.Settle(ctx, []queue.Settlement{
		{Lease: started[0].Lease, Verdict: queue.Done()}, {Lease: second[0].Unstarted(), Verdict: queue.Release()},
	})
	if err != nil || got[0] != queue.Applied || got[1] != queue.Applied {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	d, err := b.worker.Depth(ctx, []queue.Lane{acme})
	if err != nil || d.Lanes[0].Waiting != 2 || d.Lanes[0].Running != 0 || d.Dead["jobs"] != 0 || d.Due["jobs"] != 0 {
		t.Errorf("depth %+v, %v", d, err)
	}
}

func TestReplica(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	s.Do("REPLICAOF", "127.0.0.1", "1")
	wantReason(t, "send", b.producer.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m")}}), queue.ReasonReadOnly)
	_, err := q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	wantReason(t, "claim", err, queue.ReasonReadOnly)
	s.Do("CONFIG", "SET", "replica-serve-stale-data", "no")
	_, err = b.results.Result(t.Context(), "jobs", queuetest.Issuer, "id")
	wantReason(t, "result", err, queue.ReasonMasterDown)
	s.Do("REPLICAOF", "NO", "ONE")
	if err := b.producer.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m")}}); err != nil {
		t.Errorf("promoted again: %v", err)
	}
}

// A disk that cannot be written stops writes; reads go on, and writes when the disk is well again.
func TestDiskFault(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{Conf: []string{"enable-protected-configs yes", "appendonly no"}})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	home, _ := s.Do("CONFIG", "GET", "dir").([]any)
	gone := t.TempDir()
	s.Do("CONFIG", "SET", "dir", gone)
	s.Do("CONFIG", "SET", "save", "3600 1")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	saved := func(how string) {
		queuetest.Eventually(t, "a save is "+how, func() bool {
			s.Do("BGSAVE")
			info, _ := s.Do("INFO", "persistence").(string)
			return strings.Contains(info, "rdb_last_bgsave_status:"+how)
		})
	}
	one := []queue.Outgoing{{Lane: acme, Message: []byte("m")}}
	if err := b.producer.Send(ctx, one); err != nil {
		t.Fatal(err)
	}
	q := openQueue(t, b.worker, "w", time.Minute)
	ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
	if err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	held, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "m", Digest: "d", Expires: time.Now().Add(time.Hour)}})
	if err != nil || held[0].State != queue.Granted {
		t.Fatal(held, err)
	}
	listenCtx, stop := context.WithCancel(ctx)
	listening, troubles := make(chan error, 1), make(chan error, 100)
	go func() {
		listening <- b.worker.Listen(listenCtx, []string{"jobs"}, func(string, []byte) {}, func(_ string, err error) { troubles <- err })
	}()
	saved("err")
	wantReason(t, "send", b.producer.Send(ctx, one), queue.ReasonReadOnly)
	_, err = q.Renew(ctx, []queue.Lease{held[0].Lease})
	wantReason(t, "renew", err, queue.ReasonReadOnly)
	_, err = q.Settle(ctx, []queue.Settlement{{Lease: held[0].Lease, Verdict: queue.Done()}})
	wantReason(t, "settle", err, queue.ReasonReadOnly)
	queuetest.Eventually(t, "the listener has asked twice for a sign of life", func() bool {
		stats, _ := s.Do("INFO", "commandstats").(string)
		_, ping, _ := strings.Cut(stats, "cmdstat_ping:")
		ping, _, _ = strings.Cut(ping, "\n")
		return strings.Contains(ping, "rejected_calls=2")
	})
	if _, err := b.worker.State(ctx, acme, "id"); err != nil {
		t.Errorf("a read: %v", err)
	}
	s.Do("CONFIG", "SET", "dir", home[1].(string))
	saved("ok")
	if err := b.producer.Send(ctx, one); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if lost, err := q.Renew(ctx, []queue.Lease{held[0].Lease}); err != nil || len(lost) != 0 {
		t.Errorf("afterwards: lost %v, %v", lost, err)
	}
	stop()
	<-listening
	select {
	case err := <-troubles:
		t.Errorf("the listener, who could hear all the time: %v", err)
	default:
	}
}

// At maxmemory Redis lets nothing be written down, and keys be deleted: those who hold a place at a gate keep it.
func TestPlacesAtMemoryFull(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	gate := func(s *queue.Start) { s.Gates = []queue.Gate{{Name: "g", InFlight: 2}} }
	first := r.start("m1", gate)
	ask := func(id string) (queue.Started, error) {
		if err := r.b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte(id)}}); err != nil {
			t.Fatal(err)
		}
		ds, err := r.q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1, Wait: 10 * time.Second})
		if err != nil || len(ds) != 1 {
			t.Fatal(ds, err)
		}
		s := queue.Start{Delivery: ds[0], ID: id, Digest: "d", Expires: time.Now().Add(time.Hour)}
		gate(&s)
		r.do("CONFIG", "SET", "maxmemory", "100kb")
		_, err = r.q.Start(ctx, []queue.Start{s})
		wantReason(t, "start of "+id, err, queue.ReasonMemory)
		r.do("CONFIG", "SET", "maxmemory", "0")
		got, err := r.q.Start(ctx, []queue.Start{s})
		if err != nil {
			t.Fatal(err)
		}
		return got[0], nil
	}
	if got, _ := ask("m2"); got.State != queue.Granted {
		t.Errorf("the second: %s, want granted", got.State)
	}
	if got, _ := ask("m3"); got.State != queue.Throttled {
		t.Errorf("the third, of two that may run: %s, want throttled", got.State)
	}
	if got, _ := ask("m4"); got.State != queue.Throttled {
		t.Errorf("the fourth: %s, want throttled", got.State)
	}
	// Both in line keep their places there: they come in their order.
	r.settle(first.Lease, queue.Done())
	r.comes("m3")
}
