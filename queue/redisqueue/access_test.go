package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisacl"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// TestRights tries, as each user, what must be refused to it: the ways in which
// Redis users have been found to read, steal, wipe or forge what is not theirs.
func TestRights(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	admin := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	mine, theirs := "cs:{jobs}:in:acme:1", "cs:{jobs}:in:other:1"
	for _, key := range []string{mine, theirs} {
		admin.admin.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"e", "secret"}})
		admin.admin.XGroupCreate(ctx, key, "workers", "0")
	}
	admin.admin.Set(ctx, "cs:{jobs}:res:ffff:id", "another issuer's", 0)
	admin.admin.Set(ctx, "cs:mod:b:m", "module", 0)

	rows := []struct {
		user string
		cmd  string
	}{
		{"producer", "XADD " + theirs + " * e m"},
		{"producer", "XADD cs:{jobs}:dead * e m"},
		{"producer", "XADD cs:{jobs}:in:acme2:1 * e m"},
		{"producer", "XREADGROUP GROUP workers thief COUNT 1 STREAMS " + mine + " >"},
		{"producer", "XREADGROUP GROUP workers thief NOACK STREAMS " + theirs + " >"},
		{"producer", "XREAD COUNT 1 STREAMS " + theirs + " 0"},
		{"producer", "XRANGE " + mine + " - +"},
		{"producer", "XRANGE " + theirs + " - +"},
		{"producer", "XAUTOCLAIM " + theirs + " workers thief 0 0"},
		{"producer", "XCLAIM " + theirs + " workers thief 0 1-1"},
		{"producer", "XDEL " + theirs + " 1-1"},
		{"producer", "XTRIM " + mine + " MAXLEN 0"},
		{"producer", "XINFO STREAM " + theirs + " FULL"},
		{"producer", "DEL " + theirs},
		{"producer", "GETRANGE cs:{jobs}:res:ffff:id 0 -1"},
		{"producer", "SET cs:{jobs}:res:" + queuetest.Issuer + ":id forged"},
		{"producer", "PUBLISH cs:{jobs}:done:ffff id"},
		{"producer", "SUBSCRIBE cs:{jobs}:done:ffff"},
		{"producer", "HSET cs:{jobs}:st:acme id done"},
		{"producer", "EVAL return 0"},
		{"producer", "GETRANGE cs:mod:b:m 0 -1"},
		{"producer", "HGET cs:kv:{acme}:values k"},
		{"worker", "SET cs:mod:b:m poisoned"},
		{"worker", "ZADD cs:mod:names 0 x"},
		{"worker", "HGET cs:kv:{acme}:values k"},
		{"worker", "FLUSHALL"},
		{"worker", "KEYS *"},
		{"worker", "SCAN 0"},
		{"worker", "CONFIG GET *"},
		{"worker", "ACL LIST"},
		{"worker", "SET elsewhere x"},
		{"worker", "XGROUP DESTROY " + mine + " workers"},
		{"worker", "MONITOR"},
		{"worker", "SCRIPT FLUSH"},
		{"kv", "XRANGE " + mine + " - +"},
		{"kv", "SET cs:mod:b:m poisoned"},
		{"kv", "GET cs:{jobs}:res:ffff:id"},
		{"kv", "DEL cs:kv:{acme}:values"},
		{"kv", "KEYS *"},
		{"store", "XADD " + mine + " * e m"},
		{"store", "DEL cs:mod:b:m"},
		{"store", "SETRANGE cs:mod:b:m 0 x"},
		{"store", "PEXPIRE cs:mod:b:m 1"},
		{"store", "RENAMENX cs:mod:b:m cs:mod:p:m"},
		{"store", "RENAMENX cs:mod:b:m cs:mod:b:n"},
		{"worker", "SETRANGE cs:mod:p:m 0 x"},
		{"store", "HGET cs:kv:{acme}:values k"},
	}
	users := map[string]*redis.Client{}
	for _, r := range rows {
		if users[r.user] == nil {
			users[r.user] = adminOf(t, s.Login(r.user))
		}
		var args []any
		for _, word := range strings.Fields(r.cmd) {
			args = append(args, word)
		}
		if args[0] == "EVAL" {
			args = []any{"EVAL", "return 0", 0}
		}
		if err := users[r.user].Do(ctx, args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%s: %s: %v, want NOPERM", r.user, r.cmd, err)
		}
	}

	// Of a batch with a lane that is not the sender's the error names that lane.
	strange := acme
	strange.Tenant = "other"
	err := dial(t, configOf(s.Login("producer"))).Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}, {Lane: strange, Message: []byte("m")}})
	wantReason(t, "send", err, queue.ReasonPermission)
	if err == nil || !strings.Contains(err.Error(), "lane "+strange.String()+": ") {
		t.Errorf("%v, which lane?", err)
	}
}

// The page of rights is the one that the tests run under.
func TestRightsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(page)), " ")
	for _, role := range redisacl.Roles() {
		user := string(role)
		if !strings.Contains(text, queuetest.Rules(user)) {
			t.Errorf("docs/reference/redis.md lacks the rights of %q: %s", user, queuetest.Rules(user))
		}
	}
}

// Whoever may not read what it waits for hears so, and soon.
func TestWaitWithoutRights(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, user := range []string{queuetest.UserStore /* may not subscribe */, queuetest.UserKV /* may not read */} {
		results := redisqueue.OpenResults(dial(t, configOf(s.Login(user))))
		err := results.Wait(ctx, "jobs", queuetest.Issuer, []string{"id"}, nil)
		wantReason(t, user, err, queue.ReasonPermission)
		if err := results.Close(); err != nil {
			t.Error(err)
		}
	}
	// And a Wait that goes on ends when its Results are closed.
	results := redisqueue.OpenResults(dial(t, configOf(s.Login(queuetest.UserProducer))))
	done := make(chan error, 1)
	go func() { done <- results.Wait(t.Context(), "jobs", queuetest.Issuer, []string{"id"}, nil) }()
	queuetest.Eventually(t, "it has subscribed", func() bool {
		channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
		return len(channels) == 1
	})
	if err := results.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, queue.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestWaitForWhatIsNotOurs: who waits for what this user may not hear is told so, and every other Wait of the same Results goes on,
// also over a new connection.
func TestWaitForWhatIsNotOurs(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	results := redisqueue.OpenResults(dial(t, configOf(s.Login(queuetest.UserProducer))))
	t.Cleanup(func() { results.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ours := func(id string) chan error {
		ended := make(chan error, 1)
		go func() { ended <- results.Wait(ctx, "jobs", queuetest.Issuer, []string{id}, func(string, []byte) {}) }()
		return ended
	}
	listens := func() bool {
		channels, _ := s.Do("PUBSUB", "CHANNELS").([]any)
		return len(channels) == 1
	}
	first := ours("a")
	queuetest.Eventually(t, "it listens", listens)
	for range 2 {
		err := results.Wait(ctx, "jobs", "ffff", []string{"id"}, func(string, []byte) {})
		wantReason(t, "another's", err, queue.ReasonPermission)
	}
	second := ours("b")
	s.Do("CLIENT", "KILL", "TYPE", "pubsub")
	queuetest.Eventually(t, "it listens again", listens)
	for _, id := range []string{"a", "b"} {
		s.Do("SET", "cs:{jobs}:res:"+queuetest.Issuer+":"+id, "the result")
		s.Do("PUBLISH", "cs:{jobs}:done:"+queuetest.Issuer, id)
	}
	for _, ended := range []chan error{first, second} {
		if err := <-ended; err != nil {
			t.Errorf("ours: %v", err)
		}
	}
}

// TestConnections: TLS, both ways, and the user, are checked, always.
func TestConnections(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	good := configOf(s.Login(queuetest.UserWorker))
	authority, err := devtls.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := authority.Client("stranger", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name   string
		change func(c *redisqueue.Config)
		want   queue.Reason
		reset  bool // the server may reset the connection before its refusal is read
	}{
		{"as it should be", func(*redisqueue.Config) {}, "", false},
		{"by name", func(c *redisqueue.Config) { c.ServerName = "localhost" }, "", false},
		{"server of another authority", func(c *redisqueue.Config) { c.CA = authority.CertPEM() }, queue.ReasonAuth, false},
		{"server under another name", func(c *redisqueue.Config) { c.ServerName = "redis.example.com" }, queue.ReasonAuth, false},
		{"no client certificate", func(c *redisqueue.Config) { c.Cert, c.Key = nil, nil }, queue.ReasonAuth, true},
		{"client of another authority", func(c *redisqueue.Config) { c.Cert, c.Key = stranger.Cert, stranger.Key }, queue.ReasonAuth, true},
		{"wrong password", func(c *redisqueue.Config) { c.Password = "wrong" }, queue.ReasonAuth, false},
		{"unknown user", func(c *redisqueue.Config) { c.User = "nobody" }, queue.ReasonAuth, false},
		{"nobody listens", func(c *redisqueue.Config) { c.Addr = "127.0.0.1:1" }, queue.ReasonConnection, false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c := good
			r.change(&c)
			client := dial(t, c)
			err := client.Ping(t.Context())
			if r.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			check := func(what string, err error) {
				t.Helper()
				var u *queue.UnavailableError
				if errors.As(err, &u) && u.Code() != "queue.unavailable" {
					t.Errorf("%s: code %s", what, u.Code())
				}
				if r.reset && u != nil && u.Reason == queue.ReasonConnection {
					return
				}
				wantReason(t, what, err, r.want)
			}
			check("ping", err)
			check("send", client.Send(t.Context(), []queue.Outgoing{{Lane: acme, Message: []byte("m")}}))
			q := openQueue(t, client, "w", time.Minute)
			_, err = q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 1})
			check("claim", err)
		})
	}
}

// A key that somebody overwrote costs what hangs on it, and no more.
func TestOverwrittenKeys(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	broken := queue.Lane{Queue: "jobs", Tenant: "broken"}
	b.admin.Set(ctx, "cs:{jobs}:in:broken:0", "not a stream", 0)
	b.admin.Set(ctx, "cs:{jobs}:st:acme", "not a hash", 0)
	b.admin.Set(ctx, "cs:{jobs}:ends", "not a sorted set", 0)
	for i := range 5 {
		b.admin.Set(ctx, fmt.Sprint("cs:{jobs}:ends:", time.Now().Unix()/60+60+int64(i)), "not a list", 0)
	}
	if err := b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}}); err != nil {
		t.Fatal(err)
	}
	lanes := []queue.Lane{broken, acme}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 10})
	if err != nil || len(ds) != 1 {
		t.Fatalf("beside a broken lane: %v, %v", ds, err)
	}
	if _, err := q.Recover(ctx, lanes, 10); err != nil {
		t.Errorf("recover: %v", err)
	}
	st, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "id", Digest: "d", Expires: time.Now().Add(time.Minute)}})
	if err != nil || st[0].State != queue.Granted {
		t.Fatalf("over a broken state: %+v, %v", st, err)
	}
	_, err = q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{broken}, Max: 10})
	wantReason(t, "only a broken lane", err, queue.ReasonData)
	b.admin.Set(ctx, "cs:{jobs}:dead", "not a stream", 0)
	dead := queue.Settlement{Lease: st[0].Lease, Verdict: queue.Dead("c", "r")}
	_, err = q.Settle(ctx, []queue.Settlement{dead})
	wantReason(t, "dead letters that are none", err, queue.ReasonData)

	// What stands before it in a batch is settled whole, and is not settled anew
	// when the batch comes again.
	one := []queue.Outgoing{{Lane: acme, Message: []byte("n")}}
	if err := b.producer.Send(ctx, one); err != nil {
		t.Fatal(err)
	}
	if ds, err = q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 1}); err != nil || len(ds) != 1 {
		t.Fatal(ds, err)
	}
	next, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "id-n", Digest: "d", Expires: time.Now().Add(time.Minute)}})
	if err != nil {
		t.Fatal(err)
	}
	batch := []queue.Settlement{{Lease: next[0].Lease, Verdict: queue.Done()}, dead}
	_, err = q.Settle(ctx, batch)
	wantReason(t, "the batch", err, queue.ReasonData)
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err == nil || d.Lanes != nil {
		t.Errorf("depth of a broken queue: %+v, %v", d, err)
	}
	b.admin.Del(ctx, "cs:{jobs}:dead")
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err != nil || d.Lanes[0].Running != 1 {
		t.Errorf("one of two runs: %+v, %v", d, err)
	}
	if got, err := q.Settle(ctx, batch); err != nil || got[0] != queue.Applied || got[1] != queue.Applied {
		t.Errorf("nothing half done was left: %v, %v", got, err)
	}
	if d, err := b.worker.Depth(ctx, []queue.Lane{acme}); err != nil || d.Lanes[0].Running != 0 || d.Dead["jobs"] != 1 {
		t.Errorf("both are settled: %+v, %v", d, err)
	}
}

// A producer can kill its lane for good with the highest id there is. Its
// messages are parked then, and nobody else's suffer.
func TestHighestID(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	send := func() error { return b.producer.Send(ctx, []queue.Outgoing{{Lane: acme, Message: []byte("m")}}) }
	if err := send(); err != nil {
		t.Fatal(err)
	}
	b.admin.Do(ctx, "XADD", "cs:{jobs}:in:acme:1", "18446744073709551615-18446744073709551615", "e", "last")
	if err := send(); err == nil {
		t.Fatal("sent")
	}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: []queue.Lane{acme}, Max: 10})
	if err != nil || len(ds) != 2 {
		t.Fatal(ds, err)
	}
	st, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "id", Digest: "d", Expires: time.Now().Add(time.Minute)}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := q.Settle(ctx, []queue.Settlement{
		{Lease: st[0].Lease, Verdict: queue.Release()}, {Lease: ds[1].Unstarted(), Verdict: queue.Release()},
	})
	if err != nil || got[0] != queue.Applied || got[1] != queue.LeaseLost {
		t.Errorf("settled %v, %v", got, err)
	}
	b.admin.ZAdd(ctx, "cs:{jobs}:due", redis.Z{Score: 1, Member: "acme:id"})
	if n, _, err := q.Promote(ctx, "jobs", 10); err != nil || n != 1 {
		t.Errorf("promoted %d, %v", n, err)
	}
	if at, err := b.admin.ZScore(ctx, "cs:{jobs}:due", "acme:id").Result(); err != nil || at < float64(time.Now().UnixMilli()) {
		t.Errorf("put off to %f, %v", at, err)
	}
}

func TestFlushed(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	lanes := []queue.Lane{acme}
	one := []queue.Outgoing{{Lane: acme, Message: []byte("m")}}
	if err := b.producer.Send(ctx, one); err != nil {
		t.Fatal(err)
	}
	ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	st, err := q.Start(ctx, []queue.Start{{Delivery: ds[0], ID: "id", Digest: "d", Expires: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		ds  []queue.Delivery
		err error
	}
	waiting := make(chan answer, 1)
	go func() {
		ds, err := q.Claim(context.WithoutCancel(ctx), queue.Claim{Lanes: lanes, Max: 1, Wait: 20 * time.Second})
		waiting <- answer{ds, err}
	}()
	s.Do("FLUSHALL")
	if got, err := q.Settle(ctx, []queue.Settlement{{Lease: st[0].Lease, Verdict: queue.Done()}}); err != nil || got[0] != queue.LeaseLost {
		t.Errorf("settled %v, %v", got, err)
	}
	if err := b.producer.Send(ctx, one); err != nil {
		t.Fatal(err)
	}
	if a := <-waiting; a.err != nil || len(a.ds) != 1 {
		t.Errorf("claimed %v, %v", a.ds, a.err)
	}
}

// Names of workers that are gone are removed, and never those that hold anything.
func TestRetire(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	lanes := []queue.Lane{acme}
	holds, idle := openQueue(t, b.worker, "holds", time.Minute), openQueue(t, b.worker, "idle", time.Minute)
	_, two := messages(0, 2)
	if err := b.producer.Send(ctx, two); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*redisqueue.Queue{holds, idle} {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 1})
		if err != nil || len(ds) != 1 {
			t.Fatal(ds, err)
		}
		if q == idle {
			if _, err := q.Settle(ctx, []queue.Settlement{{Lease: ds[0].Unstarted(), Verdict: queue.Drop()}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Long ago for this one only, since each worker looks at its own pace.
	for _, wait := range []time.Duration{time.Hour, 0} {
		other := openQueue(t, b.worker, "other", time.Minute)
		queuetest.Eventually(t, "some milliseconds have passed", func() bool {
			c, err := b.admin.XInfoConsumers(ctx, "cs:{jobs}:in:acme:1", "workers").Result()
			return err == nil && len(c) == 2 && c[0].Idle > time.Millisecond && c[1].Idle > time.Millisecond
		})
		n, err := other.Retire(ctx, lanes, wait)
		want := 0
		if wait == 0 {
			want = 1
		}
		if err != nil || n != want {
			t.Errorf("idle for %s: retired %d, %v; want %d", wait, n, err, want)
		}
	}
	c, err := b.admin.XInfoConsumers(ctx, "cs:{jobs}:in:acme:1", "workers").Result()
	if err != nil || len(c) != 1 || c[0].Name != holds.Worker() || c[0].Pending != 1 {
		t.Errorf("left: %+v, %v", c, err)
	}
	if ds, err := idle.Claim(ctx, queue.Claim{Lanes: lanes, Max: 1}); err != nil || len(ds) != 0 {
		t.Errorf("the one that was retired too early: %v, %v", ds, err)
	}
}
