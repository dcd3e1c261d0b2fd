package policy

import (
	"time"

	"github.com/caisson-run/caisson/manifest/capability"
)

// Bounds on a policy file, beyond those of manifest/strict (1 MiB, 50,000 keys and elements). They keep the index that
// is made of it small however the file is written; an operator who meets one has a mistake in a generator.
const (
	// queuesMax bounds the queues of one grant. A task has few queues; a worker polls every one.
	queuesMax = 64

	// tasksMax bounds the task patterns of one grant or publisher.
	tasksMax = 256

	// capsMax bounds the capability lines of one grant; all that match one task have the same bound together.
	capsMax = capability.SetLinesMax

	// keysMax bounds the keys of one holder: rotation needs two, a fleet behind one name some more.
	keysMax = 64

	// rolesMax bounds the roles of one principal.
	rolesMax = 64

	// costMax bounds the index of grants, over all combinations of roles that principals have: a point for each pair of
	// queue and task pattern, and one for each capability in a decision. A point is about 150 bytes, so 40 MiB.
	costMax = 1 << 18

	// inFlightMax and burstMax bound what may run, or begin, at a time. As queue.InFlightMax and queue.BurstMax; a test
	// compares.
	inFlightMax = 65536
	burstMax    = 65536

	// rateEveryMin is the time between two at the fastest rate, 100,000/s: no worker keeps up with more, and brokers
	// count in microseconds.
	rateEveryMin = 10 * time.Microsecond

	// tenantKVDefault is a tenant's kv quota when its row states none, in bytes.
	tenantKVDefault = 64 << 20

	// tenantKVMax is the largest kv quota, in bytes. Redis holds it in memory; what is larger is a slip of the unit.
	tenantKVMax = 4 << 30
)
