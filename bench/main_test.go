package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain makes this test program an engine where a test starts one.
func TestMain(m *testing.M) {
	if args := os.Args[1:]; len(args) > 1 && args[0] == engineVerb {
		if err := serveEngine(context.Background(), args[1], args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		return
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	for _, row := range []struct {
		args    string
		want    options
		wantErr string
	}{
		{"sandbox", options{}, ""},
		{"sandbox --quick --json", options{quick: true, json: true}, ""},
		{"--quick sandbox --rounds 2", options{quick: true, rounds: 2}, ""},
		{"sandbox --out results --profile p", options{out: "results", profile: "p"}, ""},
		{"", options{}, `NAME: "" is not one of: queue, sandbox`},
		{"nothing", options{}, `NAME: "nothing" is not one of: queue, sandbox`},
		{"sandbox more", options{}, `"more" is one argument too many`},
		{"sandbox --rounds -1", options{}, "--rounds: -1 is not between 0 and 1000"},
		{"sandbox --only (", options{}, "--only: error parsing regexp"},
		{"sandbox --slow", options{}, "flag provided but not defined: -slow"},
	} {
		t.Run(row.args, func(t *testing.T) {
			var stderr bytes.Buffer
			name, o, err := parse(strings.Fields(row.args), &stderr)
			if row.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), row.wantErr) {
					t.Errorf("error %v, want %q", err, row.wantErr)
				}
				return
			}
			o.progress, o.begun = nil, time.Time{}
			if err != nil || name != "sandbox" || o != row.want {
				t.Errorf("%q %+v, error %v; want %+v", name, o, err, row.want)
			}
		})
	}
}

func TestMisuse(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"nothing"}, &stdout, &stderr); status != exitMisused || stdout.Len() > 0 {
		t.Errorf("status %d, stdout %q", status, &stdout)
	}
	if want := "bench: NAME: \"nothing\" is not one of: queue, sandbox\n"; stderr.String() != want {
		t.Errorf("stderr %q, want %q", &stderr, want)
	}
}
