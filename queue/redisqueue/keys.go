package redisqueue

import (
	"strconv"
	"strings"

	"github.com/caisson-run/caisson/queue"
)

// group is the consumer group of every lane.
const group = "workers"

// Keys of a queue. Names are checked before (queue.CheckName), so none can hold
// a colon or a brace; see docs/reference/redis.md for the whole list.

func prefix(name string) string        { return "cs:{" + name + "}:" }
func dueKey(name string) string        { return prefix(name) + "due" }
func parkedKey(name string) string     { return prefix(name) + "parked" }
func deadKey(name string) string       { return prefix(name) + "dead" }
func lanePrefix(name string) string    { return prefix(name) + "in:" }
func endsKey(name string) string       { return prefix(name) + "ends" }
func channelPrefix(name string) string { return prefix(name) + "done:" }

// Keys of orders, events and progress. The channel of orders has the stream's name.

func modeKey(name string) string    { return prefix(name) + "mode" }
func ordersKey(name string) string  { return prefix(name) + "orders" }
func cancelsKey(name string) string { return prefix(name) + "cancels" }
func eventsKey(name string) string  { return prefix(name) + "events" }

func cancelKey(l queue.Lane, id string) string   { return prefix(l.Queue) + "cancel:" + member(l, id) }
func progressKey(l queue.Lane, id string) string { return prefix(l.Queue) + "prog:" + member(l, id) }

func laneKey(l queue.Lane) string { return lanePrefix(l.Queue) + laneName(l) }

// statesKey is the hash of the states of a tenant's messages, by id.
func statesKey(l queue.Lane) string { return prefix(l.Queue) + "st:" + l.Tenant }

func resultKey(name, issuer, id string) string { return prefix(name) + "res:" + issuer + ":" + id }

// laneName is a lane's name within its queue.
func laneName(l queue.Lane) string {
	return l.Tenant + ":" + strconv.Itoa(int(l.Priority))
}

// member is a message's name within its queue: tenants do not share ids.
func member(l queue.Lane, id string) string { return l.Tenant + ":" + id }

// parseLane reads what laneName wrote. What does not parse comes back with its
// queue only: the text is Redis's word, and nothing follows from it.
func parseLane(name, text string) queue.Lane {
	tenant, digit, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(digit)
	l := queue.Lane{Queue: name, Tenant: tenant, Priority: queue.Priority(n)}
	if err != nil || l.Check() != nil {
		return queue.Lane{Queue: name}
	}
	return l
}
