package runtime

import (
	"reflect"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caisson-run/caisson/runtime/sandbox"
)

// TestSandboxMetrics: each number of sandbox.Stats is served, but for those that are counted by task already.
func TestSandboxMetrics(t *testing.T) {
	stats := sandbox.Stats{Dropped: map[string]int64{"ended": 501, "dirty": 502}}
	byTask := []string{"Runs", "Fuel", "CPU"}
	want := map[float64]string{501: "Dropped, ended", 502: "Dropped, dirty"}
	v := reflect.ValueOf(&stats).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if !v.Type().Field(i).IsExported() || !f.CanInt() || slices.Contains(byTask, name) {
			continue
		}
		n := int64(1000 + i)
		want[float64(n)] = name
		if name == "RestoreTime" {
			n *= 1_000_000_000 // served in seconds
		}
		f.SetInt(n)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newSandboxMetrics(func() sandbox.Stats { return stats }))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() // one of them is there
			if want[value] == "" {
				t.Errorf("%s is %v, which is no field's", f.GetName(), value)
			}
			delete(want, value)
		}
	}
	for _, name := range want {
		t.Errorf("%s is not served", name)
	}
}
