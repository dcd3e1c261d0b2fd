package redisqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a Redis of either kind, with each part of it used as its own user.
type broker struct {
	worker   *redisqueue.Client
	producer *redisqueue.Client
	operator *redisqueue.Client
	watcher  *redisqueue.Client
	results  *redisqueue.Results
	admin    *redis.Client // to do what only an attacker or an operator would
	pass     func(time.Duration)
}

// configOf returns how to reach a server as one of its users.
func configOf(l queuetest.Login) redisqueue.Config {
	return redisqueue.Config{
		Addr: l.Addr, Addrs: l.Addrs, Master: l.Master, Cluster: l.Cluster,
		SentinelUser: l.SentinelUser, SentinelPassword: l.SentinelPassword,
		User: l.User, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key,
	}
}

func dial(tb testing.TB, c redisqueue.Config) *redisqueue.Client {
	tb.Helper()
	client, err := redisqueue.Dial(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func openQueue(tb testing.TB, c *redisqueue.Client, name string, lease time.Duration) *redisqueue.Queue {
	tb.Helper()
	q, err := redisqueue.OpenQueue(c, redisqueue.QueueConfig{Worker: name, Lease: lease})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = q.Close() })
	return q
}

func newBroker(tb testing.TB, login func(user string) queuetest.Login, pass func(time.Duration)) *broker {
	tb.Helper()
	b := &broker{
		worker:   dial(tb, configOf(login(queuetest.UserWorker))),
		producer: dial(tb, configOf(login(queuetest.UserProducer))),
		operator: dial(tb, configOf(login(queuetest.UserOperator))),
		watcher:  dial(tb, configOf(login(queuetest.UserWatcher))),
		admin:    adminOf(tb, login(queuetest.UserAdmin)),
		pass:     pass,
	}
	b.results = redisqueue.OpenResults(b.producer)
	tb.Cleanup(func() { _ = b.results.Close() })
	return b
}

// adminOf borrows the TLS settings that Dial makes, for a bare client.
func adminOf(tb testing.TB, l queuetest.Login) *redis.Client {
	tb.Helper()
	conf, err := redisqueue.TLSConfig(configOf(l))
	if err != nil {
		tb.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: l.Addr, Username: l.User, Password: l.Password, TLSConfig: conf, Protocol: 2, DisableIdentity: true})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// openReal starts a redis-server.
func openReal(tb testing.TB) queuetest.Broker {
	s := queuetest.Start(tb, queuetest.Options{})
	return newBroker(tb, s.Login, func(time.Duration) {})
}

func openMini(tb testing.TB) queuetest.Broker {
	b, _ := openMiniWithServer(tb)
	return b
}

// openMiniWithServer starts a miniredis, as the demonstration does.
func openMiniWithServer(tb testing.TB) (*broker, *miniredis.Miniredis) {
	tb.Helper()
	now := time.Now()
	authority, err := devtls.NewAuthority(now)
	if err != nil {
		tb.Fatal(err)
	}
	server, err := authority.Server(now)
	if err != nil {
		tb.Fatal(err)
	}
	client, err := authority.Client("test", now)
	if err != nil {
		tb.Fatal(err)
	}
	conf, err := authority.ServerConfig(server)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := miniredis.RunTLS(conf)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	login := func(user string) queuetest.Login {
		m.RequireUserAuth(user, "secret of "+user)
		return queuetest.Login{
			Addr: m.Addr(), User: user, Password: "secret of " + user,
			CA: authority.CertPEM(), Cert: client.Cert, Key: client.Key,
		}
	}
	return newBroker(tb, login, m.FastForward), m
}

func (b *broker) Worker(tb testing.TB, name string, lease time.Duration) queuetest.Worker {
	return openQueue(tb, b.worker, name, lease)
}
func (b *broker) Sender() queue.Sender       { return sender{b} }
func (b *broker) Results() queue.Results     { return b.results }
func (b *broker) Inspector() queue.Inspector { return b.operator }
func (b *broker) Orders() queue.Orders       { return orders{b.operator, b.producer} }
func (b *broker) Listener() queue.Listener   { return b.worker }
func (b *broker) Admin() queue.Admin         { return b.worker }
func (b *broker) Events() queue.Events       { return events{b.worker, b.watcher} }
func (b *broker) Progress() queue.Progress   { return progress{b.worker, b.watcher} }
func (b *broker) Pass(d time.Duration)       { b.pass(d) }

// orders are given by an operator, and cancelled by the producer, too, in its own tenant.
type orders struct {
	*redisqueue.Client
	producer *redisqueue.Client
}

func (o orders) Cancel(ctx context.Context, lane queue.Lane, id string, order []byte, ttl time.Duration) error {
	if lane.Tenant == queuetest.Tenant {
		return o.producer.Cancel(ctx, lane, id, order, ttl)
	}
	return o.Client.Cancel(ctx, lane, id, order, ttl)
}

// events are emitted by workers and followed by watchers; so is progress.
type events struct {
	*redisqueue.Client
	watcher *redisqueue.Client
}

func (e events) Follow(ctx context.Context, name, after string, got func(string, queue.Event)) error {
	return e.watcher.Follow(ctx, name, after, got)
}

type progress struct {
	*redisqueue.Client
	watcher *redisqueue.Client
}

func (p progress) Progress(ctx context.Context, lane queue.Lane, id string) (string, time.Time, error) {
	return p.watcher.Progress(ctx, lane, id)
}

// sender sends as the producer where it may, which is to its own tenant's lanes.
type sender struct{ b *broker }

func (s sender) Send(ctx context.Context, batch []queue.Outgoing) error {
	for _, m := range batch {
		if m.Lane.Tenant != queuetest.Tenant {
			return s.b.worker.Send(ctx, batch)
		}
	}
	return s.b.producer.Send(ctx, batch)
}

func laneKey(l queue.Lane) string {
	return "cs:{" + l.Queue + "}:in:" + l.Tenant + ":" + string(rune('0'+int(l.Priority)))
}

func (b *broker) Put(tb testing.TB, lane queue.Lane, fields ...string) {
	tb.Helper()
	args := []any{"XADD", laneKey(lane), "*"}
	for _, f := range fields {
		args = append(args, f)
	}
	if err := b.admin.Do(context.Background(), args...).Err(); err != nil {
		tb.Fatal(err)
	}
}

func (b *broker) Delete(tb testing.TB, lane queue.Lane, entry string) {
	tb.Helper()
	if n, err := b.admin.XDel(context.Background(), laneKey(lane), entry).Result(); err != nil || n != 1 {
		tb.Fatalf("XDEL: %d, %v", n, err)
	}
}

func (b *broker) Forget(tb testing.TB, lane queue.Lane, id string) {
	tb.Helper()
	key := "cs:{" + lane.Queue + "}:st:" + lane.Tenant
	if n, err := b.admin.HDel(context.Background(), key, id).Result(); err != nil || n != 1 {
		tb.Fatalf("HDEL: %d, %v", n, err)
	}
}

func TestSuite(t *testing.T) {
	t.Run("redis", func(t *testing.T) { queuetest.Run(t, openReal) })
	t.Run("miniredis", func(t *testing.T) { queuetest.Run(t, openMini) })
}
