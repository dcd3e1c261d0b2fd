package runtime_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/sdk/client"
	"github.com/caisson-run/caisson/sdk/schedule"
)

// fire makes the message of a tick of a schedule "beat" with that text, as every scheduler of the shop does.
func fire(t testing.TB, tick time.Time, text string) (schedule.Fire, client.Receipt) {
	t.Helper()
	s, err := schedule.New(schedule.Entry{
		Name: "beat", Task: "job.run", Every: time.Second, Payload: mustJSON(t, wish{Mode: "echo", Text: text}), Priority: queue.PriorityNormal,
	})
	check(t, err)
	f, err := s.Fire(tick, schedule.Signer{Key: shopKey, Audience: audience, Tenant: "acme", Queue: queueName})
	check(t, err)
	return f, client.Receipt{ID: f.ID, Digest: envelope.DigestOf(f.Message.Message), Queue: queueName, Task: f.Task, Expires: f.Expires}
}

func (w *world) deliver(f schedule.Fire) {
	w.t.Helper()
	check(w.t, w.admin.Send(w.t.Context(), []queue.Outgoing{f.Message}))
}

// A scheduler whose clock is minutes ahead sends a tick that no worker takes. The tick is not lost: the same bytes run when
// they come again at their time.
func TestTickFromAClockThatIsAhead(t *testing.T) {
	w := newWorld(t)
	tick := time.Now().Truncate(time.Second)
	f, receipt := fire(t, tick, "now")
	early := w.work(func(c *runtime.Config) {
		c.Clock = func() time.Time { return time.Now().Add(-5 * time.Minute) } // by which the tick is 5 minutes ahead
	})
	w.deliver(f)
	w.await("the tick is refused", func() bool {
		letters := w.letters()
		return len(letters) == 1 && letters[0].Code == envelope.CodeNotYet
	})
	early.stop()
	early.wait()
	w.work(func(c *runtime.Config) { c.Name = "worker-2" })
	w.deliver(f)
	if r := w.ended(receipt); r.Status != envelope.StatusDone || textOf(r) != "now" || r.Attempt != 1 {
		t.Errorf("the tick, sent again: %+v", r)
	}
}

// A scheduler whose clock is seconds ahead sends a tick that a worker takes, and that waits for its time.
func TestTickWaitsForItsTime(t *testing.T) {
	w := newWorld(t)
	w.work()
	tick := time.Now().Truncate(time.Second).Add(2 * time.Second)
	f, receipt := fire(t, tick, "later")
	w.deliver(f)
	if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Started.Before(tick) {
		t.Errorf("the tick of %v: %+v", tick, r)
	}
}

// Schedulers with the same file send the same bytes, which run once. While their files differ, one of the two runs and the other is a
// dead letter.
func TestTickFromSeveralSchedulers(t *testing.T) {
	w := newWorld(t)
	w.work(func(c *runtime.Config) { c.Concurrency = 4 })
	tick := time.Now().Truncate(time.Second)
	f, receipt := fire(t, tick, "same")
	for range 5 {
		again, _ := fire(t, tick, "same")
		w.deliver(again)
	}
	if r := w.ended(receipt); r.Status != envelope.StatusDone || r.Attempt != 1 {
		t.Errorf("the tick: %+v", r)
	}
	w.deliver(f)
	other, _ := fire(t, tick, "other")
	w.deliver(other)
	w.await("the other version is a dead letter", func() bool {
		for _, l := range w.letters() {
			if l.Code == runtime.CodeIDReused && bytes.Equal(l.Message, other.Message.Message) {
				return true
			}
		}
		return false
	})
	if r := w.ended(receipt); textOf(r) != "same" {
		t.Errorf("the result is another's: %+v", r)
	}
}
