package tasktest

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// A world is what all tasks of a test binary share: one sandbox, since compiling is what costs, and one host, which tells the tasks
// apart as it tells tenants apart. It lives as long as the test binary.
type world struct {
	sandbox   *sandbox.Sandbox
	authority *authority

	lock  sync.Mutex
	tasks map[string]*Task // by tenant
	count int
}

var openWorld = sync.OnceValues(func() (*world, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	w := &world{authority: authority, tasks: map[string]*Task{}}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	h, err := host.New(host.Config{
		HTTP: host.HTTPConfig{RootCAs: authority.pool, AllowAddr: loopback, ConnectTo: connectTo},
		KV:   w,
	})
	if err != nil {
		return nil, err
	}
	w.sandbox, err = sandbox.Open(context.Background(), sandbox.Config{Host: h, CheckRate: 1, CacheDir: compiled()})
	return w, err
})

// compiled is the folder for compiled modules, so that a module that has not changed is compiled once and not at each go test; "" where a user has
// no such place.
func compiled() string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(caches, "caisson", "tasktest")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// theWorld returns the one world of this test binary.
func theWorld(t testing.TB) *world {
	t.Helper()
	w, err := openWorld()
	if err != nil {
		t.Fatalf("tasktest: %v", err)
	}
	return w
}

// enter gives task a tenant of its own.
func (w *world) enter(task *Task) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.count++
	task.tenant = fmt.Sprintf("test-%d", w.count)
	w.tasks[task.tenant] = task
}

func (w *world) leave(task *Task) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.tasks, task.tenant)
}

// connectTo sends every connection of a run to the server of its task.
func connectTo(ctx context.Context, address string) string {
	task, ok := ctx.Value(taskKey{}).(*Task)
	if ok && task.server != nil {
		return task.server.Listener.Addr().String()
	}
	if ok {
		task.missed.add(address)
	}
	return "" // no address: the dial fails
}

// missed are the places that were dialled without a handler. It has a lock because a dial may outlive its request.
type missed struct {
	lock   sync.Mutex
	places []string
}

func (m *missed) add(place string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.places = append(m.places, place)
}

// take returns the places since the last take.
func (m *missed) take() []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	places := m.places
	m.places = nil
	return places
}

var _ host.KV = (*world)(nil)

// of returns the task of a tenant. A run uses its task from one goroutine, so its maps need no lock.
func (w *world) of(tenant string) (*Task, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if task := w.tasks[tenant]; task != nil {
		return task, nil
	}
	return nil, fmt.Errorf("tasktest: no task of tenant %q", tenant)
}

// Get implements host.KV.
func (w *world) Get(_ context.Context, tenant, key string) ([]byte, bool, error) {
	task, err := w.of(tenant)
	if err != nil {
		return nil, false, err
	}
	value, found := task.KV[key]
	return []byte(value), found, nil
}

// Put implements host.KV.
func (w *world) Put(_ context.Context, tenant, key string, value []byte, ttl time.Duration) error {
	task, err := w.of(tenant)
	if err != nil {
		return err
	}
	task.KV[key] = string(value)
	delete(task.TTL, key)
	if ttl > 0 {
		task.TTL[key] = ttl
	}
	return nil
}

// Delete implements host.KV.
func (w *world) Delete(_ context.Context, tenant, key string) error {
	task, err := w.of(tenant)
	if err != nil {
		return err
	}
	delete(task.KV, key)
	delete(task.TTL, key)
	return nil
}

// List implements host.KV.
func (w *world) List(_ context.Context, tenant, prefix, after string, most int) ([]string, error) {
	task, err := w.of(tenant)
	if err != nil {
		return nil, err
	}
	var keys []string
	for key := range task.KV {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(len(keys), most)], nil
}
