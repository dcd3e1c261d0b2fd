package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caisson-run/caisson/queue"
)

// TestHealthByAct fails one act while another goes well, as a full Redis does.
func TestHealthByAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b brokerHealth
		log := hclog.NewNullLogger()
		full := &queue.UnavailableError{Op: "start", Reason: queue.ReasonMemory, Err: errors.New("OOM")}
		b.down(log, actStart, full)
		b.up(log, actClaim)
		if b.reason() != "broker unavailable: memory" {
			t.Errorf("a claim that went well hides that starts fail: %q", b.reason())
		}
		b.down(log, actClaim, errors.New("odd"))
		if b.reason() != "broker: claim fails" {
			t.Errorf("reason is %q", b.reason())
		}
		b.up(log, actClaim)
		b.up(log, actStart)
		if b.reason() != "" {
			t.Errorf("when all goes well: %q", b.reason())
		}
		b.down(log, actStart, full)
		time.Sleep(healthMemory + 1)
		b.up(log, actClaim)
		if b.reason() != "" {
			t.Errorf("a start that was never tried again: %q", b.reason())
		}
	})
}

// TestHealthByQueue: a node of a cluster is gone, and one of two queues with it. That is said once, and the worker is not ready, whatever goes
// well of the other queue meanwhile.
func TestHealthByQueue(t *testing.T) {
	w, _ := openInside(t, &fake{})
	w.posts = []*post{{name: "gone", broker: brokerHealth{queue: "gone"}}, {name: "fine", broker: brokerHealth{queue: "fine"}}}
	gone, fine := &w.posts[0].broker, &w.posts[1].broker
	var text strings.Builder
	log := hclog.New(&hclog.LoggerOptions{Output: &text})
	away := &queue.UnavailableError{Op: "claim", Reason: queue.ReasonConnection, Err: errors.New("refused")}
	for range 3 {
		gone.down(log, actClaim, away)
		fine.up(log, actClaim)
		if got := w.brokerReason(); got != "broker unavailable: connection: gone" {
			t.Errorf("trouble is %q", got)
		}
	}
	fine.down(log, actClaim, away)
	if got := w.brokerReason(); got != "broker unavailable: connection" {
		t.Errorf("with both gone: %q", got)
	}
	fine.up(log, actClaim)
	gone.up(log, actClaim)
	if got := w.brokerReason(); got != "" {
		t.Errorf("with both back: %q", got)
	}
	if n := strings.Count(text.String(), "intake paused: queue=gone"); n != 1 || strings.Count(text.String(), "\n") != 4 {
		t.Errorf("a pause is said once for each queue, and its end:\n%s", &text)
	}
}

// TestMetricLabels counts outcomes whose task nobody vouches for: their names are no labels, of which there would be
// no end.
func TestMetricLabels(t *testing.T) {
	w, _ := openInside(t, &fake{})
	for i := range 100 {
		name := fmt.Sprintf("made.up-%d", i)
		w.metrics.count(report{outcome: outcomeRefused, code: "release.unknown", task: name})
		w.metrics.count(report{outcome: outcomeLost, code: "policy.denied", task: name})
		w.metrics.count(report{outcome: outcomeNone, code: "parked", task: name})
	}
	w.metrics.count(report{outcome: outcomeLost, code: "done", task: "job.run", ran: true})
	registry := prometheus.NewRegistry() // the worker's own would ask the sandbox, which is none here
	registry.MustRegister(w.metrics.tasks)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 3 {
		t.Errorf("%v, %v", families, err)
	}
}
