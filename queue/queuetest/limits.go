package queuetest

import "time"

const (
	// dialMax bounds one connection with its handshake: a busy machine may stand still for seconds in a run of many minutes.
	dialMax = 10 * time.Second

	// startMax bounds waiting for a redis-server to answer or to end: an
	// overloaded machine, not Redis, needs this long.
	startMax = 20 * time.Second

	// portsFrom and portsTo are where ports for servers are looked for: below 32768, from where on Linux gives them to outgoing connections.
	portsFrom, portsTo = 20000, 32768
	// portLooks is how many are looked at.
	portLooks = 100

	// setUpMax bounds waiting for servers that work together to find each other.
	setUpMax = 40 * time.Second

	// pollEvery is how often a condition on the other side of a wire is looked at.
	pollEvery = 5 * time.Millisecond

	// eventually bounds every such condition.
	eventually = 15 * time.Second

	// portTries bounds looking for a port that nobody takes before Redis does.
	portTries = 5

	// replyBytesMax bounds one reply to a Server's own commands.
	replyBytesMax = 1 << 20
)
