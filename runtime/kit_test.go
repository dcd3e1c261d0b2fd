package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
	"github.com/caisson-run/caisson/sdk/client"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

// patience bounds every wait of these tests, on two busy cores with the race detector.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	status := m.Run()
	status = max(status, closeShared())
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// shared is what all tests use, since it takes seconds to make: the guest, built by the Go toolchain, and one
// sandbox that compiles it once.
var shared struct {
	once    sync.Once
	err     error
	module  []byte
	host    *host.Host
	sandbox *sandbox.Sandbox
	kv      values
	web     atomic.Value // string: "host:port" of what guests fetch from
}

func openShared(t testing.TB) {
	t.Helper()
	shared.once.Do(func() { shared.err = makeShared() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
}

func makeShared() error {
	dir, err := os.MkdirTemp("", "caisson-runtime-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	if err := gobuild.Build(context.Background(), filepath.Join("testdata", "guest"), out); err != nil {
		return err
	}
	if shared.module, err = os.ReadFile(out); err != nil {
		return err
	}
	if shared.host, err = host.New(host.Config{KV: &shared.kv, HTTP: host.HTTPConfig{
		AllowAddr: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		ConnectTo: func(context.Context, string) string { return shared.web.Load().(string) },
	}}); err != nil {
		return err
	}
	cache, err := guesttest.Compiled()
	if err != nil {
		return err
	}
	if shared.sandbox, err = sandbox.Open(context.Background(), sandbox.Config{Host: shared.host, CheckRate: 1, CacheDir: cache}); err != nil {
		return err
	}
	// Compiled now, which takes long under the race detector: the first test to run a task has no time for it.
	for _, module := range [][]byte{shared.module, otherModule()} {
		if _, err := shared.sandbox.Inspect(context.Background(), module); err != nil {
			return err
		}
	}
	return nil
}

// closeShared returns the exit status.
func closeShared() int {
	if shared.sandbox == nil {
		return 0
	}
	defer shared.host.Close()
	dirty := shared.sandbox.Stats().Dropped["dirty"]
	if err := shared.sandbox.Close(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if dirty > 0 {
		fmt.Fprintf(os.Stderr, "%d cells were not clean after their restore\n", dirty)
		return 1
	}
	return 0
}

// makeKey makes the same key of a purpose for the same name, always.
func makeKey(purpose envelope.Purpose, name string) envelope.PrivateKey {
	seed := sha256.Sum256([]byte("caisson runtime test " + name))
	key, err := envelope.GenerateKey(purpose, bytes.NewReader(seed[:]))
	if err != nil {
		panic(err)
	}
	return key
}

var (
	shopKey      = makeKey(envelope.Submit, "shop")     // may run every job for acme
	globexKey    = makeKey(envelope.Submit, "globex")   // likewise for globex
	internKey    = makeKey(envelope.Submit, "intern")   // may run jobs that need nothing
	strangerKey  = makeKey(envelope.Submit, "stranger") // is in no policy
	operatorKey  = makeKey(envelope.Operate, "operator")
	publisherKey = makeKey(envelope.Publish, "publisher")
	formerKey    = makeKey(envelope.Publish, "former") // may publish other tasks only
	workerKey    = makeKey(envelope.Worker, "worker")
)

const (
	audience  = "test"
	queueName = "work"
)

// policyText is the policy of these tests.
const policyText = `version  = 1
audience = "test"

[[tenant]]
name = "acme"

[[tenant]]
name = "globex"

[[role]]
name = "runner"
[[role.grant]]
queues = ["work"]
tasks  = ["job.*"]
caps   = ["kv rw test/*", "kv ro gate/*", "http GET https://web.test/*", "progress"]

[[role]]
name = "reader"
[[role.grant]]
queues = ["work"]
tasks  = ["job.*"]
limits = { payload = "100B" }

[[principal]]
name    = "shop"
purpose = "submit"
tenant  = "acme"
keys    = ["@shop"]
roles   = ["runner"]

[[principal]]
name    = "globex-shop"
purpose = "submit"
tenant  = "globex"
keys    = ["@globex"]
roles   = ["runner"]

[[principal]]
name    = "intern"
purpose = "submit"
tenant  = "acme"
keys    = ["@intern"]
roles   = ["reader"]

[[principal]]
name    = "ops"
purpose = "operate"
keys    = ["@operator"]

[[publisher]]
name  = "build"
keys  = ["@publisher"]
tasks = ["job.*"]

[[publisher]]
name  = "former"
keys  = ["@former"]
tasks = ["other.*"]

[[worker]]
name = "worker"
keys = ["@worker"]
`

// parsePolicy reads policyText after the replacements given, old and new in turn.
func parsePolicy(t testing.TB, changes ...string) *policy.Policy {
	t.Helper()
	text := policyText
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the policy has no %q", changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	for name, key := range map[string]envelope.PrivateKey{
		"shop": shopKey, "globex": globexKey, "intern": internKey,
		"operator": operatorKey, "publisher": publisherKey, "former": formerKey, "worker": workerKey,
	} {
		text = strings.ReplaceAll(text, "@"+name, key.Public().String())
	}
	p, err := policy.Parse("policy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// job is the manifest of one task; further lines go into the section that they name.
func job(t testing.TB, task string, limits, retry, rest string) manifest.Manifest {
	t.Helper()
	if !strings.Contains(rest, "[needs]") {
		rest += "\n[needs]\ncaps = [\"kv rw test/*\", \"kv ro gate/*\", \"http GET https://web.test/*\"]\n"
	}
	text := fmt.Sprintf("task = %q\nmodule = \"guest.wasm\"\n[limits]\nwall = \"30s\"\ncpu = \"20s\"\n%s\n[retry]\n%s\n%s\n", task, limits, retry, rest)
	m, err := manifest.Parse("task.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fastRetry lets a failed task run twice more, at once.
const fastRetry = "max = 2\nbackoff = \"constant\"\nbase = \"10ms\"\ncap = \"10ms\""

// publish signs and stores a release.
func publish(t testing.TB, store modstore.Store, m manifest.Manifest, module []byte, number uint64, key envelope.PrivateKey) {
	t.Helper()
	_, err := modstore.Publish(t.Context(), store, m, module, number, key)
	check(t, err)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wish is the input of the guest.
type wish struct {
	Mode   string `json:"mode"`
	Text   string `json:"text,omitempty"`
	Key    string `json:"key,omitempty"`
	Number int    `json:"number,omitempty"`
}

// world is one deployment: a redis-server, a store with releases, and the test's own hand in both.
type world struct {
	t       testing.TB
	server  *queuetest.Server
	admin   *redisqueue.Client
	results *redisqueue.Results
	blobs   *blobs
	store   modstore.Store
	shop    *client.Client
}

// newWorld starts one, with releases of job.run and job.small.
func newWorld(t testing.TB) *world {
	t.Helper()
	openShared(t)
	shared.kv.clear()
	w := &world{t: t, server: queuetest.Start(t, queuetest.Options{Sync: "no"}), blobs: &blobs{data: map[string][]byte{}}}
	w.store = modstore.Over(w.blobs)
	w.admin = w.dial(queuetest.UserAdmin)
	t.Cleanup(func() { w.admin.Close() })
	w.results = redisqueue.OpenResults(w.admin)
	t.Cleanup(func() { w.results.Close() })
	w.shop = w.client(shopKey, "acme")
	w.release(job(t, "job.run", "", fastRetry, ""))
	return w
}

// release publishes m, with the guest as its module, as the first of its task.
func (w *world) release(m manifest.Manifest) {
	w.t.Helper()
	publish(w.t, w.store, m, shared.module, 1, publisherKey)
}

func (w *world) dial(user string) *redisqueue.Client {
	w.t.Helper()
	l := w.server.Login(user)
	c, err := redisqueue.Dial(redisqueue.Config{Addr: l.Addr, User: l.User, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key})
	check(w.t, err)
	return c
}

// client sends as the holder of key.
func (w *world) client(key envelope.PrivateKey, tenant string) *client.Client {
	w.t.Helper()
	c, err := client.Open(client.Config{
		Sender: w.admin, Orders: w.admin, Results: w.results, Key: key, Workers: parsePolicy(w.t),
		Audience: audience, Tenant: tenant, Queue: queueName, Within: 10 * time.Minute,
	})
	check(w.t, err)
	return c
}

// send sends one task as the shop.
func (w *world) send(task client.Task) client.Receipt {
	w.t.Helper()
	if task.Name == "" {
		task.Name = "job.run"
	}
	r, err := w.shop.Send(w.t.Context(), task)
	check(w.t, err)
	return r
}

// ended waits for the result, which sdk/client has verified.
func (w *world) ended(r client.Receipt) envelope.Result {
	w.t.Helper()
	return w.endedFor(w.shop, r)
}

func (w *world) endedFor(c *client.Client, r client.Receipt) envelope.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	result, err := c.Wait(ctx, r)
	var refused *client.RefusedError
	var failed *client.FailedError
	switch {
	case errors.As(err, &refused):
		return refused.Result
	case errors.As(err, &failed):
		return failed.Result
	}
	if err != nil {
		w.t.Fatalf("no result of %s (%s): %v", r.Task, r.ID, err)
	}
	return result
}

// letters returns the dead letters, oldest first.
func (w *world) letters() []queue.DeadLetter {
	w.t.Helper()
	letters, err := w.admin.DeadLetters(w.t.Context(), queueName, "", queue.PageMax)
	check(w.t, err)
	return letters
}

// letter returns the one dead letter of that message.
func (w *world) letter(id envelope.MessageID) queue.DeadLetter {
	w.t.Helper()
	var found []queue.DeadLetter
	for _, l := range w.letters() {
		if l.ID == id.String() {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d dead letters of %s, want one: %+v", len(found), id, found)
	}
	return found[0]
}

// lane is the shop's.
func lane(p queue.Priority) queue.Lane {
	return queue.Lane{Queue: queueName, Tenant: "acme", Priority: p}
}

// state is what the broker keeps of a message of acme's.
func (w *world) state(id envelope.MessageID) queue.TaskState {
	w.t.Helper()
	s, err := w.admin.State(w.t.Context(), lane(queue.PriorityNormal), id.String())
	check(w.t, err)
	return s
}

// stalls looks every few milliseconds whether the machine goes on, and Redis with it. What it returns ends that and says for how long they did not, at most.
func (w *world) stalls() (stood func() time.Duration) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	longest := make(chan time.Duration, 1)
	go func() { // ends with ctx
		var most time.Duration
		for last := time.Now(); ctx.Err() == nil; {
			_ = w.admin.Ping(ctx)
			<-time.After(5 * time.Millisecond)
			most, last = max(most, time.Since(last)), time.Now()
		}
		longest <- most
	}()
	return func() time.Duration { stop(); return <-longest }
}

// await polls the broker, a real process on the other side, until ok.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Fatalf("not after %v: %s", patience, what)
		}
	}
}
