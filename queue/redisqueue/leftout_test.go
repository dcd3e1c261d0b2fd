package redisqueue

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

// TestLeftOutIsSaidOnce finds a lane spoilt again each time that it has been left out for a while, which is one line; and once it has been read
// for as long, another.
func TestLeftOutIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	lane := queue.Lane{Queue: "jobs", Tenant: "acme"}
	q := &Queue{broken: map[queue.Lane]time.Time{}, conf: QueueConfig{Logger: hclog.New(&hclog.LoggerOptions{Output: &log})}}
	again := func(passed time.Duration, lines int) {
		t.Helper()
		q.leaveOut(lane, errors.New("spoilt"))
		if got := q.serviceable([]queue.Lane{lane}); len(got) != 0 || len(q.LeftOut()) != 1 {
			t.Errorf("read all the same: %v", got)
		}
		if n := strings.Count(log.String(), "lane left out"); n != lines {
			t.Errorf("%d lines, want %d", n, lines)
		}
		q.broken[lane] = q.broken[lane].Add(-brokenFor - passed)
		if got := q.serviceable([]queue.Lane{lane}); len(got) != 1 || len(q.LeftOut()) != 0 {
			t.Errorf("not read again: %v", got)
		}
	}
	again(time.Millisecond, 1)
	again(time.Millisecond, 1)
	again(brokenFor, 1)
	again(0, 2)
}
