package chaos_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
)

// lease is short, since recovery is what these tests wait for most, and long enough for a machine that does much else.
const lease = 2 * time.Second

// run is one plan at work.
type run struct {
	tb     testing.TB
	kit    *kit
	plan   plan
	dir    string // logs and the history
	server *queuetest.Server
	wires  []*proxy // of the workers, by their place; the last is the clients'
	places []*place
	admin  *redisqueue.Client // straight to Redis, with every right: the attacker's and the observer's
	client *client.Client     // through the clients' wire
	begun  time.Time
	keep   time.Duration // of results; 0: an hour
	pages  bool          // workers serve their metrics
	quiet  bool          // no history is kept

	mu       sync.Mutex
	events   []event
	faults   []error // of the test itself
	receipts []client.Receipt
	accepted map[string]bool
	told     map[string]time.Time // by worker: when it was told to end in the middle of the run
	sizes    []fileSize           // of Redis's append-only file
}

// fileSize is how long the append-only file was.
type fileSize struct {
	at   time.Time
	size int64
}

func (r *run) add(e event) {
	if r.quiet {
		return
	}
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

func (r *run) fail(err error) {
	r.mu.Lock()
	r.faults = append(r.faults, err)
	r.mu.Unlock()
}

func (r *run) toldToEnd(worker string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.told[worker].IsZero()
}

// play carries a plan out and returns its history.
func play(tb testing.TB, p plan, dir string) history {
	tb.Helper()
	r := &run{tb: tb, kit: openKit(tb), plan: p, dir: dir, accepted: map[string]bool{}, told: map[string]time.Time{}}
	r.open()
	r.begun = time.Now()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	var sending, breaking, looking sync.WaitGroup
	sending.Go(func() { r.produce(ctx, p.batches, 0) })
	sending.Go(func() { r.produce(ctx, p.batches, 1) })
	sending.Go(func() { r.produceExtras(ctx) })
	sending.Go(func() { r.attack(ctx) })
	breaking.Go(func() { r.breakWires() })
	looking.Go(func() { r.observe(ctx) })
	looking.Go(func() { r.weigh(ctx) })

	r.breakRedis()
	breaking.Wait()
	for _, w := range r.wires {
		w.heal()
	}
	sending.Wait() // what was not taken is sent again until it is
	r.add(event{At: time.Now(), Kind: quiet})
	r.awaitAll(ctx)
	r.awaitEmpty(ctx)
	for _, w := range r.places {
		w.end()
	}
	cancel()
	looking.Wait()
	r.endState()

	for _, err := range r.faults {
		tb.Error(err)
	}
	h := history{Seed: p.seed, Sync: p.sync, Lease: lease, Step: p.step(), events: r.events}
	h.sort()
	if err := h.save(filepath.Join(dir, "history.jsonl")); err != nil {
		tb.Error(err)
	}
	return h
}

// open starts Redis, the wires, the clients and the workers, and waits until all of these work.
func (r *run) open() {
	tb := r.tb
	tb.Helper()
	r.server = queuetest.Start(tb, queuetest.Options{Sync: r.plan.sync})
	issuer := r.kit.shop.Public().ID().String()
	rules := strings.ReplaceAll(queuetest.Rules(queuetest.UserProducer), queuetest.Issuer, issuer)
	worker := r.server.Login(queuetest.UserWorker)
	set := append([]string{"ACL", "SETUSER", "shop", "on", ">" + worker.Password}, strings.Fields(rules)...)
	for _, command := range [][]string{set, {"ACL", "SAVE"}} {
		if reply, bad := r.server.Do(command...).(queuetest.Error); bad {
			tb.Fatal(reply)
		}
	}
	for range len(r.plan.workers) + 1 {
		r.wires = append(r.wires, newProxy(tb, r.server.Addr()))
	}
	login := r.server.Login(queuetest.UserAdmin)
	r.admin = dial(tb, login, login.Addr, login.User)
	shop := dial(tb, worker, r.wires[len(r.plan.workers)].addr(), "shop")
	results := redisqueue.OpenResults(shop)
	tb.Cleanup(func() { results.Close() })
	var err error
	r.client, err = client.Open(client.Config{
		Sender: shop, Results: results, Orders: shop, Key: r.kit.shop, Workers: r.kit, Audience: audience, Tenant: tenant, Queue: queueName,
	})
	if err != nil {
		tb.Fatal(err)
	}
	for i, w := range r.plan.workers {
		name := fmt.Sprintf("worker-%d", i)
		p := &place{run: r, name: name, dir: filepath.Join(r.dir, name), plan: w, ready: make(chan struct{}), done: make(chan struct{})}
		if r.pages {
			p.page = freeAddress(tb)
		}
		if err := r.kit.deploy(p.dir, name, r.wires[i].addr(), cmp.Or(p.page, "off"), cmp.Or(r.keep, time.Hour), worker); err != nil {
			tb.Fatal(err)
		}
		r.places = append(r.places, p)
		go p.keep() // ends when end is called, which the cleanup does at the latest
		tb.Cleanup(p.end)
	}
	for _, p := range r.places {
		select {
		case <-p.ready:
		case <-p.done:
			tb.Fatalf("%s did not start: %v", p.name, r.faults)
		case <-time.After(settleBound):
			tb.Fatalf("%s did not start in %v", p.name, settleBound)
		}
	}
}

// freeAddress returns an address that was free a moment ago.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func dial(tb testing.TB, l queuetest.Login, addr, user string) *redisqueue.Client {
	tb.Helper()
	c, err := redisqueue.Dial(redisqueue.Config{
		Addr: addr, User: user, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key, Timeout: 2 * time.Second, DialTimeout: 2 * time.Second,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// until waits for a time of the plan.
func (r *run) until(d time.Duration) { time.Sleep(time.Until(r.begun.Add(d))) }

// breakRedis carries out what the plan has for the server, here in the test's own goroutine, and waits for the plan's end.
func (r *run) breakRedis() {
	for _, b := range r.plan.redis {
		r.until(b.at)
		began := time.Now()
		switch b.act {
		case "freeze":
			r.server.Freeze()
			time.Sleep(b.lasts)
			r.server.Thaw()
		case "kill":
			r.server.Kill()
			time.Sleep(b.lasts)
			r.server.Restart()
		case "lose":
			r.server.Kill()
			began = r.forget(time.Duration(b.n) * time.Millisecond)
			time.Sleep(b.lasts)
			r.server.Restart()
		}
		r.add(event{At: began, Kind: fault, Who: "redis", Text: b.act, Until: time.Now()})
	}
	r.until(r.plan.lasts)
}

// aof returns the file that Redis appends to.
func (r *run) aof() string {
	found, err := filepath.Glob(filepath.Join(r.server.Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// weigh notes how long the append-only file is, over and over, for forget.
func (r *run) weigh(ctx context.Context) {
	if r.plan.sync != "everysec" {
		return
	}
	for sleep(ctx, 20*time.Millisecond) {
		if info, err := os.Stat(r.aof()); err == nil {
			r.mu.Lock()
			r.sizes = append(r.sizes, fileSize{time.Now(), info.Size()})
			r.mu.Unlock()
		}
	}
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

// breakWires carries out what the plan has for wires and workers. Faults may overlap, also on one wire, where the first to
// end then ends all.
func (r *run) breakWires() {
	var lasting sync.WaitGroup
	defer lasting.Wait()
	for _, b := range r.plan.wires {
		r.until(b.at)
		lasting.Go(func() { r.breakOne(b) })
	}
}

func (r *run) breakOne(b breakage) {
	who, wire := "clients", r.wires[len(r.wires)-1]
	if b.target != clients {
		who, wire = r.places[b.target].name, r.wires[b.target]
	}
	began := time.Now()
	switch b.act {
	case "partition":
		wire.partition()
	case "silence":
		wire.silence()
	case "slow":
		wire.slow(time.Duration(b.n) * time.Millisecond)
	case "cut":
		wire.cutAfter(b.n)
	case "kill":
		r.places[b.target].signal(syscall.SIGKILL)
		return // noted when the process has ended
	case "stop":
		r.places[b.target].signal(syscall.SIGSTOP)
		return // noted when it goes on
	case "term":
		r.mu.Lock()
		r.told[who] = began
		r.mu.Unlock()
		r.places[b.target].signal(syscall.SIGTERM)
	}
	time.Sleep(b.lasts)
	if b.act != "cut" && b.act != "term" {
		wire.heal()
	}
	r.add(event{At: began, Kind: fault, Who: who, Text: b.act, Until: time.Now()})
}

// awaitAll waits until everything accepted has a result.
func (r *run) awaitAll(ctx context.Context) {
	late := time.Now().Add(settleBound)
	for time.Now().Before(late) && sleep(ctx, 20*time.Millisecond) {
		if n := r.missing(); n == 0 {
			r.add(event{At: time.Now(), Kind: settled})
			return
		}
	}
}

// missing counts what was accepted and has no result that anybody saw.
func (r *run) missing() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := history{Sync: r.plan.sync, events: r.events}
	j := judgement{history: h}
	have := map[string]bool{}
	for _, e := range r.events {
		switch e.Kind {
		case fault:
			j.faults = append(j.faults, e)
		case seen:
			have[e.ID] = true
		}
	}
	n := 0
	for _, e := range r.events {
		if e.Kind == accepted && !have[e.ID] && !j.lossy(e.At) {
			n++
		}
	}
	return n
}

// lanes are all that the run uses.
func lanes() []queue.Lane {
	var all []queue.Lane
	for _, p := range queue.Priorities() {
		all = append(all, queue.Lane{Queue: queueName, Tenant: tenant, Priority: p})
	}
	return all
}

// awaitEmpty waits until nothing waits, runs or is due. What does not go away is found by endState.
func (r *run) awaitEmpty(ctx context.Context) {
	late := time.Now().Add(settleBound)
	for time.Now().Before(late) && sleep(ctx, 20*time.Millisecond) {
		d, err := r.admin.Depth(ctx, lanes())
		if err != nil {
			continue
		}
		n := d.Due[queueName]
		for _, l := range d.Lanes {
			n += l.Waiting + l.Running
		}
		if n == 0 {
			return
		}
	}
}

// kept are the keys that may stay, each with its own end. What may not stay is looked at by its content in endState.
var kept = regexp.MustCompile(`^cs:\{work\}:(in:acme:[012]|st:acme:[0-9a-f]{32}|res:[0-9a-f]{32}:[0-9a-f]{32}|dead|events|orders|cancels|cancel:.*|unique:acme:.*|gate:_suspect)$`)

// endState notes what Redis holds once all is over.
func (r *run) endState() {
	now := time.Now()
	for _, l := range lanes() {
		key := fmt.Sprintf("cs:{%s}:in:%s:%d", queueName, tenant, l.Priority)
		if n := r.server.Do("XLEN", key); n != int64(0) {
			r.add(event{At: now, Kind: left, Text: fmt.Sprintf("%s holds %v entries", key, n)})
		}
		if p, ok := r.server.Do("XPENDING", key, "workers").([]any); ok && p[0] != int64(0) {
			r.add(event{At: now, Kind: left, Text: fmt.Sprintf("%s has %v pending", key, p)})
		}
	}
	for at := "0"; ; {
		page, ok := r.server.Do("SCAN", at, "COUNT", "1000").([]any)
		if !ok || len(page) != 2 {
			r.fail(errors.New("SCAN does not answer as it should"))
			return
		}
		for _, key := range page[1].([]any) {
			if !kept.MatchString(key.(string)) {
				r.add(event{At: now, Kind: left, Text: key.(string)})
			}
		}
		if at = page[0].(string); at == "0" {
			break
		}
	}
	for id := range r.accepted {
		s, err := r.admin.State(context.Background(), lanes()[0], id)
		if err != nil {
			r.fail(err)
			return
		}
		r.add(event{At: now, Kind: state, ID: id, Text: string(s.Phase)})
	}
	for after := ""; ; {
		letters, err := r.admin.DeadLetters(context.Background(), queueName, after, queue.PageMax)
		if err != nil {
			r.fail(err)
			return
		}
		if len(letters) == 0 {
			return
		}
		for _, l := range letters {
			r.add(event{At: now, Kind: letter, ID: l.ID, Code: l.Code, Who: l.Worker})
			after = l.Entry
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
