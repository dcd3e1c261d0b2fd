package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A plan is what a seed stands for: who works, what is sent, and what breaks when.
type plan struct {
	seed    uint64
	set     string        // what Redis is: one of the words below
	queues  int           // how many of queueNames it uses
	sync    string        // Redis's appendfsync
	lasts   time.Duration // until the last fault begins
	workers []workerPlan
	batches []batchPlan // in the order of time
	redis   []breakage  // one at a time, in the order of time
	wires   []breakage
	forge   []time.Duration // when the attacker writes an entry
	extras  []extraPlan     // what is more than a batch, in the order of time
	orders  []orderPlan     // an operator's, one after the other
}

// What Redis can be in a plan.
const (
	single   = "single"
	failover = "failover" // a master, a replica and three Sentinels: the master is killed
	stale    = "stale"    // likewise: the master is stopped, and comes back when there is another
	cluster  = "cluster"  // three nodes, with a queue on each
)

// returned is the fault of a master that has come back and does not know yet that it is none any more.
const returned = "returned"

// mixOf says by its last digit what a seed mixes. Seeds that end in 0, 3 and 9 are those of before there was anything else than one server and
// no operator: those that found something mean what they meant then.
func mixOf(seed uint64) (set string, orders bool) {
	switch seed % 10 {
	case 0, 3, 9:
		return single, false
	case 1, 6:
		return failover, seed%10 == 6
	case 4:
		return stale, false
	case 7:
		return cluster, seed%20 == 7
	}
	return single, true
}

// workerPlan is one place for a worker. Whenever its process has been killed, the next one starts there.
type workerPlan struct {
	lives   []string      // CAISSON_CHAOS of each process, see cmd/caisson/faults_chaos.go; after the last: none
	stopFor time.Duration // after it stopped itself
}

// batchPlan is one SendMany.
type batchPlan struct {
	at    time.Duration
	tasks []taskPlan
}

// taskPlan is one task: what it does, and how urgent it is.
type taskPlan struct {
	kind     string
	priority int
	queue    int // of queueNames
}

// extraPlan is something that belongs together: two with one unique key, steps of a plan, tasks and orders to cancel them, or several that pass a gate.
type extraPlan struct {
	at    time.Duration
	what  string // unique, chain, group, cancel, gated
	kinds []string
	wait  time.Duration // before the order
	queue int
}

// orderPlan is an order of an operator, or a few that belong together.
type orderPlan struct {
	at    time.Duration
	act   string        // pause, cancel, requeue, purge, purge_dead, or clear: a pause, something sent, a purge
	lasts time.Duration // of a pause
	code  string        // of letters; empty: all
	pick  uint64        // whom to cancel
	queue int
	kills int // of a pause: the number of the worker that is killed in it, from 1; 0: none
}

// breakage is one fault.
type breakage struct {
	at, lasts time.Duration
	target    int    // a worker's place; clients for the producers' wire; of Redis: a node of the cluster
	act       string // of Redis: kill, lose, freeze, failover, stale, move; of a wire: partition, silence, slow, cut; of a worker: term, kill, stop
	n         int    // bytes of cut; of move: which queue; milliseconds of slow, of lose, and of a replica that hears nothing before a failover
}

// clients as a target is the wire of producers and of those who wait.
const clients = -1

// poisonMark is in the payload of a task that takes its worker with it.
const poisonMark = "hemlock"

// kinds are how often each kind of task is drawn.
var kinds = map[string]int{
	"done": 40, "until": 8, "after": 5, "sleep": 4, "later": 6, "final": 8, "always": 6, "panic": 3, "brief": 4, "denied": 4,
}

// planOf draws the plan of a seed. What it draws must not depend on anything else.
func planOf(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 0xca155011))
	p := plan{seed: seed, queues: 1, sync: "always", lasts: between(r, 2*time.Second, 4*time.Second)}
	if r.IntN(2) == 0 {
		p.sync = "everysec"
	}
	for range 2 + r.IntN(2) {
		p.workers = append(p.workers, drawWorker(r))
	}
	for range 12 + r.IntN(20) {
		p.batches = append(p.batches, drawBatch(r, p.lasts))
	}
	slices.SortFunc(p.batches, func(a, b batchPlan) int { return int(a.at - b.at) })
	p.drawRedis(r)
	for range r.IntN(6) {
		p.wires = append(p.wires, p.drawWire(r))
	}
	slices.SortFunc(p.wires, func(a, b breakage) int { return int(a.at - b.at) })
	for range r.IntN(8) {
		p.forge = append(p.forge, between(r, 0, p.lasts))
	}
	slices.Sort(p.forge)
	if r.IntN(6) == 0 {
		p.batches = append(p.batches, batchPlan{p.lasts / 2, []taskPlan{{kind: "poison", priority: 1}, {kind: "done", priority: 1}, {kind: "done", priority: 1}}})
		slices.SortFunc(p.batches, func(a, b batchPlan) int { return int(a.at - b.at) })
	}
	p.drawExtras()
	set, orders := mixOf(seed)
	if p.set = set; set != single {
		p.drawSet()
	}
	if orders {
		p.drawOrders()
	}
	if digit := seed % 10; digit != 0 && digit != 3 && digit != 9 {
		p.drawMore()
		if seed%20 >= 10 { // the others found something before there was this
			p.drawLast()
		}
	}
	return p
}

// drawSet makes the plan one for several servers. Its clients learn from them where to connect to, so no wire of ours is in between: what is
// left of those faults are those of workers.
func (p *plan) drawSet() {
	r := rand.New(rand.NewPCG(p.seed, 0x5e7))
	p.wires = slices.DeleteFunc(p.wires, func(b breakage) bool {
		return b.target == clients || !slices.Contains([]string{"kill", "stop", "term"}, b.act)
	})
	p.redis = nil
	at := between(r, 500*time.Millisecond, p.lasts)
	switch p.set {
	case failover, stale:
		p.sync = "everysec"
		p.redis = []breakage{{at: at, lasts: between(r, 0, time.Second), act: p.set, n: max(0, r.IntN(1000)-400)}}
	case cluster:
		p.sync, p.queues = "always", len(queueNames)
		for range 1 + r.IntN(2) {
			act := []string{"kill", "kill", "freeze"}[r.IntN(3)]
			b := breakage{at: at, lasts: between(r, 50*time.Millisecond, 2500*time.Millisecond), target: r.IntN(3), act: act}
			p.redis = append(p.redis, b)
			at = b.at + b.lasts + between(r, 200*time.Millisecond, time.Second)
		}
		p.spread(r, 2)
		if r := rand.New(rand.NewPCG(p.seed, 0x510)); r.IntN(2) == 0 { // half of those plans also move a queue to another node
			p.redis = append(p.redis, breakage{at: at, lasts: between(r, 300*time.Millisecond, 2*time.Second), target: r.IntN(3), act: "move", n: r.IntN(p.queues)})
		}
	}
}

// spread sends to others than the first queue, too: one in others of what is sent.
func (p *plan) spread(r *rand.Rand, others int) {
	draw := func() int {
		if r.IntN(others) > 0 {
			return 0
		}
		return 1 + r.IntN(p.queues-1)
	}
	for _, b := range p.batches {
		for i := range b.tasks {
			b.tasks[i].queue = draw()
		}
	}
	for i := range p.extras {
		p.extras[i].queue = draw()
	}
}

// purgedQueue is the only one that is purged, so that there is much that is not.
const purgedQueue = 1

// drawOrders draws what an operator orders.
func (p *plan) drawOrders() {
	r := rand.New(rand.NewPCG(p.seed, 0x0dde5))
	if p.queues == 1 {
		p.queues = 2
		p.spread(r, 4)
	}
	acts := []string{"pause", "pause", "cancel", "cancel", "cancel", "requeue", "requeue", "requeue", "purge", "purge_dead", "clear"}
	always := []string{"requeue", "pause"}
	for i := range 3 + r.IntN(4) {
		act := acts[r.IntN(len(acts))]
		if i < len(always) {
			act = always[i]
		}
		p.orders = append(p.orders, orderPlan{
			at: between(r, p.lasts/4, p.lasts), act: act, lasts: between(r, 1500*time.Millisecond, 2500*time.Millisecond),
			code: []string{"", "", "task.failed", "task.error"}[r.IntN(4)], pick: r.Uint64(), queue: r.IntN(p.queues),
		})
	}
	if r := rand.New(rand.NewPCG(p.seed, 0xc1ea5)); r.IntN(2) == 0 { // of itself it comes too seldom
		p.orders = append(p.orders, orderPlan{at: between(r, p.lasts/4, p.lasts), act: "clear"})
	}
	for i, o := range p.orders {
		if o.act == "purge" || o.act == "clear" {
			p.orders[i].queue = purgedQueue
		}
	}
	slices.SortFunc(p.orders, func(a, b orderPlan) int { return int(a.at - b.at) })
}

// drawMore draws what came after the first extras.
func (p *plan) drawMore() {
	r := rand.New(rand.NewPCG(p.seed, 0x0e))
	for range r.IntN(4) {
		e := extraPlan{at: between(r, 0, p.lasts), what: []string{"group", "gated"}[r.IntN(2)], queue: r.IntN(p.queues)}
		if e.what == "group" {
			e.kinds = [][]string{{"done", "until", "done", "step"}, {"done", "final", "cut"}, {"sleep", "done", "step"}}[r.IntN(3)]
		} else {
			e.kinds = slices.Repeat([]string{"gated"}, 4+r.IntN(gateBurst+3))
		}
		p.extras = append(p.extras, e)
	}
	slices.SortFunc(p.extras, func(a, b extraPlan) int { return int(a.at - b.at) })
}

// drawLast draws what of itself comes too seldom: a worker that is stopped for longer than its lease with work granted to it, one that is started anew
// while its queue is paused, and a server that forgets ends, but not what has ended.
func (p *plan) drawLast() {
	r := rand.New(rand.NewPCG(p.seed, 0x1a57))
	if r.IntN(2) == 0 {
		w := &p.workers[r.IntN(len(p.workers))]
		word := fmt.Sprintf("start:%d:stop", 1+r.IntN(4))
		w.stopFor = between(r, lease+300*time.Millisecond, lease+1300*time.Millisecond)
		w.lives = append([]string{word}, w.lives...)
	}
	for i := range p.orders {
		if o := &p.orders[i]; o.act == "pause" {
			o.kills = 1 + r.IntN(len(p.workers))
		}
	}
	if p.set == single && r.IntN(2) == 0 {
		p.drawForgotten(r)
	}
}

// drawForgotten has tasks wait for their time when Redis is set back to, and end before that is done.
func (p *plan) drawForgotten(r *rand.Rand) {
	p.sync = "everysec"
	at := between(r, laterBy+time.Second, laterBy+2*time.Second)
	if n := len(p.redis); n > 0 {
		at += p.redis[n-1].at + p.redis[n-1].lasts
	}
	p.redis = append(p.redis, breakage{at: at, lasts: between(r, 50*time.Millisecond, 500*time.Millisecond), act: "lose", n: int(laterBy.Milliseconds()) - 50 + r.IntN(150)})
	tasks := slices.Repeat([]taskPlan{{kind: "later", priority: 1}}, 8)
	p.batches = append(p.batches, batchPlan{at - laterBy - 250*time.Millisecond, tasks})
	slices.SortFunc(p.batches, func(a, b batchPlan) int { return int(a.at - b.at) })
}

// has says whether the operator gives orders of an act.
func (p plan) has(act string) bool {
	return slices.ContainsFunc(p.orders, func(o orderPlan) bool { return o.act == act })
}

// drawExtras draws from a source of its own, so that what seeds meant before there were extras they still mean.
func (p *plan) drawExtras() {
	r := rand.New(rand.NewPCG(p.seed, 0xe717a5))
	for range r.IntN(8) {
		e := extraPlan{at: between(r, 0, p.lasts), what: []string{"unique", "chain", "cancel"}[r.IntN(3)], wait: between(r, 0, time.Second)}
		switch e.what {
		case "unique":
			e.kinds = []string{"unique", "unique"}
		case "chain":
			e.kinds = [][]string{{"done", "step", "step"}, {"until", "step"}, {"final", "cut", "cut"}}[r.IntN(3)]
		case "cancel":
			e.kinds = []string{"cancel", "shelved"}
		}
		p.extras = append(p.extras, e)
	}
	slices.SortFunc(p.extras, func(a, b extraPlan) int { return int(a.at - b.at) })
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// points are where a worker may be met, and up to which time that it gets there.
var points = []struct {
	name string
	most int
}{{"claim", 12}, {"start", 12}, {"settle", 15}, {"settled", 15}, {"renew", 4}}

func drawWorker(r *rand.Rand) workerPlan {
	w := workerPlan{stopFor: between(r, 100*time.Millisecond, 2500*time.Millisecond)}
	for range r.IntN(4) {
		var words []string
		for range 1 + r.IntN(2) {
			point := points[r.IntN(len(points))]
			act := "kill"
			switch r.IntN(5) {
			case 0, 1:
				act = "stop"
			case 2:
				act = (time.Duration(r.IntN(6000)-3000) * time.Millisecond).String()
			}
			words = append(words, fmt.Sprintf("%s:%d:%s", point.name, 1+r.IntN(point.most), act))
		}
		w.lives = append(w.lives, strings.Join(words, " "))
	}
	return w
}

func drawBatch(r *rand.Rand, lasts time.Duration) batchPlan {
	b := batchPlan{at: between(r, 0, lasts)}
	sum := 0
	names := sortedKeys(kinds)
	for _, name := range names {
		sum += kinds[name]
	}
	for range 1 + r.IntN(8) {
		at := r.IntN(sum)
		for _, name := range names {
			if at -= kinds[name]; at < 0 {
				b.tasks = append(b.tasks, taskPlan{kind: name, priority: r.IntN(3)})
				break
			}
		}
	}
	return b
}

// drawRedis draws at most two faults of the server, the second after the first.
func (p *plan) drawRedis(r *rand.Rand) {
	acts := []string{"kill", "kill", "freeze"}
	if p.sync == "everysec" {
		acts = append(acts, "lose", "lose")
	}
	at := between(r, 300*time.Millisecond, p.lasts)
	for range r.IntN(3) {
		b := breakage{at: at, lasts: between(r, 50*time.Millisecond, 1500*time.Millisecond), act: acts[r.IntN(len(acts))], n: 50 + r.IntN(950)}
		p.redis = append(p.redis, b)
		if at = b.at + b.lasts + between(r, 200*time.Millisecond, time.Second); at > p.lasts {
			return
		}
	}
}

func (p *plan) drawWire(r *rand.Rand) breakage {
	acts := []string{"partition", "silence", "slow", "cut", "cut", "kill", "stop", "term"}
	b := breakage{
		at: between(r, 100*time.Millisecond, p.lasts), lasts: between(r, 100*time.Millisecond, 2500*time.Millisecond),
		target: r.IntN(len(p.workers)+1) - 1, act: acts[r.IntN(len(acts))],
	}
	switch b.act {
	case "slow":
		b.n = 1 + r.IntN(80)
	case "cut":
		b.n = r.IntN(3000)
	case "kill", "stop", "term":
		b.target = r.IntN(len(p.workers))
	}
	return b
}

// steps are how far the plan puts a worker's clock forward and back, at most: the sums, for several may meet one process.
func (p plan) steps() (forward, back time.Duration) {
	for _, w := range p.workers {
		for _, life := range w.lives {
			ahead, behind := time.Duration(0), time.Duration(0)
			for word := range strings.FieldsSeq(life) {
				if d, err := time.ParseDuration(word[strings.LastIndexByte(word, ':')+1:]); err == nil {
					ahead, behind = ahead+max(d, 0), behind+max(-d, 0)
				}
			}
			forward, back = max(forward, ahead), max(back, behind)
		}
	}
	return forward, back
}

// hasPoison says whether a task of the plan takes workers with it.
func (p plan) hasPoison() bool {
	return slices.ContainsFunc(p.batches, func(b batchPlan) bool {
		return slices.ContainsFunc(b.tasks, func(t taskPlan) bool { return t.kind == "poison" })
	})
}
