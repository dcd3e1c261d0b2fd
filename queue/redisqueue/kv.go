package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caisson-run/caisson/queue"
)

// KVConfig says how much each tenant may keep.
type KVConfig struct {
	// Quota is in bytes for each tenant: keys, values and 96 bytes for each key.
	// Default 16 MiB, at most KVQuotaMax.
	Quota int64

	// QuotaOf gives one tenant's quota when it writes, so that a changed policy
	// counts at once; 0 means Quota. It must not block. nil: Quota for all.
	QuotaOf func(tenant string) int64
}

// KV keeps values of tenants: each tenant's in four keys of its own, so that no
// key of a guest's choice names a key of Redis. It is safe for concurrent use.
//
// A key is 1 to 1,024 bytes of any kind, a value at most 1 MiB, a time to live at
// most 366 days (0: for ever). What has expired is gone at once for readers; its
// room is freed by later writes of the same tenant, a bounded piece each.
type KV struct {
	client *Client
	conf   KVConfig
}

// OpenKV returns the values kept in c. It connects to nothing.
// Errors: *ConfigError.
func OpenKV(c *Client, conf KVConfig) (*KV, error) {
	if conf.Quota == 0 {
		conf.Quota = kvQuotaDefault
	}
	if conf.Quota < 1 || conf.Quota > KVQuotaMax {
		return nil, &ConfigError{Field: "Quota", Text: fmt.Sprintf("%d bytes, want 1 to %d", conf.Quota, int64(KVQuotaMax))}
	}
	return &KV{client: c, conf: conf}, nil
}

// QuotaError reports that a write would take a tenant over its quota.
type QuotaError struct {
	Tenant string
	Quota  int64 // bytes
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("kv: tenant %s: over its quota of %d bytes", e.Tenant, e.Quota)
}

// Code returns "kv.quota".
func (e *QuotaError) Code() string { return "kv.quota" }

// kvKeys returns a tenant's keys, in the order of the scripts: values, index,
// expiry, used. The tenant is checked, so the braces are ours.
func kvKeys(tenant string) []string {
	p := "cs:kv:{" + tenant + "}:"
	return []string{p + "values", p + "index", p + "expiry", p + "used"}
}

func checkKV(tenant, key string) error {
	if err := queue.CheckName("tenant", tenant); err != nil {
		return err
	}
	if n := len(key); n == 0 || n > kvKeyBytesMax {
		return &queue.FieldError{Field: "key", Text: fmt.Sprintf("has %d bytes, want 1 to %d", n, kvKeyBytesMax)}
	}
	return nil
}

// Get returns a value and whether there is one.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (k *KV) Get(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	if err := checkKV(tenant, key); err != nil {
		return nil, false, err
	}
	var value string
	err := k.client.do(ctx, "kv get", func(ctx context.Context) error {
		var err error
		value, err = kvGetScript.Run(ctx, k.client.rdb, kvKeys(tenant)[:1], key).Text()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return []byte(value), true, nil
}

// Put writes a value, kept for ttl (0: until deleted).
// Errors: *QuotaError, *queue.FieldError, *queue.UnavailableError.
func (k *KV) Put(ctx context.Context, tenant, key string, value []byte, ttl time.Duration) error {
	if err := checkKV(tenant, key); err != nil {
		return err
	}
	if len(value) > kvValueBytesMax {
		return &queue.FieldError{Field: "value", Text: fmt.Sprintf("has %d bytes, at most %d", len(value), kvValueBytesMax)}
	}
	if ttl < 0 || ttl > kvTTLMax || ttl > 0 && ttl < time.Millisecond {
		return &queue.FieldError{Field: "ttl", Text: fmt.Sprintf("%s, want 0 or 1ms to %s", ttl, kvTTLMax)}
	}
	quota := k.quota(tenant)
	done, err := k.write(ctx, tenant, "put", key, value, ttl.Milliseconds(), quota)
	if err == nil && !done {
		return &QuotaError{Tenant: tenant, Quota: quota}
	}
	return err
}

// Delete removes a value; that there is none is no error.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (k *KV) Delete(ctx context.Context, tenant, key string) error {
	if err := checkKV(tenant, key); err != nil {
		return err
	}
	_, err := k.write(ctx, tenant, "delete", key, nil, 0, 0)
	return err
}

func (k *KV) quota(tenant string) int64 {
	if k.conf.QuotaOf != nil {
		if n := k.conf.QuotaOf(tenant); n > 0 {
			return min(n, KVQuotaMax)
		}
	}
	return k.conf.Quota
}

func (k *KV) write(ctx context.Context, tenant, verb, key string, value []byte, ttl, quota int64) (bool, error) {
	var done bool
	err := k.client.do(ctx, "kv "+verb, func(ctx context.Context) error {
		n, err := kvPutScript.Run(ctx, k.client.rdb, kvKeys(tenant),
			verb, key, value, ttl, quota, kvChargeBytes, kvPurgeMax).Int()
		done = n == 1
		return err
	})
	return done, err
}

// List returns up to max (1 to 1,000) keys that begin with prefix and come after
// after, in the order of their bytes.
// Errors: *queue.FieldError, *queue.UnavailableError.
func (k *KV) List(ctx context.Context, tenant, prefix, after string, limit int) ([]string, error) {
	if err := queue.CheckName("tenant", tenant); err != nil {
		return nil, err
	}
	if len(prefix) > kvKeyBytesMax || len(after) > kvKeyBytesMax {
		return nil, &queue.FieldError{Field: "key", Text: fmt.Sprintf("prefix or after has more than %d bytes", kvKeyBytesMax)}
	}
	if limit < 1 || limit > kvListMax {
		return nil, &queue.FieldError{Field: "max", Text: fmt.Sprintf("%d, want 1 to %d", limit, kvListMax)}
	}
	from, to := lexRange(prefix, after)
	keys := kvKeys(tenant)[1:3]
	var out []string
	for {
		var piece []string
		err := k.client.do(ctx, "kv list", func(ctx context.Context) error {
			var err error
			piece, err = kvListScript.Run(ctx, k.client.rdb, keys, from, to, kvScanPiece).StringSlice()
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(piece) == 0 {
			return nil, damaged("kv list", errors.New("script returned nothing"))
		}
		out = append(out, piece[1:]...)
		if len(out) >= limit {
			return out[:limit], nil
		}
		if piece[0] == "" {
			return out, nil
		}
		from = "(" + piece[0]
	}
}

// lexRange returns the ends, as ZRANGEBYLEX wants them, of the keys that begin
// with prefix and come after after.
func lexRange(prefix, after string) (from, to string) {
	from, to = "-", "+"
	if prefix != "" {
		from = "[" + prefix
	}
	if after >= prefix && after != "" {
		from = "(" + after
	}
	// The first key past the prefix: its last byte that can be raised, raised.
	for end := []byte(prefix); len(end) > 0; end = end[:len(end)-1] {
		if end[len(end)-1] != 0xff {
			end[len(end)-1]++
			return from, "(" + string(end)
		}
	}
	return from, to
}
