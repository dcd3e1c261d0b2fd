package host

import (
	"context"
	"encoding/binary"
	"time"
)

// Sizes and numbers of poll_oneoff.
// Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-subscription-record
const (
	subscriptionSize = 48
	eventSize        = 32
	eventClock       = 0
	eventRead        = 1
	eventWrite       = 2
	clockAbsolute    = 1
)

// A subscription is one thing that poll_oneoff waits for.
//
//	0: userdata u64 | 8: type u8 | 16: clock id u32 or fd u32 | 24: timeout u64 | 32: precision u64 | 40: flags u16
type subscription struct {
	userdata uint64
	kind     byte
	after    time.Duration // eventClock: from now; <= 0 is due
	err      errno         // answered at once
}

// pollOneoff implements poll_oneoff(in, out, n, nevents): sleeps, for which toolchains use it, and says at once that fd 0-2 are ready.
// It sleeps no longer than the run lives: the end of its context ends the guest.
func pollOneoff(ctx context.Context, r *Run, p []uint64) errno {
	in, out, count, total := uint32(p[0]), uint32(p[1]), uint32(p[2]), uint32(p[3])
	if count == 0 || count > subscriptionsMax {
		return errnoInval
	}
	spans, ok1 := r.view(in, count*subscriptionSize)
	r.charge(len(spans))
	_, ok2 := r.view(out, count*eventSize)
	_, ok3 := r.view(total, 4)
	if !ok1 || !ok2 || !ok3 {
		return errnoFault
	}
	// All are read before any event is written: the two arrays may overlap.
	subs := make([]subscription, 0, count)
	wait := sleepMax
	for ; len(spans) > 0; spans = spans[subscriptionSize:] {
		s := r.readSubscription(spans)
		subs = append(subs, s)
		if s.kind != eventClock || s.err != errnoSuccess {
			wait = 0
		} else {
			wait = min(wait, s.after)
		}
	}
	r.sleep(ctx, wait)
	n := uint32(0)
	for _, s := range subs {
		if s.kind == eventClock && s.err == errnoSuccess && s.after > max(wait, 0) {
			continue
		}
		span, _ := r.view(out+n*eventSize, eventSize)
		clear(span)
		binary.LittleEndian.PutUint64(span, s.userdata)
		binary.LittleEndian.PutUint16(span[8:], uint16(s.err))
		span[10] = s.kind
		if s.kind == eventRead {
			binary.LittleEndian.PutUint64(span[16:], uint64(len(r.unread)))
		}
		n++
	}
	return r.writeUint32(total, n)
}

func (r *Run) readSubscription(b []byte) subscription {
	s := subscription{userdata: binary.LittleEndian.Uint64(b), kind: b[8]}
	id := binary.LittleEndian.Uint32(b[16:])
	switch s.kind {
	case eventClock:
		s.after, s.err = r.timeout(id, binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint16(b[40:]))
	case eventRead, eventWrite:
		if !r.open(id) || (s.kind == eventRead) != (id == fdInput) {
			s.err = errnoBadf
		}
	default:
		s.err = errnoInval
	}
	return s
}

// timeout turns a clock subscription into a time from now, at most sleepMax.
func (r *Run) timeout(clock uint32, ns uint64, flags uint16) (time.Duration, errno) {
	now, e := r.clock(clock)
	if e != errnoSuccess {
		return 0, e
	}
	if flags&clockAbsolute != 0 {
		if ns <= now {
			return 0, errnoSuccess
		}
		ns -= now
	}
	return time.Duration(min(ns, uint64(sleepMax))), errnoSuccess
}

// sleep waits for d, or ends the guest when its context ends first.
func (r *Run) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	r.wait(ctx, func(ctx context.Context) {
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	})
	r.checkContext(ctx)
}
