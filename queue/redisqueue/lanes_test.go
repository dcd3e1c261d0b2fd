package redisqueue_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/queuetest"
)

// tenants returns n lanes, each of another tenant.
func tenants(n int) []queue.Lane {
	lanes := make([]queue.Lane, n)
	for i := range lanes {
		lanes[i] = queue.Lane{Queue: "jobs", Tenant: fmt.Sprint("tenant", i), Priority: queue.PriorityNormal}
	}
	return lanes
}

// pile puts n messages into a lane at once.
func pile(s *queuetest.Server, lane queue.Lane, n int) {
	s.Do("EVAL", "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'e', 'bulk') end", "1", laneKey(lane), strconv.Itoa(n))
}

// One tenant with 100,000 waiting messages delays another's single one by no more than one batch.
func TestBusyTenant(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	ctx := t.Context()
	pile(s, tenants(1)[0], 100_000)
	for _, row := range []struct{ lanes, batch int }{{2, 1}, {2, 128}, {30, 4}, {400, 16}, {400, 128}} {
		t.Run(fmt.Sprintf("%d lanes, batches of %d", row.lanes, row.batch), func(t *testing.T) {
			q := openQueue(t, b.worker, "w", time.Minute)
			lanes := tenants(row.lanes)
			claim := func() (bulk int, single bool) {
				ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: row.batch})
				if err != nil || len(ds) > row.batch {
					t.Fatal(len(ds), err)
				}
				for _, d := range ds {
					if d.Lane == lanes[0] {
						bulk++
					} else {
						single = true
					}
				}
				return bulk, single
			}
			for range 5 {
				if bulk, _ := claim(); bulk == 0 {
					t.Fatal("the busy tenant is not served")
				}
			}
			for _, l := range []queue.Lane{lanes[1], lanes[row.lanes-1], lanes[row.lanes/2]} {
				pile(s, l, 1)
				before := 0
				for single := false; !single; {
					var bulk int
					if bulk, single = claim(); !single {
						before += bulk
					}
					if before > row.batch {
						t.Fatalf("%s waits behind %d messages", l, before)
					}
				}
			}
		})
	}
}

// A single message in one of 10,000 lanes, beside one that is never empty, waits for as many claims as it takes to look at 512 quiet
// lanes each, and one more for the claim that was under way.
func TestQuietLane(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	lanes := tenants(10_000)
	claim := func() []queue.Delivery {
		ds, err := q.Claim(t.Context(), queue.Claim{Lanes: lanes, Max: 16})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	claim()
	pile(s, lanes[0], 3_000)
	claim()
	const most = 10_000/512 + 2
	for _, single := range []queue.Lane{lanes[1], lanes[9_999], lanes[5_432], lanes[600]} {
		pile(s, single, 1)
		claims := 1
		for !slices.ContainsFunc(claim(), func(d queue.Delivery) bool { return d.Lane == single }) {
			if claims++; claims > most {
				t.Fatalf("%s waits for more than %d claims", single, most)
			}
		}
	}
}

// What 10,000 lanes cost: a claim that finds work names some of them, and an idle worker all of them now and then.
func TestManyLanes(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{})
	b := newBroker(t, s.Login, func(time.Duration) {})
	q := openQueue(t, b.worker, "w", time.Minute)
	ctx := t.Context()
	lanes := tenants(10_000)
	claim := func(wait time.Duration) int {
		ds, err := q.Claim(ctx, queue.Claim{Lanes: lanes, Max: 128, Wait: wait})
		if err != nil {
			t.Fatal(err)
		}
		return len(ds)
	}
	claim(0)
	received := func() int {
		info, _ := s.Do("INFO", "stats").(string)
		_, rest, _ := strings.Cut(info, "total_net_input_bytes:")
		text, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	pile(s, lanes[7777], 2_000)
	claim(time.Second)
	before := received()
	for range 10 {
		if n := claim(0); n < 90 {
			t.Fatalf("claimed %d of 128", n)
		}
	}
	if n := (received() - before) / 10; n > 40_000 {
		t.Errorf("a claim that finds work sends %d bytes", n)
	}
	for claim(0) > 0 {
	}
	claim(10 * time.Millisecond)
	before = received()
	claim(2500 * time.Millisecond)
	if n := received() - before; n > 600_000 {
		t.Errorf("an idle worker sends %d bytes in 2.5 s", n)
	}
	// One that comes goes out at once, wherever it lies, and not when the idle worker asks again, which is 3 s later. A machine that stands still is given
	// another chance: what waits to be asked for is late each time.
	var late [3]time.Duration
	for i := range late {
		got := make(chan time.Time, 1)
		go func() { claim(20 * time.Second); got <- time.Now() }()
		queuetest.Eventually(t, "it waits", func() bool {
			info, _ := s.Do("INFO", "clients").(string)
			return strings.Contains(info, "blocked_clients:1")
		})
		sent := time.Now()
		pile(s, lanes[4321+i], 1)
		if late[i] = (<-got).Sub(sent); late[i] < time.Second {
			return
		}
	}
	t.Errorf("they came after %v", late)
}
