package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A finding is a broken promise.
type finding struct {
	what string // one of the words below
	id   string
	text string
}

func (f finding) String() string { return strings.TrimSpace(f.what + ": " + f.id + " " + f.text) }

// What a history can show.
const (
	lost       = "lost"            // accepted, and never ended
	twice      = "settled twice"   // two outcomes were told
	changed    = "result changed"  // after somebody had seen it
	wrong      = "wrong end"       // not one that this kind of task can have
	ranAgain   = "ran again"       // without a failure, a crash or a lost lease before it
	after      = "ran after"       // its outcome had been told
	early      = "ran early"       // before its not-before
	unsigned   = "ran unsigned"    // nobody sent it
	disagree   = "disagreement"    // between result, log, state and dead letters
	stuck      = "stuck"           // not all ended in time once the faults were over
	leak       = "leak"            // Redis keeps what should have gone
	died       = "died by itself"  // a worker ended, and nobody had killed it
	unkept     = "garbage unkept"  // what cannot run is not among the dead letters
	double     = "unique twice"    // two with one key were done
	innocent   = "innocent poison" // put aside as poison, without so many faults to blame it for
	deaf       = "ran paused"      // after every worker had heard the pause
	defied     = "ran cancelled"   // long after the order to cancel it was taken
	remains    = "ran purged"      // after a worker had answered that what waited is purged
	crowd      = "crowd"           // more ran at a time than the gate lets in
	outdated   = "ran expired"     // after its expiry
	unfed      = "ran unfed"       // a step, before what it comes after was done
	hollow     = "done unfinished" // no guest had come to its end
	miscounted = "miscounted"      // attempts, which are failures and nothing else
	rumour     = "false event"     // those who watch were told of an end that was none
	rush       = "rush"            // more began than the gate's rate lets begin
)

// Bounds of the promise. Redis fsyncs each second, and lets one more pass when the disk is slow.
// Source: redis.conf, appendfsync everysec.
const (
	lossMax     = 2 * time.Second
	settleBound = 90 * time.Second // on two busy cores; what it took is logged
	poisonAfter = 3                // crashes after which a message is poison
)

// ends are the statuses and codes that a task of a kind may end with, besides poison after enough crashes.
var ends = map[string][]string{
	"done":    {"done"},
	"until":   {"done"},
	"after":   {"done"},
	"sleep":   {"done"},
	"later":   {"done"},
	"final":   {"failed task.failed"},
	"always":  {"dead task.error"},
	"panic":   {"dead task.error"},
	"brief":   {"done", "refused envelope.expired"},
	"denied":  {"refused policy.denied"},
	"poison":  {"refused worker.poison"},
	"unique":  {"done", "refused task.duplicate"},
	"step":    {"done"},
	"cut":     {"refused plan.input"},
	"cancel":  {"done", "refused task.cancelled"},
	"unheard": {"done", "refused task.cancelled"},
	"shelved": {"done", "refused task.cancelled"}, // done only where the order was lost: see judgement.cancelled
	"gated":   {"done"},
	"cleared": {"done"},
	"stored":  {"done"},
}

// judge returns every finding in h, which must be sorted.
func judge(h history) []finding {
	j := newJudgement(h)
	for _, e := range h.events {
		switch {
		case e.Kind == left:
			j.find(leak, e.ID, "%s", e.Text)
		case e.Kind == ended && e.Text != "0":
			j.find(died, e.Who, "exit status %s", e.Text)
		}
	}
	for _, id := range sortedKeys(j.byID) {
		j.one(id, j.byID[id])
	}
	j.unique()
	j.pauses()
	j.clears()
	j.gates()
	j.told()
	j.pace()
	j.garbage()
	return j.findings
}

// judgement is one judge at work.
type judgement struct {
	history
	byID     map[string][]event
	faults   []event
	orders   []event
	poison   map[string]bool
	findings []finding
}

func newJudgement(h history) *judgement {
	j := &judgement{history: h, byID: map[string][]event{}, poison: map[string]bool{}}
	for _, e := range h.events {
		switch {
		case e.Kind == fault:
			j.faults = append(j.faults, e)
		case e.Kind == ordered:
			j.orders = append(j.orders, e)
		}
		if e.ID != "" && e.Kind != left {
			j.poison[e.ID] = j.poison[e.ID] || e.Kind == sent && e.Text == "poison"
			j.byID[e.ID] = append(j.byID[e.ID], e)
		}
	}
	return j
}

// first returns the first event of a kind, nil when there is none.
func first(events []event, kind eventKind) *event {
	if i := slices.IndexFunc(events, func(e event) bool { return e.Kind == kind }); i >= 0 {
		return &events[i]
	}
	return nil
}

func (j *judgement) find(what, id, format string, args ...any) {
	j.findings = append(j.findings, finding{what, id, fmt.Sprintf(format, args...)})
}

// lossy says whether Redis may have forgotten what it was told in the time around t.
func (j *judgement) lossy(t time.Time) bool { return j.lossyIn(t, t) }

// forgot says whether Redis may have forgotten an outcome. Its worker tells it once it is written, and may have been stopped in between; it was
// written after the run had begun, or, where nothing ran, after the message was sent.
func (j *judgement) forgot(told event) bool {
	from := told.At
	for _, e := range slices.Backward(j.byID[told.ID]) {
		if (e.Kind == ran && e.Who == told.Who || e.Kind == sent) && !e.At.After(told.At) {
			from = e.At
			break
		}
	}
	return j.lossyIn(from, told.At)
}

// stands says whether a worker told of an end that Redis cannot have forgotten: what a worker had when its queue was purged goes on.
func (j *judgement) stands(told []event) bool {
	return slices.ContainsFunc(told, func(e event) bool { return !j.forgot(e) })
}

// lossyIn says whether Redis may have forgotten what it was told at some time between two.
func (j *judgement) lossyIn(begin, end time.Time) bool {
	return slices.ContainsFunc(j.faults, func(f event) bool {
		from := f.At
		switch {
		case f.Who != "redis":
			return false
		case f.Text == "lose", f.Text == failover, f.Text == stale, f.Text == returned: // At is what is still known
			from = from.Add(-50 * time.Millisecond)
		case f.Text == "kill" && j.Sync != "always":
			from = from.Add(-lossMax)
		default:
			return false
		}
		return end.After(from) && begin.Before(f.Until.Add(time.Second))
	})
}

// apart says whether what was done at b may have been done with a master that had come back and knew nothing of an end that was told: the
// replica in its place did not have it from the old one.
func (j *judgement) apart(told event, b time.Time) bool {
	shared := time.Time{}
	for _, f := range j.faults {
		switch {
		case f.Who == "redis" && f.Text == stale:
			shared = f.At
		case f.Who == "redis" && f.Text == returned && told.At.After(shared) && b.After(f.At.Add(-50*time.Millisecond)) && b.Before(f.Until.Add(time.Second)):
			return true
		}
	}
	return false
}

// one judges one message.
func (j *judgement) one(id string, events []event) {
	of := func(kind eventKind) []event {
		return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Kind != kind })
	}
	sends, accepts, results := of(sent), of(accepted), of(seen)
	if len(sends) == 0 {
		if len(of(ran)) > 0 {
			j.find(unsigned, id, "by %s", of(ran)[0].Who)
		}
		return
	}
	kind := sends[0].Text
	told := slices.DeleteFunc(of(said), func(e event) bool { return e.Text == "retried" || e.Text == "lost" })
	if len(accepts) > 0 && len(results) == 0 && !j.lossy(accepts[0].At) && (!j.purged(id) || j.stands(told)) {
		j.find(lost, id, "a task of kind %s that was accepted at %s", kind, clock(accepts[0].At))
	}
	for _, s := range told {
		if s.Code == "queue.vanished" && !j.forgot(s) && j.Set != failover && j.Set != stale { // nobody here deletes what a worker holds
			j.find(wrong, id, "its entry went while %s had it", s.Who)
		}
	}
	j.outcomes(id, slices.Clone(told))
	j.results(id, told, results, of(gone))
	j.runs(id, kind, of(ran), of(said), told, sends[0])
	j.begins(id, of(ran), of(said), sends[0])
	j.finishes(id, of(ran), of(over), told, results)
	j.attempts(id, kind, of(ran), of(said), told, results)
	j.cancelled(id, sends[0], of(ran), of(taken), told)
	if len(results) == 0 {
		return
	}
	last := results[len(results)-1]
	end := strings.TrimSpace(last.Text + " " + last.Code)
	poisoned := end == "refused worker.poison" && kind != "poison"
	if n := j.blows(sends[0].At, last.At); poisoned && n < poisonAfter {
		j.find(innocent, id, "a task of kind %s was put aside, and only %d faults could have ended its lease", kind, n)
	}
	if !poisoned && !j.afterwards(id, kind, end) && !slices.Contains(ends[kind], end) {
		j.find(wrong, id, "a task of kind %s ended as %q", kind, end)
	}
	if !j.lossy(sends[0].At) && !j.lossy(last.At) {
		j.agreement(id, last, told, of(state), of(letter))
	}
}

// outcomes holds that one outcome is told, and one more for each time that an order may have requeued the dead letter.
func (j *judgement) outcomes(id string, told []event) {
	requeued := j.requeues(id)
	for i := 1; i < len(told); i++ {
		before := told[i-1]
		if j.apart(before, told[i].At) {
			told[i] = before // it counts for nothing
			continue
		}
		if j.forgot(before) || before.Text != "done" && requeued.between(before.At, told[i].At) {
			continue
		}
		j.find(twice, id, "%s by %s at %s, %s by %s at %s", before.Text, before.Who, clock(before.At), told[i].Text, told[i].Who, clock(told[i].At))
		return
	}
}

// results holds that a result stays as it is. It may be seen long after the end that it is of, which was told. A master that has come back shows
// what it has.
func (j *judgement) results(id string, told, results, gones []event) {
	requeued := j.requeues(id)
	for i := 1; i < len(results); i++ {
		a, b := results[i-1], results[i]
		if slices.ContainsFunc(told, func(end event) bool { return end.At.Before(a.At) && j.apart(end, b.At) }) {
			results[i] = a // b counts for nothing
			continue
		}
		if j.lossy(a.At) {
			requeued = j.requeues(id) // what an order had led to is forgotten, and the order may count again
			continue
		}
		old := slices.IndexFunc(results, func(e event) bool { return e.Sum == a.Sum }) // it may have come back with what had not been forgotten
		ended := results[old].At
		if end := lastBefore(told, ended); end != nil {
			ended = end.At
		}
		if a.Sum == b.Sum || j.lossy(results[0].At) || a.Text != "done" && requeued.between(ended, b.At) {
			continue
		}
		j.find(changed, id, "%s %s at %s, %s %s at %s", a.Text, a.Code, clock(a.At), b.Text, b.Code, clock(b.At))
		return
	}
	for _, g := range gones {
		if !j.lossy(results[0].At) && !j.lossy(g.At) { // a stale master does not know what the new one has
			j.find(changed, id, "seen at %s, gone at %s", clock(results[0].At), clock(g.At))
			return
		}
	}
}

// runs holds that a task runs again only for a reason, never once it has ended, and not before its time.
func (j *judgement) runs(id, kind string, runs, saids, told []event, send event) {
	slices.SortStableFunc(runs, func(a, b event) int { return began(a, saids, send).Compare(began(b, saids, send)) })
	for i, r := range runs {
		if end := lastBefore(told, began(r, saids, send)); end != nil && (j.remembered(*end, r) || !j.forgot(*end) && !j.apart(*end, r.At)) {
			if requeued := j.requeues(id); end.Text == "done" || !requeued.between(end.At, r.At) {
				j.find(after, id, "%s by %s at %s, run by %s at %s", end.Text, end.Who, clock(end.At), r.Who, clock(r.At))
			}
		}
		if !send.Until.IsZero() && r.At.Before(send.Until.Add(-j.Step)) {
			j.find(early, id, "at %s, not before %s", clock(r.At), clock(send.Until))
		}
		if requeued := j.requeues(id); i > 0 && !j.explained(runs[i-1], r, saids) && !requeued.between(runs[i-1].At, r.At) {
			j.find(ranAgain, id, "a task of kind %s, by %s at %s and by %s at %s", kind, runs[i-1].Who, clock(runs[i-1].At), r.Who, clock(r.At))
		}
	}
}

// remembered says whether the worker of a run had told of an end some time before, and was the same process still: it knows, whatever Redis has
// forgotten.
func (j *judgement) remembered(end, run event) bool {
	return end.Who == run.Who && end.Code != "queue.vanished" && end.At.Add(beginLate).Before(run.At) && !slices.ContainsFunc(j.events, func(e event) bool {
		return e.Who == run.Who && (e.Kind == ended || e.Kind == fault && e.Text == "kill") && e.At.After(end.At) && e.At.Before(run.At)
	})
}

// lastBefore returns the last of events that is not after t, nil when there is none.
func lastBefore(events []event, t time.Time) *event {
	for i, e := range slices.Backward(events) {
		if !e.At.After(t) {
			return &events[i]
		}
	}
	return nil
}

// began is when a run began, at the latest. Its guest says that it runs, but a worker that is stopped in between says so late:
// when its outcome was lost, it also says how long the run was, and when it had let it begin.
func began(r event, saids []event, send event) time.Time {
	at := r.At
	for _, s := range saids {
		if s.Who != r.Who || s.Text != "lost" || !s.At.After(r.At) {
			continue
		}
		if begun := s.At.Add(-s.Took); begun.Before(at) {
			at = begun
		}
		if let := send.At.Add(s.Waited); s.Waited > 0 && let.Before(at) {
			at = let
		}
	}
	return at
}

// explained says whether the run b may follow the run a: the first failed, or lost its lease, or a fault met its worker or Redis.
func (j *judgement) explained(a, b event, saids []event) bool {
	for _, s := range saids {
		if s.Who == a.Who && (s.Text == "lost" || s.Text == "retried" && !s.At.Before(a.At) && !s.At.After(b.At)) {
			return true
		}
	}
	if j.silenced(a, saids) {
		return true
	}
	return slices.ContainsFunc(j.faults, func(f event) bool {
		met := f.Who == a.Who || f.Who == "redis"
		return met && f.At.Before(b.At) && f.Until.After(a.At.Add(-j.Lease-time.Second))
	})
}

// silenced says whether the worker of a run was killed before it could say how the run ended: it may have lost its lease before
// that, on a machine that did not let it renew in time.
func (j *judgement) silenced(a event, saids []event) bool {
	return slices.ContainsFunc(j.faults, func(f event) bool {
		return f.Who == a.Who && f.Text == "kill" && f.At.After(a.At) && !slices.ContainsFunc(saids, func(s event) bool {
			return s.Who == a.Who && s.At.After(a.At) && s.At.Before(f.At)
		})
	})
}

// blows counts the faults between two times that may have ended a lease, and were no poison's doing.
func (j *judgement) blows(from, to time.Time) int {
	n := 0
	for _, f := range j.faults {
		if f.Who != "clients" && f.At.Before(to) && f.Until.After(from.Add(-j.Lease)) && !j.byPoison(f) {
			n++
		}
	}
	return n
}

// byPoison says whether a task of poison ran on the worker when it was killed.
func (j *judgement) byPoison(f event) bool {
	return f.Text == "kill" && slices.ContainsFunc(j.events, func(e event) bool {
		return e.Kind == ran && e.Who == f.Who && j.poison[e.ID] && e.At.Before(f.At) && e.At.After(f.At.Add(-j.Lease))
	})
}

// agreement holds that result, log, state and dead letters say the same.
func (j *judgement) agreement(id string, last event, told, states, letters []event) {
	end := first(told, said)
	if len(told) > 1 && j.given(id, "requeue", time.Time{}) {
		end = &told[len(told)-1]
	}
	// What somebody requeued may have ended once more without its worker having lived to tell.
	if end != nil && !j.forgot(*end) && !j.given(id, "requeue", end.At) {
		word := last.Text
		if word == "dead" {
			word = "failed" // the log's word for both
		}
		if end.Text != word {
			j.find(disagree, id, "the result is %s, the worker told %s", last.Text, end.Text)
		}
	}
	if last.Text != "done" && j.purged(id) && j.given(id, "requeue", time.Time{}) {
		return // back in its lane, and forgotten there: nothing but the old result is left of it
	}
	want := "dead"
	if last.Text == "done" {
		want = "done"
	}
	if len(states) > 0 && states[0].Text != want {
		j.find(disagree, id, "the result is %s, the state %q", last.Text, states[0].Text)
	}
	n, most := len(letters), 1
	if last.Text == "done" {
		most = 0
	}
	if n > most && !j.lossy(letters[0].At) || n < most && !j.given(id, "purge_dead", time.Time{}) {
		j.find(disagree, id, "the result is %s, with %d dead letters", last.Text, n)
	}
}

// unique holds that of those with one key exactly one was done.
func (j *judgement) unique() {
	done := map[string]int{}
	for _, id := range sortedKeys(j.byID) {
		for _, e := range j.byID[id] {
			if e.Kind == sent && e.Code != "" {
				if end := j.endOf(id); end == "done" {
					done[e.Code]++
				} else if end != "refused task.duplicate" || j.lossy(e.At) {
					done[e.Code] += 100 // not accepted, lost with Redis, or poison: nothing follows
				}
			}
		}
	}
	for _, key := range sortedKeys(done) {
		if n := done[key]; n > 1 && n < 100 {
			j.find(double, "", "%s: %d were done", key, n)
		}
	}
}

// endOf is the last status and code that anybody saw of a message.
func (j *judgement) endOf(id string) string {
	end := ""
	for _, e := range j.byID[id] {
		if e.Kind == seen {
			end = strings.TrimSpace(e.Text + " " + e.Code)
		}
	}
	return end
}

// afterwards says whether a task may have ended so for what befell it, or what it comes after: an order cancelled it; a step was refused since
// one before it was not done; that one never came, since it was purged or lost with Redis.
func (j *judgement) afterwards(id, kind, end string) bool {
	step := kind == "step" || kind == "cut"
	switch {
	case end == "refused task.cancelled":
		return first(j.byID[id], ordered) != nil
	case end == "refused plan.input" && step:
		return slices.ContainsFunc(first(j.byID[id], sent).After, func(input string) bool {
			return slices.ContainsFunc(j.byID[input], func(e event) bool {
				return e.Kind == seen && e.Text != "done" || e.Kind == said && (e.Text == "refused" || e.Text == "failed")
			})
		})
	case end == "refused envelope.expired" && step:
		return j.purged(id) || j.lossy(j.byID[id][0].At) || slices.ContainsFunc(j.faults, func(f event) bool { return f.Text == failover || f.Text == stale })
	}
	return false
}

// pace holds that all ends in time once the faults are over.
func (j *judgement) pace() {
	var over, all time.Time
	for _, e := range j.events {
		switch e.Kind {
		case quiet:
			over = e.At
		case settled:
			all = e.At
		}
	}
	switch {
	case over.IsZero():
		j.find(stuck, "", "the faults never ended")
	case all.IsZero():
		j.find(stuck, "", "not all had ended after %v", settleBound)
	case all.Sub(over) > settleBound:
		j.find(stuck, "", "it took %v, more than %v", all.Sub(over), settleBound)
	}
}

// garbage holds that each entry that is no message is kept with its reason.
func (j *judgement) garbage() {
	wrote, kept := 0, 0
	for _, e := range j.events {
		if e.Kind == forged && e.Text == "garbage" && !j.lossy(e.At) && !j.forgotten(e) {
			wrote++
		}
		if e.Kind == letter && e.ID == "" && e.Code != "queue.replayed" && e.Code != "queue.lane" {
			kept++
		}
	}
	if kept < wrote {
		j.find(unkept, "", "%d entries, %d dead letters", wrote, kept)
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestJudge gives the checker histories in which each promise is broken once.
func TestJudge(t *testing.T) {
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	// One task that failed once and was done, one that was denied, an attacker's garbage, and a worker that was killed.
	good := func() []event {
		return []event{
			{At: at(0), Kind: sent, ID: "a", Text: "until"}, {At: at(1), Kind: accepted, ID: "a"},
			{At: at(2), Kind: sent, ID: "b", Text: "denied"}, {At: at(3), Kind: accepted, ID: "b"},
			{At: at(4), Kind: sent, ID: "c", Text: "done"}, {At: at(5), Kind: accepted, ID: "c"},
			{At: at(6), Kind: forged, Text: "garbage"},
			{At: at(10), Kind: ran, ID: "a", Who: "worker-0"}, {At: at(11), Kind: said, ID: "a", Who: "worker-0", Text: "retried", Code: "task.error"},
			{At: at(12), Kind: said, ID: "b", Who: "worker-0", Text: "refused", Code: "policy.denied"},
			{At: at(13), Kind: ran, ID: "c", Who: "worker-0"},
			{At: at(14), Kind: fault, Who: "worker-0", Text: "kill", Until: at(15)},
			{At: at(20), Kind: seen, ID: "b", Text: "refused", Code: "policy.denied", Sum: "B"},
			{At: at(200), Kind: ran, ID: "a", Who: "worker-1"}, {At: at(201), Kind: said, ID: "a", Who: "worker-1", Text: "done", Code: "done"},
			{At: at(210), Kind: seen, ID: "a", Text: "done", Sum: "A"},
			{At: at(1500), Kind: ran, ID: "c", Who: "worker-1"}, {At: at(1501), Kind: said, ID: "c", Who: "worker-1", Text: "done", Code: "done"},
			{At: at(1502), Kind: seen, ID: "c", Text: "done", Sum: "C"},
			{At: at(2000), Kind: quiet}, {At: at(2100), Kind: settled},
			{At: at(2200), Kind: ended, Who: "worker-1", Text: "0"},
			{At: at(2300), Kind: state, ID: "a", Text: "done"}, {At: at(2300), Kind: state, ID: "b", Text: "dead"}, {At: at(2300), Kind: state, ID: "c", Text: "done"},
			{At: at(2300), Kind: letter, ID: "b", Code: "policy.denied"}, {At: at(2300), Kind: letter, Code: "envelope.encoding"},
		}
	}
	without := func(kind eventKind, id string) func([]event) []event {
		return func(es []event) []event {
			return slices.DeleteFunc(es, func(e event) bool { return e.Kind == kind && e.ID == id })
		}
	}
	with := func(more ...event) func([]event) []event {
		return func(es []event) []event { return append(es, more...) }
	}
	redisKilled := event{At: at(1000), Kind: fault, Who: "redis", Text: "kill", Until: at(1100)}
	for _, row := range []struct {
		name, sync string
		change     func([]event) []event
		want       []string
	}{
		{"nothing", "always", with(), nil},
		{"a result is missing", "always", without(seen, "c"), []string{lost}},
		{"lost with Redis, which had written it", "always", func(es []event) []event {
			return with(redisKilled)(without(seen, "c")(es))
		}, []string{lost}},
		{"lost with Redis within two seconds", "everysec", func(es []event) []event {
			return with(redisKilled)(without(seen, "c")(es))
		}, nil},
		{"lost long before Redis", "everysec", func(es []event) []event {
			late := redisKilled
			late.At, late.Until = at(2600), at(2700)
			return with(late)(without(seen, "c")(es))
		}, []string{lost}},
		{"two outcomes", "always", with(event{At: at(1501), Kind: said, ID: "a", Who: "worker-2", Text: "failed"}), []string{twice}},
		{"another result", "always", with(event{At: at(1600), Kind: seen, ID: "a", Text: "done", Sum: "A2"}), []string{changed}},
		{"a result that went", "always", with(event{At: at(1600), Kind: gone, ID: "a"}), []string{changed}},
		{"done that was denied", "always", func(es []event) []event {
			for i := range es {
				if es[i].Kind == sent && es[i].ID == "a" {
					es[i].Text = "denied"
				}
			}
			return es
		}, []string{wrong}},
		{"a run without a reason", "always", with(event{At: at(1400), Kind: ran, ID: "c", Who: "worker-1"}), []string{ranAgain}},
		{"a run after a lost lease", "always", with(event{At: at(1400), Kind: ran, ID: "c", Who: "worker-1"},
			event{At: at(1700), Kind: said, ID: "c", Who: "worker-1", Text: "lost"}), nil},
		{"a run whose worker was killed before it told", "always", with(event{At: at(1400), Kind: ran, ID: "c", Who: "worker-2"},
			event{At: at(1450), Kind: fault, Who: "worker-2", Text: "kill", Until: at(1450)}), nil},
		{"one of two with a key", "always", with(event{At: at(30), Kind: sent, ID: "u", Text: "unique", Code: "key"}, event{At: at(30), Kind: sent, ID: "v", Text: "unique", Code: "key"},
			event{At: at(40), Kind: seen, ID: "u", Text: "done", Sum: "U"}, event{At: at(40), Kind: seen, ID: "v", Text: "refused", Code: "task.duplicate", Sum: "V"},
			event{At: at(50), Kind: letter, ID: "v", Code: "task.duplicate"}), nil},
		{"both of two with a key", "always", with(event{At: at(30), Kind: sent, ID: "u", Text: "unique", Code: "key"}, event{At: at(30), Kind: sent, ID: "v", Text: "unique", Code: "key"},
			event{At: at(40), Kind: seen, ID: "u", Text: "done", Sum: "U"}, event{At: at(40), Kind: seen, ID: "v", Text: "done", Sum: "V"}), []string{double}},
		{"a run after the end", "always", with(event{At: at(1700), Kind: ran, ID: "a", Who: "worker-0"}), []string{after, ranAgain}},
		{"a run before the end that told so late", "always", with(event{At: at(1700), Kind: ran, ID: "c", Who: "worker-1"},
			event{At: at(1710), Kind: said, ID: "c", Who: "worker-1", Text: "lost", Took: 300 * time.Millisecond}), nil},
		{"a run that was let begin before the end, by a worker that was stopped then", "always", with(event{At: at(1700), Kind: ran, ID: "c", Who: "worker-1"},
			event{At: at(1710), Kind: said, ID: "c", Who: "worker-1", Text: "lost", Took: 9 * time.Millisecond, Waited: 1400 * time.Millisecond}), nil},
		{"a run before its time", "always", func(es []event) []event {
			es[0].Until = at(11)
			return es
		}, []string{early}},
		{"nobody sent it", "always", with(event{At: at(1700), Kind: ran, ID: "x", Who: "worker-1"}), []string{unsigned}},
		{"state and result differ", "always", func(es []event) []event {
			return with(event{At: at(2300), Kind: state, ID: "a", Text: "running"})(without(state, "a")(es))
		}, []string{disagree}},
		{"log and result differ", "always", func(es []event) []event {
			return with(event{At: at(1501), Kind: said, ID: "c", Who: "worker-1", Text: "failed"})(without(said, "c")(es))
		}, []string{disagree}},
		{"a dead letter of what is done", "always", with(event{At: at(2300), Kind: letter, ID: "a", Code: "task.failed"}), []string{disagree}},
		{"no dead letter of what was refused", "always", without(letter, "b"), []string{disagree}},
		{"the faults never ended", "always", without(quiet, ""), []string{stuck}},
		{"it never ended", "always", without(settled, ""), []string{stuck}},
		{"it ended late", "always", func(es []event) []event {
			return with(event{At: at(2100).Add(settleBound), Kind: settled})(without(settled, "")(es))
		}, []string{stuck}},
		{"something left", "always", with(event{At: at(2300), Kind: left, Text: "cs:{q}:parked has 1"}), []string{leak}},
		{"a worker that died", "always", with(event{At: at(1700), Kind: ended, Who: "worker-1", Text: "2"}), []string{died}},
		{"garbage that went", "always", without(letter, ""), []string{unkept}},
		{"poison that never ran", "always", func(es []event) []event {
			es = without(said, "c")(without(seen, "c")(without(state, "c")(es)))
			return with(event{At: at(1502), Kind: seen, ID: "c", Text: "refused", Code: "worker.poison", Sum: "C"},
				event{At: at(2300), Kind: letter, ID: "c", Code: "worker.poison"})(es)
		}, []string{innocent}},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := history{Sync: row.sync, Lease: time.Second, events: withEnds(row.change(good()))}
			h.sort()
			var got []string
			for _, f := range judge(h) {
				got = append(got, f.what)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %q", judge(h), row.want)
			}
		})
	}
}
