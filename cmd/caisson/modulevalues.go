package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caisson-run/caisson/host"
)

// localValues are the values of a local run: in memory, of one tenant, and without an end of their time.
type localValues struct {
	lock sync.Mutex
	kept map[string][]byte
}

var _ host.KV = (*localValues)(nil)

func newLocalValues() *localValues { return &localValues{kept: map[string][]byte{}} }

// clear forgets all values.
func (v *localValues) clear() {
	v.lock.Lock()
	defer v.lock.Unlock()
	clear(v.kept)
}

// Get implements host.KV.
func (v *localValues) Get(_ context.Context, _, key string) ([]byte, bool, error) {
	v.lock.Lock()
	defer v.lock.Unlock()
	value, found := v.kept[key]
	return value, found, nil
}

// Put implements host.KV. What a run puts is bounded by the host calls that it has.
func (v *localValues) Put(_ context.Context, _, key string, value []byte, _ time.Duration) error {
	v.lock.Lock()
	defer v.lock.Unlock()
	v.kept[key] = slices.Clone(value)
	return nil
}

// Delete implements host.KV.
func (v *localValues) Delete(_ context.Context, _, key string) error {
	v.lock.Lock()
	defer v.lock.Unlock()
	delete(v.kept, key)
	return nil
}

// List implements host.KV.
func (v *localValues) List(_ context.Context, _, prefix, after string, most int) ([]string, error) {
	v.lock.Lock()
	defer v.lock.Unlock()
	var keys []string
	for key := range v.kept {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), most)], nil
}
