package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/queue"
)

func away(op string, r queue.Reason) error {
	return &queue.UnavailableError{Op: op, Reason: r, Err: errors.New("as asked")}
}

// TestHealthEverywhere: a start failed for a reason that the broker has for all alike, and is not tried again since nothing comes. Claims that go well say
// before long that the reason is gone; not at once, since a reset ends one connection and not the other.
func TestHealthEverywhere(t *testing.T) {
	for r, brief := range map[queue.Reason]bool{queue.ReasonBusy: true, queue.ReasonConnection: true, queue.ReasonMemory: false, queue.ReasonTimeout: false} {
		t.Run(string(r), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b brokerHealth
				log := hclog.NewNullLogger()
				b.down(log, actStart, away("start", r))
				time.Sleep(healthBrief)
				b.up(log, actClaim)
				if b.reason() == "" {
					t.Error("a claim alone says that all is well")
				}
				time.Sleep(time.Nanosecond)
				b.up(log, actClaim)
				if got := b.reason() == ""; got != brief {
					t.Errorf("after %v it says %q", healthBrief, b.reason())
				}
			})
		})
	}
}

// TestOwnDeadline: an act that the worker itself gave up waiting for has the reason that one has to which no reply came.
func TestOwnDeadline(t *testing.T) {
	var b brokerHealth
	b.down(hclog.NewNullLogger(), actStart, fmt.Errorf("start: %w", context.DeadlineExceeded))
	if got := b.reason(); got != "broker unavailable: timeout" {
		t.Errorf("it says %q", got)
	}
}

// TestMaintainerSaysWhy takes from the maintainer alone what it needs: nothing else fails, and what is due waits for ever. It says so.
func TestMaintainerSaysWhy(t *testing.T) {
	for name, f := range map[string]*fake{
		"promote": {onPromote: func() error { return away("promote", queue.ReasonPermission) }},
		"recover": {onRecover: func() error { return away("recover", queue.ReasonPermission) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, log := openInside(t, f)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- w.Run(ctx) }()
				time.Sleep(time.Minute)
				if got := w.brokerReason(); got != "broker unavailable: permission" {
					t.Errorf("it says %q", got)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if n := strings.Count(log.String(), "intake paused"); n != 1 || !strings.Contains(log.String(), "act="+name) {
					t.Errorf("paused was said %d times:\n%s", n, log)
				}
			})
		})
	}
}

// TestStuck lets outcomes not be written for a while, or leases not be renewed. Nothing is claimed or taken over meanwhile, for it would run in vain; once
// they can be again, claims go on at once.
func TestStuck(t *testing.T) {
	for name, a := range map[string]act{"settle": actSettle, "renew": actRenew} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claims, taken := 0, 0
				f := &fake{
					onClaim:   func() error { claims++; return nil },
					onRecover: func() error { taken++; return nil },
				}
				w, _ := openInside(t, f)
				p := w.posts[0]
				p.broker.down(w.log, a, away(name, queue.ReasonTimeout))
				if p.broker.stuck() {
					t.Error("one reply that was late is no reason to begin nothing")
				}
				p.broker.down(w.log, a, away(name, queue.ReasonPermission))
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				claimed := make(chan struct{})
				go func() { w.claimSome(ctx, p); close(claimed) }()
				go w.maintain(ctx, p)
				time.Sleep(healthMemory / 2)
				synctest.Wait()
				if claims+taken > 0 {
					t.Errorf("%d claims, %d takings over meanwhile", claims, taken)
				}
				f.onClaim, f.claims = nil, [][]queue.Delivery{{delivery(t, 1)}}
				p.broker.up(w.log, a)
				began := time.Now()
				<-claimed
				if took := time.Since(began); took > 2*brokerBackoffMin {
					t.Errorf("the next claim came after %v", took)
				}
				time.Sleep(maintainEvery)
				synctest.Wait()
				if taken == 0 {
					t.Error("nothing is taken over any more")
				}
				stop()
				synctest.Wait()
			})
		})
	}
}

// TestBackAfterOutage: the broker was away for longer than a lease, and comes back. What a worker has outcomes of is settled at once, and before anybody
// takes over what another worker held, who has outcomes of it, too.
func TestBackAfterOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back, settled, taken time.Time
		begun := time.Now()
		gone := func(op string, at *time.Time) error {
			if time.Since(begun) < 10*time.Minute {
				return away(op, queue.ReasonReadOnly)
			}
			if at.IsZero() {
				*at = time.Now()
			}
			return nil
		}
		f := &fake{
			onPromote: func() error { return gone("promote", &back) },
			onRecover: func() error { return gone("recover", &taken) },
			onSettle:  func(int, []queue.Settlement) error { return gone("settle", &settled) },
		}
		w, _ := openInside(t, f)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.maintain(ctx, w.posts[0])
		settlements(ctx, w, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if late := settled.Sub(back); late > 2*brokerBackoffMin {
			t.Errorf("the outcome was written %v after the broker was back", late)
		}
		if sooner := taken.Sub(back); sooner < 2*maintainEvery || sooner > recoverGrace+maintainEvery {
			t.Errorf("others' were taken over %v after the broker was back", sooner)
		}
	})
}
