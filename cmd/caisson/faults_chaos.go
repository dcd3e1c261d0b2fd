//go:build chaos

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

// faultsVariable holds what is to happen to this process: words with spaces between, each POINT:N:ACT.
//
// POINT is a place between the worker and its broker, N counts how often it has been reached, from 1:
//
//	claim    deliveries have been claimed, and the worker does not know yet
//	start    work on some was granted, likewise
//	settle   runs have ended, and nothing of it has been written
//	settled  the outcomes are written, and the worker does not know yet
//	renew    leases were renewed, likewise
//
// ACT is kill (SIGKILL), stop (SIGSTOP, until somebody sends SIGCONT) or a duration that the worker's clock steps by.
// POINT poison has a text for N, and kills soon after a message with that text in it was granted, every time.
const faultsVariable = "CAISSON_CHAOS"

// poisonDelay is how long a message of poison runs before it takes the process with it.
const poisonDelay = 50 * time.Millisecond

var clockStep atomic.Int64

func workerClock() func() time.Time {
	return func() time.Time { return time.Now().Add(time.Duration(clockStep.Load())) }
}

// faultyBroker ends or stops the process at the calls of a broker. What it embeds answers every call that it does not name.
type faultyBroker struct {
	*redisqueue.Queue

	mu      sync.Mutex
	reached map[string]int
	acts    map[string]string // by "POINT:N"
	poison  []byte
}

func brokerOf(q *redisqueue.Queue) runtime.Broker {
	saveProfiles()
	f := &faultyBroker{Queue: q, reached: map[string]int{}, acts: map[string]string{}}
	for _, word := range strings.Fields(os.Getenv(faultsVariable)) {
		point, rest, _ := strings.Cut(word, ":")
		n, act, whole := strings.Cut(rest, ":")
		switch _, err := strconv.Atoi(n); {
		case whole && point == "poison":
			f.poison = []byte(n)
		case whole && err == nil:
			f.acts[point+":"+n] = act
		default:
			panic(fmt.Sprintf("internal error: %s has %q, want POINT:N:ACT", faultsVariable, word))
		}
	}
	return f
}

// reach does what is planned for this time that point is reached.
func (f *faultyBroker) reach(point string) {
	f.mu.Lock()
	f.reached[point]++
	act := f.acts[point+":"+strconv.Itoa(f.reached[point])]
	f.mu.Unlock()
	switch act {
	case "":
	case "kill":
		die(syscall.SIGKILL)
	case "stop":
		die(syscall.SIGSTOP)
	default:
		step, err := time.ParseDuration(act)
		if err != nil {
			panic("internal error: no act " + act)
		}
		clockStep.Add(int64(step))
	}
}

// die returns, after SIGCONT, only from SIGSTOP.
func die(how syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), how)
	if how == syscall.SIGKILL {
		select {}
	}
}

func (f *faultyBroker) Claim(ctx context.Context, c queue.Claim) ([]queue.Delivery, error) {
	got, err := f.Queue.Claim(ctx, c)
	if len(got) > 0 {
		f.reach("claim")
	}
	return got, err
}

func (f *faultyBroker) Start(ctx context.Context, batch []queue.Start) ([]queue.Started, error) {
	got, err := f.Queue.Start(ctx, batch)
	granted := false
	for i, s := range got {
		if s.State != queue.Granted {
			continue
		}
		granted = true
		if len(f.poison) > 0 && s.Crashes < runtimeCrashesMax && bytes.Contains(batch[i].Delivery.Message, f.poison) {
			time.AfterFunc(poisonDelay, func() { die(syscall.SIGKILL) })
		}
	}
	if granted {
		f.reach("start")
	}
	return got, err
}

// runtimeCrashesMax is the worker's bound, past which a message no longer runs.
const runtimeCrashesMax = 3

func (f *faultyBroker) Settle(ctx context.Context, batch []queue.Settlement) ([]queue.Settled, error) {
	f.reach("settle")
	got, err := f.Queue.Settle(ctx, batch)
	if err == nil {
		f.reach("settled")
	}
	return got, err
}

func (f *faultyBroker) Renew(ctx context.Context, batch []queue.Lease) ([]queue.Lease, error) {
	lost, err := f.Queue.Renew(ctx, batch)
	if len(batch) > 0 {
		f.reach("renew")
	}
	return lost, err
}
