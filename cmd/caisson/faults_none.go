//go:build !chaos

package main

import (
	"time"

	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

// brokerOf is the worker's hand in its queues, as it is. A build with the tag chaos, which only the tests of runtime/chaos
// make, lets the process die or stop at its calls: see faults_chaos.go.
func brokerOf(q *redisqueue.Queue) runtime.Broker { return q }

// workerClock is the clock that the worker judges messages by; nil: the machine's.
func workerClock() func() time.Time { return nil }
