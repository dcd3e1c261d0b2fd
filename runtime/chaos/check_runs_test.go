package chaos_test

import (
	"slices"
	"testing"
	"time"
)

// beginLate is for how long after a worker has looked at its clock a guest may say that it runs, on a machine that does much else.
const beginLate = 1500 * time.Millisecond

// failing are the kinds of task that fail by themselves, each with the attempts that it has; 0: more than it needs. All others need one attempt,
// whatever befalls their workers.
var failing = map[string]int{"until": 0, "after": 0, "always": 2, "panic": 2}

// begins holds that nothing begins after it has expired, by its worker's clock, and no step before the steps whose results it needs.
func (j *judgement) begins(id string, runs, saids []event, send event) {
	for _, r := range runs {
		at := began(r, saids, send)
		stopped := slices.ContainsFunc(j.faults, func(f event) bool {
			return f.Who == r.Who && f.Text == "stop" && f.At.Before(r.At) && f.Until.After(send.Expires)
		})
		if !send.Expires.IsZero() && at.After(send.Expires.Add(j.Back+beginLate)) && !stopped {
			j.find(outdated, id, "at %s, expired %s", clock(at), clock(send.Expires))
		}
		for _, input := range send.After {
			before := first(j.byID[input], ran)
			if before == nil || before.At.After(r.At) {
				j.find(unfed, id, "at %s, and its input %s had not run", clock(r.At), input)
			} else if first(j.byID[input], over) == nil {
				j.find(unfed, id, "at %s, and its input %s was never done", clock(r.At), input)
			}
		}
	}
}

// finishes holds that a worker tells, and a result says, that a task is done only if its guest came to its end.
func (j *judgement) finishes(id string, runs, overs, told, results []event) {
	for _, s := range told {
		ended := slices.ContainsFunc(overs, func(o event) bool {
			run := lastOf(runs, s.Who, s.At)
			return o.Who == s.Who && run != nil && !o.At.Before(run.At) && !o.At.After(s.At)
		})
		if s.Text == "done" && !ended {
			j.find(hollow, id, "told by %s at %s", s.Who, clock(s.At))
		}
	}
	for _, r := range results {
		if r.Text == "done" && (len(overs) == 0 || overs[0].At.After(r.At)) {
			j.find(hollow, id, "seen at %s", clock(r.At))
			return
		}
	}
}

// lastOf returns the last of events by a worker that is not after t, nil when there is none.
func lastOf(events []event, worker string, t time.Time) *event {
	for i, e := range slices.Backward(events) {
		if e.Who == worker && !e.At.After(t) {
			return &events[i]
		}
	}
	return nil
}

// attempts holds that failures are counted, each once, and nothing else: not what a crash or a lost lease has ended.
func (j *judgement) attempts(id, kind string, runs, saids, told, results []event) {
	most, fails := failing[kind]
	retried := map[int]bool{}
	forgetful := j.given(id, "requeue", time.Time{}) || slices.ContainsFunc(saids, j.forgot)
	for _, s := range saids {
		if s.Attempt == 0 || s.Text == "refused" || s.Text == "lost" {
			continue
		}
		n := 0
		for _, r := range runs {
			if !r.At.After(s.At) {
				n++
			}
		}
		switch {
		case s.Attempt > n || !fails && s.Attempt > 1:
			j.find(miscounted, id, "a task of kind %s told %s by %s at %s after attempt %d, and it had run %d times", kind, s.Text, s.Who, clock(s.At), s.Attempt, n)
		case s.Text == "failed" && most > 0 && s.Attempt != most:
			j.find(miscounted, id, "a task of kind %s failed by %s at %s after attempt %d of %d", kind, s.Who, clock(s.At), s.Attempt, most)
		case s.Text == "retried" && retried[s.Attempt] && !forgetful:
			j.find(miscounted, id, "attempt %d failed again, by %s at %s", s.Attempt, s.Who, clock(s.At))
		}
		retried[s.Attempt] = retried[s.Attempt] || s.Text == "retried"
	}
	if forgetful || len(told) == 0 {
		return
	}
	for _, r := range results {
		same := slices.ContainsFunc(told, func(s event) bool { return s.Attempt == r.Attempt })
		if r.Text != "refused" && r.Attempt > 0 && !same && !j.lossy(r.At) {
			j.find(miscounted, id, "its result is of attempt %d, and %s told attempt %d", r.Attempt, told[0].Who, told[0].Attempt)
		}
	}
}

// words is what a worker's log says for what an event says.
var words = map[string]string{"done": "done", "failed": "failed", "dead": "failed", "refused": "refused", "retried": "retried"}

// told holds that who watches is told of no end that was none. Events may be missing.
func (j *judgement) told() {
	for _, e := range j.history.events {
		word := words[e.Text]
		if e.Kind != noted || word == "" {
			continue
		}
		if !slices.ContainsFunc(j.byID[e.ID], func(s event) bool {
			return s.Kind == said && s.Who == e.Who && s.Text == word && s.Attempt == e.Attempt
		}) {
			j.find(rumour, e.ID, "%s by %s, attempt %d, which it did not say", e.Text, e.Who, e.Attempt)
		}
	}
}

// withEnds returns events in which the guest of whatever was done has said so, for histories that are not about that.
func withEnds(events []event) []event {
	out := slices.Clone(events)
	for _, e := range events {
		if (e.Kind == said || e.Kind == seen) && e.Text == "done" {
			out = append(out, event{At: e.At, Kind: over, ID: e.ID, Who: e.Who})
		}
	}
	return out
}

// TestJudgeRuns gives the checker histories in which each rule about runs, attempts and events is broken once.
func TestJudgeRuns(t *testing.T) {
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	// A task that failed once and was done, and a step that comes after it.
	good := []event{
		{At: at(0), Kind: sent, ID: "a", Text: "until"}, {At: at(1), Kind: accepted, ID: "a"},
		{At: at(2), Kind: sent, ID: "s", Text: "step", After: []string{"a"}, Expires: at(20000)}, {At: at(3), Kind: accepted, ID: "s"},
		{At: at(10), Kind: ran, ID: "a", Who: "worker-0"}, {At: at(11), Kind: said, ID: "a", Who: "worker-0", Text: "retried", Attempt: 1},
		{At: at(200), Kind: ran, ID: "a", Who: "worker-1"}, {At: at(201), Kind: over, ID: "a", Who: "worker-1"},
		{At: at(202), Kind: said, ID: "a", Who: "worker-1", Text: "done", Attempt: 2}, {At: at(203), Kind: seen, ID: "a", Text: "done", Sum: "A", Attempt: 2},
		{At: at(210), Kind: ran, ID: "s", Who: "worker-0"}, {At: at(211), Kind: over, ID: "s", Who: "worker-0"},
		{At: at(212), Kind: said, ID: "s", Who: "worker-0", Text: "done", Attempt: 1}, {At: at(213), Kind: seen, ID: "s", Text: "done", Sum: "S", Attempt: 1},
		{At: at(20000), Kind: quiet}, {At: at(20100), Kind: settled},
		{At: at(20200), Kind: noted, ID: "a", Who: "worker-0", Text: "retried", Attempt: 1}, {At: at(20200), Kind: noted, ID: "a", Who: "worker-1", Text: "done", Attempt: 2},
		{At: at(20200), Kind: noted, ID: "s", Who: "worker-0", Text: "started", Attempt: 1},
	}
	change := func(kind eventKind, id string, how func(*event)) func([]event) []event {
		return func(es []event) []event {
			for i := range es {
				if es[i].Kind == kind && es[i].ID == id {
					how(&es[i])
				}
			}
			return es
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
	for _, row := range []struct {
		name   string
		change func([]event) []event
		want   []string
	}{
		{"nothing", with(), nil},
		{"run long after it had expired", change(sent, "s", func(e *event) { e.Expires = at(210).Add(-beginLate - 3*time.Second) }), []string{outdated}},
		{"run long after it had expired, by a worker whose clock may be that late", change(sent, "s", func(e *event) { e.Expires = at(211).Add(-beginLate - 2*time.Second) }), nil},
		{"run long after it had expired, by a worker that was stopped in between", func(es []event) []event {
			es = change(sent, "s", func(e *event) { e.Expires = at(210).Add(-beginLate - 3*time.Second) })(es)
			return with(event{At: at(-9000), Kind: fault, Who: "worker-0", Text: "stop", Until: at(209)})(es)
		}, nil},
		{"a step before its input", change(ran, "s", func(e *event) { e.At = at(5) }), []string{unfed}},
		{"a step whose input never ran", change(sent, "s", func(e *event) { e.After = []string{"a", "b"} }), []string{unfed}},
		{"a step whose input was not done", func(es []event) []event {
			return change(sent, "s", func(e *event) { e.After = []string{"b"} })(with(event{At: at(9), Kind: ran, ID: "b", Who: "worker-1"}, event{At: at(4), Kind: sent, ID: "b", Text: "final"})(es))
		}, []string{unfed}},
		{"a step refused for its input, which was done", func(es []event) []event {
			es = without(ran, "s")(without(over, "s")(without(said, "s")(without(seen, "s")(es))))
			return with(event{At: at(213), Kind: seen, ID: "s", Text: "refused", Code: "plan.input", Sum: "S"}, event{At: at(20200), Kind: letter, ID: "s", Code: "plan.input"})(es)
		}, []string{wrong}},
		{"a step refused for its input, which was cancelled", func(es []event) []event {
			es = without(ran, "s")(without(over, "s")(without(said, "s")(without(seen, "s")(es))))
			es = change(sent, "s", func(e *event) { e.After = []string{"a", "b"} })(es)
			return with(event{At: at(4), Kind: sent, ID: "b", Text: "final"}, event{At: at(100), Kind: said, ID: "b", Who: "worker-0", Text: "refused", Code: "task.cancelled"},
				event{At: at(213), Kind: seen, ID: "s", Text: "refused", Code: "plan.input", Sum: "S"}, event{At: at(20200), Kind: letter, ID: "s", Code: "plan.input"})(es)
		}, nil},
		{"done, and its guest was not", without(over, "s"), []string{hollow, hollow}},
		{"told as done by a worker where the guest was not", change(over, "s", func(e *event) { e.Who = "worker-1" }), []string{hollow}},
		{"done before its guest was", change(over, "s", func(e *event) { e.At = at(214) }), []string{hollow, hollow}},
		{"an attempt too many", change(said, "s", func(e *event) { e.Attempt = 2 }), []string{miscounted, miscounted}},
		{"a result of another attempt", change(seen, "a", func(e *event) { e.Attempt = 1 }), []string{miscounted}},
		{"more attempts than runs", func(es []event) []event {
			es = change(seen, "a", func(e *event) { e.Attempt++ })(change(said, "a", func(e *event) { e.Attempt++ })(es))
			return without(noted, "a")(es)
		}, []string{miscounted, miscounted}},
		{"failed before its attempts were used up", with(event{At: at(5), Kind: sent, ID: "b", Text: "always"}, event{At: at(9), Kind: ran, ID: "b", Who: "worker-1"},
			event{At: at(10), Kind: said, ID: "b", Who: "worker-1", Text: "failed", Attempt: 1}), []string{miscounted}},
		{"an attempt that counted nothing", with(event{At: at(100), Kind: ran, ID: "a", Who: "worker-0"}, event{At: at(101), Kind: said, ID: "a", Who: "worker-0", Text: "retried", Attempt: 1}), []string{miscounted}},
		{"an event of an end that was none", change(noted, "s", func(e *event) { e.Text = "failed" }), []string{rumour}},
		{"an event of another worker's end", change(noted, "a", func(e *event) { e.Who = "worker-0" }), []string{rumour}},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := history{Sync: "everysec", Lease: time.Second, Back: 2 * time.Second, Workers: 2, events: row.change(slices.Clone(good))}
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
