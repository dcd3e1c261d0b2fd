package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/schedule"
)

// A broker takes messages and remembers each once, as a real one runs each once.
type broker struct {
	mu     sync.Mutex
	down   map[string]bool // queues that refuse
	known  map[string]bool // digests of messages
	copies int
}

func (b *broker) Send(_ context.Context, batch []queue.Outgoing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, out := range batch {
		if b.down[out.Lane.Queue] {
			return &queue.UnavailableError{Op: "send", Reason: queue.ReasonConnection, Err: errors.New("down")}
		}
	}
	if b.known == nil {
		b.known = map[string]bool{}
	}
	for _, out := range batch {
		key := envelope.DigestOf(out.Message).String()
		if b.known[key] {
			b.copies++
			continue
		}
		b.known[key] = true
	}
	return nil
}

// seen returns how many messages came, and how many copies of them.
func (b *broker) seen() (messages, copies int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.known), b.copies
}

func (b *broker) set(queueName string, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = map[string]bool{queueName: down}
}

// A log keeps what a scheduler fired, as "name 15:04:05".
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) fired(f schedule.Fire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := f.Schedule + " " + f.Tick.Format("15:04:05")
	if f.Late {
		line += " late"
	}
	l.lines = append(l.lines, line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, ", ")
}

// memory is a State without a file.
type memory struct{ marks map[string]schedule.Mark }

func (m *memory) Marks() (map[string]schedule.Mark, error) { return m.marks, nil }
func (m *memory) Keep(marks map[string]schedule.Mark) error {
	m.marks = map[string]schedule.Mark{}
	for k, v := range marks {
		m.marks[k] = v
	}
	return nil
}

// runFor runs a scheduler for that long on the bubble's clock. Its clocks begin at midnight, UTC, of 2000-01-01.
func runFor(t *testing.T, cfg schedule.Config, d time.Duration) {
	t.Helper()
	s, err := schedule.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := &broker{}, &log{}
		runFor(t, schedule.Config{
			Sender: b, Signer: signer, Fired: l.fired,
			Schedules: []*schedule.Schedule{
				made(t, schedule.Entry{Name: "fast", Every: 20 * time.Second}),
				made(t, schedule.Entry{Name: "cron", Cron: "*/1 * * * *"}),
				made(t, schedule.Entry{Name: "off", Every: time.Second, Paused: true}),
			},
		}, 70*time.Second)
		if want := "fast 00:00:20, fast 00:00:40, fast 00:01:00, cron 00:01:00"; l.String() != want {
			t.Errorf("got  %s\nwant %s", l, want)
		}
		if n, copies := b.seen(); n != 4 || copies != 0 {
			t.Errorf("%d messages, %d copies", n, copies)
		}
	})
}

// What was missed while no scheduler ran, under each rule: down from 00:00 to 00:05:30, a tick each minute.
func TestMissed(t *testing.T) {
	for _, c := range []struct {
		missed schedule.Missed
		down   time.Duration
		within time.Duration
		want   string
	}{
		{schedule.Skip, 5*time.Minute + 30*time.Second, 0, "s 00:05:00"},
		{schedule.One, 5*time.Minute + 30*time.Second, 0, "s 00:05:00"},
		{schedule.All, 5*time.Minute + 30*time.Second, 0, "s 00:01:00 late, s 00:02:00 late, s 00:03:00 late, s 00:04:00 late, s 00:05:00"},
		{schedule.All, 5*time.Minute + 30*time.Second, 2 * time.Minute, "s 00:04:00 late, s 00:05:00"},
		{schedule.One, 30 * time.Second, 0, ""},
	} {
		t.Run(fmt.Sprint(c.missed, c.down, c.within), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, l, m := &broker{}, &log{}, &memory{}
				cfg := schedule.Config{Sender: b, Signer: signer, State: m, Fired: l.fired, Schedules: []*schedule.Schedule{
					made(t, schedule.Entry{Every: time.Minute, Missed: c.missed, Within: c.within}),
				}}
				runFor(t, cfg, time.Millisecond)
				time.Sleep(c.down)
				runFor(t, cfg, 10*time.Second)
				if l.String() != c.want {
					t.Errorf("got  %s\nwant %s", l, c.want)
				}
			})
		})
	}
}

// The current tick is missed, too, when it is late: three hours after a daily one.
func TestMissedCurrent(t *testing.T) {
	for missed, want := range map[schedule.Missed]string{schedule.Skip: "", schedule.One: "s 01:00:00 late", schedule.All: "s 01:00:00 late"} {
		synctest.Test(t, func(t *testing.T) {
			l, m := &log{}, &memory{}
			cfg := schedule.Config{Sender: &broker{}, Signer: signer, State: m, Fired: l.fired, Schedules: []*schedule.Schedule{
				made(t, schedule.Entry{Cron: "0 1 * * *", Missed: missed}),
			}}
			runFor(t, cfg, time.Millisecond)
			time.Sleep(4 * time.Hour)
			runFor(t, cfg, time.Minute)
			if l.String() != want {
				t.Errorf("%s: got %q, want %q", missed, l, want)
			}
		})
	}
}

func TestAllIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l, m := &broker{}, &log{}, &memory{}
		cfg := schedule.Config{Sender: b, Signer: signer, State: m, Fired: l.fired, Schedules: []*schedule.Schedule{
			made(t, schedule.Entry{Every: 10 * time.Second, Missed: schedule.All, Within: 24 * time.Hour}),
		}}
		runFor(t, cfg, time.Millisecond)
		time.Sleep(30 * 24 * time.Hour)
		runFor(t, cfg, 5*time.Second)
		if n, copies := b.seen(); n != schedule.MissedMax || copies != 0 {
			t.Errorf("%d made up and %d copies, want %d and none", n, copies, schedule.MissedMax)
		}
	})
}

// Two schedulers, one of which ends in the middle: each tick once, and none is lost.
func TestTwoSchedulers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &broker{}
		set := []*schedule.Schedule{made(t, schedule.Entry{Every: 10 * time.Second, Jitter: time.Minute, Payload: []byte("{}"), TickKey: "at"})}
		var both sync.WaitGroup
		for _, d := range []time.Duration{35 * time.Second, 95 * time.Second} {
			both.Go(func() {
				runFor(t, schedule.Config{Sender: b, Signer: signer, State: &memory{}, Schedules: set}, d)
			})
		}
		both.Wait()
		if n, copies := b.seen(); n != 9 || copies != 3 {
			t.Errorf("%d messages and %d copies, want 9 and 3", n, copies)
		}
	})
}

// A clock that is set: what was sent is sent again as the same bytes, and what was skipped counts as missed.
func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := &broker{}, &log{}
		var mu sync.Mutex
		var offset time.Duration
		step := func(d time.Duration) { mu.Lock(); offset += d; mu.Unlock() }
		s, err := schedule.Open(schedule.Config{
			Sender: b, Signer: signer, Fired: l.fired,
			Schedules: []*schedule.Schedule{made(t, schedule.Entry{Every: 10 * time.Minute, Missed: schedule.All})},
			Now:       func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(offset) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(10*time.Minute + 2*time.Second) // 00:10:02
		step(-5 * time.Minute)                     // 00:05:02, and 00:10:00 comes again
		time.Sleep(6 * time.Minute)                // 00:11:02
		n, copies := b.seen()
		if want := "s 00:10:00, s 00:10:00"; l.String() != want || n != 1 || copies != 1 {
			t.Errorf("after a step back: %s; %d messages, %d copies", l, n, copies)
		}
		step(25 * time.Minute) // 00:36:02
		time.Sleep(2 * time.Second)
		if want := "s 00:10:00, s 00:10:00, s 00:20:00 late, s 00:30:00 late"; l.String() != want {
			t.Errorf("after a step forward: %s", l)
		}
		step(-30 * 24 * time.Hour) // a clock that has lost its date
		time.Sleep(2 * time.Second)
		step(30 * 24 * time.Hour)
		time.Sleep(2 * time.Second)
		// What could still be valid is judged again, and all of it but what never was sent are copies.
		if _, copies := b.seen(); copies != 4 {
			t.Errorf("after a lost date: %d copies: %s", copies, l)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// A queue that refuses holds up its own ticks only, and they come when it is back.
func TestQueueDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := &broker{}, &log{}
		b.set("slow", true)
		s, err := schedule.Open(schedule.Config{
			Sender: b, Signer: signer, Fired: l.fired,
			Schedules: []*schedule.Schedule{
				made(t, schedule.Entry{Name: "a", Queue: "slow", Every: 30 * time.Second, Missed: schedule.All}),
				made(t, schedule.Entry{Name: "b", Every: 60 * time.Second}),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(95 * time.Second)
		if want := "b 00:01:00"; l.String() != want {
			t.Errorf("while it is down: %s", l)
		}
		b.set("slow", false)
		time.Sleep(10 * time.Second)
		if want := "b 00:01:00, a 00:00:30 late, a 00:01:00, a 00:01:30"; l.String() != want {
			t.Errorf("when it is back: %s", l)
		}
		cancel()
		<-done
	})
}

// A schedule whose rule changes, or that was paused, begins now; one that stays goes on.
func TestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := &log{}, &memory{}
		cfg := schedule.Config{Sender: &broker{}, Signer: signer, State: m, Fired: l.fired}
		stays := made(t, schedule.Entry{Name: "stays", Every: time.Minute})
		cfg.Schedules = []*schedule.Schedule{stays, made(t, schedule.Entry{Name: "changes", Every: time.Minute}), made(t, schedule.Entry{Name: "pauses", Every: time.Minute})}
		runFor(t, cfg, time.Millisecond)
		time.Sleep(10 * time.Second)
		cfg.Schedules[2] = made(t, schedule.Entry{Name: "pauses", Every: time.Minute, Paused: true})
		runFor(t, cfg, time.Millisecond)
		time.Sleep(80 * time.Second)
		cfg.Schedules = []*schedule.Schedule{stays, made(t, schedule.Entry{Name: "changes", Every: 30 * time.Second}), made(t, schedule.Entry{Name: "pauses", Every: time.Minute})}
		runFor(t, cfg, 20*time.Second)
		if want := "stays 00:01:00"; l.String() != want {
			t.Errorf("got %s, want %s", l, want)
		}
		other := cfg
		other.Signer.Tenant, other.Schedules = "globex", []*schedule.Schedule{stays}
		time.Sleep(2 * time.Minute)
		runFor(t, other, time.Millisecond)
		if want := "stays 00:01:00"; l.String() != want {
			t.Errorf("another tenant's marks counted: %s", l)
		}
		s, err := schedule.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var bad *schedule.ConfigError
		if err := s.Use([]*schedule.Schedule{stays, stays}); !errors.As(err, &bad) {
			t.Errorf("a name twice: %v", err)
		}
		if err := s.Use([]*schedule.Schedule{stays}); err != nil {
			t.Error(err)
		}
	})
}

// A slow is a broker whose first write waits until it is let go.
type slow struct {
	broker
	began, goOn chan struct{}
	once        sync.Once
}

func (s *slow) Send(ctx context.Context, batch []queue.Outgoing) error {
	s.once.Do(func() { close(s.began); <-s.goOn })
	return s.broker.Send(ctx, batch)
}

// Schedules are replaced while a write hangs: whoever reads the file again does not wait for the queue. What stays has sent its
// tick once, and what is paused meanwhile leaves no mark.
func TestUseWhileSending(t *testing.T) {
	b, l, m := &slow{began: make(chan struct{}), goOn: make(chan struct{})}, &log{}, &memory{}
	now := time.UnixMilli(1_790_000_000_000) // 14:13:20, UTC
	m.marks = map[string]schedule.Mark{}
	for _, name := range []string{"stays", "pauses"} {
		m.marks[name] = schedule.Mark{Rule: "prod acme every 1m0s", Until: now.Add(-time.Minute)}
	}
	entry := func(name string, paused bool) *schedule.Schedule {
		return made(t, schedule.Entry{Name: name, Every: time.Minute, Paused: paused})
	}
	s, err := schedule.Open(schedule.Config{Sender: b, Signer: signer, State: m, Fired: l.fired, Now: func() time.Time { return now },
		Schedules: []*schedule.Schedule{entry("stays", false), entry("pauses", false)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-b.began:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was sent")
	}
	used := make(chan error, 1)
	go func() { used <- s.Use([]*schedule.Schedule{entry("stays", false), entry("pauses", true)}) }()
	select {
	case err := <-used:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Use waits for the queue")
	}
	close(b.goOn)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if n, _ := b.seen(); n == 2 || time.Now().After(deadline) {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if want := "stays 14:13:00, pauses 14:13:00"; l.String() != want {
		t.Errorf("fired %s, want %s", l, want)
	}
	if _, copies := b.seen(); copies != 0 {
		t.Errorf("%d copies", copies)
	}
	if len(m.marks) != 1 || !m.marks["stays"].Until.Equal(now) {
		t.Errorf("kept %v", m.marks)
	}
}

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	f := schedule.StateFile(path)
	if marks, err := f.Marks(); err != nil || len(marks) != 0 {
		t.Fatalf("no file: %v, %v", marks, err)
	}
	want := map[string]schedule.Mark{"a": {Rule: "every 1m0s", Until: time.UnixMilli(1_790_000_000_123).UTC()}}
	if err := f.Keep(want); err != nil {
		t.Fatal(err)
	}
	got, err := f.Marks()
	if err != nil || got["a"] != want["a"] {
		t.Errorf("got %v, %v", got, err)
	}
	for name, text := range map[string]string{"cut": `{"a":`, "null": "null", "other": "[]"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Marks(); err == nil || !strings.Contains(err.Error(), "remove it to begin now") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := schedule.Open(schedule.Config{Sender: &broker{}, Signer: signer, State: f}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if err := schedule.StateFile(filepath.Join(t.TempDir(), "none", "s")).Keep(want); err == nil {
		t.Error("kept in no folder")
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := schedule.Open(schedule.Config{Signer: schedule.Signer{Key: testKey(envelope.Worker, 2), Tenant: "A"}, Schedules: []*schedule.Schedule{nil}})
	for _, want := range []string{"Sender: is missing", "Signer.Key: is for", "Signer.Audience: is missing", "Signer.Tenant: does not", "Signer.Queue: is missing", "Schedules: have"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	var bad *schedule.ConfigError
	if !errors.As(err, &bad) || bad.Code() != "schedule.config" {
		t.Errorf("got %v", err)
	}
}
