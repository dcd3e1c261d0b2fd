package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestVisits(t *testing.T) {
	task := tasktest.Load(t, ".")
	task.KV["visits/home"] = "41"
	var got Reply
	if err := task.Run(t, Request{Page: "home"}, &got); err != nil || got.Visits != 42 {
		t.Errorf("got %+v, %v", got, err)
	}
	if task.KV["visits/home"] != "42" || task.TTL["visits/home"] != kept {
		t.Errorf("the store holds %v, for %v", task.KV, task.TTL)
	}
	if err := task.Run(t, Request{Page: "new"}, &got); err != nil || got != (Reply{Page: "new", Visits: 1}) {
		t.Errorf("first visit: got %+v, %v", got, err)
	}
}

func TestVisitsRefused(t *testing.T) {
	task := tasktest.Load(t, ".")
	task.KV["visits/broken"] = "many"
	task.KV["secret"] = "1"
	task.Refuses(t, Request{}, "task.failed")
	task.Refuses(t, Request{Page: "broken"}, "task.failed")
	task.Refuses(t, Request{Page: strings.Repeat("x", 600)}, "task.error")
	err := task.Run(t, Request{Page: "../secret"}, nil)
	var ended *tasktest.Error
	if !errors.As(err, &ended) || len(task.KV) != 2 {
		t.Errorf("a key outside: %v; the store holds %v", err, task.KV)
	}
}

func TestVisitsTenants(t *testing.T) {
	one, other := tasktest.Load(t, "."), tasktest.Load(t, ".")
	for _, task := range []*tasktest.Task{one, one, other} {
		if err := task.Run(t, Request{Page: "home"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if one.KV["visits/home"] != "2" || other.KV["visits/home"] != "1" {
		t.Errorf("one %v, other %v", one.KV, other.KV)
	}
}
