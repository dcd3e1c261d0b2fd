package runtime

import (
	"errors"
	"testing"

	"github.com/caisson-run/caisson/queue/envelope"
)

// TestJoined makes one payload of several outputs.
func TestJoined(t *testing.T) {
	results := []envelope.Result{
		{Output: []byte(`{"n":1}`), ContentType: "application/json"},
		{Output: []byte(`{"n":1}`)},
		{Output: []byte(`{"n":`), ContentType: "application/json"},
		{},
	}
	got, err := joined(results)
	if want := `[{"n":1},"eyJuIjoxfQ==","eyJuIjo=",""]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	large := envelope.Result{Output: make([]byte, inputsBytesMax/2)}
	var refused *refusal
	if _, err := joined([]envelope.Result{large, large}); !errors.As(err, &refused) || refused.code != CodePayload {
		t.Errorf("too much: %v", err)
	}
}
