package guest

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// KV is the key-value store of the tenant that the task runs for. Each call needs a capability such as
// "kv rw visits/*"; a call that only reads is content with "kv ro visits/*".
var KV Store

// A Store is a key-value store. Keys are at most abi.KVKeySizeMax bytes, values at most abi.KVValueSizeMax.
// A read and a write after it are two calls: between them another task may write.
// Errors of each method: *[CallError], which unwraps to ErrDenied, ErrNotFound, ErrInvalid, ErrTooLarge, ErrQuota,
// ErrUnavailable or ErrTimeout.
type Store struct{}

// Get returns the value of key. Errors: wraps ErrNotFound when there is none.
func (Store) Get(ctx context.Context, key string) ([]byte, error) {
	fields, err := ask(ctx, kvGet, []byte(key))
	if err == nil && len(fields) != 1 {
		err = ErrInvalid
	}
	if err != nil {
		return nil, callFault("kv get", key, err)
	}
	return fields[0], nil
}

// Put sets key to value, to be kept until it is deleted. The store copies value.
func (Store) Put(ctx context.Context, key string, value []byte) error {
	_, err := ask(ctx, kvPut, []byte(key), value, nil)
	return callFault("kv put", key, err)
}

// PutFor sets key to value for the time ttl, which must be above 0 and is rounded up to whole seconds.
func (Store) PutFor(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return callFault("kv put", key, ErrInvalid)
	}
	seconds := int64((ttl-1)/time.Second) + 1
	_, err := ask(ctx, kvPut, []byte(key), value, strconv.AppendInt(nil, seconds, 10))
	return callFault("kv put", key, err)
}

// Delete removes key. It is no error when there is none.
func (Store) Delete(ctx context.Context, key string) error {
	_, err := ask(ctx, kvDelete, []byte(key))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return callFault("kv delete", key, err)
}

// List returns at most most keys that begin with prefix, in order, from the first one above after ("" for the start).
// The next page begins after the last key of this one. most is 1 to abi.KVListMax.
func (Store) List(ctx context.Context, prefix, after string, most int) ([]string, error) {
	fields, err := ask(ctx, kvList, []byte(prefix), []byte(after), strconv.AppendInt(nil, int64(most), 10))
	if err != nil {
		return nil, callFault("kv list", prefix, err)
	}
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = string(f)
	}
	return keys, nil
}

// callFault says what was asked when err is one of the Err values. Nil stays nil, and the end of a context stays what
// it is.
func callFault(call, on string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &CallError{Call: call, On: on, Err: err}
}
