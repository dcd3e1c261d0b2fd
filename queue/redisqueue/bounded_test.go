package redisqueue_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

func TestPassReplies(t *testing.T) {
	whole := "+OK\r\n:1\r\n$-1\r\n*-1\r\n-ERR no\r\n$0\r\n\r\n*0\r\n$3\r\na\nb\r\n*2\r\n*1\r\n$1\r\n*\r\n*2\r\n:5\r\n$2\r\n\r\n\r\n"
	most := int64(redisqueue.ReplyBytesMax)
	rows := []struct {
		name   string
		reply  string
		values int64 // still to come
		large  bool
	}{
		{"whole ones", whole, 1, false},
		{"in the midst of a list", whole + "*3\r\n:1\r\n", 2, false},
		{"in the midst of a text", "*1\r\n$5\r\nab", 1, false},
		{"the largest text", fmt.Sprintf("$%d\r\n", most-64), 1, false},
		{"a larger text", fmt.Sprintf("$%d\r\n", most), 0, true},
		{"together", fmt.Sprintf("*2\r\n$1\r\na\r\n$%d\r\n", most-16), 0, true},
		{"a list of very many", fmt.Sprintf("*%d\r\n", most/16), 0, true},
		{"a list of lists", strings.Repeat("*1000000\r\n", 10), 0, true},
		{"a number that wraps", "$9223372036854775807\r\n", 0, true},
		{"a larger number", "*99999999999999999999999999999999999\r\n", 0, true},
	}
	for _, r := range rows {
		values, size, err := redisqueue.PassReplies(r.reply)
		if (err != nil) != r.large || err == nil && values != r.values {
			t.Errorf("%s: %d values to come, %d bytes, %v", r.name, values, size, err)
		}
		byByte, sizeByByte, errByByte := redisqueue.PassReplies(strings.Split(r.reply, "")...)
		if byByte != values || (errByByte == nil) != (err == nil) || err == nil && sizeByByte != size {
			t.Errorf("%s, byte by byte: %d values to come, %d bytes, %v", r.name, byByte, sizeByByte, errByByte)
		}
	}
}

// A reply that is too large is an error with a name and not memory.
func TestLargeReply(t *testing.T) {
	r := newRig(t)
	r.do("CONFIG", "SET", "appendonly", "no") // what is tried is not the disk
	r.do("SETRANGE", "cs:{jobs}:large", redisqueue.ReplyBytesMax, "x")
	err := r.b.worker.Get(t.Context(), "cs:{jobs}:large")
	wantReason(t, "get", err, queue.ReasonData)
	if err == nil || !strings.Contains(err.Error(), "a reply of ") {
		t.Errorf("get: %v", err)
	}
	r.start("m1", plainly)
}

// What is too large to be claimed is put aside by whoever recovers it, and the rest runs.
func TestLargeEntryIsRecovered(t *testing.T) {
	r := newRig(t)
	q := openQueue(t, r.b.worker, "w", 100*time.Millisecond)
	r.do("XADD", laneKey(acme), "*", "e", strings.Repeat("x", queue.MessageBytesMax))
	empty := []any{"XADD", laneKey(acme), "*"}
	for range 20000 {
		empty = append(empty, "", "") // which are many replies' worth of what go-redis makes of them, and no bytes
	}
	r.do(empty...)
	r.do("XADD", laneKey(acme), "*", "e", "m1")
	if ds, err := q.Claim(t.Context(), queue.Claim{Lanes: []queue.Lane{acme}, Max: 10}); err != nil || len(ds) != 3 {
		t.Fatal(len(ds), err)
	}
	got := map[string]bool{}
	queuetest.Eventually(t, "all are recovered", func() bool {
		out, err := q.Recover(t.Context(), []queue.Lane{acme}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range out.Deliveries {
			got[string(d.Message)+d.Fault] = true
		}
		return len(got) == 3
	})
	for _, want := range []string{
		"m1",
		fmt.Sprintf("%d bytes, at most %d", queue.MessageBytesMax+1, queue.MessageBytesMax),
		fmt.Sprintf("%d bytes, at most %d", (40000-2)*16, queue.MessageBytesMax),
	} {
		if !got[want] {
			t.Errorf("%q is not among what was recovered: %v", want, got)
		}
	}
}
