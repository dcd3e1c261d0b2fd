package queuetest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/redisacl"
)

// MasterName is what the Sentinels of a Sentinels call its master.
const MasterName = "work"

// UserSentinel is who asks Sentinels for the master, with the rights that docs/reference/redis.md gives.
const UserSentinel = "sentinel"

// Sentinels is a master, a replica of it, and three Sentinels that put the replica in its place within seconds.
type Sentinels struct {
	Master, Replica *Server // as they began
	watchers        []*Server
}

// hasty are the settings of a Sentinel, in ms, that let it see within half a second what it sees within ten by default: others like it, and a
// master that comes back and is none any more. Source: Redis 7.0, SENTINEL DEBUG.
var hasty = []string{"publish-period", "300", "info-period", "500", "ask-period", "300", "ping-period", "300"}

// StartSentinels starts them and stops them when the test ends. The replica is up to date when it returns.
func StartSentinels(tb testing.TB) *Sentinels {
	tb.Helper()
	own := newCredentials(tb)
	s := &Sentinels{Master: start(tb, Options{}, own)}
	s.Replica = start(tb, Options{Conf: []string{fmt.Sprintf("replicaof 127.0.0.1 %d", s.Master.port)}}, own)
	s.Synced(tb)
	for range 3 {
		w := start(tb, Options{watch: s.Master.port}, own)
		if bad, isError := w.Do(append([]string{"SENTINEL", "DEBUG"}, hasty...)...).(Error); isError {
			tb.Fatal(bad)
		}
		s.watchers = append(s.watchers, w)
	}
	eventuallyWithin(tb, setUpMax, "the Sentinels know each other and the replica", func() bool {
		for _, w := range s.watchers {
			reply, _ := w.Do("SENTINEL", "MASTER", MasterName).([]any)
			if field(reply, "num-other-sentinels") != "2" || field(reply, "num-slaves") != "1" {
				return false
			}
		}
		return true
	})
	return s
}

// Synced waits until the replica has all that the master has.
func (s *Sentinels) Synced(tb testing.TB) {
	tb.Helper()
	eventuallyWithin(tb, setUpMax, "the replica has all that the master has", func() bool { return s.Master.Do("WAIT", "1", "500") == int64(1) })
}

// Patience sets how long a server may be silent until a Sentinel takes it for gone, which is very long at first. A short one has a failover begin soon,
// and on a busy machine sometimes where nobody meant one.
func (s *Sentinels) Patience(tb testing.TB, d time.Duration) {
	tb.Helper()
	for _, w := range s.watchers {
		if reply := w.Do("SENTINEL", "SET", MasterName, "down-after-milliseconds", fmt.Sprint(d.Milliseconds())); reply != "OK" {
			tb.Fatalf("patience of a Sentinel: %v", reply)
		}
	}
}

// AwaitMaster waits until all Sentinels send clients to m. A replica becomes the master before that: if the old one comes back in between, clients
// are sent to it, and what it takes is lost when it is made a replica.
func (s *Sentinels) AwaitMaster(tb testing.TB, m *Server) {
	tb.Helper()
	eventuallyWithin(tb, setUpMax, "all Sentinels name the new master", func() bool {
		for _, w := range s.watchers {
			reply, _ := w.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).([]any)
			if len(reply) != 2 || reply[1] != fmt.Sprint(m.port) {
				return false
			}
		}
		return true
	})
}

// Part makes a master of the replica and has all Sentinels name it, while the old one lives on as a master: as when that one is cut off from
// the others, and not from its clients.
func (s *Sentinels) Part(tb testing.TB) {
	tb.Helper()
	do := func(to *Server, args ...string) {
		tb.Helper()
		if reply := to.Do(args...); reply != "OK" {
			tb.Fatal(args, reply)
		}
	}
	for _, w := range s.watchers { // or they would make a replica of it again
		do(w, "SENTINEL", "REMOVE", MasterName)
	}
	do(s.Replica, "REPLICAOF", "NO", "ONE")
	for _, w := range s.watchers {
		do(w, "SENTINEL", "MONITOR", MasterName, "127.0.0.1", fmt.Sprint(s.Replica.port), "2")
		do(w, "SENTINEL", "SET", MasterName, "auth-user", UserAdmin, "auth-pass", s.Master.own.password)
	}
}

// Login returns what a client needs to be user of the master; its Addrs are the Sentinels'.
func (s *Sentinels) Login(user string) Login {
	l := s.Master.Login(user)
	l.Addr = ""
	for _, w := range s.watchers {
		l.Addrs = append(l.Addrs, w.Addr())
	}
	l.Master, l.SentinelUser, l.SentinelPassword = MasterName, UserSentinel, s.Master.own.password
	return l
}

// watching are the lines that make a Sentinel of a server.
func (s *Server) watching() []string {
	return []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", MasterName, s.opts.watch),
		"sentinel auth-user " + MasterName + " " + UserAdmin,
		"sentinel auth-pass " + MasterName + " " + s.own.password,
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, patient.Milliseconds()),
		"sentinel failover-timeout " + MasterName + " 3000",
		"sentinel sentinel-user " + UserAdmin,
		"sentinel sentinel-pass " + s.own.password,
		"user default off",
		"user " + UserAdmin + " on >" + s.own.password + " " + Rules(UserAdmin),
		"user " + UserSentinel + " on >" + s.own.password + " " + redisacl.SentinelRules(),
	}
}

// field returns the value of a field of a flat list of fields and values.
func field(list []any, name string) string {
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			text, _ := list[i+1].(string)
			return text
		}
	}
	return ""
}

// Cluster is three masters that share the slots between them.
type Cluster struct {
	Nodes []*Server

	mu    sync.Mutex
	moved map[int64]*Server // slots that are not where they began
}

// slotsAll is how many slots a Redis Cluster has.
const slotsAll = 16384

// StartCluster starts them, each as opts say, and stops them when the test ends. All slots are served when it returns.
func StartCluster(tb testing.TB, opts Options) *Cluster {
	tb.Helper()
	own := newCredentials(tb)
	c := &Cluster{}
	var buses []string
	const nodes = 3
	for i := range nodes {
		bus := fmt.Sprint(FreePort(tb))
		conf := append(slices.Clone(opts.Conf), "cluster-enabled yes", "tls-cluster yes", "cluster-node-timeout 1000", "cluster-port "+bus)
		n := start(tb, Options{Sync: opts.Sync, Conf: conf}, own)
		c.Nodes, buses = append(c.Nodes, n), append(buses, bus)
		n.Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(slotsAll*i/nodes), fmt.Sprint(slotsAll*(i+1)/nodes-1))
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	for i, n := range c.Nodes[1:] {
		c.Nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(n.port), buses[i+1])
	}
	eventuallyWithin(tb, setUpMax, "the cluster serves all slots", func() bool {
		for _, n := range c.Nodes {
			info, _ := n.Do("CLUSTER", "INFO").(string)
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return c
}

// Patience sets how long a node may be silent until the others take it for gone and say CLUSTERDOWN: a second at first, in which they find each other
// soon, and a busy machine stands still for as long.
func (c *Cluster) Patience(tb testing.TB, d time.Duration) {
	tb.Helper()
	for _, n := range c.Nodes {
		if reply := n.Do("CONFIG", "SET", "cluster-node-timeout", fmt.Sprint(d.Milliseconds())); reply != "OK" {
			tb.Fatalf("patience of a node: %v", reply)
		}
	}
}

// Login returns what a client needs to be user; its Addrs are one node's, which knows the others.
func (c *Cluster) Login(user string) Login {
	l := c.Nodes[0].Login(user)
	l.Addr, l.Addrs, l.Cluster = "", []string{l.Addr}, true
	return l
}

// Of returns the node that has the keys of a queue.
func (c *Cluster) Of(tb testing.TB, queue string) *Server {
	tb.Helper()
	slot := c.slotOf(tb, queue)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.moved[slot]; n != nil {
		return n
	}
	return c.Nodes[min(int(slot)*len(c.Nodes)/slotsAll, len(c.Nodes)-1)]
}

func (c *Cluster) slotOf(tb testing.TB, queue string) int64 {
	tb.Helper()
	slot, ok := c.Nodes[0].Do("CLUSTER", "KEYSLOT", "cs:{"+queue+"}:in").(int64)
	if !ok {
		tb.Fatal("no slot of " + queue)
	}
	return slot
}

// Move moves the slot of a queue to another node, key by key, as redis-cli --cluster reshard does. step is called each time that a key has gone, with how
// many have; Redis serves the slot from both nodes until Move returns.
// Source: Redis documentation, CLUSTER SETSLOT, "Redis Cluster live resharding explained".
func (c *Cluster) Move(tb testing.TB, queue string, to *Server, step func(moved int)) {
	tb.Helper()
	from, slot := c.Of(tb, queue), fmt.Sprint(c.slotOf(tb, queue))
	must := func(s *Server, args ...string) { // a node that has just started says CLUSTERDOWN for a moment
		tb.Helper()
		var last any
		eventuallyWithin(tb, setUpMax, strings.Join(args[:2], " ")+" is done", func() bool {
			reply := s.Do(args...)
			if bad, failed := reply.(Error); failed && reply != last {
				tb.Logf("%s: %v", args[0], bad)
				last = reply
			}
			return reply == "OK" || reply == "NOKEY" // it may have gone by itself
		})
	}
	id := func(s *Server) string { return s.Do("CLUSTER", "MYID").(string) }
	must(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	must(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	for moved := 0; ; moved++ {
		step(moved)
		keys, _ := from.Do("CLUSTER", "GETKEYSINSLOT", slot, "1").([]any)
		if len(keys) == 0 {
			break
		}
		// REPLACE, since a node that stood still may have taken the key and have been too late to say so: it is at both then, and the one that it comes from counts.
		must(from, "MIGRATE", "127.0.0.1", fmt.Sprint(to.port), "", "0", "5000", "REPLACE", "AUTH2", UserAdmin, to.own.password, "KEYS", keys[0].(string))
	}
	for _, s := range []*Server{to, from} {
		must(s, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moved == nil {
		c.moved = map[int64]*Server{}
	}
	c.moved[c.slotOf(tb, queue)] = to
}

// eventuallyWithin is Eventually with a time of its own: servers that get to know each other take some seconds.
func eventuallyWithin(tb testing.TB, most time.Duration, what string, holds func() bool) {
	tb.Helper()
	deadline, tick := time.NewTimer(most), time.NewTicker(50*time.Millisecond)
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

// Keep copies the data of a server that has ended, as somebody who makes backups would, and returns where to.
func (s *Server) Keep() string {
	s.tb.Helper()
	dir := s.tb.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.file(dataFolder))); err != nil {
		s.tb.Fatal(err)
	}
	return dir
}

// Restore replaces the data of a server that has ended by what Keep has copied.
func (s *Server) Restore(dir string) {
	s.tb.Helper()
	if s.cmd != nil {
		s.tb.Fatal("the server still runs")
	}
	if err := errors.Join(os.RemoveAll(s.file(dataFolder)), os.CopyFS(s.file(dataFolder), os.DirFS(dir))); err != nil {
		s.tb.Fatal(err)
	}
}

// dataFolder is where Redis keeps its append-only files.
const dataFolder = "appendonlydir"
