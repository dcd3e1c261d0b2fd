package schedule_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/sdk/schedule"
)

func testKey(p envelope.Purpose, n byte) envelope.PrivateKey {
	key, err := envelope.GenerateKey(p, bytes.NewReader(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	submitKey = testKey(envelope.Submit, 1)
	signer    = schedule.Signer{Key: submitKey, Audience: "prod", Tenant: "acme", Queue: "jobs"}
)

// A ring knows one key.
type ring struct{ envelope.PublicKey }

func (r ring) SubmitKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	return r.PublicKey, r.ID() == id
}

// opened reads what was sent as a worker would at that time.
func opened(t *testing.T, message []byte, now time.Time) envelope.Task {
	t.Helper()
	v, err := envelope.Reader{Keys: ring{submitKey.Public()}, Audience: "prod"}.Open(message, now)
	if err != nil {
		t.Fatal(err)
	}
	return v.Task()
}

func TestFire(t *testing.T) {
	tick := at(t, "2026-11-26T03:00:00Z")
	e := schedule.Entry{
		Name: "nightly", Task: "report.daily", Cron: "0 3 * * *", Queue: "reports", Payload: []byte(`{"kind":"daily"}`),
		ContentType: "application/json", TickKey: "at", Jitter: time.Minute, Attempts: 4, Narrowed: true, Caps: []string{"log"},
		Limits: envelope.Limits{Wall: time.Second}, Priority: queue.PriorityLow,
	}
	fire, err := made(t, e).Fire(tick, signer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := made(t, e).Fire(tick, signer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(fire.Message.Message, again.Message.Message) {
		t.Error("two schedulers made different bytes for one tick")
	}
	if lane := (queue.Lane{Queue: "reports", Tenant: "acme", Priority: queue.PriorityLow}); fire.Message.Lane != lane {
		t.Errorf("lane %v", fire.Message.Lane)
	}
	task := opened(t, fire.Message.Message, tick)
	if task.ID != fire.ID || !task.Issued.Equal(tick) || !task.Expires.Equal(tick.Add(24*time.Hour)) || task.Attempts != 4 ||
		!task.Narrowed || len(task.Caps) != 1 || task.Limits.Wall != time.Second || task.Priority != 2 || task.Queue != "reports" ||
		task.UniqueKey != fire.ID.String() {
		t.Errorf("task %+v", task)
	}
	if delay := task.NotBefore.Sub(tick); delay < 0 || delay > time.Minute {
		t.Errorf("starts %v after its tick", delay)
	}
	if got := string(task.Payload); got != `{"kind":"daily","at":"2026-11-26T03:00:00Z"}` {
		t.Errorf("payload %s", got)
	}
}

// The id is what another implementation of a scheduler has to make too.
func TestFireID(t *testing.T) {
	tick := time.UnixMilli(1_790_000_000_000)
	got := schedule.FireID("prod", "acme", "nightly", tick)
	if want := "57938bf64c05f0cc82441367c52ff9e4"; got.String() != want {
		t.Errorf("id %s, want %s", got, want)
	}
	for name, other := range map[string]envelope.MessageID{
		"audience": schedule.FireID("test", "acme", "nightly", tick),
		"tenant":   schedule.FireID("prod", "globex", "nightly", tick),
		"schedule": schedule.FireID("prod", "acme", "hourly", tick),
		"tick":     schedule.FireID("prod", "acme", "nightly", tick.Add(time.Millisecond)),
	} {
		if other == got {
			t.Errorf("another %s has the same id", name)
		}
	}
}

func TestJitterSpreads(t *testing.T) {
	s := made(t, schedule.Entry{Every: time.Minute, Jitter: 10 * time.Minute, Within: time.Hour})
	seen, tick := map[time.Duration]bool{}, time.Unix(0, 0)
	for range 100 {
		tick = s.Next(tick)
		fire, err := s.Fire(tick, signer)
		if err != nil {
			t.Fatal(err)
		}
		delay := opened(t, fire.Message.Message, tick).NotBefore.Sub(tick)
		if delay < 0 || delay > 10*time.Minute {
			t.Fatalf("starts %v after its tick", delay)
		}
		seen[delay/time.Minute] = true
	}
	if len(seen) < 10 {
		t.Errorf("a hundred ticks fell into %d of 10 minutes", len(seen))
	}
}

func TestTickInPayload(t *testing.T) {
	for input, want := range map[string]string{
		"":                `{"at":"1970-01-01T00:01:00Z"}`,
		"{}":              `{"at":"1970-01-01T00:01:00Z"}`,
		" { } ":           `{"at":"1970-01-01T00:01:00Z"}`,
		`{"a":{"at":1}}`:  `{"a":{"at":1},"at":"1970-01-01T00:01:00Z"}`,
		"{\"a\":\"}\"\n}": `{"a":"}","at":"1970-01-01T00:01:00Z"}`,
	} {
		s := made(t, schedule.Entry{Every: time.Minute, TickKey: "at", Payload: []byte(input)})
		fire, err := s.Fire(time.Unix(60, 0), signer)
		if err != nil {
			t.Fatal(err)
		}
		task := opened(t, fire.Message.Message, time.Unix(60, 0))
		if string(task.Payload) != want || task.ContentType != "application/json" {
			t.Errorf("%q became %s (%s)", input, task.Payload, task.ContentType)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		name string
		e    schedule.Entry
		want time.Duration
	}{
		{"often", schedule.Entry{Every: 10 * time.Second}, time.Hour},
		{"between", schedule.Entry{Every: 6 * time.Hour}, 6 * time.Hour},
		{"seldom", schedule.Entry{Cron: "0 0 1 1 *"}, 24 * time.Hour},
		{"said", schedule.Entry{Every: time.Hour, Within: 5 * time.Minute}, 5 * time.Minute},
	} {
		s := made(t, c.e)
		if got := s.Within(s.Next(time.Unix(0, 0))); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFaultyEntries(t *testing.T) {
	good := schedule.Entry{Name: "s", Task: "a", Every: time.Minute}
	for _, c := range []struct {
		name   string
		change func(*schedule.Entry)
		field  string
		text   string
	}{
		{"no name", func(e *schedule.Entry) { e.Name = "" }, "name", "is missing"},
		{"a bad task", func(e *schedule.Entry) { e.Task = "A" }, "task", "begin"},
		{"no rule", func(e *schedule.Entry) { e.Every = 0 }, "", "exactly one"},
		{"two rules", func(e *schedule.Entry) { e.Cron = "@daily" }, "", "exactly one"},
		{"a zone without cron", func(e *schedule.Entry) { e.Zone = "Europe/Berlin" }, "zone", "is for cron"},
		{"below a second", func(e *schedule.Entry) { e.Every = 100 * time.Millisecond }, "every", "whole seconds"},
		{"too seldom", func(e *schedule.Entry) { e.Every = 32 * 24 * time.Hour }, "every", "whole seconds"},
		{"missed", func(e *schedule.Entry) { e.Missed = "some" }, "missed", `"some" is none of`},
		{"within", func(e *schedule.Entry) { e.Within = 25 * time.Hour }, "within", "24h"},
		{"jitter", func(e *schedule.Entry) { e.Within, e.Jitter = time.Minute, time.Minute }, "jitter", "below within"},
		{"attempts", func(e *schedule.Entry) { e.Attempts = 1001 }, "attempts", "1000"},
		{"limit", func(e *schedule.Entry) { e.Limits.Memory = -1 }, "limits.memory", "negative"},
		{"capability", func(e *schedule.Entry) { e.Narrowed, e.Caps = true, []string{"fly"} }, "caps[0]", "fly"},
		{"too much input", func(e *schedule.Entry) { e.Payload = make([]byte, envelope.PayloadSizeMax+1) }, "input", "bytes"},
		{"tick into no object", func(e *schedule.Entry) { e.TickKey, e.Payload = "at", []byte("[1]") }, "tick_key", "object"},
		{"tick into null", func(e *schedule.Entry) { e.TickKey, e.Payload = "at", []byte("null") }, "tick_key", "object"},
		{"tick that is there", func(e *schedule.Entry) { e.TickKey, e.Payload = "at", []byte(`{"at":1}`) }, "tick_key", "already"},
		{"tick's name", func(e *schedule.Entry) { e.TickKey = `"` }, "tick_key", "begin"},
		{"cron", func(e *schedule.Entry) { e.Every, e.Cron = 0, "61 * * * *" }, "cron", "61"},
		{"cron with a zone", func(e *schedule.Entry) { e.Every, e.Cron = 0, "TZ=UTC" }, "cron", "zone"},
		{"cron with every", func(e *schedule.Entry) { e.Every, e.Cron = 0, "@every 1h" }, "cron", "every"},
		{"cron that never comes", func(e *schedule.Entry) { e.Every, e.Cron = 0, "0 0 30 2 *" }, "cron", "never"},
		{"cron too long", func(e *schedule.Entry) { e.Every, e.Cron = 0, strings.Repeat("1,", 200)+"1 * * * *" }, "cron", "long"},
		{"zone", func(e *schedule.Entry) { e.Every, e.Cron, e.Zone = 0, "@daily", "Berlin" }, "zone", "IANA"},
		{"zone of the machine", func(e *schedule.Entry) { e.Every, e.Cron, e.Zone = 0, "@daily", "Local" }, "zone", "IANA"},
		{"zone out of its folder", func(e *schedule.Entry) { e.Every, e.Cron, e.Zone = 0, "@daily", "../../etc/passwd" }, "zone", "IANA"},
	} {
		e := good
		c.change(&e)
		_, err := schedule.New(e)
		var bad *schedule.FieldError
		if !errors.As(err, &bad) || bad.Field != c.field || !strings.Contains(bad.Text, c.text) || bad.Code() != "schedule.field" {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, text := range []string{"* * * * *", "@daily", "TZ=", "*/0 * * * *", "1-99999999999 * * * *", "0 0 31 2 *", "@every 1s", "? ? ? ? ?"} {
		f.Add(text, "Europe/Berlin")
	}
	f.Fuzz(func(t *testing.T, text, zone string) {
		s, err := schedule.New(schedule.Entry{Name: "s", Task: "a", Cron: text, Zone: zone})
		if err != nil {
			return
		}
		now := time.UnixMilli(1_790_000_000_000)
		if next := s.Next(now); !next.IsZero() && !next.After(now) {
			t.Errorf("%q in %q: %v comes after %v", text, zone, next, now)
		}
	})
}
