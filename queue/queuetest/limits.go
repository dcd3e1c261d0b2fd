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

	// patient is how long a Sentinel waits for a silent server where no test sets another time: longer than any test lasts.
	patient = time.Hour

	// setUpMax bounds waiting for servers that work together to find each other.
	setUpMax = 40 * time.Second

	// pollEvery is how often a condition on the other side of a wire is looked at.
	pollEvery = 5 * time.Millisecond

	// eventually bounds every such condition.
	eventually = 15 * time.Second

	// soon is what comes at once: what does not waits for a time of its own, of eventually, which is three times as long. A machine that does much else
	// stands still for a second now and then, and takes longer than that for nothing that comes at once.
	soon = 5 * time.Second

	// timeTries bounds how often InTime tries, each with twice the time: the last has 32 times that of a quiet machine, which is seconds.
	timeTries = 6

	// portTries bounds looking for a port that nobody takes before Redis does.
	portTries = 5

	// replyBytesMax bounds one reply to a Server's own commands.
	replyBytesMax = 1 << 20
)
