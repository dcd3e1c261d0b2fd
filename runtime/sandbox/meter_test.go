package sandbox

import (
	"context"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

func begunMeter(t *testing.T, limits capability.Limits) *meter {
	t.Helper()
	m := &meter{}
	m.begin(t.Context(), context.Background(), withDefaults(limits), pace{slice: sliceStart}, nil, ownTurn())
	m.grant()
	return m
}

// endOf calls f, which a meter may end, and returns why it did.
func endOf(m *meter, f func()) (e ending) {
	defer func() {
		if recover() != nil {
			e = m.ended
		}
	}()
	f()
	return endingNone
}

// ownTurn is a place that nobody else wants.
func ownTurn() *turn { return &turn{processors: newProcessors(1)} }

// TestSlicesFollowTheTime: a slice that took long is followed by a shorter one at once, and one that took no time by one that is twice as long at most.
func TestSlicesFollowTheTime(t *testing.T) {
	m := begunMeter(t, capability.Limits{})
	m.slice = 10_000
	m.adapt(10_000, 10*tickAim)
	if m.slice != 1000 {
		t.Errorf("slice %d after one that took ten times too long", m.slice)
	}
	m.adapt(1000, time.Nanosecond)
	if m.slice != 2000 {
		t.Errorf("slice %d after one that took no time", m.slice)
	}
	for range 50 {
		m.adapt(m.slice, time.Microsecond)
	}
	if m.slice != sliceMax {
		t.Errorf("slice %d at most", m.slice)
	}
	m.adapt(1, time.Hour)
	if m.slice != sliceMin {
		t.Errorf("slice %d at least", m.slice)
	}
}

// TestFuelOfTicks: what guests spend beyond a slice counts, and no slice reaches beyond the limit.
func TestFuelOfTicks(t *testing.T) {
	m := begunMeter(t, capability.Limits{Fuel: sliceStart + 100, Wall: time.Hour, CPU: time.Hour})
	if m.granted != sliceStart {
		t.Fatalf("granted %d", m.granted)
	}
	if next := m.tick(-30, 0); next != 70 || m.spent != sliceStart+30 {
		t.Errorf("granted %d after %d", next, m.spent)
	}
	if e := endOf(m, func() { m.tick(-1, 0) }); e != endingFuel || m.spent != sliceStart+101 {
		t.Errorf("ended %d with %d spent", e, m.spent)
	}
}

// TestMeterEnds: each reason to end a guest, and that the first that is found stands.
func TestMeterEnds(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name  string
		bend  func(m *meter)
		depth int64
		want  ending
	}{
		{"nothing", func(*meter) {}, 0, endingNone},
		{"stack", func(m *meter) { m.stack = m.limits.Stack }, -1, endingStack},
		{"wall", func(m *meter) { m.deadline = now() }, 0, endingWall},
		{"CPU", func(m *meter) { m.cpu = m.limits.CPU }, 0, endingCPU},
		{"cancelled", func(m *meter) { m.parent = over }, 0, endingCancelled},
		{"closed", func(m *meter) { m.closing = over }, 0, endingClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := begunMeter(t, capability.Limits{})
			tt.bend(m)
			if e := endOf(m, func() { m.tick(-1, tt.depth) }); e != tt.want {
				t.Errorf("ended %d, want %d", e, tt.want)
			}
		})
	}
}

// TestWaitingIsNotCPUTime, and it does not make the next slice shorter.
func TestWaitingIsNotCPUTime(t *testing.T) {
	m := begunMeter(t, capability.Limits{})
	sliceAt := m.sliceAt
	m.segment -= 2 * time.Hour // it computed for two hours,
	m.measured = false         // by the clock on the wall
	ctx := m.Leave()
	m.leftAt -= time.Hour // and waited for one
	m.Return()
	if took := m.sliceAt - sliceAt; took < time.Hour {
		t.Errorf("the slice began %s later for it", took)
	}
	if again := m.Leave(); again != ctx {
		t.Error("a second call that waits has another context")
	}
	m.Return()
	m.finish(0)
	if m.cpu < 2*time.Hour || m.cpu > 2*time.Hour+time.Minute {
		t.Errorf("CPU %s", m.cpu)
	}
	if ctx.Err() == nil {
		t.Error("the context lives on after the run")
	}
}

// TestHostCallsPassThePlaceOn: a guest that does little but call the host lets others compute about as often as one that ticks.
func TestHostCallsPassThePlaceOn(t *testing.T) {
	m := begunMeter(t, capability.Limits{})
	m.turn.take()
	p, had := m.turn.processors, make(chan struct{})
	go func() { // ends once it has had the place
		other := turn{processors: p}
		other.take()
		close(had)
		other.give()
	}()
	for p.waiters() == 0 {
		goruntime.Gosched()
	}
	call := func() (passed bool) {
		if err := m.Err(); err != nil {
			t.Fatal(err)
		}
		m.Charge(1)
		return p.waiters() == 0
	}
	m.passedAt = now() + time.Hour
	if call() {
		t.Error("the place was passed on before its time")
	}
	m.passedAt = now() - tickAim
	if !call() {
		t.Error("the place was not passed on")
	}
	m.passedAt = now() - tickAim
	m.turn.give() // a call that waits for the world,
	call()        // and charges meanwhile
	if m.turn.placed {
		t.Error("a call that has given the place away took one")
	}
	<-had
}

// TestBriefRuns: where the last run was brief, the thread's clock is not read; a run that turns out long is measured from then on.
func TestBriefRuns(t *testing.T) {
	m := &meter{}
	begin := func(last pace) {
		m.begin(t.Context(), context.Background(), withDefaults(capability.Limits{Wall: 24 * time.Hour}), last, nil, ownTurn())
		m.grant()
	}
	begin(pace{slice: sliceStart})
	if !m.measured {
		t.Error("the first run is not measured")
	}
	m.began = now()
	m.finish(0)
	if p := m.pace(); !p.brief {
		t.Errorf("%+v after a brief run", p)
	}
	begin(pace{slice: sliceStart, brief: true})
	if m.measured {
		t.Error("the clock was read")
	}
	m.segment -= time.Hour
	m.began -= time.Hour
	if m.Err() != nil || !m.measured || m.cpu != tickAim {
		t.Errorf("%v, measured %t, CPU %s", m.Err(), m.measured, m.cpu)
	}
	m.finish(0)
	if p := m.pace(); p.brief {
		t.Errorf("%+v after an hour", p)
	}
}

// TestContextOfTheGuest: it ends when the run's time is over, and says so to those that ask, without a timer.
func TestContextOfTheGuest(t *testing.T) {
	type key struct{}
	m := &meter{}
	m.begin(context.WithValue(t.Context(), key{}, "value"), context.Background(), withDefaults(capability.Limits{Wall: time.Hour}), pace{slice: sliceStart}, nil, ownTurn())
	if m.Err() != nil || m.Value(key{}) != "value" || m.Value(meterKey{}) != m {
		t.Errorf("%v %v", m.Err(), m.Value(key{}))
	}
	if d, ok := m.Deadline(); !ok || time.Until(d) > time.Hour || time.Until(d) < 59*time.Minute {
		t.Error(d, ok)
	}
	m.deadline = now()
	if m.Err() != context.DeadlineExceeded || m.ended != endingWall {
		t.Errorf("%v, ended %d", m.Err(), m.ended)
	}
	m.finish(0)
}
