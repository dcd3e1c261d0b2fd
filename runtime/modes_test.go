package runtime

import (
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// TestNewerMode compares orders to pause or resume: by time, then by id.
func TestNewerMode(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	first, larger := Mode{Issued: at, ID: envelope.MessageID{1, 2}}, Mode{Issued: at, ID: envelope.MessageID{2, 1}}
	later := Mode{Issued: at.Add(time.Millisecond), ID: envelope.MessageID{1}}
	for _, pair := range [][2]Mode{{later, first}, {larger, first}, {later, larger}, {first, {}}} {
		if pair[0].than(pair[1]) <= 0 || pair[1].than(pair[0]) >= 0 {
			t.Errorf("%+v is not newer than %+v", pair[0], pair[1])
		}
	}
	if c := first.than(first); c != 0 {
		t.Errorf("an order is %d than itself", c)
	}
}
