package tasktest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/sdk/tasktest"
)

// This file tests sdk/guest where it runs: inside the sandbox. The guests are in testdata.

// A module imports the functions it uses and no others: admission holds the list against the manifest.
func TestImports(t *testing.T) {
	base := []string{"error_write", "log_write", "result_write"}
	call := append(slices.Clone(base), "answer_read")
	for dir, want := range map[string][]string{
		"testdata/guests/acts":     append(slices.Clone(call), "http_fetch", "kv_get", "kv_put", "kv_delete", "kv_list"),
		"../../examples/thumbnail": base,
		"../../examples/report":    base,
		"../../examples/page":      base,
		"../../examples/hostile":   base,
		"../../examples/callout":   append(slices.Clone(call), "http_fetch"),
		"../../examples/visits":    append(slices.Clone(call), "kv_get", "kv_put"),
	} {
		t.Run(dir, func(t *testing.T) {
			got := tasktest.Imports(t, filepath.FromSlash(dir))
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

type actsInput struct {
	Mode  string    `json:"mode"`
	Value int       `json:"value"`
	Call  callInput `json:"call"`
}

func TestModes(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	rows := []struct {
		in     any
		result string // the result, when the run is done
		code   string // else its code, and
		text   string // what its error holds
	}{
		{in: actsInput{Mode: "done", Value: 7}, result: `{"text":"value 7"}`},
		{in: actsInput{Mode: "goroutines", Value: 10}, result: `{"text":"45"}`},
		{in: actsInput{Mode: "sleep", Value: 20}, result: `{"text":"true"}`},
		{in: actsInput{Mode: "left behind", Value: 0}, result: `{"text":"gone"}`},
		{in: actsInput{Mode: "panic", Value: 7}, code: "task.error", text: "panic: boom 7"},
		{in: actsInput{Mode: "nil", Value: 0}, code: "task.error", text: "panic: runtime error: invalid memory address or nil pointer dereference"},
		{in: actsInput{Mode: "index", Value: 9}, code: "task.error", text: "panic: runtime error: index out of range [9] with length 3"},
		{in: actsInput{Mode: "panic elsewhere", Value: 0}, code: "task.trap"},
		{in: actsInput{Mode: "deadlock", Value: 0}, code: "task.trap"},
		{in: actsInput{Mode: "error", Value: 0}, code: "task.error", text: "not this time"},
		{in: actsInput{Mode: "fail", Value: 0}, code: "task.failed", text: "this will never do"},
		{in: actsInput{Mode: "retry", Value: 1500}, code: "task.error", text: "the weather is bad"},
		{in: actsInput{Mode: "exit", Value: 0}, result: ""},
		{in: actsInput{Mode: "exit", Value: 3}, code: "task.error"},
		{in: actsInput{Mode: "exit", Value: 65}, code: "task.failed"},
		{in: []byte(`{"mode": 7}`), code: "task.failed", text: "guest: input: field mode: a JSON number does not fit string (at byte 10)"},
		{in: []byte(`{"mode": "done"`), code: "task.failed", text: "guest: input: not valid JSON (at byte 15)"},
		{in: []byte{}, code: "task.failed", text: "guest: input: not valid JSON"},
	}
	for _, row := range rows {
		input, err := json.Marshal(row.in)
		if raw, ok := row.in.([]byte); ok {
			input = raw
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run(string(input), func(t *testing.T) {
			var got []byte
			err := task.Run(t, input, &got)
			var ended *tasktest.Error
			switch errors.As(err, &ended); {
			case row.code == "":
				if err != nil || string(got) != row.result {
					t.Errorf("got %q, %v", got, err)
				}
			case ended == nil || ended.Code() != row.code || row.text != "" && ended.Text != row.text:
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	err := task.Run(t, actsInput{Mode: "retry", Value: 1500}, nil)
	var ended *tasktest.Error
	if !errors.As(err, &ended) || ended.Verdict != sandbox.Retry || ended.RetryAfter != 1500*time.Millisecond {
		t.Errorf("got %+v", ended)
	}
}

// A print goes to the log and leaves the result alone. A panic puts its stack there, line by line.
func TestLog(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	if err := task.Run(t, actsInput{Mode: "done", Value: 7}, nil); err != nil || !slices.Equal(task.Log, []string{"info: a print corrupts nothing"}) {
		t.Errorf("%v, the log is %q", err, task.Log)
	}
	task.Refuses(t, actsInput{Mode: "panic", Value: 7}, "task.error")
	if len(task.Log) < 5 || !slices.ContainsFunc(task.Log, func(line string) bool {
		return strings.HasPrefix(line, "error: ") && strings.Contains(line, "guests/acts/main.go")
	}) {
		t.Errorf("the log is %q", task.Log)
	}
}

type header struct{ Name, Value string }

// callInput is one call, for the mode "call".
type callInput struct {
	Call    string   `json:"call"`
	Key     string   `json:"key"`
	Value   string   `json:"value"`
	URL     string   `json:"url"`
	Headers []header `json:"headers"`
	Number  int      `json:"number"`
}

type callOutput struct {
	Values  []string `json:"values"`
	Status  int      `json:"status"`
	Headers []header `json:"headers"`
	Error   string   `json:"error"`
	Is      string   `json:"is"`
}

// calling is the input for one call.
func calling(in callInput) actsInput { return actsInput{Mode: "call", Call: in} }

// ask makes one call in a fresh run.
func ask(t *testing.T, task *tasktest.Task, in callInput) callOutput {
	t.Helper()
	var out struct{ Answer callOutput }
	if err := task.Run(t, calling(in), &out); err != nil {
		t.Fatal(err)
	}
	return out.Answer
}

func TestKV(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	task.KV["mine/b"], task.KV["shared/x"], task.KV["theirs/x"], task.KV["mine/empty"] = "2", "s", "t", ""
	rows := []struct {
		name   string
		in     callInput
		values []string
		is     string
	}{
		{"get", callInput{Call: "get", Key: "mine/b"}, []string{"2"}, ""},
		{"get empty", callInput{Call: "get", Key: "mine/empty"}, []string{""}, ""},
		{"get shared", callInput{Call: "get", Key: "shared/x"}, []string{"s"}, ""},
		{"get none", callInput{Call: "get", Key: "mine/none"}, []string{""}, "not found"},
		{"get theirs", callInput{Call: "get", Key: "theirs/x"}, []string{""}, "denied"},
		{"get nothing", callInput{Call: "get", Key: ""}, []string{""}, "invalid"},
		{"put", callInput{Call: "put", Key: "mine/a", Value: "1"}, nil, ""},
		{"put shared", callInput{Call: "put", Key: "shared/x", Value: "1"}, nil, "denied"},
		{"put for", callInput{Call: "put for", Key: "mine/c", Value: "3", Number: 90}, nil, ""},
		{"put for no time", callInput{Call: "put for", Key: "mine/d", Number: 0}, nil, "invalid"},
		{"put large", callInput{Call: "put large", Key: "mine/large", Number: abi.KVValueSizeMax + 1}, nil, "too large"},
		{"put huge", callInput{Call: "put large", Key: "mine/large", Number: abi.RequestSizeMax}, nil, "too large"},
		{"list", callInput{Call: "list", Key: "mine/", Number: 10}, []string{"mine/a", "mine/b", "mine/c", "mine/empty"}, ""},
		{"list a page", callInput{Call: "list", Key: "mine/", Value: "mine/a", Number: 2}, []string{"mine/b", "mine/c"}, ""},
		{"list the end", callInput{Call: "list", Key: "mine/", Value: "mine/empty", Number: 2}, []string{}, ""},
		{"list theirs", callInput{Call: "list", Key: "theirs/", Number: 2}, nil, "denied"},
		{"list none", callInput{Call: "list", Key: "mine/", Number: 0}, nil, "invalid"},
		{"delete", callInput{Call: "delete", Key: "mine/a"}, nil, ""},
		{"delete again", callInput{Call: "delete", Key: "mine/a"}, nil, ""},
		{"delete shared", callInput{Call: "delete", Key: "shared/x"}, nil, "denied"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			out := ask(t, task, row.in)
			if !slices.Equal(out.Values, row.values) || out.Is != row.is {
				t.Errorf("got %q, %q (%s)", out.Values, out.Is, out.Error)
			}
		})
	}
	if len(task.KV) != 5 || task.KV["mine/c"] != "3" || task.TTL["mine/c"] != 90*time.Second || len(task.TTL) != 1 {
		t.Errorf("the store holds %v, for %v", task.KV, task.TTL)
	}
}

// A denied call that the task passes on is final, without the task having said so.
func TestDeniedIsFinal(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	err := task.Run(t, calling(callInput{Call: "pass on", Key: "theirs/x"}), nil)
	var ended *tasktest.Error
	if !errors.As(err, &ended) || ended.Code() != "task.failed" || ended.Text != `guest: kv get "theirs/x": denied` {
		t.Errorf("got %v", err)
	}
	task.Refuses(t, calling(callInput{Call: "pass on", Key: "mine/none"}), "task.error")
}

// One answer waits at a time, also when many goroutines ask.
func TestKVFromGoroutines(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	const n = 40
	want := make([]string, n)
	for i := range n {
		want[i] = strings.Repeat(strconv.Itoa(i)+" ", 100+i)
		task.KV["mine/"+strconv.Itoa(i)] = strings.Repeat(want[i], 100)
	}
	if out := ask(t, task, callInput{Call: "many", Number: n}); out.Error != "" || !slices.Equal(out.Values, want) {
		t.Errorf("%d values, %s", len(out.Values), out.Error)
	}
}

func TestHTTP(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	task.HTTP(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Add("X-Two", "one")
		w.Header().Add("X-Two", "two")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s%s %s %s", r.Method, r.Host, r.URL, r.Header.Get("X-Token"), body)
	})
	out := ask(t, task, callInput{
		Call: "fetch", Key: "POST", URL: "https://api.example.com/in?a=b", Value: "body", Headers: []header{{"X-Token", "t"}},
	})
	if out.Status != http.StatusTeapot || !slices.Equal(out.Values, []string{"POST api.example.com/in?a=b t body"}) || out.Is != "" {
		t.Errorf("got %+v", out)
	}
	var two []string
	for _, h := range out.Headers {
		if h.Name == "X-Two" {
			two = append(two, h.Value)
		}
	}
	if !slices.Equal(two, []string{"one", "two"}) {
		t.Errorf("headers %q", out.Headers)
	}
	out = ask(t, task, callInput{Call: "fetch", Key: "GET", URL: "https://other.example.com/x"})
	if !slices.Equal(out.Values, []string{"GET other.example.com/x  "}) {
		t.Errorf("another host: %+v", out)
	}
}

func TestHTTPRefused(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	task.HTTP(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s%s reached the server", r.Method, r.Host, r.URL)
	})
	rows := []struct {
		name, method, url, is string
		headers               []header
	}{
		{"method", "DELETE", "https://api.example.com/in", "denied", nil},
		{"path", "POST", "https://api.example.com/out", "denied", nil},
		{"host", "GET", "https://example.org/", "denied", nil},
		{"scheme", "GET", "http://api.example.com/", "denied", nil},
		{"port", "GET", "https://api.example.com:8443/", "denied", nil},
		{"no method", "", "https://api.example.com/", "invalid", nil},
		{"user in the URL", "GET", "https://u:p@api.example.com/", "invalid", nil},
		{"a header that frames", "GET", "https://api.example.com/", "invalid", []header{{"Transfer-Encoding", "chunked"}}},
		{"a header with a line break", "GET", "https://api.example.com/", "invalid", []header{{"X", "a\r\nY: b"}}},
		{"headers without end", "GET", "https://api.example.com/", "too large", make([]header, 2000)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			out := ask(t, task, callInput{Call: "fetch", Key: row.method, URL: row.url, Headers: row.headers})
			if out.Is != row.is {
				t.Errorf("got %q (%s)", out.Is, out.Error)
			}
			if strings.Contains(out.Error, "u:p") {
				t.Errorf("the error repeats a password: %s", out.Error)
			}
		})
	}
}

func TestHTTPLarge(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	size := abi.HTTPBodySizeMax + 1
	task.HTTP(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) })
	if out := ask(t, task, callInput{Call: "fetch", Key: "GET", URL: "https://api.example.com/"}); out.Is != "too large" {
		t.Errorf("got %q (%s)", out.Is, out.Error)
	}
}

// Each task has random numbers of its own, also those that were kept from the module's start. The codecs were used
// once before it, by a type that panicked then, and the function never.
func TestFreshInEachTask(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/fresh")
	type reply struct {
		Early, Kept, Own uint64
		Decodes, Handled int
	}
	seen := map[uint64]bool{}
	for run := range 4 {
		var got reply
		if err := task.Run(t, "a", &got); err != nil {
			t.Fatal(err)
		}
		seen[got.Kept], seen[got.Own] = true, true
		if want := 2 * (run + 1); len(seen) != want || seen[got.Early] {
			t.Errorf("run %d: %d different numbers, want %d; it answered %+v", run, len(seen), want, got)
		}
		if got.Decodes != 2 || got.Handled != 1 {
			t.Errorf("run %d: decoded %d times, called %d times", run, got.Decodes, got.Handled)
		}
	}
}
