package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

// running is a worker that works, with a broker of its own.
type running struct {
	*runtime.Worker
	t     testing.TB
	log   *book
	lanes *redisqueue.Queue
	stop  context.CancelFunc
	ended chan struct{} // closed when Run has returned
	err   error         // what it returned
}

// config is a worker's, but for what work fills in.
func (w *world) config() runtime.Config {
	return runtime.Config{
		Queues: []string{queueName}, Policy: parsePolicy(w.t), Key: workerKey, Modules: w.store, Floor: &floor{},
		Sandbox: shared.sandbox, Name: "worker-1", Concurrency: 2, Lease: 5 * time.Second, Drain: patience,
	}
}

// work starts a worker as the worker's ACL user, and ends it with the test.
func (w *world) work(edit ...func(*runtime.Config)) *running {
	w.t.Helper()
	cfg := w.config()
	r := &running{t: w.t, log: newBook(), ended: make(chan struct{})}
	cfg.Logger = r.log.logger()
	for _, e := range edit {
		e(&cfg)
	}
	conn := w.dial(queuetest.UserWorker)
	var err error
	if r.lanes, err = redisqueue.OpenQueue(conn, redisqueue.QueueConfig{Lease: cfg.Lease, Worker: cfg.Name, Logger: cfg.Logger}); err != nil {
		w.t.Fatal(err)
	}
	if cfg.Listener == nil {
		cfg.Listener, cfg.Admin, cfg.Events, cfg.Progress = conn, conn, conn, conn
	}
	if cfg.Modes == nil {
		var err error
		cfg.Modes, err = runtime.OpenModes(filepath.Join(w.t.TempDir(), "modes.json"))
		check(w.t, err)
	}
	if cfg.Broker == nil {
		cfg.Broker = r.lanes
	}
	if r.Worker, err = runtime.Open(cfg); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	r.stop = stop
	go func() { // ends below
		defer close(r.ended)
		r.err = r.Run(ctx)
	}()
	w.t.Cleanup(func() {
		stop()
		r.Cut()
		r.wait()
		conn.Close() // first, so that a read that is still out ends at once
		r.lanes.Close()
		if w.t.Failed() {
			w.t.Logf("worker %s:\n%s", cfg.Name, r.log.tail())
		}
	})
	return r
}

// wait returns when Run has.
func (r *running) wait() error {
	r.t.Helper()
	receive(r.t, r.ended, "end of the worker")
	return r.err
}

// page asks the worker's own pages.
func (r *running) page(path string) (int, string) {
	r.t.Helper()
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(answer.Body)
	check(r.t, err)
	return answer.Code, string(body)
}

// metric returns the value of one line of /metrics, "" when there is none.
func (r *running) metric(name string) string {
	r.t.Helper()
	_, text := r.page("/metrics")
	for _, line := range strings.Split(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// floor is a runtime.Floor without a file.
type floor struct {
	mu      sync.Mutex
	numbers map[string]uint64
	err     error
}

func (f *floor) Lowest(task string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.numbers[task]
}

func (f *floor) Raise(task string, number uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.numbers == nil {
		f.numbers = map[string]uint64{}
	}
	f.numbers[task] = max(f.numbers[task], number)
	return f.err
}

// book is a log that can be waited on.
type book struct {
	mu      sync.Mutex
	text    bytes.Buffer
	lines   []map[string]any
	changed chan struct{} // closed and made anew at each line
}

func newBook() *book { return &book{changed: make(chan struct{})} }

func (b *book) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: "caisson", Level: hclog.Debug, JSONFormat: true, Output: b})
}

// Write takes one line, as hclog does.
func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		line["@message"] = fmt.Sprintf("not JSON: %v", err)
	}
	b.lines = append(b.lines, line)
	close(b.changed)
	b.changed = make(chan struct{})
	return len(p), nil
}

func (b *book) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	return text[max(0, len(text)-6000):]
}

// all returns the lines that say text and hold the pairs, keys and values in turn.
func (b *book) all(text string, pairs ...any) []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []map[string]any
next:
	for _, line := range b.lines {
		if line["@message"] != text {
			continue
		}
		for i := 0; i < len(pairs); i += 2 {
			if fmt.Sprint(line[pairs[i].(string)]) != fmt.Sprint(pairs[i+1]) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// await returns the first such line, when it has come.
func (r *running) await(text string, pairs ...any) map[string]any {
	r.t.Helper()
	return r.awaitMany(1, text, pairs...)[0]
}

// awaitMany returns such lines when there are n.
func (r *running) awaitMany(n int, text string, pairs ...any) []map[string]any {
	r.t.Helper()
	late := time.After(patience)
	for {
		r.log.mu.Lock()
		changed := r.log.changed
		r.log.mu.Unlock()
		if found := r.log.all(text, pairs...); len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-late:
			r.t.Fatalf("the worker did not say %q %v %d times in %v", text, pairs, n, patience)
		}
	}
}
