package schedule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
)

// Config says what a Scheduler sends, in whose name and where.
type Config struct {
	Sender    queue.Sender // takes the messages. Required
	Signer    Signer       // in whose name. Required
	Schedules []*Schedule  // at most SchedulesMax, no name twice

	// State remembers what was judged over a restart. nil: nothing is, and each start begins now.
	State State

	// Fired is told of each tick that was sent, after the queue has taken it. It must not block. nil: nobody is.
	Fired func(Fire)

	Logger hclog.Logger     // nil: no log
	Now    func() time.Time // nil: time.Now
}

func (c Config) check() error {
	var faults []error
	fault := func(field, text string) { faults = append(faults, &ConfigError{field, text}) }
	if c.Sender == nil {
		fault("Sender", "is missing")
	}
	if c.Signer.Key.IsZero() {
		fault("Signer.Key", "is missing")
	} else if p := c.Signer.Key.Purpose(); p != envelope.Submit {
		fault("Signer.Key", fmt.Sprintf("is for %q, want %q", p, envelope.Submit))
	}
	for _, name := range [][2]string{{"Audience", c.Signer.Audience}, {"Tenant", c.Signer.Tenant}, {"Queue", c.Signer.Queue}} {
		var bad *envelope.FieldError
		if errors.As(envelope.CheckName(name[0], name[1]), &bad) {
			fault("Signer."+bad.Field, bad.Text)
		}
	}
	return errors.Join(append(faults, checkSet(c.Schedules))...)
}

func checkSet(set []*Schedule) error {
	if len(set) > SchedulesMax {
		return &ConfigError{"Schedules", fmt.Sprintf("are %d, at most %d", len(set), SchedulesMax)}
	}
	seen := map[string]bool{}
	for _, s := range set {
		if s == nil || seen[s.entry.Name] {
			return &ConfigError{"Schedules", "have a name twice, or a nil among them"}
		}
		seen[s.entry.Name] = true
	}
	return nil
}

// A Scheduler sends ticks. Make one with Open.
type Scheduler struct {
	cfg Config
	log hclog.Logger

	failing bool // the last send failed; Run's alone

	mu      sync.Mutex // held while ticks are judged and noted down, never while they are sent or kept
	entries []*due
	marks   map[string]Mark // what the state holds; of schedules that are gone, too, until the next write
	unsaved bool
}

// due is a schedule and how far it has been judged.
type due struct {
	*Schedule
	until time.Time
	next  time.Time // the first tick after until; zero: none
}

// Open checks cfg and reads its state. It sends nothing.
// Errors: *ConfigError, one for each faulty field, joined, final; those of the state.
func Open(cfg Config) (*Scheduler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Scheduler{cfg: cfg, log: hclog.NewNullLogger(), marks: map[string]Mark{}}
	if cfg.Logger != nil {
		s.log = cfg.Logger.Named("schedule")
	}
	if cfg.State != nil {
		marks, err := cfg.State.Marks()
		if err != nil {
			return nil, err
		}
		maps.Copy(s.marks, marks)
	}
	s.use(cfg.Schedules)
	return s, nil
}

// Use replaces the schedules, also while Run runs. What goes by the same name and the same rule goes on; what is new begins now.
// Errors, final: *ConfigError; nothing was replaced.
func (s *Scheduler) Use(set []*Schedule) error {
	if err := checkSet(set); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use(set)
	return nil
}

func (s *Scheduler) use(set []*Schedule) {
	now := s.cfg.Now()
	s.entries, s.unsaved = nil, true
	marks := map[string]Mark{}
	for _, one := range set {
		if one.entry.Paused {
			continue
		}
		d := &due{Schedule: one, until: now}
		if mark, ok := s.marks[one.entry.Name]; ok && mark.Rule == s.ruleOf(one) && mark.Until.Before(now) {
			d.until = mark.Until
		}
		d.next = d.Next(d.until)
		s.entries = append(s.entries, d)
		marks[one.entry.Name] = Mark{s.ruleOf(one), d.until.UTC()}
	}
	s.marks = marks
}

// ruleOf is what a mark is held against: for another deployment, tenant or rule it means nothing.
func (s *Scheduler) ruleOf(one *Schedule) string {
	return s.cfg.Signer.Audience + " " + s.cfg.Signer.Tenant + " " + one.rule
}

// Run sends ticks as they come until ctx ends, and returns nil then. It outlives a queue that is unavailable: what came due
// meanwhile is sent when it is back, by the rule for missed ticks.
func (s *Scheduler) Run(ctx context.Context) error {
	pause := againMin
	for {
		sleep, err := s.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			sleep = pause
			pause = min(2*pause, againMax)
		} else {
			pause = againMin
		}
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// round sends what is due now, and says how long nothing will be.
func (s *Scheduler) round(ctx context.Context) (time.Duration, error) {
	batch, more := s.gather(s.cfg.Now())
	err := s.send(ctx, batch)
	s.save()
	switch {
	case err != nil:
		return 0, err
	case more:
		return 0, nil
	}
	return s.idle(), nil
}

// idle returns how long it is until something is due.
func (s *Scheduler) idle() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	sleep := lookEvery
	for _, d := range s.entries {
		if !d.next.IsZero() {
			sleep = min(sleep, d.next.Sub(s.cfg.Now()))
		}
	}
	return max(sleep, 0)
}

// fires are the due ticks of one schedule, signed.
type fires struct {
	of     *Schedule
	fires  []Fire
	until  time.Time // up to when it is judged once they are sent
	passed []time.Time
}

// gather signs what is due. more says that a bound ended it early. A clock that went back is believed: what was
// sent since is sent again when it comes, and does not run again.
func (s *Scheduler) gather(now time.Time) (batch []fires, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count, size := 0, 0
	for _, d := range s.entries {
		if now.Before(d.until) {
			d.until, d.next = now, d.Next(now)
		}
		if d.next.IsZero() || d.next.After(now) {
			continue
		}
		if more {
			break // nor are theirs judged before there is room for them
		}
		j := d.judge(d.until, now)
		f := fires{of: d.Schedule, until: now, passed: j.passed}
		for _, tick := range j.send {
			if count == roundMax || size > roundSizeMax {
				f.until, more = d.until, true
				if n := len(f.fires); n > 0 {
					f.until = f.fires[n-1].Tick
				}
				break
			}
			fire, err := d.Fire(tick, s.cfg.Signer)
			if err != nil {
				s.log.Error("tick not signed", "schedule", d.entry.Name, "tick", tick, "error", err)
				continue
			}
			fire.Late = now.Sub(tick) > OnTime
			count, size = count+1, size+len(fire.Message.Message)
			f.fires = append(f.fires, fire)
		}
		batch = append(batch, f)
	}
	return batch, more
}

// send writes a batch, one call for each queue, so that a queue that refuses does not hold up another.
func (s *Scheduler) send(ctx context.Context, batch []fires) error {
	queues := map[string][]fires{}
	for _, f := range batch {
		name := f.of.entry.Queue
		if name == "" {
			name = s.cfg.Signer.Queue
		}
		queues[name] = append(queues[name], f)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		var out []queue.Outgoing
		for _, f := range queues[name] {
			for _, fire := range f.fires {
				out = append(out, fire.Message)
			}
		}
		if err := s.write(ctx, out); err != nil {
			errs = append(errs, fmt.Errorf("queue %s: %w", name, err))
			continue
		}
		for _, f := range queues[name] {
			s.sent(f)
		}
	}
	err := errors.Join(errs...)
	switch {
	case ctx.Err() != nil:
	case err != nil && !s.failing:
		s.log.Warn("ticks not sent, trying again", "error", err)
	case err == nil && s.failing:
		s.log.Info("ticks are sent again")
	}
	s.failing = err != nil
	return err
}

func (s *Scheduler) write(ctx context.Context, out []queue.Outgoing) error {
	if len(out) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.cfg.Sender.Send(ctx, out)
}

// sent tells of what a schedule fired and moves it on.
func (s *Scheduler) sent(f fires) {
	if f.passed != nil {
		s.log.Warn("ticks passed over", "schedule", f.of.entry.Name, "missed", string(f.of.entry.Missed),
			"first", f.passed[0].Format(time.RFC3339), "last", f.passed[1].Format(time.RFC3339))
	}
	for _, fire := range f.fires {
		s.log.Info("tick fired", "schedule", fire.Schedule, "task", fire.Task, "tick", fire.Tick.Format(time.RFC3339), "task_id", fire.ID.String(), "late", fire.Late)
		if s.cfg.Fired != nil {
			s.cfg.Fired(fire)
		}
	}
	s.moveOn(f)
}

// moveOn notes up to when the schedule of that name and rule is judged. Use may have put another in its place while its ticks
// were sent: one that is paused, gone or has another rule stays as it is.
func (s *Scheduler) moveOn(f fires) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, rule := f.of.entry.Name, s.ruleOf(f.of)
	at := slices.IndexFunc(s.entries, func(d *due) bool { return d.entry.Name == name && s.ruleOf(d.Schedule) == rule })
	if at < 0 {
		return
	}
	d := s.entries[at]
	d.until, d.next = f.until, d.Next(f.until)
	s.marks[name] = Mark{rule, f.until.UTC()}
	s.unsaved = true
}

// save writes the state if it has changed. One that cannot be written is told of and tried again at the next round: ticks are more
// important, and sending one again does no harm.
func (s *Scheduler) save() {
	marks := s.changed()
	if marks == nil {
		return
	}
	if err := s.cfg.State.Keep(marks); err != nil {
		s.log.Error("state not kept", "error", err)
		s.mu.Lock()
		s.unsaved = true
		s.mu.Unlock()
	}
}

// changed returns what is to be kept; nil when nothing is.
func (s *Scheduler) changed() map[string]Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.State == nil || !s.unsaved {
		return nil
	}
	s.unsaved = false
	return maps.Clone(s.marks)
}
