package runtime_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

// offlineConfig is complete and connects to nothing.
func offlineConfig(t *testing.T) runtime.Config {
	t.Helper()
	openShared(t)
	authority, err := devtls.NewAuthority(time.Now())
	check(t, err)
	client, err := redisqueue.Dial(redisqueue.Config{Addr: "127.0.0.1:1", User: "worker", Password: "p", CA: authority.CertPEM()})
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	lanes, err := redisqueue.OpenQueue(client, redisqueue.QueueConfig{Worker: "worker-1"})
	check(t, err)
	return runtime.Config{
		Broker: lanes, Queues: []string{queueName}, Policy: parsePolicy(t), Key: workerKey, Floor: &floor{},
		Modules: modstore.Over(&blobs{}), Sandbox: shared.sandbox, Name: "worker-1",
	}
}

// TestConfigFaults makes one field faulty at a time, and then all of them: each is named.
func TestConfigFaults(t *testing.T) {
	if _, err := runtime.Open(offlineConfig(t)); err != nil {
		t.Fatalf("the least config: %v", err)
	}
	rows := []struct {
		name  string
		field string
		edit  func(*runtime.Config)
	}{
		{"no broker", "Broker", func(c *runtime.Config) { c.Broker = nil }},
		{"no policy", "Policy", func(c *runtime.Config) { c.Policy = nil }},
		{"no modules", "Modules", func(c *runtime.Config) { c.Modules = nil }},
		{"no floor", "Floor", func(c *runtime.Config) { c.Floor = nil }},
		{"no sandbox", "Sandbox", func(c *runtime.Config) { c.Sandbox = nil }},
		{"no name", "Name", func(c *runtime.Config) { c.Name = "" }},
		{"upper case name", "Name", func(c *runtime.Config) { c.Name = "Worker" }},
		{"no queue", "Queues", func(c *runtime.Config) { c.Queues = nil }},
		{"a bad queue", "Queues[1]", func(c *runtime.Config) { c.Queues = []string{"a", "b:c"} }},
		{"a queue twice", "Queues[2]", func(c *runtime.Config) { c.Queues = []string{"a", "b", "a"} }},
		{"no key", "Key", func(c *runtime.Config) { c.Key = envelope.PrivateKey{} }},
		{"a submit key", "Key", func(c *runtime.Config) { c.Key = shopKey }},
		{"an unlisted key", "Key", func(c *runtime.Config) { c.Key = makeKey(envelope.Worker, "unlisted") }},
		{"negative concurrency", "Concurrency", func(c *runtime.Config) { c.Concurrency = -1 }},
		{"too much concurrency", "Concurrency", func(c *runtime.Config) { c.Concurrency = runtime.ConcurrencyMax + 1 }},
		{"a negative limit", "Limits.Task", func(c *runtime.Config) { c.Limits.Task = -1 }},
		{"orders without an admin", "Listener", func(c *runtime.Config) { c.Listener, c.Modes = &redisqueue.Client{}, &runtime.ModesFile{} }},
		{"orders without a memory", "Modes", func(c *runtime.Config) { c.Listener, c.Admin = &redisqueue.Client{}, &redisqueue.Client{} }},
		{"short lease", "Lease", func(c *runtime.Config) { c.Lease = runtime.LeaseMin - 1 }},
		{"long lease", "Lease", func(c *runtime.Config) { c.Lease = runtime.LeaseMax + 1 }},
		{"another lease than the broker's", "Lease", func(c *runtime.Config) { c.Lease = 20 * time.Second }},
		{"negative drain", "Drain", func(c *runtime.Config) { c.Drain = -2 }},
		{"long drain", "Drain", func(c *runtime.Config) { c.Drain = time.Hour + 1 }},
		{"short result time", "ResultTTL", func(c *runtime.Config) { c.ResultTTL = time.Second - 1 }},
		{"long result time", "ResultTTL", func(c *runtime.Config) { c.ResultTTL = 7*24*time.Hour + 1 }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := offlineConfig(t)
			row.edit(&cfg)
			_, err := runtime.Open(cfg)
			if fields := faulty(err); !slices.Equal(fields, []string{row.field}) {
				t.Errorf("faulty are %v, want %s: %v", fields, row.field, err)
			}
		})
	}
	_, err := runtime.Open(runtime.Config{
		Queues: []string{"A"}, Key: shopKey, Concurrency: -1, Lease: 1, Drain: -5, ResultTTL: 1,
	})
	want := []string{"Broker", "Policy", "Modules", "Floor", "Sandbox", "Name", "Queues[0]", "Concurrency", "Lease", "Drain", "ResultTTL", "Key"}
	if fields := faulty(err); !slices.Equal(fields, want) {
		t.Errorf("faulty are %v, want %v", fields, want)
	}
}

// faulty returns the fields that err names, in order.
func faulty(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var fields []string
	for _, e := range joined.Unwrap() {
		var fault *runtime.ConfigError
		if !errors.As(e, &fault) {
			return append(fields, "not a ConfigError: "+e.Error())
		}
		fields = append(fields, fault.Field)
	}
	return slices.Compact(fields) // one field may have two faults
}

// TestRunOnce calls Run a second time.
func TestRunOnce(t *testing.T) {
	w := newWorld(t)
	worker := w.work()
	worker.await("worker started")
	ended, end := context.WithCancel(t.Context())
	end() // so that a second Run, if there were one, would end
	if err := worker.Run(ended); err == nil {
		t.Error("Run was called twice without an error")
	}
}
