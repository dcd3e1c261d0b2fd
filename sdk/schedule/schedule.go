package schedule

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Missed says what is sent of ticks that were missed.
type Missed string

const (
	// Skip sends no missed tick.
	Skip Missed = "skip"
	// One sends the newest, and is the default: work is late rather than left out, and nothing piles up.
	One Missed = "one"
	// All sends each, oldest first; of more than MissedMax the newest.
	All Missed = "all"
)

// An Entry is a schedule as it is written. Name, Task and one of Cron and Every are required.
type Entry struct {
	// Name tells it from all other schedules of its tenant, in this file or another; by the grammar of envelope.CheckName.
	Name string
	Task string

	Cron  string        // five fields, or six with seconds first, or @hourly, @daily, ...
	Zone  string        // IANA name of the zone that Cron is meant in; "": UTC
	Every time.Duration // whole seconds; at the multiples of it since 1970, UTC

	Queue string // "": Signer.Queue

	Payload     []byte // what the task gets
	ContentType string

	// TickKey, when set, is put into Payload, a JSON object or nothing, as a further member: the tick, as RFC 3339 in UTC. It
	// must not be there already.
	TickKey string

	// Within is how long after its tick a fire may begin, each attempt of it, 24 h at most. 0: until the next tick, but
	// 1 h at least and 24 h at most.
	Within time.Duration

	// Jitter lets each fire start up to that much after its tick; how much follows from its id. Below Within.
	Jitter time.Duration

	Missed Missed // "": One
	Paused bool   // no ticks; later it begins anew

	Module   envelope.Digest // the only module that may run it; zero: the newest release
	Narrowed bool            // as client.Task's
	Caps     []string
	Attempts int
	Limits   envelope.Limits
	Priority queue.Priority
}

// A Schedule is an Entry that has been checked. It is safe for concurrent use.
type Schedule struct {
	entry Entry
	ticks ticks
	zone  *time.Location
	rule  string // what it ticks by; when it changes, what was missed before means nothing
}

// New checks e and copies what it keeps.
// Errors, final: *FieldError, one for each faulty field, joined.
func New(e Entry) (*Schedule, error) {
	if e.Missed == "" {
		e.Missed = One
	}
	s := &Schedule{entry: e, zone: time.UTC}
	var faults []error
	add := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	add(s.openTicks())
	for _, part := range []func() error{s.checkMissed, s.checkTimes, s.checkTickKey, s.checkCaps} {
		add(part())
	}
	if len(faults) == 0 {
		add(s.trySign())
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s.entry.Payload = append([]byte(nil), e.Payload...)
	s.entry.Caps = append([]string(nil), e.Caps...)
	return s, nil
}

// Entry returns what s was made of, with defaults filled in. Its slices are s's own.
func (s *Schedule) Entry() Entry { return s.entry }

// Zone returns the zone that s is meant in.
func (s *Schedule) Zone() *time.Location { return s.zone }

// When returns what s ticks by, for people: the cron expression, or "every 5m0s".
func (s *Schedule) When() string {
	if s.entry.Cron != "" {
		return s.entry.Cron
	}
	return "every " + s.entry.Every.String()
}

// Next returns the first tick after t, in UTC; zero when none comes within five years. Whether s is paused does not matter.
func (s *Schedule) Next(t time.Time) time.Time { return s.ticks.after(t) }

// Within returns how long after its tick a fire may begin.
func (s *Schedule) Within(tick time.Time) time.Duration {
	if s.entry.Within > 0 {
		return s.entry.Within
	}
	next := s.Next(tick)
	if next.IsZero() {
		return envelope.LifetimeMax
	}
	return min(max(next.Sub(tick), withinLeast), envelope.LifetimeMax)
}

func (s *Schedule) openTicks() error {
	e := &s.entry
	switch {
	case (e.Cron == "") == (e.Every == 0):
		return &FieldError{"", "needs exactly one of cron and every"}
	case e.Every != 0 && e.Zone != "":
		return &FieldError{"zone", "is for cron: multiples of a duration are the same everywhere"}
	case e.Every != 0:
		if e.Every < EveryMin || e.Every > EveryMax || e.Every%time.Second != 0 {
			return &FieldError{"every", fmt.Sprintf("is not whole seconds from %v to %v", EveryMin, EveryMax)}
		}
		s.ticks, s.rule = every(e.Every), s.When()
		return nil
	}
	var err error
	if s.zone, err = openZone(e.Zone); err != nil {
		return err
	}
	if s.ticks, err = parseCron(e.Cron, s.zone); err != nil {
		return err
	}
	if s.Next(time.Now()).IsZero() {
		return &FieldError{"cron", "never comes: no such day within five years"}
	}
	s.rule = s.zone.String() + " " + e.Cron
	return nil
}

func (s *Schedule) checkMissed() error {
	switch s.entry.Missed {
	case Skip, One, All:
		return nil
	}
	return &FieldError{"missed", fmt.Sprintf("%q is none of skip, one, all", s.entry.Missed)}
}

func (s *Schedule) checkTimes() error {
	e := s.entry
	if e.Within < 0 || e.Within > envelope.LifetimeMax {
		return &FieldError{"within", "is not from 0 to " + envelope.LifetimeMax.String()}
	}
	within := e.Within
	if within == 0 {
		within = withinLeast
	}
	if e.Jitter < 0 || e.Jitter >= within {
		return &FieldError{"jitter", fmt.Sprintf("is not from 0 to below within, %v", within)}
	}
	return nil
}

// checkTickKey holds TickKey against the payload.
func (s *Schedule) checkTickKey() error {
	key := s.entry.TickKey
	if key == "" {
		return nil
	}
	if err := envelope.CheckName("tick_key", key); err != nil {
		var field *envelope.FieldError
		errors.As(err, &field)
		return &FieldError{"tick_key", field.Text}
	}
	if len(s.entry.Payload) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(s.entry.Payload, &members); err != nil || members == nil {
		return &FieldError{"tick_key", "needs an input that is a JSON object, or none"}
	}
	if _, taken := members[key]; taken {
		return &FieldError{"tick_key", "is in the input already"}
	}
	return nil
}

func (s *Schedule) checkCaps() error {
	for i, line := range s.entry.Caps {
		if _, err := capability.Parse(line); err != nil {
			return &FieldError{fmt.Sprintf("caps[%d]", i), err.Error()}
		}
	}
	return nil
}

// trySign lets the envelope judge what it will have to take, while somebody is there to mend it.
func (s *Schedule) trySign() error {
	key, err := envelope.GenerateKey(envelope.Submit, rand.Reader)
	if err != nil {
		return err
	}
	if err := envelope.CheckName("name", s.entry.Name); err != nil {
		return fieldOf(err)
	}
	who := Signer{Key: key, Audience: "any", Tenant: "any", Queue: "any"}
	_, err = s.Fire(s.Next(time.Now()), who)
	return fieldOf(err)
}

// fieldOf turns the envelope's word for a field into ours.
func fieldOf(err error) error {
	var field *envelope.FieldError
	var size *envelope.SizeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &field):
		return &FieldError{field.Field, field.Text}
	case errors.As(err, &size) && size.What == "payload":
		return &FieldError{"input", fmt.Sprintf("has %d bytes, at most %d", size.Size, size.Max)}
	}
	return &FieldError{"", err.Error()}
}

// A Signer is in whose name ticks are sent.
type Signer struct {
	Key                     envelope.PrivateKey // a submit key
	Audience, Tenant, Queue string              // Queue for entries that name none
}

// A Fire is one tick's message.
type Fire struct {
	Schedule string
	Task     string
	Tick     time.Time
	ID       envelope.MessageID
	Expires  time.Time
	Late     bool // it was sent more than OnTime after its tick
	Message  queue.Outgoing
}

// FireID returns the id of a tick's message: the first 16 bytes of the SHA-256 of four lines, each ended by a line feed:
// "caisson-schedule-v1", audience, tenant and name; then the tick in milliseconds since 1970, in decimal. The key is not in it: while
// a key is replaced, a tick is still fired once.
func FireID(audience, tenant, name string, tick time.Time) envelope.MessageID {
	text := strings.Join([]string{"caisson-schedule-v1", audience, tenant, name, strconv.FormatInt(tick.UnixMilli(), 10)}, "\n")
	sum := sha256.Sum256([]byte(text))
	return envelope.MessageID(sum[:16])
}

// Fire signs the message of a tick: the same schedule, tick and signer give the same bytes. It is issued at the tick, so
// no worker takes it earlier than its clocks allow, and does not start before the tick, or later by the jitter.
// Errors, final: those of envelope.Sign.
func (s *Schedule) Fire(tick time.Time, who Signer) (Fire, error) {
	e := s.entry
	if e.Queue == "" {
		e.Queue = who.Queue
	}
	id := FireID(who.Audience, who.Tenant, e.Name, tick)
	payload, contentType := s.payload(tick)
	t := envelope.Task{
		ID: id, Audience: who.Audience, Tenant: who.Tenant, Queue: e.Queue, Task: e.Task, Module: e.Module,
		Issued: tick, NotBefore: tick.Add(jitter(id, e.Jitter)), Expires: tick.Add(s.Within(tick)),
		Attempts: e.Attempts, Limits: e.Limits, Narrowed: e.Narrowed, Caps: e.Caps, Priority: int(e.Priority),
		ContentType: contentType, Payload: payload,
		// Says that copies are to be expected: another scheduler's may come when the first has ended.
		UniqueKey: id.String(), UniqueWindow: envelope.UniqueWindowMin,
	}
	msg, err := envelope.Sign(t, who.Key)
	if err != nil {
		return Fire{}, err
	}
	lane := queue.Lane{Queue: e.Queue, Tenant: who.Tenant, Priority: e.Priority}
	return Fire{
		Schedule: e.Name, Task: e.Task, Tick: tick, ID: id, Expires: t.Expires,
		Message: queue.Outgoing{Lane: lane, Message: msg},
	}, nil
}

// jitter returns a delay from 0 to most that follows from id.
func jitter(id envelope.MessageID, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	sum := sha256.Sum256(append([]byte("caisson-schedule-jitter-v1\n"), id[:]...))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%uint64(most.Milliseconds()+1)) * time.Millisecond
}

// payload returns what the task of a tick gets. With a TickKey, Payload was found to be an object, or nothing.
func (s *Schedule) payload(tick time.Time) ([]byte, string) {
	e := s.entry
	if e.TickKey == "" {
		return e.Payload, e.ContentType
	}
	member := fmt.Sprintf("%q:%q}", e.TickKey, tick.UTC().Format(time.RFC3339))
	object := strings.TrimRight(string(e.Payload), " \t\r\n")
	object = strings.TrimRight(strings.TrimSuffix(object, "}"), " \t\r\n")
	switch strings.TrimLeft(object, " \t\r\n") {
	case "", "{":
		object = "{"
	default:
		object += ","
	}
	return []byte(object + member), "application/json"
}
