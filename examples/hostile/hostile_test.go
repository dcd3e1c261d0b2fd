package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestHostile(t *testing.T) {
	task := tasktest.Load(t, ".")
	rows := []struct {
		in    Request
		codes []string
	}{
		{Request{Mode: "loop"}, []string{"limit.wall", "limit.cpu"}},
		{Request{Mode: "calls"}, []string{"limit.wall", "limit.cpu"}},
		{Request{Mode: "sleep"}, []string{"limit.wall"}},
		{Request{Mode: "memory"}, []string{"limit.memory"}},
		{Request{Mode: "recursion"}, []string{"limit.memory", "limit.stack"}},
		{Request{Mode: "print"}, []string{"limit.log"}},
		{Request{Mode: "log"}, []string{"limit.log", "limit.calls"}},
		{Request{Mode: "result"}, []string{"limit.memory", "limit.result"}},
		{Request{Mode: "files"}, []string{"task.failed"}},
		{Request{Mode: "panic"}, []string{"task.error"}},
		{Request{Mode: "exit", Status: 65}, []string{"task.failed"}},
		{Request{Mode: "exit", Status: 7}, []string{"task.error"}},
		{Request{Mode: "unheard of"}, []string{"task.failed"}},
	}
	for _, row := range rows {
		t.Run(row.in.Mode, func(t *testing.T) {
			began := time.Now()
			task.Refuses(t, row.in, row.codes...)
			// Far above the limit of two seconds: the machine may be busy, but a year it is not.
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What files says in its failure is that nothing was there, and not what was.
func TestHostileFindsNothing(t *testing.T) {
	t.Setenv("CAISSON_HOSTILE_TEST", "a secret of the worker")
	task := tasktest.Load(t, ".")
	err := task.Run(t, Request{Mode: "files"}, nil)
	var ended *tasktest.Error
	if !errors.As(err, &ended) || !strings.HasPrefix(ended.Text, "hostile: found nothing: ") || !strings.HasSuffix(ended.Text, "environment: empty") {
		t.Errorf("got %v", err)
	}
}

// A status of 0 in the middle of things is the task's own word, and gives an empty result.
func TestHostileExitsDone(t *testing.T) {
	task := tasktest.Load(t, ".")
	var got []byte
	if err := task.Run(t, Request{Mode: "exit"}, &got); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}
