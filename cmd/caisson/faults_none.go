//go:build !chaos

package main

import (
	"time"

	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
)

// brokerOf returns the worker's broker unchanged. In a build with the tag chaos, which only the tests of runtime/chaos make, its calls can
// kill or stop the process: see faults_chaos.go.
func brokerOf(q *redisqueue.Queue) runtime.Broker { return q }

// workerClock is the clock that the worker judges messages by; nil: the machine's.
func workerClock() func() time.Time { return nil }
