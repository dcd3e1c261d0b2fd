package redisqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
)

// slowRate is what a slow line carries, in bytes a second, each way.
const slowRate = 8 << 20

// slowCredit is how far the line makes up for what it was woken late: each piece is, on a busy machine, which would make a slower line of it.
const slowCredit = 250 * time.Millisecond

// slowLine passes on to addr, slowly, and returns where it listens.
func slowLine(t *testing.T, addr string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	pass := func(from, to net.Conn) { // ends with its connections, which the client closes
		defer from.Close()
		defer to.Close()
		piece := make([]byte, 64<<10)
		var due time.Time // the last piece
		for {
			n, err := from.Read(piece)
			if n > 0 {
				if least := time.Now().Add(-slowCredit); due.Before(least) {
					due = least
				}
				due = due.Add(time.Duration(n) * time.Second / slowRate)
				time.Sleep(time.Until(due)) // what is slow about it
				if _, err := to.Write(piece[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() { // ends with the listener
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				near.Close()
				return
			}
			for _, c := range []net.Conn{near, far} { // or the line would seem fast for the first megabytes
				_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
				_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return listener.Addr().String()
}

// What takes longer than Timeout to pass a slow line goes in pieces that do not.
func TestSlowLine(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	const size = 5 * slowRate / 2 // 2.5 s, and a reply must come within 2
	over := func(user string) *redisqueue.Client {
		c := configOf(s.Login(user))
		c.Addr, c.Timeout = slowLine(t, c.Addr), 2*time.Second
		return dial(t, c)
	}
	t.Run("blob", func(t *testing.T) {
		t.Parallel()
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		if err := redisqueue.OpenBlobs(dial(t, configOf(s.Login(queuetest.UserStore)))).Put(t.Context(), "large", want); err != nil {
			t.Fatal(err)
		}
		got, err := redisqueue.OpenBlobs(over(queuetest.UserWorker)).Get(t.Context(), "large", size)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := redisqueue.OpenBlobs(dial(t, configOf(s.Login(queuetest.UserWorker)))).Get(t.Context(), "large", size-1); err == nil {
			t.Error("a blob that is larger than it may be")
		}
	})
	t.Run("blob put", func(t *testing.T) {
		t.Parallel()
		data, told := bytes.Repeat([]byte("fedcba9876543210"), size/16), 0
		blobs := redisqueue.OpenBlobs(over(queuetest.UserStore)).Telling(func(done, of int) {
			if done <= told || of != size {
				t.Errorf("%d of %d were written, after %d", done, of, told)
			}
			told = done
		})
		for range 2 { // the same again is no error
			if err := blobs.Put(t.Context(), "written", data); err != nil || told != size {
				t.Fatalf("%d bytes were told of, %v", told, err)
			}
		}
		if err := blobs.Put(t.Context(), "written", data[1:]); !errors.Is(err, fs.ErrExist) {
			t.Errorf("other bytes: %v", err)
		}
		got, err := redisqueue.OpenBlobs(dial(t, configOf(s.Login(queuetest.UserWorker)))).Get(t.Context(), "written", size)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if ttl := s.Do("PTTL", "cs:mod:b:written"); ttl != int64(-1) {
			t.Errorf("it expires in %v ms", ttl)
		}
	})
	t.Run("results", func(t *testing.T) {
		t.Parallel()
		ids := make([]string, size>>20)
		admin := adminOf(t, s.Login(queuetest.UserAdmin))
		for i := range ids {
			ids[i] = strconv.Itoa(i)
			admin.Set(t.Context(), "cs:{jobs}:res:"+queuetest.Issuer+":"+ids[i], make([]byte, 1<<20), 0)
		}
		results := redisqueue.OpenResults(over(queuetest.UserProducer))
		defer results.Close()
		n := 0
		err := results.Wait(t.Context(), "jobs", queuetest.Issuer, ids, func(_ string, result []byte) { n += len(result) })
		if n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("dead letters", func(t *testing.T) {
		t.Parallel()
		admin := adminOf(t, s.Login(queuetest.UserAdmin))
		sizes := []int{3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20, 3 << 20} // of somebody who writes to Redis
		for range size / (200 << 10) {
			sizes = append(sizes, 200<<10)
		}
		for i, n := range sizes {
			admin.XAdd(t.Context(), &redis.XAddArgs{Stream: "cs:{jobs}:dead", ID: fmt.Sprintf("1-%d", i+1), Values: []any{"code", "task.failed", "e", make([]byte, n)}})
		}
		operator, after := over(queuetest.UserOperator), ""
		var got []int
		for {
			page, err := operator.DeadLetters(t.Context(), "jobs", after, queue.PageMax)
			if err != nil {
				t.Fatalf("after %d of %d letters: %v", len(got), len(sizes), err)
			}
			if len(page) == 0 {
				break
			}
			for _, d := range page {
				got, after = append(got, len(d.Message)), d.Entry
			}
		}
		if !slices.Equal(got, sizes) {
			t.Errorf("letters of %v bytes", got)
		}
	})
	t.Run("send", func(t *testing.T) {
		t.Parallel()
		// 3.5 s: the buffers of our own side and the line's credit take the first of it at once.
		batch := make([]queue.Outgoing, 7*slowRate/2/queue.MessageBytesMax)
		for i := range batch {
			batch[i] = queue.Outgoing{Lane: acme, Message: make([]byte, queue.MessageBytesMax)}
		}
		if err := over(queuetest.UserProducer).Send(t.Context(), batch); err != nil {
			t.Error(err)
		}
		if n := s.Do("XLEN", "cs:{jobs}:in:acme:1"); n != int64(len(batch)) {
			t.Errorf("%v messages came, want %d", n, len(batch))
		}
	})
}
