package runtime

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/runtime/sandbox"
)

// outcome says how a delivery ended, in logs and metrics.
type outcome string

const (
	outcomeNone    outcome = ""        // parked, released, or a second copy: nothing ended
	outcomeDone    outcome = "done"    // the task's result stands
	outcomeRetried outcome = "retried" // the task failed and will run again
	outcomeFailed  outcome = "failed"  // the task failed for good
	outcomeRefused outcome = "refused" // we refused it, for good
	outcomeLost    outcome = "lost"    // the lease was, so whatever happened was not recorded
)

// report is what logs and metrics say of one delivery. It holds no payload, no result and none of the guest's bytes but the error text
// that the task wrote, which is kept out of metrics.
type report struct {
	outcome outcome
	code    string
	text    string
	id      string
	task    string
	tenant  string
	sender  string // the principal once policy knows it, the key's id until then
	attempt int
	ran     bool          // a release of the task ran, so that its publisher vouches for its name
	waited  time.Duration // from the sender's clock to the run's begin, or to the refusal
	usage   sandbox.Usage
	cancel  time.Duration // from reading the order that ended a run to the run's end; 0: none did
}

// say logs one line for r: Info for what ran, Warn for what was refused or lost, Debug for the rest. All lines have the same fields, so
// that they fit into one table; the numbers of what did not run are zero.
func (w *Worker) say(r report) {
	switch { // before the line is built, which costs more than a small task
	case r.outcome == outcomeNone && !w.log.IsDebug(), !w.log.IsWarn():
		return
	case r.outcome != outcomeRefused && r.outcome != outcomeLost && !w.log.IsInfo():
		return
	}
	pairs := []any{"task", r.task, "task_id", r.id, "tenant", r.tenant, "principal", r.sender,
		"code", r.code, "attempt", r.attempt, "queue_ms", milliseconds(r.waited), "run_ms", milliseconds(r.usage.Wall),
		"cpu_ms", milliseconds(r.usage.CPU), "fuel", r.usage.Fuel, "memory", r.usage.Memory, "calls", r.usage.Calls}
	switch r.outcome {
	case outcomeDone, outcomeRetried, outcomeFailed:
		if r.text != "" {
			pairs = append(pairs, "error", r.text)
		}
		w.log.Info("task "+string(r.outcome), pairs...)
	case outcomeRefused:
		if r.cancel > 0 {
			pairs = append(pairs, "cancel_ms", milliseconds(r.cancel))
		}
		pairs = append(pairs, "reason", r.text)
		if r.id == "" { // not verified: whoever can write to the broker can cause any number of these
			w.limited.warn("task refused", r.code, pairs...)
			return
		}
		w.log.Warn("task refused", pairs...)
	case outcomeLost:
		w.limited.warn("task outcome lost", r.code, pairs...)
	default:
		w.log.Debug("task put aside", pairs...)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// guestLine logs one line of b's guest, which the sandbox has cut to its limit and escaped.
func (w *Worker) guestLine(b *begun, level, line string) {
	at := hclog.Info
	switch level {
	case "error":
		at = hclog.Error
	case "warn":
		at = hclog.Warn
	case "debug":
		at = hclog.Debug
	}
	w.guestLog.Log(at, "guest says", "task", b.task.Task, "task_id", b.id, "line", line)
}
