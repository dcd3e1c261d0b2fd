package host

import (
	"context"
	"errors"
	"time"

	"github.com/caisson-run/caisson/host/abi"
	"github.com/caisson-run/caisson/manifest/capability"
)

// A KV is the store behind the kv acts. Keys of one tenant never meet those of another; the store sees to that, and to quotas.
// Keys are what capability.KVRequest accepts, at most abi.KVKeySizeMax bytes; values at most abi.KVValueSizeMax.
// Errors: one that is ErrQuota when the tenant's quota is full; any other means that the store cannot answer now.
type KV interface {
	// Get returns the value of key, and whether there is one.
	Get(ctx context.Context, tenant, key string) ([]byte, bool, error)
	// Put sets key for ttl, or for good when ttl is 0. value is only read during the call.
	Put(ctx context.Context, tenant, key string, value []byte, ttl time.Duration) error
	// Delete removes key; that there is none is no error.
	Delete(ctx context.Context, tenant, key string) error
	// List returns at most max keys that begin with prefix and sort after "after", in order.
	List(ctx context.Context, tenant, prefix, after string, max int) ([]string, error)
}

// ErrQuota is the error of a KV whose tenant has used its quota.
var ErrQuota = errors.New("kv: quota of the tenant is full")

var (
	errValueSize = &ActError{abi.TooLarge, "the value is larger than allowed"}
	errKeySize   = &ActError{abi.TooLarge, "the key is longer than allowed"}
	errNoKey     = &ActError{abi.NotFound, "no such key"}
	errTTL       = &ActError{abi.Invalid, "ttl is not a number of seconds from 1 to 366 days, or empty"}
	errListMax   = &ActError{abi.Invalid, "max is not a number from 1 to 1000"}
)

// A kvRequest is any of the four, with the capability that it needs.
type kvRequest struct {
	want  capability.Capability
	key   string // kv_list: the prefix
	value []byte
	ttl   time.Duration
	after string
	max   int
}

func kvActs(store KV) []act {
	want := func(q kvRequest) capability.Capability { return q.want }
	one := func(v []byte) [][]byte { return [][]byte{v} }
	none := func(struct{}) [][]byte { return nil }
	return []act{
		register(Act[kvRequest, []byte]{
			Name: abi.KVGet, Kind: abi.KindKV, Want: want, Write: one,
			Read: func(f [][]byte) (kvRequest, error) { return readKey(f, 1, false) },
			Do: func(ctx context.Context, ask Ask, q kvRequest) ([]byte, error) {
				v, found, err := store.Get(ctx, ask.Tenant, q.key)
				switch {
				case err != nil:
					return nil, kvError(err)
				case !found:
					return nil, errNoKey
				case len(v) > abi.KVValueSizeMax:
					return nil, errValueSize
				}
				return v, nil
			},
		}),
		register(Act[kvRequest, struct{}]{
			Name: abi.KVPut, Kind: abi.KindKV, Want: want, Write: none, Read: readPut,
			Do: func(ctx context.Context, ask Ask, q kvRequest) (struct{}, error) {
				return struct{}{}, kvError(store.Put(ctx, ask.Tenant, q.key, q.value, q.ttl))
			},
		}),
		register(Act[kvRequest, struct{}]{
			Name: abi.KVDelete, Kind: abi.KindKV, Want: want, Write: none,
			Read: func(f [][]byte) (kvRequest, error) { return readKey(f, 1, true) },
			Do: func(ctx context.Context, ask Ask, q kvRequest) (struct{}, error) {
				return struct{}{}, kvError(store.Delete(ctx, ask.Tenant, q.key))
			},
		}),
		register(Act[kvRequest, []string]{
			Name: abi.KVList, Kind: abi.KindKV, Want: want, Read: readList,
			Do: func(ctx context.Context, ask Ask, q kvRequest) ([]string, error) {
				keys, err := store.List(ctx, ask.Tenant, q.key, q.after, q.max)
				return keys[:min(len(keys), q.max)], kvError(err)
			},
			Write: func(keys []string) [][]byte {
				fields := make([][]byte, len(keys))
				for i, k := range keys {
					fields[i] = []byte(k)
				}
				return fields
			},
		}),
	}
}

// readKey reads the key of a request of n fields.
func readKey(fields [][]byte, n int, write bool) (q kvRequest, err error) {
	if len(fields) != n {
		return q, errFrame
	}
	if len(fields[0]) > abi.KVKeySizeMax {
		return q, errKeySize
	}
	q.key = string(fields[0])
	q.want, err = capability.KVRequest(write, q.key)
	return q, err
}

func readPut(fields [][]byte) (kvRequest, error) {
	q, err := readKey(fields, 3, true)
	if err != nil {
		return q, err
	}
	if q.value = fields[1]; len(q.value) > abi.KVValueSizeMax {
		return q, errValueSize
	}
	if len(fields[2]) > 0 {
		seconds, ok := decimal(fields[2], uint64(kvTTLMax/time.Second))
		if !ok || seconds == 0 {
			return q, errTTL
		}
		q.ttl = time.Duration(seconds) * time.Second
	}
	return q, nil
}

// readList reads [prefix, after, max]. A list needs the right to read every key under its prefix.
func readList(fields [][]byte) (q kvRequest, err error) {
	if len(fields) != 3 {
		return q, errFrame
	}
	if len(fields[0]) > abi.KVKeySizeMax || len(fields[1]) > abi.KVKeySizeMax {
		return q, errKeySize
	}
	q.key, q.after = string(fields[0]), string(fields[1])
	if q.want, err = capability.KVListRequest(q.key); err != nil {
		return q, err
	}
	n, ok := decimal(fields[2], abi.KVListMax)
	if !ok || n == 0 {
		return q, errListMax
	}
	q.max = int(n)
	return q, nil
}

func kvError(err error) error {
	if errors.Is(err, ErrQuota) {
		return &ActError{abi.Quota, err.Error()}
	}
	return err
}
