package redisqueue

import (
	"slices"
	"strings"
	"testing"

	"github.com/caisson-run/caisson/queue"
)

func TestToldIn(t *testing.T) {
	long := strings.Repeat("x", carriedBytesMax)
	many := slices.Repeat([]told{{id: "a"}}, queue.BatchMax)
	rows := []struct {
		text string
		want []told
	}{
		{"", nil},
		{"a", []told{{id: "a"}}},
		{"a b", []told{{id: "a"}, {id: "b"}}},
		{"a:3:x y b", []told{{"a", "x y"}, {id: "b"}}},
		{"a:2:: b:1:\x00", []told{{"a", ": "}, {"b", "\x00"}}},
		{"a b:0: c", []told{{id: "a"}, {id: "b"}, {id: "c"}}},
		{"a:16384:" + long, []told{{"a", long}}},
		// What nobody of ours has written: the id is to be read, the rest is not believed.
		{"a:4:xyz", []told{{id: "a"}}},
		{"a:-1:xyz", []told{{id: "a"}}},
		{"a:99999999999999999999:xyz", []told{{id: "a"}}},
		{"a:16385:" + long + "x b", []told{{id: "a"}}},
		{"a:3", []told{{id: "a"}}},
		{":::", []told{{id: ""}}},
		{strings.Repeat("a ", queue.BatchMax), many},
		{strings.Repeat("a ", queue.BatchMax+1), many},
	}
	for _, r := range rows {
		if got := toldIn(r.text); !slices.Equal(got, r.want) {
			t.Errorf("%.40q: %.80v, want %.80v", r.text, got, r.want)
		}
	}
}

// TestWaiterHearsOnce: a result that came with its id is not read as well, though its reading was due.
func TestWaiterHearsOnce(t *testing.T) {
	w := newWaiter([]string{"a", "b"})
	w.tellAll()
	w.tell([]told{{"a", "result"}, {"c", "nobody's"}})
	if came := w.arrived(); len(came) != 1 || came["a"] != "result" || !w.end("a") || w.end("a") {
		t.Errorf("came: %v", came)
	}
	if ids := w.take(9); !slices.Equal(ids, []string{"b"}) || w.left() != 1 {
		t.Errorf("to be read: %v, left %d", ids, w.left())
	}
}
