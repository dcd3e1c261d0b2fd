package chaos_test

import (
	"slices"
	"testing"
	"time"
)

// TestJudgeOrders gives the checker histories of orders, failovers and gates, in which each rule is broken once.
func TestJudgeOrders(t *testing.T) {
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	// One task that was done, and one that failed for good.
	good := []event{
		{At: at(0), Kind: sent, ID: "a", Queue: "q", Text: "done"}, {At: at(1), Kind: accepted, ID: "a"},
		{At: at(2), Kind: sent, ID: "b", Queue: "q", Text: "final"}, {At: at(3), Kind: accepted, ID: "b"},
		{At: at(10), Kind: ran, ID: "a", Who: "worker-0"}, {At: at(11), Kind: said, ID: "a", Who: "worker-0", Text: "done"}, {At: at(12), Kind: seen, ID: "a", Text: "done", Sum: "A"},
		{At: at(20), Kind: ran, ID: "b", Who: "worker-0"}, {At: at(21), Kind: said, ID: "b", Who: "worker-0", Text: "failed", Code: "task.failed"},
		{At: at(22), Kind: seen, ID: "b", Text: "failed", Code: "task.failed", Sum: "B"},
		{At: at(40000), Kind: quiet}, {At: at(40100), Kind: settled},
		{At: at(50000), Kind: state, ID: "a", Text: "done"}, {At: at(50000), Kind: state, ID: "b", Text: "dead"}, {At: at(50000), Kind: letter, ID: "b", Code: "task.failed"},
	}
	order := func(ms int, act, id string) event {
		return event{At: at(ms), Kind: ordered, Queue: "q", Order: act, Text: act, ID: id}
	}
	again := func(ms int, id string) []event { // a run that failed for good
		return []event{
			{At: at(ms), Kind: ran, ID: id, Who: "worker-1"}, {At: at(ms + 1), Kind: said, ID: id, Who: "worker-1", Text: "failed", Code: "task.failed"},
			{At: at(ms + 2), Kind: seen, ID: id, Text: "failed", Code: "task.failed", Sum: id + "2"},
		}
	}
	task := func(ms int, id, kind string) []event {
		return []event{{At: at(ms), Kind: sent, ID: id, Queue: "q", Text: kind}, {At: at(ms + 1), Kind: accepted, ID: id}}
	}
	run := func(ms int, id, who string) []event { // for 100 ms
		return []event{{At: at(ms), Kind: ran, ID: id, Who: who}, {At: at(ms + 101), Kind: said, ID: id, Who: who, Text: "done", Took: 100 * time.Millisecond},
			{At: at(ms + 102), Kind: seen, ID: id, Text: "done", Sum: id}}
	}
	paused := []event{
		order(6000, "pause", ""), {At: at(6010), Kind: heard, Order: "pause", Who: "worker-0"}, {At: at(6020), Kind: heard, Order: "pause", Who: "worker-1"}, order(15000, "resume", ""),
	}
	cleared := slices.Concat(paused, task(7000, "c", "cleared"), []event{order(7010, "purge", ""), {At: at(7100), Kind: answered, Order: "purge", Text: "done"}})
	gated := func(n, apart int) (out []event) {
		for i := range n {
			id := string(rune('k' + i))
			out = slices.Concat(out, task(100, id, "gated"), run(1000+i*apart, id, "worker-0"))
		}
		return out
	}
	failedOver := event{At: at(30), Kind: fault, Who: "redis", Text: failover, Until: at(2000)}
	away := event{At: at(2000), Kind: fault, Who: "redis", Text: "away", Until: at(6000)}
	isStale := event{At: at(1000), Kind: fault, Who: "redis", Text: stale, Until: at(2000)}
	isBack := event{At: at(6000), Kind: fault, Who: "redis", Text: returned, Until: at(6500)}
	for _, row := range []struct {
		name string
		more []event
		want []string
	}{
		{"nothing more", nil, nil},
		{"ran again, requeued", append(again(1000, "b"), order(900, "requeue", "")), nil},
		{"ran again, requeued before it had ended", append(again(20000, "b"), order(1, "requeue", "")), nil},
		{"ran again, not requeued", again(10000, "b"), []string{twice, changed, after, ranAgain}},
		{"ran again, requeued after that", append(again(1000, "b"), order(1100, "requeue", "")), []string{twice, changed, after, ranAgain}},
		{"ran twice more, requeued once", slices.Concat(again(1000, "b"), again(8000, "b"), []event{order(900, "requeue", "")}), []string{twice}},
		{"done and requeued", append(again(1000, "a"), order(900, "requeue", "")), []string{twice, changed, after, wrong, disagree, disagree}},
		{"cancelled", append(task(100, "c", "done"), order(90, "cancel", "c"), event{At: at(200), Kind: seen, ID: "c", Text: "refused", Code: "task.cancelled", Sum: "C"},
			event{At: at(50000), Kind: letter, ID: "c", Code: "task.cancelled"}), nil},
		{"cancelled by nobody", append(task(100, "c", "done"), event{At: at(200), Kind: seen, ID: "c", Text: "refused", Code: "task.cancelled", Sum: "C"},
			event{At: at(50000), Kind: letter, ID: "c", Code: "task.cancelled"}), []string{wrong}},
		{"run as it is cancelled", slices.Concat(task(100, "c", "done"), run(1200, "c", "worker-0"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"}}), nil},
		{"run long after it was cancelled", slices.Concat(task(100, "c", "done"), run(9000, "c", "worker-0"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"}}), []string{defied}},
		{"run soon after it was cancelled, when it was due", slices.Concat([]event{{At: at(100), Kind: sent, ID: "c", Queue: "q", Text: "shelved", Until: at(1100)}, {At: at(101), Kind: accepted, ID: "c"}},
			run(1200, "c", "worker-0"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"}, {At: at(1000), Kind: fault, Who: "worker-0", Text: "stop", Until: at(1190)}}), []string{defied}},
		{"run long after it was cancelled, by a worker that was stopped", slices.Concat(task(100, "c", "done"), run(9000, "c", "worker-0"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"},
			{At: at(1000), Kind: fault, Who: "worker-0", Text: "stop", Until: at(6000)}}), nil},
		{"run long after it was cancelled, and after its worker had been stopped", slices.Concat(task(100, "c", "done"), run(9000, "c", "worker-0"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"},
			{At: at(1000), Kind: fault, Who: "worker-0", Text: "stop", Until: at(4000)}}), []string{defied}},
		{"cancelled, and run to its end", slices.Concat(task(100, "c", "cancel"), []event{order(90, "cancel", "c"), {At: at(1000), Kind: taken, ID: "c"}, {At: at(500), Kind: ran, ID: "c", Who: "worker-0"},
			{At: at(6501), Kind: said, ID: "c", Who: "worker-0", Text: "done", Took: 6 * time.Second}, {At: at(6502), Kind: seen, ID: "c", Text: "done", Sum: "C"}}), []string{defied}},
		{"purged while it ran, and its end lost", slices.Concat(task(100, "c", "done"), []event{order(200, "purge", ""), {At: at(150), Kind: ran, ID: "c", Who: "worker-0"},
			{At: at(300), Kind: said, ID: "c", Who: "worker-0", Text: "done"}}), []string{lost}},
		{"purged while it ran, and gone", slices.Concat(task(100, "c", "until"), []event{order(200, "purge", ""), {At: at(150), Kind: ran, ID: "c", Who: "worker-0"},
			{At: at(300), Kind: said, ID: "c", Who: "worker-0", Text: "refused", Code: "queue.vanished"}}), []string{lost, wrong}},
		{"gone with what Redis lost", slices.Concat(task(1200, "c", "until"), []event{{At: at(1000), Kind: fault, Who: "redis", Text: "lose", Until: at(1500)},
			{At: at(1600), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(1650), Kind: said, ID: "c", Who: "worker-0", Text: "refused", Code: "queue.vanished"}}), nil},
		{"requeued before its first result was seen", slices.Concat(task(100, "c", "final"), []event{{At: at(200), Kind: ran, ID: "c", Who: "worker-0"},
			{At: at(201), Kind: said, ID: "c", Who: "worker-0", Text: "failed", Code: "task.failed"}, order(300, "requeue", ""),
			{At: at(9000), Kind: seen, ID: "c", Text: "failed", Code: "task.failed", Sum: "C"}, {At: at(30000), Kind: letter, ID: "c", Code: "task.failed"}}, again(9500, "c")), nil},
		{"purged", append(task(100, "c", "done"), order(200, "purge", "")), nil},
		{"gone though it came after the purge", append(task(300, "c", "done"), order(200, "purge", "")), []string{lost}},
		{"purged from another queue", append(task(100, "c", "done"), event{At: at(200), Kind: ordered, Queue: "other", Text: "purge"}), []string{lost}},
		{"a letter more, by a purge of others", []event{order(200, "purge_dead", ""), {At: at(50000), Kind: letter, ID: "b", Code: "task.failed"}}, []string{disagree}},
		{"nothing begins in a pause", slices.Concat(paused, task(100, "c", "done"), run(16000, "c", "worker-0")), nil},
		{"what was held begins", slices.Concat(paused, task(100, "c", "done"), run(6900, "c", "worker-0")), nil},
		{"something begins in a pause", slices.Concat(paused, task(100, "c", "done"), run(9000, "c", "worker-0")), []string{deaf}},
		{"it begins while somebody has not heard", slices.Concat([]event{paused[0], paused[1], paused[3]}, task(100, "c", "done"), run(9000, "c", "worker-0")), nil},
		{"purged in a pause", cleared, nil},
		{"purged in a pause, and run", append(run(16000, "c", "worker-0"), cleared...), []string{remains}},
		{"parked, purged in a pause, and run", slices.Concat([]event{{At: at(5000), Kind: sent, ID: "d", Queue: "q", Text: "stored", Until: at(16000)}, {At: at(5001), Kind: accepted, ID: "d"}},
			run(16100, "d", "worker-0"), cleared), []string{remains}},
		{"parked until it was purged, and run", slices.Concat([]event{{At: at(5000), Kind: sent, ID: "d", Queue: "q", Text: "stored", Until: at(7050)}, {At: at(5001), Kind: accepted, ID: "d"}},
			run(16100, "d", "worker-0"), cleared), nil},
		{"lost in a failover", append(task(1000, "c", "done"), failedOver), nil},
		{"lost while there is no master", append(task(4000, "c", "done"), failedOver, away), []string{lost}},
		{"lost long after a failover", append(task(5000, "c", "done"), failedOver), []string{lost}},
		{"settled again after a failover", slices.Concat(task(100, "c", "done"), run(1000, "c", "worker-0"), run(4000, "c", "worker-1"), []event{failedOver}), nil},
		{"run again after a failover by the worker that had told its end", slices.Concat(task(100, "c", "done"), run(1000, "c", "worker-0"), run(4000, "c", "worker-0"), []event{failedOver}), []string{after}},
		{"run again after a failover by the next process there", slices.Concat(task(100, "c", "done"), run(1000, "c", "worker-0"), run(4000, "c", "worker-0"), []event{failedOver,
			{At: at(3000), Kind: fault, Who: "worker-0", Text: "kill", Until: at(3000)}}), nil},
		{"settled again after a failover, and told late by a worker that was stopped", slices.Concat(task(100, "c", "done"), run(4000, "c", "worker-1"), []event{failedOver,
			{At: at(1000), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(3500), Kind: said, ID: "c", Who: "worker-0", Text: "done"}}), nil},
		{"settled again, told late, run only after the failover", slices.Concat(task(100, "c", "done"), run(6000, "c", "worker-1"), []event{failedOver,
			{At: at(3100), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(5500), Kind: said, ID: "c", Who: "worker-0", Text: "done"}}), []string{twice, after}},
		{"settled with a master that was none any more, after the new one", slices.Concat(task(100, "c", "done"), run(4000, "c", "worker-1"), []event{isStale, isBack,
			{At: at(1500), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(6100), Kind: said, ID: "c", Who: "worker-0", Text: "done"}}), nil},
		{"settled again, and its old result seen at a master that was none any more", slices.Concat(task(100, "c", "done"), run(4000, "c", "worker-1"), []event{isStale, isBack,
			{At: at(1500), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(1600), Kind: said, ID: "c", Who: "worker-0", Text: "done"},
			{At: at(6100), Kind: seen, ID: "c", Text: "done", Sum: "C"}, {At: at(9000), Kind: seen, ID: "c", Text: "done", Sum: "c"}}), nil},
		{"settled again, and its old result seen when there was one master", slices.Concat(task(100, "c", "done"), run(4000, "c", "worker-1"), []event{isStale, isBack,
			{At: at(1500), Kind: ran, ID: "c", Who: "worker-0"}, {At: at(1600), Kind: said, ID: "c", Who: "worker-0", Text: "done"},
			{At: at(9000), Kind: seen, ID: "c", Text: "done", Sum: "C"}}), []string{changed}},
		{"settled again, and both masters had it", slices.Concat(again(6100, "b"), []event{isStale, isBack}), []string{twice, changed, after}},
		{"requeued, ended, and all that forgotten", slices.Concat(again(2100, "b"), again(8000, "b"), []event{order(900, "requeue", ""),
			{At: at(1500), Kind: fault, Who: "redis", Text: failover, Until: at(2500)}, {At: at(7000), Kind: seen, ID: "b", Text: "failed", Code: "task.failed", Sum: "B"}}), nil},
		{"settled again, and had reached the replica", append(again(4000, "a"), event{At: at(500), Kind: fault, Who: "redis", Text: failover, Until: at(2900)}), []string{twice, changed, after, wrong, disagree, disagree, disagree}},
		{"two at a time", gated(4, 50), nil},
		{"three at a time", gated(3, 10), []string{crowd}},
		{"more than the rate lets begin", gated(12, 51), []string{rush, rush, rush}},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := history{Sync: "everysec", Lease: time.Second, Workers: 2, events: withEnds(slices.Concat(good, row.more))}
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
