package redisqueue

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The contract of each script (KEYS, ARGV, returns) stands at its top.
var (
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
	//go:embed lua/retire.lua
	retireSource string
	//go:embed lua/kv_get.lua
	kvGetSource string
	//go:embed lua/kv_put.lua
	kvPutSource string
	//go:embed lua/kv_list.lua
	kvListSource string

	lookScript    = redis.NewScript(lookSource)
	startScript   = redis.NewScript(statesSource + beginSource + stateSource + parkedSource + gatesSource + leftSource + admitSource + startSource)
	renewScript   = redis.NewScript(statesSource + stateSource + parkedSource + gatesSource + renewSource)
	settleScript  = redis.NewScript(statesSource + leftSource + finishSource + stateSource + parkedSource + gatesSource + settleSource)
	promoteScript = redis.NewScript(statesSource + stateSource + parkedSource + promoteSource)
	sweepScript   = redis.NewScript(statesSource + sweepSource)
	retireScript  = redis.NewScript(retireSource)
	kvGetScript   = redis.NewScript(kvGetSource)
	kvPutScript   = redis.NewScript(kvPutSource)
	kvListScript  = redis.NewScript(kvListSource)
)

// run runs a script. args may be pointers to strings: boxing one costs nothing.
func (c *Client) run(ctx context.Context, op string, s *redis.Script, keys []string, args []any) (any, error) {
	var out any
	err := c.do(ctx, op, func(ctx context.Context) error {
		var err error
		out, err = s.Run(ctx, c.rdb, keys, args...).Result()
		return err
	})
	return out, err
}

// ints runs a script that returns want integers (any number when want is below 0).
func (c *Client) ints(ctx context.Context, op string, s *redis.Script, want int, keys []string, args []any) ([]int64, error) {
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
