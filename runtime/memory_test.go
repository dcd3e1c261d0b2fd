package runtime_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// blobs keeps a store in memory, and can be away.
type blobs struct {
	mu   sync.Mutex
	data map[string][]byte
	away bool
	gets int
	mods int // of the above, those of modules
}

func (b *blobs) set(away bool) { b.mu.Lock(); b.away = away; b.mu.Unlock() }

var errAway = errors.New("away")

func (b *blobs) Get(_ context.Context, name string, _ int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets++
	if strings.HasPrefix(name, "modules/") {
		b.mods++
	}
	if b.away {
		return nil, errAway
	}
	data, ok := b.data[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

func (b *blobs) Put(_ context.Context, name string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data[name] = slices.Clone(data)
	return nil
}

func (b *blobs) List(_ context.Context, prefix string, most int) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errAway
	}
	var names []string
	for name := range b.data {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), most)], nil
}

// values is the store of tenants' values. A key below gate/ is a gate that a test has made: a guest that reads it
// waits until the test opens it.
type values struct {
	mu    sync.Mutex
	data  map[string][]byte
	gates map[string]*gate
}

// clear forgets what an earlier test has put.
func (v *values) clear() { v.mu.Lock(); clear(v.data); v.mu.Unlock() }

// gate holds guests up.
type gate struct {
	key     string
	entered chan struct{} // one for each guest that has come
	open    chan struct{} // closed to let all of them go on
	left    chan error    // one for each guest that has gone on, with why
}

// newGate makes a gate of that name, which must be no other test's.
func newGate(name string) *gate {
	g := &gate{key: name, entered: make(chan struct{}, 64), open: make(chan struct{}), left: make(chan error, 64)}
	shared.kv.mu.Lock()
	defer shared.kv.mu.Unlock()
	if shared.kv.gates == nil {
		shared.kv.gates = map[string]*gate{}
	}
	shared.kv.gates["gate/"+name] = g
	return g
}

// await returns when n more guests have come.
func (g *gate) await(t testing.TB, n int) {
	t.Helper()
	for range n {
		receive(t, g.entered, "a guest at the gate "+g.key)
	}
}

// receive takes one value, or fails the test.
func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s after %v", what, patience)
	}
	panic("not reached")
}

func (v *values) Get(ctx context.Context, tenant, key string) ([]byte, bool, error) {
	v.mu.Lock()
	g, value := v.gates[key], v.data[tenant+" "+key]
	v.mu.Unlock()
	if g == nil {
		return value, value != nil, nil
	}
	g.entered <- struct{}{}
	select {
	case <-g.open:
		g.left <- nil
		return []byte("open"), true, nil
	case <-ctx.Done():
		g.left <- context.Cause(ctx)
		return nil, false, ctx.Err()
	}
}

func (v *values) Put(_ context.Context, tenant, key string, value []byte, _ time.Duration) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.data == nil {
		v.data = map[string][]byte{}
	}
	v.data[tenant+" "+key] = slices.Clone(value)
	return nil
}

func (v *values) Delete(context.Context, string, string) error { return nil }

func (v *values) List(context.Context, string, string, string, int) ([]string, error) {
	return nil, nil
}
