package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestCallOut(t *testing.T) {
	task := tasktest.Load(t, ".")
	task.HTTP(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s%s", r.Method, r.Host, r.URL)
	})
	var got []byte
	if err := task.Run(t, Request{Path: "v1/weather"}, &got); err != nil || string(got) != "GET api.example.com/v1/weather" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := task.Run(t, Request{Path: "a?b#c"}, &got); err != nil || string(got) != "GET api.example.com/a%3Fb%23c" {
		t.Errorf("a path that looks like a query: got %q, %v", got, err)
	}
}

func TestCallOutAnswers(t *testing.T) {
	task := tasktest.Load(t, ".")
	rows := []struct {
		name   string
		status int
		wait   string
		code   string
		after  time.Duration
	}{
		{"not found", 404, "", "task.failed", 0},
		{"redirect is not followed", 302, "", "task.failed", 0},
		{"busy", 429, "30", "task.error", 30 * time.Second},
		{"down", 503, "", "task.error", 0},
		{"down for a year", 503, "31536000", "task.error", waitMax},
		{"down for ever", 503, "9223372036854775807", "task.error", waitMax},
		{"nonsense", 503, "soon", "task.error", 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			asked := 0
			task.HTTP(func(w http.ResponseWriter, r *http.Request) {
				asked++
				w.Header().Set("Location", "https://api.example.com/elsewhere")
				w.Header().Set("Retry-After", row.wait)
				w.WriteHeader(row.status)
			})
			err := task.Run(t, Request{Path: "x"}, nil)
			var ended *tasktest.Error
			if !errors.As(err, &ended) || ended.Code() != row.code || ended.RetryAfter != row.after || asked != 1 {
				t.Errorf("got %v, %+v, after %d requests", err, ended, asked)
			}
			if !strings.HasSuffix(err.Error(), fmt.Sprint("the service answered ", row.status)) {
				t.Errorf("does not name the status: %v", err)
			}
		})
	}
}
