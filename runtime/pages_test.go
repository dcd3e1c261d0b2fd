package runtime_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
)

// workerPage is the page for operators that these tests hold the worker to.
func workerPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/reference/worker.md")
	check(t, err)
	return string(text)
}

// section returns what stands below a heading of the page.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("worker.md has no section %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// quoted returns the words that stand in backquotes.
func quoted(text string) []string {
	var words []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, m[1])
	}
	return words
}

// outcomes brings about every line that the log section promises, and returns the worker.
func outcomes(t *testing.T, w *world) *running {
	t.Helper()
	gate := newGate("outcomes-" + strings.ToLower(t.Name()))
	worker := w.work(func(c *runtime.Config) { c.Lease = 5 * time.Minute })
	for _, task := range []client.Task{
		{Input: wish{Mode: "echo"}}, {Input: wish{Mode: "error", Text: "busy"}, Attempts: 2}, {Name: "other.run"},
	} {
		w.ended(w.send(task))
	}
	receipt := w.send(client.Task{Input: wish{Mode: "gate", Key: gate.key}})
	gate.await(t, 1)
	w.steal(t, w.hand(), receipt)
	close(gate.open)
	worker.await("task outcome lost")
	return worker
}

// TestLog holds the lines about outcomes to docs/reference/worker.md: their texts, their levels and their fields.
func TestLog(t *testing.T) {
	words := quoted(strings.SplitN(section(t, workerPage(t), "Log"), "Never a payload", 2)[0])
	texts, fields := words[:5], words[5:]
	if !slices.Contains(texts, "task outcome lost") || !slices.Contains(fields, "queue_ms") {
		t.Fatalf("the section has another form than this test reads: %q", words)
	}
	w := newWorld(t)
	worker := outcomes(t, w)
	levels := map[string]string{"task done": "info", "task retried": "info", "task failed": "info", "task refused": "warn", "task outcome lost": "warn"}
	extra := map[string][]string{"task retried": {"error"}, "task failed": {"error"}, "task refused": {"reason"}}
	for _, text := range texts {
		lines := worker.awaitMany(1, text)
		if len(lines) != 1 {
			t.Errorf("%q was said %d times", text, len(lines))
		}
		line := lines[0]
		if line["@level"] != levels[text] || line["@module"] != "caisson.worker" {
			t.Errorf("%q has level %v, of %v", text, line["@level"], line["@module"])
		}
		got := slices.DeleteFunc(slices.Sorted(maps.Keys(line)), func(k string) bool { return strings.HasPrefix(k, "@") })
		want := slices.Sorted(slices.Values(slices.Concat(fields, extra[text])))
		if !slices.Equal(got, want) {
			t.Errorf("%q has the fields %v, want %v", text, got, want)
		}
	}
	done := worker.log.all("task done")[0]
	for field, least := range map[string]float64{"queue_ms": 0.001, "run_ms": 0.001, "cpu_ms": 0.001, "fuel": 1, "memory": 1 << 16, "attempt": 1} {
		if n, ok := done[field].(float64); !ok || n < least {
			t.Errorf("%s of what was done is %v", field, done[field])
		}
	}
	if done["principal"] != "shop" || done["tenant"] != "acme" || done["code"] != "done" {
		t.Errorf("done: %v", done)
	}
	if refused := worker.log.all("task refused")[0]; refused["principal"] != shopKey.Public().ID().String() || refused["code"] != "policy.denied" || refused["run_ms"] != 0.0 {
		t.Errorf("refused: %v", refused)
	}
}

// TestMetrics holds /metrics to the table of docs/reference/worker.md: names, labels, and a count for each outcome.
func TestMetrics(t *testing.T) {
	listed := map[string]string{} // name -> labels
	for _, row := range regexp.MustCompile("(?m)^\\| (`caisson_[^|]*`) \\|").FindAllStringSubmatch(section(t, workerPage(t), "Pages"), -1) {
		for _, word := range quoted(row[1]) {
			name, labels, _ := strings.Cut(strings.TrimSuffix(word, "}"), "{")
			listed[name] = labels
		}
	}
	w := newWorld(t)
	worker := outcomes(t, w)
	code, text := worker.page("/metrics")
	if code != 200 {
		t.Fatalf("/metrics is %d", code)
	}
	served := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(caisson_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$`).FindAllStringSubmatch(text, -1) {
		var labels []string
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		slices.Sort(labels)
		served[m[1]] = strings.Join(labels, ",")
	}
	for name, labels := range listed {
		want := strings.Split(labels, ",")
		slices.Sort(want)
		if got, ok := served[name]; !ok || got != strings.Join(want, ",") {
			t.Errorf("worker.md lists %s{%s}, served is {%s} (%t)", name, labels, got, ok)
		}
	}
	for name := range served {
		if _, ok := listed[name]; !ok {
			t.Errorf("%s is served and not listed in worker.md", name)
		}
	}
	for line, want := range map[string]string{
		`caisson_tasks_total{code="done",outcome="done",task="job.run"}`:          "1",
		`caisson_tasks_total{code="task.error",outcome="retried",task="job.run"}`: "1",
		`caisson_tasks_total{code="task.error",outcome="failed",task="job.run"}`:  "1",
		`caisson_tasks_total{code="policy.denied",outcome="refused",task=""}`:     "1",
		`caisson_tasks_total{code="done",outcome="lost",task="job.run"}`:          "1",
		`caisson_task_run_seconds_count{task="job.run"}`:                          "4",
		`caisson_task_queue_seconds_count{task="job.run"}`:                        "4",
		`caisson_claim_deliveries_count`:                                          "5",
		`caisson_runners_busy`:                                                    "0",
		`caisson_deliveries_held`:                                                 "0",
		`caisson_broker_up`:                                                       "1",
	} {
		if got := worker.metric(line); got != want {
			t.Errorf("%s is %q, want %s", line, got, want)
		}
	}
	if code, _ := worker.page("/"); code != 404 {
		t.Errorf("/ is %d", code)
	}
}

// TestReady follows /healthz and /readyz through an outage.
func TestReady(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	expect := func(path string, code int, text string) {
		t.Helper()
		w.await(path+" says "+text, func() bool { c, s := worker.page(path); return c == code && s == text+"\n" })
	}
	idle, err := runtime.Open(offlineConfig(t))
	check(t, err)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := (&running{Worker: idle, t: t}).page(path); code != 503 || text != "not running\n" {
			t.Errorf("%s of a worker that does not run: %d %q", path, code, text)
		}
		expect(path, 200, "ok")
	}
	w.server.Stop()
	expect("/readyz", 503, "broker unavailable: connection")
	expect("/healthz", 200, "ok")
	if n := worker.metric("caisson_broker_up"); n != "0" {
		t.Errorf("caisson_broker_up is %s", n)
	}
	w.server.Restart()
	expect("/readyz", 200, "ok")
	worker.await("intake resumed")
	if paused := worker.log.all("intake paused", "reason", "broker unavailable: connection"); len(paused) != 1 {
		t.Errorf("the outage was said %d times", len(paused))
	}
	if r := w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})); r.Code != "" {
		t.Errorf("after the outage: %+v", r)
	}
}

// TestMemoryFull fills Redis: it still hands out work, and refuses to record it. The worker says so once, is not
// ready all that time, and does the work when there is capacity again.
func TestMemoryFull(t *testing.T) {
	w := newWorld(t)
	first := w.work()
	w.ended(w.send(client.Task{Input: wish{Mode: "echo"}})) // so that lanes and groups are there
	first.stop()
	check(t, first.wait())
	receipt := w.send(client.Task{Input: wish{Mode: "echo"}})
	w.server.Do("CONFIG", "SET", "maxmemory", "1")
	worker := w.work(func(c *runtime.Config) { c.Lease = time.Second })
	worker.awaitMany(2, "start failed, deliveries left to be recovered") // with successful claims between
	if code, text := worker.page("/readyz"); code != 503 || text != "broker unavailable: memory\n" {
		t.Errorf("/readyz is %d %q", code, text)
	}
	w.server.Do("CONFIG", "SET", "maxmemory", "0")
	if r := w.ended(receipt); r.Code != "" || r.Attempt != 1 {
		t.Errorf("when there was room again: %+v", r)
	}
	worker.await("intake resumed")
	if paused, resumed := len(worker.log.all("intake paused")), len(worker.log.all("intake resumed")); paused != 1 || resumed != 1 {
		t.Errorf("paused was said %d times, resumed %d times", paused, resumed)
	}
}

// TestNothingCarriedIsSaid sends a canary in every place of a message that is the sender's, or the task's data, and
// looks for it in what operators read.
func TestNothingCarriedIsSaid(t *testing.T) {
	const canary = "canary-5f1c09aa"
	w := newWorld(t)
	w.release(job(t, "job.env", "", fastRetry, "[env]\nTOKEN = \""+canary+"\"\n"))
	w.release(job(t, "job.small", `payload = "8B"`, fastRetry, ""))
	w.release(job(t, "job.result", `result = "8B"`, fastRetry, ""))
	worker := w.work()
	for _, task := range []client.Task{
		{Input: wish{Mode: "echo", Text: canary}},
		{Input: wish{Mode: "put", Key: canary, Text: canary}},
		{Name: "job.env", Input: wish{Mode: "env", Key: "TOKEN"}},
		{Name: "job.env", Input: wish{Mode: "status", Key: canary, Number: 3}, Attempts: 1},
		{Payload: []byte(canary)},
		{Payload: []byte(`{"mode":["` + canary + `"]}`)},
		{Input: wish{Mode: canary}},
		{Name: "job.small", Payload: []byte(canary)},
		{Name: "job.result", Input: wish{Mode: "echo", Text: canary}},
		{Name: "job.none", Payload: []byte(canary)},
		{Name: "other.run", Payload: []byte(canary)},
		{Input: wish{Mode: "echo"}, Narrowed: true, Caps: []string{"kv ro " + canary}},
		{Input: wish{Mode: "put", Key: "denied", Text: canary}, Narrowed: true, Caps: []string{"kv ro test/*"}},
	} {
		w.ended(w.send(task))
	}
	lane := lane(1)
	w.put(lane, []byte(canary))
	w.put(lane, append([]byte(canary), message(t, shopKey, nil)...))
	w.put(lane, message(t, strangerKey, func(task *envelope.Task) { task.Payload = []byte(canary) }))
	w.server.Do("XADD", "cs:{work}:in:acme:1", "*", canary, canary)
	w.server.Do("XADD", "cs:{work}:in:acme:1", "*", "e", canary, canary, canary)
	worker.awaitMany(5, "task refused", "task", "")

	worker.log.mu.Lock()
	log := worker.log.text.String()
	worker.log.mu.Unlock()
	if i := strings.Index(log, canary); i >= 0 {
		t.Errorf("the log says %q", log[max(0, i-300):min(len(log), i+100)])
	}
	if _, text := worker.page("/metrics"); strings.Contains(text, canary) {
		t.Error("the metrics say it")
	}
	letters := w.letters()
	if len(letters) < 14 {
		t.Errorf("%d dead letters", len(letters))
	}
	for _, l := range letters {
		if strings.Contains(l.Code+l.Reason+l.Worker+l.ID, canary) {
			t.Errorf("a dead letter says %s: %s", l.Code, l.Reason)
		}
	}
}
