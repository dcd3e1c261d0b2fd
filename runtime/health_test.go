package runtime

import (
	"errors"
	"fmt"
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
