package chaos_test

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/caisson-run/caisson/queue"
)

// What these tests know of keys in Redis is here and nowhere else. Source: docs/reference/redis.md.

// laneKey is the stream of a lane.
func laneKey(l queue.Lane) string {
	return fmt.Sprintf("cs:{%s}:in:%s:%d", l.Queue, l.Tenant, l.Priority)
}

// statesKey is the hash of the states of messages, by id.
func statesKey(name string) string { return "cs:{" + name + "}:st:" + tenant }

// laneGroup is the consumer group of each lane.
const laneGroup = "workers"

// kept are the keys that may stay, each with its own end. What may not stay is looked at by its content in endState.
var kept = regexp.MustCompile(`^cs:\{(work|mail|rest)\}:(in:acme:[012]|st:acme|ends|ends:[0-9]+|res:[0-9a-f]{32}:[0-9a-f]{32}|dead|events|orders|mode|cancels|cancel:.*|unique:acme:.*|gate:.*|rate:.*|line:.*)$`)

// isStates and isResult tell keys of messages from others.
func isStates(key string) bool { return strings.Contains(key, "}:st:") }
func isEnds(key string) bool   { return strings.Contains(key, "}:ends") }
func isResult(key string) bool { return strings.Contains(key, "}:res:") }
