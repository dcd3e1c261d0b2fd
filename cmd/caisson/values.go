package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime/policy"
)

// values gives tasks the values kept in Redis. It puts Redis's errors into the host's words, and takes each
// tenant's quota from the policy in force.
type values struct{ *redisqueue.KV }

var _ host.KV = values{}

// openValues opens the values; rules is the policy in force, which may be replaced.
func openValues(c *redisqueue.Client, rules *atomic.Pointer[policy.Policy]) (values, error) {
	store, err := redisqueue.OpenKV(c, redisqueue.KVConfig{
		QuotaOf: func(tenant string) int64 { return rules.Load().KVQuota(tenant) },
	})
	return values{store}, err
}

// Put implements host.KV.
func (v values) Put(ctx context.Context, tenant, key string, value []byte, ttl time.Duration) error {
	err := v.KV.Put(ctx, tenant, key, value, ttl)
	var full *redisqueue.QuotaError
	var field *queue.FieldError
	switch {
	case errors.As(err, &full):
		return fmt.Errorf("%w: %w", host.ErrQuota, err)
	case errors.As(err, &field):
		return &host.ActError{Code: abi.Invalid, Text: field.Text}
	}
	return err
}
