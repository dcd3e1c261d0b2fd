package chaos_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
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
	tb      testing.TB
	kit     *kit
	plan    plan
	dir     string // logs and the history
	servers *servers
	wires   []*proxy // of the workers, by their place; the last is the clients'. None where Redis is several servers
	places  []*place
	admin   *redisqueue.Client // straight to Redis, with every right: the attacker's and the observer's
	client  *client.Client     // through the clients' wire
	boss    *redisqueue.Client // an operator's, likewise
	answers *redisqueue.Results
	begun   time.Time
	keep    time.Duration // of results; 0: an hour
	pages   bool          // workers serve their metrics

	letterMax int  // dead letters that are kept, about; 0: as many as usual
	quiet     bool // no history is kept

	mu       sync.Mutex
	events   []event
	faults   []error // of the test itself
	receipts []client.Receipt
	accepted map[string]string    // queues by message
	told     map[string]time.Time // by worker: when it was told to end in the middle of the run
	sizes    []written
	last     map[string]string // the sum of the result that was last seen, by message; the observer's
}

// written is how much Redis had written at a time: see weigh.
type written struct {
	at   time.Time
	size int64
}

func newRun(tb testing.TB, p plan, dir string) *run {
	if p.queues == 0 {
		p.queues = 1
	}
	return &run{tb: tb, kit: openKit(tb), plan: p, dir: dir, accepted: map[string]string{}, told: map[string]time.Time{}, last: map[string]string{}}
}

// queues are those that the run uses.
func (r *run) queues() []string { return queueNames[:r.plan.queues] }

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
	r := newRun(tb, p, dir)
	r.open()
	r.begun = time.Now()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	var sending, breaking, looking sync.WaitGroup
	sending.Go(func() { r.produce(ctx, p.batches, 0) })
	sending.Go(func() { r.produce(ctx, p.batches, 1) })
	sending.Go(func() { r.produceExtras(ctx) })
	sending.Go(func() { r.attack(ctx) })
	sending.Go(func() { r.command(ctx) })
	breaking.Go(func() { r.breakWires() })
	looking.Go(func() { r.observe(ctx) })
	looking.Go(func() { r.weigh(ctx) })

	r.breakRedis()
	breaking.Wait()
	for _, w := range r.wires {
		w.heal()
	}
	sending.Wait() // what was not taken is sent again until it is
	r.commandCalm(ctx)
	r.add(event{At: time.Now(), Kind: quiet})
	r.awaitAll(ctx)
	r.awaitEmpty(ctx)
	for _, w := range r.places {
		w.end()
	}
	cancel()
	looking.Wait()
	r.look(tb.Context()) // once more, now that all is over
	r.endState()

	for _, err := range r.faults {
		tb.Error(err)
	}
	forward, back := p.steps()
	h := history{Seed: p.seed, Set: p.set, Sync: p.sync, Lease: lease, Step: forward, Back: back, Workers: len(p.workers), events: r.events}
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
	r.servers = startServers(tb, r.plan)
	r.servers.addUser(tb, "shop", queuetest.UserProducer, queuetest.Issuer, r.kit.shop.Public().ID().String())
	r.servers.addUser(tb, "boss", queuetest.UserOperator, queuetest.Operator, r.kit.boss.Public().ID().String())
	if len(r.servers.nodes) == 1 {
		for range len(r.plan.workers) + 1 {
			r.wires = append(r.wires, newProxy(tb, r.servers.nodes[0].Addr()))
		}
	}
	r.admin = dial(tb, r.servers.login(queuetest.UserAdmin), "", queuetest.UserAdmin)
	login := r.servers.login(queuetest.UserWorker)
	shop := dial(tb, login, r.wire(clients), "shop")
	results := redisqueue.OpenResults(shop)
	tb.Cleanup(func() { results.Close() })
	r.boss = dial(tb, login, r.wire(clients), "boss")
	r.answers = redisqueue.OpenResults(r.boss)
	tb.Cleanup(func() { r.answers.Close() })
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
		if err := r.kit.deploy(p.dir, name, p.page, where(login, r.wire(i)), r.queues(), cmp.Or(r.keep, time.Hour), r.letterMax, login); err != nil {
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

// wire returns the address of a wire to Redis, by the place of its worker; empty: there is none.
func (r *run) wire(target int) string {
	switch {
	case len(r.wires) == 0:
		return ""
	case target == clients:
		return r.wires[len(r.wires)-1].addr()
	}
	return r.wires[target].addr()
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

// until waits for a time of the plan.
func (r *run) until(d time.Duration) { time.Sleep(time.Until(r.begun.Add(d))) }

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
	who, wire := "clients", (*proxy)(nil)
	if b.target != clients {
		who = r.places[b.target].name
	}
	if len(r.wires) > 0 {
		wire = r.wires[(b.target+len(r.wires))%len(r.wires)] // that of the clients is the last
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

// missing counts what was accepted and has no result that anybody saw, though it must get one.
func (r *run) missing() int {
	r.mu.Lock()
	h := history{Sync: r.plan.sync, events: slices.Clone(r.events)}
	r.mu.Unlock()
	h.sort()
	j := newJudgement(h)
	n := 0
	for id, events := range j.byID {
		if a, s := first(events, accepted), first(events, sent); a != nil && s != nil && first(events, seen) == nil && !j.lossy(a.At) && !j.purged(id) {
			n++
		}
	}
	return n
}

// lanes are those of a queue that the run uses.
func lanes(name string) []queue.Lane {
	var all []queue.Lane
	for _, p := range queue.Priorities() {
		all = append(all, queue.Lane{Queue: name, Tenant: tenant, Priority: p})
	}
	return all
}

// awaitEmpty waits until nothing waits, runs or is due. What does not go away is found by endState.
func (r *run) awaitEmpty(ctx context.Context) {
	late := time.Now().Add(settleBound)
	for time.Now().Before(late) && sleep(ctx, 20*time.Millisecond) {
		if n, err := r.depth(ctx); err == nil && n == 0 {
			return
		}
	}
}

// depth counts what waits, runs or is due.
func (r *run) depth(ctx context.Context) (n int64, err error) {
	for _, name := range r.queues() {
		d, err := r.admin.Depth(ctx, lanes(name))
		if err != nil {
			return 0, err
		}
		n += d.Due[name]
		for _, l := range d.Lanes {
			n += l.Waiting + l.Running
		}
	}
	return n, nil
}

// endState notes what Redis holds once all is over.
func (r *run) endState() {
	now := time.Now()
	for _, name := range r.queues() {
		server := r.servers.of(r.tb, name)
		for _, l := range lanes(name) {
			if n := server.Do("XLEN", laneKey(l)); n != int64(0) {
				r.add(event{At: now, Kind: left, Text: fmt.Sprintf("%s holds %v entries", laneKey(l), n)})
			}
			if p, ok := server.Do("XPENDING", laneKey(l), laneGroup).([]any); ok && p[0] != int64(0) {
				r.add(event{At: now, Kind: left, Text: fmt.Sprintf("%s has %v pending", laneKey(l), p)})
			}
		}
		r.endLetters(name, now)
		err := r.admin.KeptEvents(context.Background(), name, "0", func(_ string, e queue.Event) {
			r.add(event{At: now, Kind: noted, ID: e.ID, Queue: name, Who: e.Worker, Text: string(e.Kind), Code: e.Code, Attempt: e.Attempt})
		})
		if err != nil {
			r.fail(err)
		}
	}
	for _, server := range r.servers.masters() {
		eachKey(r.tb, server, func(key string) {
			if !kept.MatchString(key) {
				r.add(event{At: now, Kind: left, Text: key})
			}
		})
	}
	for id, name := range r.accepted {
		s, err := r.admin.State(context.Background(), lanes(name)[0], id)
		if err != nil {
			r.fail(err)
			return
		}
		r.add(event{At: now, Kind: state, ID: id, Text: string(s.Phase)})
	}
}

// endLetters notes the dead letters of a queue.
func (r *run) endLetters(name string, now time.Time) {
	for after := ""; ; {
		letters, err := r.admin.DeadLetters(context.Background(), name, after, queue.PageMax)
		if err != nil {
			r.fail(err)
			return
		}
		if len(letters) == 0 {
			return
		}
		for _, l := range letters {
			r.add(event{At: now, Kind: letter, ID: l.ID, Queue: name, Code: l.Code, Who: l.Worker})
			after = l.Entry
		}
	}
}

// eachKey calls found for every key of a server.
func eachKey(tb testing.TB, server *queuetest.Server, found func(key string)) {
	tb.Helper()
	for at := "0"; ; {
		page, ok := server.Do("SCAN", at, "COUNT", "10000").([]any)
		if !ok || len(page) != 2 {
			tb.Fatal("SCAN does not answer as it should")
		}
		for _, key := range page[1].([]any) {
			found(key.(string))
		}
		if at = page[0].(string); at == "0" {
			return
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
