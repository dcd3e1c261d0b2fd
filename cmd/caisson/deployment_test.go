package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/sdk/client"
)

// testBuildTime bounds a test's build of guests, on two cores with a cold cache and the race detector around it.
const testBuildTime = 5 * time.Minute

// newDeployment is the demo's deployment on a real redis-server: the same keys, policy, settings and examples, with
// the ACL users of docs/reference/redis.md.
func newDeployment(t testing.TB, server *queuetest.Server, examples ...string) *deployment {
	t.Helper()
	return newDeploymentIn(t, t.TempDir(), server, examples...)
}

// newDeploymentIn is newDeployment in a folder that is there.
func newDeploymentIn(t testing.TB, dir string, server *queuetest.Server, examples ...string) *deployment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testBuildTime)
	defer cancel()
	d := &deployment{dir: dir, addr: server.Addr(), keys: map[string]envelope.PrivateKey{}, built: map[string][]byte{}}
	t.Cleanup(d.close)
	check(t, d.makeKeys())
	worker := server.Login(queuetest.UserWorker)
	pair := devtls.Pair{Cert: worker.Cert, Key: worker.Key}
	check(t, writeNew(d.path("ca.pem"), worker.CA, 0o644))
	check(t, d.login("worker", worker.Password, pair))
	check(t, d.login("shop", worker.Password, pair))
	issuer := d.keys["shop"].Public().ID().String()
	rules := strings.ReplaceAll(queuetest.Rules(queuetest.UserProducer), queuetest.Issuer, issuer)
	set := append([]string{"ACL", "SETUSER", "shop", "on", ">" + worker.Password}, strings.Fields(rules)...)
	for _, command := range [][]string{set, {"ACL", "SAVE"}} {
		if reply, bad := server.Do(command...).(queuetest.Error); bad {
			t.Fatal(reply)
		}
	}
	check(t, d.writeFiles())
	d.addOperator(t, server)
	store := server.Login(queuetest.UserStore)
	check(t, d.login(queuetest.UserStore, store.Password, devtls.Pair{Cert: store.Cert, Key: store.Key}))
	check(t, writeNew(d.path("store.toml"), []byte(d.broker(queuetest.UserStore).Text()), 0o644))
	d.connectAs(t, store)
	for _, name := range examples {
		d.releaseExample(ctx, t, name)
	}
	return d
}

// addOperator gives the operate key "ops" of the deployment a user of Redis of its own. Its operator.toml names no tenant.
func (d *deployment) addOperator(t testing.TB, server *queuetest.Server) {
	t.Helper()
	l := server.Login(queuetest.UserOperator)
	rules := strings.ReplaceAll(queuetest.Rules(queuetest.UserOperator), queuetest.Operator, d.keys["ops"].Public().ID().String())
	for _, command := range [][]string{append([]string{"ACL", "SETUSER", "ops", "on", ">" + l.Password}, strings.Fields(rules)...), {"ACL", "SAVE"}} {
		if reply, bad := server.Do(command...).(queuetest.Error); bad {
			t.Fatal(reply)
		}
	}
	check(t, d.login("ops", l.Password, devtls.Pair{Cert: l.Cert, Key: l.Key}))
	text, err := os.ReadFile(d.path("operator.toml"))
	check(t, err)
	check(t, os.WriteFile(d.path("operator.toml"), []byte(strings.Replace(string(text), "tenant   = \"acme\"\n", "", 1)), 0o644))
}

// builtExamples are modules that a test of this run has built already, by the example's name.
var builtExamples sync.Map

// releaseExample is release for an example, built at most once in each run of the tests.
func (d *deployment) releaseExample(ctx context.Context, t testing.TB, name string) {
	t.Helper()
	folder := filepath.Join("..", "..", "examples", name)
	if module, built := builtExamples.Load(name); built {
		d.built[name] = module.([]byte)
		check(t, writeNew(d.path(filepath.Join("build", name+".wasm")), d.built[name], 0o644))
		m, err := readManifest(filepath.Join(folder, manifestName))
		check(t, err)
		check(t, d.publish(ctx, m, d.built[name]))
		return
	}
	check(t, d.release(ctx, name, folder))
	builtExamples.Store(name, d.built[name])
}

// connectAs opens the store for publishing.
func (d *deployment) connectAs(t testing.TB, l queuetest.Login) {
	t.Helper()
	var err error
	d.conn, err = redisqueue.Dial(loginConfig(l))
	check(t, err)
	d.store = modstore.Over(redisqueue.OpenBlobs(d.conn))
}

func loginConfig(l queuetest.Login) redisqueue.Config {
	return redisqueue.Config{Addr: l.Addr, User: l.User, Password: l.Password, CA: l.CA, Cert: l.Cert, Key: l.Key}
}

// connection is a sender's, as `caisson task` has it.
func (d *deployment) connection(t *testing.T) *connection {
	t.Helper()
	conn, err := connect(d.path("client.toml"), "")
	check(t, err)
	t.Cleanup(conn.close)
	return conn
}

// inspector looks at the queue as an operator would.
func inspector(t *testing.T, server *queuetest.Server) *redisqueue.Client {
	t.Helper()
	c, err := redisqueue.Dial(loginConfig(server.Login(queuetest.UserAdmin)))
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// config changes worker.toml.
func (d *deployment) config(t *testing.T, old, new string) {
	t.Helper()
	text, err := os.ReadFile(d.path("worker.toml"))
	check(t, err)
	changed := strings.Replace(string(text), old, new, 1)
	if changed == string(text) {
		t.Fatalf("worker.toml has no %q", old)
	}
	check(t, os.WriteFile(d.path("worker.toml"), []byte(changed), 0o644))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// results waits for all and returns them by id; every one must be done.
func results(t *testing.T, conn *connection, receipts []client.Receipt, within time.Duration) map[envelope.MessageID]envelope.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	got := make(map[envelope.MessageID]envelope.Result, len(receipts))
	err := conn.client.WaitAll(ctx, receipts, func(_ client.Receipt, r envelope.Result, err error) {
		if err != nil {
			t.Errorf("task %s: %v", r.ID, err)
		}
		got[r.ID] = r
	})
	if err != nil {
		for _, r := range receipts {
			if _, came := got[r.ID]; !came {
				state, stateErr := conn.redis.State(t.Context(), queue.Lane{Queue: demoQueue, Tenant: demoTenant}, r.ID.String())
				result, resultErr := conn.results.Result(t.Context(), demoQueue, conn.key.Public().ID().String(), r.ID.String())
				t.Logf("first that did not come: %s, state %+v (%v), %d bytes of result (%v)", r.ID, state, stateErr, len(result), resultErr)
				break
			}
		}
		t.Fatalf("%d of %d results came: %v", len(got), len(receipts), err)
	}
	return got
}
