package guest

import (
	"bytes"
	"context"
	"slices"
	"testing"
)

// counted notes which of its methods encoding/json called, and panics where it is told to.
type counted struct{}

var (
	countedCalls  []string
	countedPanics string
)

func note(call string) {
	countedCalls = append(countedCalls, call)
	if countedPanics == call {
		panic(call)
	}
}

func (counted) MarshalJSON() ([]byte, error) { note("marshal"); return []byte("1"), nil }
func (*counted) UnmarshalJSON([]byte) error  { note("unmarshal"); return nil }

// What warm calls of a task's own types, and that a panic in one keeps nothing else from being warmed.
func TestWarm(t *testing.T) {
	t.Cleanup(func() { countedCalls, countedPanics = nil, "" })
	for _, row := range []struct {
		panics string
		want   []string
	}{
		{"", []string{"marshal", "unmarshal", "marshal"}},
		{"marshal", []string{"marshal", "marshal"}},
		{"unmarshal", []string{"marshal", "unmarshal", "marshal"}},
	} {
		countedCalls, countedPanics = nil, row.panics
		warm[counted, counted]()
		if !slices.Equal(countedCalls, row.want) {
			t.Errorf("with a panic in %q: %q, want %q", row.panics, countedCalls, row.want)
		}
	}
	// What has no JSON, and what needs none.
	warm[func(), chan int]()
	countedCalls = nil
	warm[[]byte, []byte]()
	if len(countedCalls) != 0 {
		t.Errorf("bytes called %q", countedCalls)
	}
}

// Outside the sandbox nothing begins from an image, so registering a task runs nothing of its types.
func TestHandleIsColdOutside(t *testing.T) {
	t.Cleanup(func() { countedCalls = nil })
	register(t, func(context.Context, counted) (counted, error) { return counted{}, nil })
	if len(countedCalls) != 0 {
		t.Errorf("Handle called %q", countedCalls)
	}
	if out, err := handler(t.Context(), []byte("5")); err != nil || !bytes.Equal(out, []byte("1")) {
		t.Errorf("got %q, %v", out, err)
	}
}
