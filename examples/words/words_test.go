package main_test

import (
	"testing"

	"github.com/caisson-run/caisson/sdk/tasktest"
)

func TestWords(t *testing.T) {
	task := tasktest.Load(t, ".")
	var got struct {
		Words int
		Top   map[string]int
	}
	for _, c := range []struct {
		name  string
		input any
		words int
		the   int
	}{
		{"a text", "The sea, the deep sea!", 5, 2},
		{"nothing", "", 0, 0},
		{"one result", map[string]any{"words": 5, "top": map[string]int{"the": 2}}, 5, 2},
		{"several", []any{map[string]any{"words": 5, "top": map[string]int{"the": 2}}, map[string]any{"words": 1, "top": map[string]int{"the": 1}}}, 6, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			got.Top = nil
			if err := task.Run(t, c.input, &got); err != nil || got.Words != c.words || got.Top["the"] != c.the {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if err := task.Run(t, []int{1}, &got); err == nil {
		t.Error("a list of numbers was taken")
	}
}
