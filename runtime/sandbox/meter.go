package sandbox

import (
	"context"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
	"github.com/caisson-run/caisson/runtime/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// epoch is what instants of a meter are counted from: a difference of two costs half of what time.Now does.
var epoch = time.Now()

// An instant is a time since epoch.
type instant = time.Duration

func now() instant { return time.Since(epoch) }

// An ending is why a meter ended its guest.
type ending int

const (
	endingNone ending = iota
	endingStack
	endingFuel
	endingWall
	endingCPU
	endingCancelled
	endingClosed
)

// A meter counts what one guest spends, and ends it when that is more than it may. It lives on the guest's goroutine: from the compiled
// code it is reached by tick, about every tickAim, and from host functions by the context of the call, which it also is.
//
// CPU time is taken by segments, since a goroutine changes threads whenever it yields: from one tick to the next, less what host calls
// waited. Where the thread's clock answers nonsense since the thread did change, the segment's wall time stands for it; CPU time never counts more.
type meter struct {
	closing context.Context // of the sandbox
	parent  context.Context // of Run
	limits  capability.Limits

	began    instant
	deadline instant
	ended    ending
	turn     *turn // to compute; the guest has a place there unless it waits for the world

	granted int64 // what the guest's fuel was set to last
	slice   int64 // what to aim for next time
	spent   int64 // fuel, up to the last look
	ticks   int64

	depth api.MutableGlobal // of the guest: what is left of stack
	stack int64             // bytes that the guest was given of limits.Stack so far

	cpu       time.Duration // of the segments that are over
	segment   instant       // begin of the one that goes on
	thread    int64         // clock of its thread then
	measured  bool          // thread is set
	unread    bool          // it is not, since the segment will be over before it is worth it
	sliceAt   instant       // begin of the slice, later by what host calls waited
	leftAt    instant       // begin of the host call that waits
	yieldedAt instant       // last, or begin of the run
	passedAt  instant       // when others could last have the place, or begin of the run
	lookedAt  instant       // last asked, by a host call, whether the run is over

	waiting context.Context // for host calls that wait; nil until the first
	stop    func()          // frees it
}

// meterKey finds the meter in the context of a call.
type meterKey struct{}

// A pace is what the last run of a program tells of the next one.
type pace struct {
	slice int64 // fuel that takes about tickAim
	brief bool  // it was over before its first tick
}

// begin starts the time of one guest.
func (m *meter) begin(parent, closing context.Context, limits capability.Limits, last pace, depth api.MutableGlobal, place *turn) {
	t := now()
	*m = meter{
		closing: closing, parent: parent, limits: limits, slice: last.slice,
		depth: depth, stack: min(limits.Stack, stackStart),
		began: t, deadline: t + limits.Wall, segment: t, sliceAt: t, yieldedAt: t, passedAt: t, turn: place,
	}
	place.parent, place.deadline = parent, m.deadline
	// The thread's clock takes as long as a small task, so it is not read where the last one was small. Where this one is not, its first segment
	// is charged as tickAim at most: on a busy machine its wall time can be that of others, which is neither its usage nor a reason to end it.
	if m.unread = last.brief; !m.unread {
		m.thread, m.measured = threadTime()
	}
}

// pace is what this run tells of the next one. It is over.
func (m *meter) pace() pace {
	return pace{slice: m.slice, brief: m.ticks == 0 && m.segment-m.began < tickAim}
}

// grant is the fuel that the guest gets first. What it does not use is taken off by finish.
func (m *meter) grant() int64 {
	m.granted = min(m.slice, m.limits.Fuel-m.spent)
	return m.granted
}

// finish ends the count. left is the guest's fuel when it returned.
func (m *meter) finish(left int64) {
	m.spent += m.granted - left
	m.granted = left
	m.endWithoutFuel() // what was spent since the last look counts, too: the limit is exact
	t := now()
	if t-m.segment < tickAim {
		m.measured = false // not worth a look at the clock
	}
	m.endSegment(t)
	if m.stop != nil {
		m.stop()
	}
}

// forget lets go of what belongs to the run, which is over: only its counts stay.
func (m *meter) forget() { m.parent, m.waiting, m.stop, m.turn = nil, nil, nil, nil }

// errEnded unwinds a guest that a meter ended. Wazero builds no stack trace for its type.
var errEnded = sys.NewExitError(1)

// tick is called by the guest when its slice is spent, or its stack. It returns the next slice, or does not return.
func (m *meter) tick(fuel, depth int64) int64 {
	if fuel >= 0 { // the slice goes on: it is about the stack alone, of which there is not more than a dozen times more
		m.deepen(depth)
		return fuel
	}
	m.ticks++
	used := m.granted - fuel
	m.spent += used
	m.granted = fuel
	t := now()
	thread, ok := m.endSegment(t)
	if depth < 0 {
		m.deepen(depth)
	}
	switch {
	case m.spent > m.limits.Fuel:
		m.end(endingFuel)
	case m.Err() != nil:
		panic(errEnded)
	}
	m.adapt(used, t-m.sliceAt)

	// What is not a guest must run, too. With a processor that no guest is on it does so by itself, and a yield would only wake another thread, which finds nothing to do; the
	// garbage collector has its way at every tick, since that is a call of Go's.
	switch passed, full := m.turn.pass(); {
	case passed && m.turn.ended():
		_ = m.Err() // notes why
		panic(errEnded)
	case passed:
		m.yieldedAt = t
	case full || t-m.yieldedAt >= yieldEvery:
		goruntime.Gosched()
		m.yieldedAt = t
	}
	// Others may have run meanwhile, on this thread, too.
	if back := now(); back-t >= yieldShort || !ok {
		t = back
		thread, ok = threadTime()
	}
	m.segment, m.thread, m.measured = t, thread, ok
	m.sliceAt, m.passedAt = t, t
	if t >= m.deadline {
		m.end(endingWall)
	}
	m.granted = min(m.slice, m.limits.Fuel-m.spent)
	return m.granted
}

// deepen gives the guest more of its stack, twice as much each time: so what it took is known afterwards, to within that, though its code counts nothing but what
// is left.
func (m *meter) deepen(depth int64) {
	for depth < 0 {
		more := min(m.stack, m.limits.Stack-m.stack)
		if more == 0 {
			m.end(endingStack)
		}
		m.stack += more
		depth += more
	}
	m.depth.Set(uint64(depth))
}

// end ends the guest: the panic unwinds it and comes out of the call as errEnded. It must be on the guest's goroutine.
func (m *meter) end(e ending) {
	m.ended = e
	panic(errEnded)
}

// adapt sets the next slice to what would have taken tickAim. It shrinks at once and grows by twice at most: a guest that was cheap
// may turn dear.
func (m *meter) adapt(used int64, took time.Duration) {
	next := int64(float64(used) * float64(tickAim) / float64(max(took, time.Microsecond)))
	m.slice = max(sliceMin, min(next, 2*m.slice, sliceMax))
}

// endSegment adds the segment that ends at t to the CPU time, begins the next, and returns the clock of the thread.
func (m *meter) endSegment(t instant) (thread int64, ok bool) {
	took := t - m.segment
	if m.measured {
		if thread, ok = threadTime(); ok && thread >= m.thread {
			took = min(took, time.Duration(thread-m.thread))
		}
	}
	if m.unread {
		took = min(took, tickAim)
	}
	m.cpu += took
	m.segment, m.thread, m.measured, m.unread = t, thread, ok, false
	return thread, ok
}

// outOfCPU says whether the CPU time is spent at t. Only when the segment has lasted long enough for that does it ask the thread's clock.
func (m *meter) outOfCPU(t instant) bool {
	if m.cpu+t-m.segment < m.limits.CPU {
		return false
	}
	if _, ok := m.endSegment(t); !ok {
		m.thread, m.measured = threadTime()
	}
	return m.cpu >= m.limits.CPU
}

// Charge implements host.Meter. A guest that does nothing but call the host spends its slice slowly, of which a call is only some units; so each call that comes later than a tick
// would have lets others have the place.
func (m *meter) Charge(units int64) {
	m.spent += units
	m.endWithoutFuel()
	if m.lookedAt-m.passedAt >= tickAim && m.turn.placed {
		m.leave()
		m.Return()
	}
}

// endWithoutFuel notes that more was spent than the limit; the next look at the meter ends the guest.
func (m *meter) endWithoutFuel() {
	if m.ended == endingNone && m.spent > m.limits.Fuel {
		m.ended = endingFuel
	}
}

// Leave implements host.Meter.
func (m *meter) Leave() context.Context {
	m.leave()
	return m.wait()
}

// leave gives the place to others until Return.
func (m *meter) leave() {
	m.leftAt = now()
	m.endSegment(m.leftAt)
	m.turn.give()
}

// Return implements host.Meter.
func (m *meter) Return() {
	m.turn.take()
	t := now()
	m.sliceAt += t - m.leftAt
	m.segment, m.passedAt = t, t
	m.thread, m.measured = threadTime()
}

// aside has other guests compute while log takes a line: whoever reads the log may be slow, or gone.
func (m *meter) aside(log func(level, line string)) func(level, line string) {
	return func(level, line string) {
		m.turn.give()
		log(level, line)
		m.leftAt = now() // what it waits for a place is not its processor time
		m.endSegment(m.leftAt)
		m.Return()
	}
}

// wait returns a context of the library's that ends with the run. Most runs never need one.
func (m *meter) wait() context.Context {
	if m.waiting == nil {
		ctx, cancel := context.WithDeadline(m.parent, epoch.Add(m.deadline))
		unhook := context.AfterFunc(m.closing, cancel)
		m.waiting = ctx
		m.stop = func() {
			unhook()
			cancel()
		}
	}
	return m.waiting
}

// The meter is the context that its guest is called with.

var _ context.Context = (*meter)(nil)

// Deadline implements context.Context.
func (m *meter) Deadline() (time.Time, bool) { return epoch.Add(m.deadline), true }

// Done implements context.Context.
func (m *meter) Done() <-chan struct{} { return m.wait().Done() }

// Err implements context.Context. Unlike the library's contexts it looks at the clocks; it notes what it found. Every host call asks it: they can take long
// between two ticks, since they are little fuel.
func (m *meter) Err() error {
	if m.ended == endingNone {
		t := now()
		if m.unread && t-m.segment >= tickAim { // it is not brief
			m.endSegment(t)
			m.thread, m.measured = threadTime()
		}
		switch {
		case m.closing.Err() != nil:
			m.ended = endingClosed
		case m.parent.Err() != nil:
			m.ended = endingCancelled
		case t >= m.deadline:
			m.ended = endingWall
		case m.outOfCPU(t):
			m.ended = endingCPU
		default:
			m.lookedAt = t
			return nil
		}
	}
	if m.ended == endingWall {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Value implements context.Context.
func (m *meter) Value(key any) any {
	if key == (meterKey{}) {
		return m
	}
	return m.parent.Value(key)
}

// installTick makes the module that instrumented guests import.
func installTick(ctx context.Context, rt wazero.Runtime) error {
	call := func(ctx context.Context, stack []uint64) {
		m, ok := ctx.Value(meterKey{}).(*meter)
		if !ok {
			panic("internal error: a guest was called without a meter")
		}
		stack[0] = uint64(m.tick(int64(stack[0]), int64(stack[1])))
	}
	i64 := api.ValueTypeI64
	_, err := rt.NewHostModuleBuilder(wasm.ModuleTick).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(call), []api.ValueType{i64, i64}, []api.ValueType{i64}).
		WithName(wasm.ImportTick).Export(wasm.ImportTick).Instantiate(ctx)
	if err != nil {
		return fmt.Errorf("sandbox: install %s: %w", wasm.ModuleTick, err)
	}
	return nil
}
