package tasktest_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/sdk/tasktest"
)

// A fakeTest is a test that may fail without failing the one around it.
type fakeTest struct {
	testing.TB
	faults []string
	fatal  bool
}

func (f *fakeTest) Errorf(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

func (f *fakeTest) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	f.fatal = true
	goruntime.Goexit()
}

// fails runs body as a test and holds its one fault against want, "" for none.
func fails(t *testing.T, want string, body func(testing.TB)) {
	t.Helper()
	fake := &fakeTest{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(fake)
	}()
	<-done
	switch {
	case want == "" && len(fake.faults) > 0:
		t.Errorf("got %q, want no fault", fake.faults)
	case want != "" && (len(fake.faults) != 1 || !strings.Contains(fake.faults[0], want)):
		t.Errorf("got %q, want one with %q", fake.faults, want)
	}
}

func TestLoadFaults(t *testing.T) {
	for _, row := range []struct{ name, dir, want string }{
		{"no manifest", "testdata", "task.toml"},
		{"manifest, unknown key", "testdata/guests/faulty", "task.toml:3:1: "},
		{"manifest, all faults", "testdata/guests/faulty", "task.toml:6:"},
		{"does not compile", "testdata/guests/broken", "main.go:4:22: too many return values"},
		{"power not declared", "testdata/guests/undeclared", "kv"},
	} {
		t.Run(row.name, func(t *testing.T) {
			fails(t, row.want, func(fake testing.TB) { tasktest.Load(fake, filepath.FromSlash(row.dir)) })
		})
	}
}

func TestRunFaults(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	fails(t, "input: ", func(fake testing.TB) { task.Run(fake, func() {}, nil) })
	fails(t, "result: ", func(fake testing.TB) {
		var number int
		task.Run(fake, actsInput{Mode: "done", Value: 1}, &number)
	})
	fails(t, "", func(fake testing.TB) { task.Run(fake, actsInput{Mode: "done", Value: 1}, nil) })
}

func TestRefusesFaults(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	fails(t, "the run is done", func(fake testing.TB) { task.Refuses(fake, actsInput{Mode: "done", Value: 1}, "task.failed") })
	fails(t, "got task.error: not this time, want task.failed or limit.wall", func(fake testing.TB) {
		task.Refuses(fake, actsInput{Mode: "error", Value: 1}, "task.failed", "limit.wall")
	})
	fails(t, "", func(fake testing.TB) {
		task.Refuses(fake, actsInput{Mode: "error", Value: 1}, "task.failed", "task.error")
	})
}

// A request that nobody answers is a hole in the test, and not an error that the task might swallow.
func TestHTTPWithoutHandler(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	fails(t, "sent a request to api.example.com:443, but Task.HTTP was not called", func(fake testing.TB) {
		task.Run(fake, calling(callInput{Call: "fetch", Key: "GET", URL: "https://api.example.com/"}), nil)
	})
	// A denied one is none.
	fails(t, "", func(fake testing.TB) {
		task.Run(fake, calling(callInput{Call: "fetch", Key: "GET", URL: "https://elsewhere.org/"}), nil)
	})
	task.HTTP(func(http.ResponseWriter, *http.Request) {})
	fails(t, "", func(fake testing.TB) {
		task.Run(fake, calling(callInput{Call: "fetch", Key: "GET", URL: "https://api.example.com/"}), nil)
	})
}

// Each run starts clean, and each Task has a world of its own, also at the same time.
func TestParallel(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			task := tasktest.Load(t, "testdata/guests/acts")
			task.HTTP(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, i) })
			for range 3 {
				ask(t, task, callInput{Call: "put", Key: "mine/me", Value: fmt.Sprint(i)})
				stored := ask(t, task, callInput{Call: "get", Key: "mine/me"})
				answer := ask(t, task, callInput{Call: "fetch", Key: "GET", URL: "https://api.example.com/"})
				if want := []string{fmt.Sprint(i)}; !slices.Equal(stored.Values, want) || !slices.Equal(answer.Values, want) {
					t.Errorf("task %d: stored %q, answered %q", i, stored.Values, answer.Values)
				}
			}
		})
	}
}

func TestUsage(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	ask(t, task, callInput{Call: "get", Key: "mine/x"})
	if task.Usage.Memory < 1<<20 || task.Usage.Wall <= 0 || task.Usage.Calls != 1 {
		t.Errorf("got %+v", task.Usage)
	}
}

func TestError(t *testing.T) {
	task := tasktest.Load(t, "testdata/guests/acts")
	err := task.Run(t, actsInput{Mode: "fail", Value: 0}, nil)
	var ended *tasktest.Error
	if !errors.As(err, &ended) || err.Error() != "task.failed: this will never do" || ended.Verdict != sandbox.Failed {
		t.Errorf("got %v, %+v", err, ended)
	}
}

// Every Go block of the guide stands in one of the examples as it stands there, so what a reader copies has been compiled and run.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.FromSlash("../../docs/guide/writing-tasks.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	for _, pattern := range []string{"../../examples/*/*.go", "../../examples/*/task.toml"} {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			examples.Write(text)
		}
	}
	blocks := 0
	for _, part := range strings.Split(string(guide), "\n```")[1:] {
		language, body, _ := strings.Cut(part, "\n")
		if language != "go" && language != "toml" {
			continue
		}
		blocks++
		if !strings.Contains(examples.String(), body+"\n") {
			t.Errorf("no example holds this block of the guide:\n%s", body)
		}
	}
	if blocks < 5 {
		t.Errorf("the guide has %d blocks; does the test still find them?", blocks)
	}
}
