package tasktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// A Task is the task in one folder, with a world of its own. It is for one goroutine at a time.
type Task struct {
	// KV is the key-value store of the task's tenant, by key. Fill it before a run, look at it after. What is put with a
	// time to live stays; see TTL.
	KV map[string]string
	// TTL holds, for each key that the task put with a time to live, that time.
	TTL map[string]time.Duration
	// Log holds what the last run logged, each line as "level: text", at most logLinesMax (1000) of them.
	Log []string
	// Progress holds what the last run said of how far it was, oldest first, at most logLinesMax of them.
	Progress []string
	// Usage is what the last run took: what to choose the limits of task.toml by.
	Usage sandbox.Usage

	program *sandbox.Program
	held    capability.Held
	limits  capability.Limits
	tenant  string
	handler http.HandlerFunc // nil: none set
	server  *server          // nil until HTTP is called
	missed  missed
}

// Load builds the task in the folder dir, checks dir/task.toml and the module against it, and returns the task in an empty world.
// It ends the test when one of them has a fault, and says which.
func Load(t testing.TB, dir string) *Task {
	t.Helper()
	m, module := load(t, dir)
	held, err := capability.Hold(m.Needs, m.Needs, nil)
	if err != nil {
		t.Fatalf("tasktest: %s: %v", dir, err)
	}
	task := &Task{KV: map[string]string{}, TTL: map[string]time.Duration{}, held: held, limits: m.Limits}
	task.program, err = theWorld(t).sandbox.Load(t.Context(), sandbox.Module{
		Digest: module.digest, Bytes: module.bytes, Needs: m.Needs, Start: string(m.Start), Args: m.Args, Env: m.Env,
	})
	if err != nil {
		t.Fatalf("tasktest: %s: %v", dir, err)
	}
	theWorld(t).enter(task)
	t.Cleanup(func() { theWorld(t).leave(task) })
	return task
}

// HTTP makes handler answer every https request that the task sends, whatever its host, until the test ends. The requests go
// through the worker's own code, over TLS, and need their capability. The handler is not called for http requests,
// nor before a denied one. Without HTTP, a request that is allowed fails the test.
func (task *Task) HTTP(handler http.HandlerFunc) { task.handler = handler }

// An Error is how a run ended other than done.
type Error struct {
	// Verdict is sandbox.Failed, Retry, Limit or Crash.
	Verdict    sandbox.Verdict
	Text       string        // what the sender is told
	RetryAfter time.Duration // what the task asked for, 0 for nothing
	code       string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.code
	}
	return e.code + ": " + e.Text
}

// Code is the outcome's code, such as "task.failed" or "limit.wall".
func (e *Error) Code() string { return e.code }

// Run runs the task once, on in, and reads its result into out, a pointer (nil: the result is dropped).
// It fails the test when in has no JSON, or the result does not fit out, or the task asked for a web page without a handler.
// Errors: *Error when the run did not end as done.
func (task *Task) Run(t testing.TB, in, out any) error {
	t.Helper()
	input, err := encode(in)
	if err != nil {
		t.Fatalf("tasktest: input: %v", err)
	}
	task.Log, task.Progress = nil, nil
	outcome := task.run(t, input)
	task.Usage = outcome.Usage
	if theWorld(t).sandbox.Stats().Dropped["dirty"] > 0 {
		t.Error("tasktest: a cell was not clean after its task: a defect of Caisson, please report it")
	}
	for _, host := range task.missed.take() {
		t.Errorf("tasktest: the task sent a request to %s, but Task.HTTP was not called", host)
	}
	if outcome.Verdict != sandbox.Done {
		return &Error{Verdict: outcome.Verdict, Text: outcome.Error, RetryAfter: outcome.RetryAfter, code: outcome.Code}
	}
	if err := decode(outcome.Output, out); err != nil {
		t.Fatalf("tasktest: result: %v", err)
	}
	return nil
}

// Refuses runs the task once, on in, and fails the test unless it ends with one of codes.
func (task *Task) Refuses(t testing.TB, in any, codes ...string) {
	t.Helper()
	var result []byte
	err := task.Run(t, in, &result)
	var ended *Error
	switch {
	case err == nil:
		t.Errorf("tasktest: the run is done with a result of %d bytes, want %s: %.200q", len(result), strings.Join(codes, " or "), result)
	case !errors.As(err, &ended) || !slices.Contains(codes, ended.Code()):
		t.Errorf("tasktest: got %v, want %s", err, strings.Join(codes, " or "))
	}
}

func (task *Task) run(t testing.TB, input []byte) sandbox.Outcome {
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), taskKey{}, task), runTimeMax)
	defer cancel()
	if task.handler != nil && task.server == nil {
		task.server = theWorld(t).serve(task)
		t.Cleanup(func() {
			task.server.Close()
			task.server = nil
		})
	}
	return task.program.Run(ctx, sandbox.Job{
		ID: t.Name(), Tenant: task.tenant, Held: task.held, Limits: task.limits, Input: input,
		Log: func(level, line string) {
			if len(task.Log) < logLinesMax {
				task.Log = append(task.Log, level+": "+line)
			}
		},
		Progress: func(text string) {
			if len(task.Progress) < logLinesMax {
				task.Progress = append(task.Progress, text)
			}
		},
	})
}

// taskKey is where the context of a run holds its *Task.
type taskKey struct{}

func encode(in any) ([]byte, error) {
	if raw, ok := in.([]byte); ok {
		return raw, nil
	}
	return json.Marshal(in)
}

func decode(result []byte, out any) error {
	switch p := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*p = result
		return nil
	}
	if err := json.Unmarshal(result, out); err != nil {
		return fmt.Errorf("%w, in %.200q", err, result)
	}
	return nil
}
