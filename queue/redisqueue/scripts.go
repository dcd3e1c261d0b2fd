package redisqueue

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The contract of each script (KEYS, ARGV, returns) stands at its top.
var (
	//go:embed lua/foreign.lua
	foreignSource string
	//go:embed lua/states.lua
	statesSource string
	//go:embed lua/state.lua
	stateSource string
	//go:embed lua/parked.lua
	parkedSource string
	//go:embed lua/gates.lua
	gatesSource string
	//go:embed lua/left.lua
	leftSource string
	//go:embed lua/begin.lua
	beginSource string
	//go:embed lua/admit.lua
	admitSource string
	//go:embed lua/start.lua
	startSource string
	//go:embed lua/look.lua
	lookSource string
	//go:embed lua/renew.lua
	renewSource string
	//go:embed lua/finish.lua
	finishSource string
	//go:embed lua/settle.lua
	settleSource string
	//go:embed lua/promote.lua
	promoteSource string
	//go:embed lua/sweep.lua
	sweepSource string
	//go:embed lua/take_over.lua
	takeOverSource string
	//go:embed lua/retire.lua
	retireSource string
	//go:embed lua/strays.lua
	straysSource string
	//go:embed lua/kv_get.lua
	kvGetSource string
	//go:embed lua/kv_put.lua
	kvPutSource string
	//go:embed lua/kv_list.lua
	kvListSource string

	lookScript     = newScript(lookSource)
	startScript    = newScript(statesSource + beginSource + stateSource + parkedSource + gatesSource + leftSource + admitSource + startSource)
	renewScript    = newScript(statesSource + stateSource + parkedSource + gatesSource + renewSource)
	settleScript   = newScript(statesSource + leftSource + finishSource + stateSource + parkedSource + gatesSource + settleSource)
	promoteScript  = newScript(statesSource + stateSource + parkedSource + promoteSource)
	sweepScript    = newScript(statesSource + sweepSource)
	takeOverScript = newScript(takeOverSource)
	retireScript   = newScript(retireSource)
	straysScript   = newScript(straysSource)
	kvGetScript    = newScript(kvGetSource)
	kvPutScript    = newScript(kvPutSource)
	kvListScript   = newScript(kvListSource)
)

// A script runs on one node as a whole or not at all. For that its last key is one that never exists: while a cluster moves the
// slot of its keys to another node, key by key, Redis refuses a command with several keys of which one is missing (TRYAGAIN).
// Otherwise a script could begin on the old node and fail halfway at a key that has already moved, since scripts reach keys that
// only the data names.
// Source: Redis 7 src/cluster.c, getNodeByQuery.
type script struct{ *redis.Script }

// newScript makes a script of source, after lua/foreign.lua.
func newScript(source string) script { return script{redis.NewScript(foreignSource + source)} }

// absent is the end of the name of the key that never exists. Names of queues and tenants have no brace.
const absent = "}:absent"

func withAbsent(keys []string) []string {
	tag, _, _ := strings.Cut(keys[0], "}")
	return append(keys[:len(keys):len(keys)], tag+absent)
}

// Run shadows that of redis.Script.
func (s script) Run(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.Script.Run(ctx, c, withAbsent(keys), args...)
}

// Eval shadows that of redis.Script.
func (s script) Eval(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.Script.Eval(ctx, c, withAbsent(keys), args...)
}

// EvalSha shadows that of redis.Script.
func (s script) EvalSha(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s.Script.EvalSha(ctx, c, withAbsent(keys), args...)
}

// run runs a script. args may be pointers to strings: boxing one costs nothing.
func (c *Client) run(ctx context.Context, op string, s script, keys []string, args []any) (any, error) {
	var out any
	err := c.do(ctx, op, func(ctx context.Context) error {
		var err error
		out, err = s.Run(ctx, c.rdb, keys, args...).Result()
		return err
	})
	return out, err
}

// ints runs a script that returns want integers (any number when want is below 0).
func (c *Client) ints(ctx context.Context, op string, s script, want int, keys []string, args []any) ([]int64, error) {
	var out []int64
	err := c.do(ctx, op, func(ctx context.Context) error {
		var err error
		out, err = s.Run(ctx, c.rdb, keys, args...).Int64Slice()
		return err
	})
	if err != nil {
		return nil, err
	}
	if want >= 0 && len(out) != want {
		return nil, damaged(op, fmt.Errorf("script returned %d values, want %d", len(out), want))
	}
	return out, nil
}
