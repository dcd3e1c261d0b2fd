package line_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caisson-run/caisson/bench/line"
)

// TestServe speaks to an engine that repeats its guest before the payload.
func TestServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guest")
	if err := os.WriteFile(path, []byte("guest:"), 0o600); err != nil {
		t.Fatal(err)
	}
	var workers, runs atomic.Int64
	ways := map[string]line.Way{
		"repeat": func(guest []byte) (line.Program, error) {
			return func() (line.Worker, error) {
				workers.Add(1)
				return func(input []byte) ([]byte, error) {
					runs.Add(1)
					return append(guest[:len(guest):len(guest)], input...), nil
				}, nil
			}, nil
		},
		"refuse": func([]byte) (line.Program, error) { return nil, errors.New("not today") },
	}
	acts := map[string]line.Act{"sum": func(q line.Request) (line.Answer, error) {
		return line.Answer{Values: []float64{float64(q.Count + q.Workers)}}, nil
	}}
	load := `{"op":"load","way":"repeat","guest":"g","path":"` + path + `"}`
	for _, row := range []struct {
		name    string
		ask     []string
		wantErr string // of the last
		runs    int64
		workers int64
	}{
		{"run", []string{load, `{"op":"run","way":"repeat","guest":"g","input":"in","want":"guest:in","count":100,"workers":4}`}, "", 100, 4},
		{"workers are kept", []string{load, `{"op":"run","way":"repeat","guest":"g","input":"in","want":"guest:in","count":10,"workers":4}`,
			`{"op":"run","way":"repeat","guest":"g","input":"in","want":"guest:in","count":10,"workers":2}`}, "", 20, 4},
		{"wrong result", []string{load, `{"op":"run","way":"repeat","guest":"g","input":"in","want":"in","count":1000,"workers":1}`},
			`result "guest:in", want "in"`, 1, 1},
		{"not loaded", []string{`{"op":"run","way":"repeat","guest":"other","count":1,"workers":1}`}, `guest "other" is not loaded`, 0, 0},
		{"no workers", []string{load, `{"op":"run","way":"repeat","guest":"g","count":1}`}, "count and workers must be positive", 0, 0},
		{"no such way", []string{`{"op":"load","way":"x","guest":"g","path":"` + path + `"}`}, `no way "x"`, 0, 0},
		{"no such op", []string{`{"op":"x"}`}, `no op "x"`, 0, 0},
		{"no such file", []string{`{"op":"load","way":"repeat","guest":"g","path":"/nowhere/guest"}`}, "no such file", 0, 0},
		{"engine refuses", []string{`{"op":"load","way":"refuse","guest":"g","path":"` + path + `"}`}, "not today", 0, 0},
		{"act", []string{`{"op":"sum","count":2,"workers":3}`}, "", 0, 0},
		{"not JSON", []string{"x"}, "invalid character", 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			workers.Store(0)
			runs.Store(0)
			var out strings.Builder
			if err := line.Serve(strings.NewReader(strings.Join(row.ask, "\n")), &out, ways, acts); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != len(row.ask) {
				t.Fatalf("%d answers to %d lines", len(lines), len(row.ask))
			}
			var last line.Answer
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
				t.Fatal(err)
			}
			if (row.wantErr == "") != (last.Error == "") || !strings.Contains(last.Error, row.wantErr) {
				t.Errorf("error %q, want %q", last.Error, row.wantErr)
			}
			if runs.Load() != row.runs || workers.Load() != row.workers {
				t.Errorf("%d runs by %d workers, want %d by %d", runs.Load(), workers.Load(), row.runs, row.workers)
			}
			if row.name == "run" && last.Took <= 0 {
				t.Error("it took no time")
			}
			if row.name == "act" && (len(last.Values) != 1 || last.Values[0] != 5) {
				t.Errorf("values %v", last.Values)
			}
		})
	}
}

// TestPeersSpeakTheSame holds the copy that the peers have to this package.
func TestPeersSpeakTheSame(t *testing.T) {
	for _, name := range []string{"doc.go", "line.go"} {
		ours, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(filepath.Join("../peers/line", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(ours) != string(theirs) {
			t.Errorf("bench/peers/line/%s differs: copy bench/line/%s there", name, name)
		}
	}
}
