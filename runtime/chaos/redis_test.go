package chaos_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime/devdeploy"
)

// How long a server is silent until the Sentinels replace it: soon where the plan fails over; else never, since a busy machine is no failure, and
// the judge knows of no failover but the plan's.
const (
	hasty   = 500 * time.Millisecond
	patient = time.Hour
)

// servers are what Redis is in a run. Their faults are carried out in the test's own goroutine.
type servers struct {
	nodes     []*queuetest.Server // with keys: one, a master and its replica, or three
	master    int                 // which of the first two it is
	sentinels *queuetest.Sentinels
	cluster   *queuetest.Cluster
}

func startServers(tb testing.TB, p plan) *servers {
	tb.Helper()
	switch p.set {
	case failover, stale:
		s := queuetest.StartSentinels(tb)
		return &servers{nodes: []*queuetest.Server{s.Master, s.Replica}, sentinels: s}
	case cluster:
		c := queuetest.StartCluster(tb, queuetest.Options{Sync: p.sync})
		s := &servers{nodes: c.Nodes, cluster: c}
		for i, name := range queueNames {
			for _, other := range queueNames[:i] {
				if s.of(tb, name) == s.of(tb, other) {
					tb.Fatalf("the queues %s and %s are on one node", name, other)
				}
			}
		}
		return s
	}
	return &servers{nodes: []*queuetest.Server{queuetest.Start(tb, queuetest.Options{Sync: p.sync})}}
}

// of returns the server that has the keys of a queue.
func (s *servers) of(tb testing.TB, name string) *queuetest.Server {
	if s.cluster != nil {
		return s.cluster.Of(tb, name)
	}
	return s.nodes[s.master]
}

// masters returns the servers that have keys of their own.
func (s *servers) masters() []*queuetest.Server {
	if s.sentinels != nil {
		return s.nodes[s.master : s.master+1]
	}
	return s.nodes
}

// login returns what a client needs to be user.
func (s *servers) login(user string) queuetest.Login {
	switch {
	case s.sentinels != nil:
		return s.sentinels.Login(user)
	case s.cluster != nil:
		return s.cluster.Login(user)
	}
	return s.nodes[0].Login(user)
}

// addUser makes a user of the role with the results of one key, on all servers, under the password that all users have.
func (s *servers) addUser(tb testing.TB, name, role, from, keyID string) {
	tb.Helper()
	rules := strings.ReplaceAll(queuetest.Rules(role), from, keyID)
	set := append([]string{"ACL", "SETUSER", name, "on", ">" + s.nodes[0].Login(role).Password}, strings.Fields(rules)...)
	for _, n := range s.nodes {
		for _, command := range [][]string{joinSelectors(set), {"ACL", "SAVE"}} {
			if reply, bad := n.Do(command...).(queuetest.Error); bad {
				tb.Fatal(reply)
			}
		}
	}
}

// joinSelectors joins what stands in parentheses: to Redis it is one word.
func joinSelectors(words []string) []string {
	var out []string
	for _, w := range words {
		if n := len(out) - 1; n >= 0 && strings.HasPrefix(out[n], "(") && !strings.HasSuffix(out[n], ")") {
			out[n] += " " + w
			continue
		}
		out = append(out, w)
	}
	return out
}

// where says in a worker's settings where Redis is. addr is of the wire to it, if there is one.
func where(l queuetest.Login, addr string) devdeploy.Redis {
	switch {
	case l.Cluster:
		return devdeploy.Redis{Addresses: l.Addrs, Cluster: true}
	case l.Master != "":
		return devdeploy.Redis{Addresses: l.Addrs, Master: l.Master, SentinelUser: l.SentinelUser, SentinelPasswordFile: "worker.pass"}
	}
	return devdeploy.Redis{Address: addr}
}

// dial connects as a user who has the password of l, through addr if that is not empty.
func dial(tb testing.TB, l queuetest.Login, addr, user string) *redisqueue.Client {
	tb.Helper()
	conf := redisqueue.Config{
		Addr: l.Addr, Addrs: l.Addrs, Master: l.Master, Cluster: l.Cluster, SentinelUser: l.SentinelUser, SentinelPassword: l.SentinelPassword,
		User: user, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key, Timeout: 2 * time.Second, DialTimeout: 2 * time.Second,
	}
	if addr != "" {
		conf.Addr = addr
	}
	c, err := redisqueue.Dial(conf)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// breakRedis carries out what the plan has for the servers, here in the test's own goroutine, and waits for the plan's end.
func (r *run) breakRedis() {
	for _, b := range r.plan.redis {
		r.until(b.at)
		began := time.Now()
		server := r.servers.nodes[b.target]
		switch b.act {
		case "freeze":
			server.Freeze()
			time.Sleep(b.lasts)
			server.Thaw()
		case "kill":
			server.Kill()
			time.Sleep(b.lasts)
			server.Restart()
		case "lose":
			server.Kill()
			began = r.forget(time.Duration(b.n) * time.Millisecond)
			time.Sleep(b.lasts)
			server.Restart()
		case failover, stale:
			r.failOver(b)
			continue
		case "move":
			r.moveSlot(queueNames[b.n], b)
		}
		r.add(event{At: began, Kind: fault, Who: "redis", Text: b.act, Until: time.Now()})
	}
	r.until(r.plan.lasts)
}

// moveSlot moves the keys of a queue to another node, one by one, for as long as the plan says at least.
func (r *run) moveSlot(name string, b breakage) {
	nodes, to := r.servers.nodes, b.target
	for nodes[to] == r.servers.of(r.tb, name) {
		to = (to + 1) % len(nodes)
	}
	late := time.Now().Add(b.lasts)
	r.servers.cluster.Move(r.tb, name, nodes[to], func(int) { time.Sleep(min(20*time.Millisecond, time.Until(late))) })
}

// failOver kills or stops the master and waits until the Sentinels have put the replica in its place; then the old one comes back, and is made a
// replica. The replica may have lost its connection before.
func (r *run) failOver(b breakage) {
	old, next := r.servers.nodes[r.servers.master], r.servers.nodes[1-r.servers.master]
	if b.n > 0 { // what the master accepts from here on, nobody has when it is gone
		next.Do("CONFIG", "SET", "masterauth", "wrong")
		next.Do("CLIENT", "KILL", "TYPE", "MASTER")
		time.Sleep(time.Duration(b.n) * time.Millisecond)
	}
	r.servers.sentinels.Patience(r.tb, hasty)
	gone := time.Now()
	if b.act == failover {
		old.Kill()
	} else {
		old.Freeze()
	}
	r.awaitRole(next, "master")
	r.servers.sentinels.AwaitMaster(r.tb, next)
	r.servers.sentinels.Patience(r.tb, patient)
	r.servers.master = 1 - r.servers.master
	time.Sleep(b.lasts)
	back := time.Now()
	if b.act == failover {
		old.Restart()
	} else {
		old.Thaw()
	}
	r.awaitRole(old, "slave")
	r.add(event{At: r.sharedUntil(next, gone), Kind: fault, Who: "redis", Text: b.act, Until: gone})
	r.add(event{At: gone, Kind: fault, Who: "redis", Text: "away", Until: back})
	if b.act == stale { // it took what came over connections that it had
		r.add(event{At: back, Kind: fault, Who: "redis", Text: returned, Until: time.Now()})
	}
}

// sharedUntil returns from when on the new master may lack what the old one accepted until it was gone.
func (r *run) sharedUntil(next *queuetest.Server, gone time.Time) time.Time {
	c := r.plain(next)
	defer c.Close()
	text, err := c.Info(context.Background(), "replication").Result()
	if err != nil {
		r.fail(err)
	}
	inherited, err := strconv.ParseInt(infoField(text, "second_repl_offset"), 10, 64)
	if err != nil || inherited < 1 {
		r.fail(fmt.Errorf("the new master does not say what it inherited: %v, %w", inherited, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range slices.Backward(r.sizes) {
		if s.at.Before(gone) && s.size < inherited { // it is the first byte that the new master does not share with the old one
			return s.at
		}
	}
	return r.begun
}

// awaitRole waits until a server has become master or slave. On the way a Sentinel ends its connections.
func (r *run) awaitRole(s *queuetest.Server, role string) {
	c := r.plain(s)
	defer c.Close()
	for late := time.Now().Add(settleBound); ; time.Sleep(20 * time.Millisecond) {
		if reply, err := c.Do(context.Background(), "ROLE").Slice(); err == nil && reply[0] == role {
			return
		}
		if time.Now().After(late) {
			r.tb.Fatalf("a server is no %s after %v", role, settleBound)
		}
	}
}

// weigh notes over and over how much Redis has written: to its append-only file, for forget, or to its replica, for failOver. What was accepted
// before a note is in it.
func (r *run) weigh(ctx context.Context) {
	var size func() (int64, error)
	switch {
	case r.servers.sentinels != nil:
		c := r.plain(r.servers.nodes[0])
		defer c.Close()
		size = func() (int64, error) {
			text, err := c.Info(ctx, "replication").Result()
			if err != nil || infoField(text, "role") != "master" {
				return 0, errors.Join(err, errors.New("no master"))
			}
			return strconv.ParseInt(infoField(text, "master_repl_offset"), 10, 64)
		}
	case r.plan.sync == "everysec" && r.servers.cluster == nil:
		size = func() (int64, error) {
			info, err := os.Stat(r.aof())
			if err != nil {
				return 0, err
			}
			return info.Size(), nil
		}
	default:
		return
	}
	for sleep(ctx, 20*time.Millisecond) {
		at := time.Now()
		if n, err := size(); err == nil {
			r.mu.Lock()
			r.sizes = append(r.sizes, written{at, n})
			r.mu.Unlock()
		}
	}
}

// plain is a client of one server, whatever the others say.
func (r *run) plain(s *queuetest.Server) *redis.Client {
	l := s.Login(queuetest.UserAdmin)
	pair, err := tls.X509KeyPair(l.Cert, l.Key)
	if err != nil {
		r.fail(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.CA)
	return redis.NewClient(&redis.Options{
		Addr: l.Addr, Username: l.User, Password: l.Password, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1, ReadTimeout: time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}},
	})
}

// infoField returns a field of a reply to INFO.
func infoField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}

// aof returns the file that Redis appends to.
func (r *run) aof() string {
	found, err := filepath.Glob(filepath.Join(r.servers.nodes[0].Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// forget cuts Redis's file to what it was d ago, as the machine's crash does that lost what had not been synced, and returns
// the time from which on it knows nothing.
func (r *run) forget(d time.Duration) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := time.Now().Add(-d)
	for _, s := range slices.Backward(r.sizes) {
		if s.at.After(from) {
			continue
		}
		if err := os.Truncate(r.aof(), s.size); err != nil {
			r.faults = append(r.faults, err)
		}
		return s.at
	}
	return time.Now() // nothing noted so long ago
}
