package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime/devdeploy"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

// deployment is a whole deployment in one folder: an embedded Redis behind TLS, keys, a policy, settings and
// published releases. Its files are what a real one has, so that a second terminal can use them.
type deployment struct {
	dir   string
	addr  string
	redis *miniredis.Miniredis           // nil when the broker is not the embedded one
	keys  map[string]envelope.PrivateKey // by file name
	store modstore.Store
	conn  *redisqueue.Client

	built map[string][]byte // module bytes by example
}

const (
	demoAudience = "demo"
	demoTenant   = "acme"
	demoQueue    = "default"
)

// demoExamples are the folders of examples that the demo publishes.
var demoExamples = []string{"thumbnail", "report", "page", "hostile", "callout"}

// demoKeys are the key files made for the demo. stranger's is in no policy.
var demoKeys = map[string]envelope.Purpose{
	"shop": envelope.Submit, "intern": envelope.Submit, "stranger": envelope.Submit,
	"publisher": envelope.Publish, "worker": envelope.Worker, "ops": envelope.Operate,
}

// deploy sets everything up in dir. source is the checkout that holds the examples.
func deploy(ctx context.Context, dir, source string, say func(format string, args ...any)) (_ *deployment, err error) {
	d := &deployment{dir: dir, keys: map[string]envelope.PrivateKey{}, built: map[string][]byte{}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := d.startRedis(); err != nil {
		return nil, err
	}
	say("redis     embedded, TLS with client certificates, %s", d.addr)
	if err := d.makeKeys(); err != nil {
		return nil, err
	}
	if err := d.writeFiles(); err != nil {
		return nil, err
	}
	say("keys      %d made, policy and settings written", len(d.keys))
	if err := d.connectStore(); err != nil {
		return nil, err
	}
	began := time.Now()
	for _, name := range demoExamples {
		if err := d.release(ctx, name, filepath.Join(source, "examples", name)); err != nil {
			return nil, fmt.Errorf("examples/%s: %w", name, err)
		}
	}
	say("releases  %d modules built with Go for wasip1, signed and stored, in %.1f s", len(demoExamples), time.Since(began).Seconds())
	return d, nil
}

func (d *deployment) close() {
	if d.conn != nil {
		d.conn.Close()
	}
	if d.redis != nil {
		d.redis.Close()
	}
}

func (d *deployment) path(name string) string { return filepath.Join(d.dir, name) }

// url is where the broker is.
func (d *deployment) url() string { return "rediss://worker@" + d.addr }

// startRedis makes an authority on the spot and starts the embedded Redis behind it.
func (d *deployment) startRedis() error {
	now := time.Now()
	authority, err := devtls.NewAuthority(now)
	if err != nil {
		return err
	}
	server, err := authority.Server(now)
	if err != nil {
		return err
	}
	config, err := authority.ServerConfig(server)
	if err != nil {
		return err
	}
	if err := writeNew(d.path("ca.pem"), authority.CertPEM(), 0o644); err != nil {
		return err
	}
	d.redis = miniredis.NewMiniRedis()
	for _, user := range []string{"worker", "shop", "ops"} {
		password := make([]byte, 16)
		if _, err := rand.Read(password); err != nil {
			return err
		}
		text := hex.EncodeToString(password)
		d.redis.RequireUserAuth(user, text)
		pair, err := authority.Client(user, now)
		if err != nil {
			return err
		}
		if err := d.login(user, text, pair); err != nil {
			return err
		}
	}
	if err := d.redis.StartTLS(config); err != nil {
		return err
	}
	d.addr = d.redis.Addr()
	return nil
}

// login writes what one user of the broker needs.
func (d *deployment) login(user, password string, pair devtls.Pair) error {
	return errors.Join(
		writeNew(d.path(user+".pass"), []byte(password+"\n"), 0o600),
		writeNew(d.path(user+".crt"), pair.Cert, 0o644),
		writeNew(d.path(user+".pem"), pair.Key, 0o600))
}

func (d *deployment) makeKeys() error {
	for name, purpose := range demoKeys {
		key, err := envelope.GenerateKey(purpose, nil)
		if err != nil {
			return err
		}
		d.keys[name] = key
		if err := writeKey(d.path(name+".key"), key); err != nil {
			return err
		}
	}
	return nil
}

// demoPolicy grants shop everything that the demo needs and one thing less: no http.
const demoPolicy = `version  = 1
audience = "demo"

[[tenant]]
name = "acme"
kv   = "16MiB"

[[role]]
name = "shop"

[[role.grant]]
queues = ["default"]
tasks  = ["image.*", "report.*", "page.*", "test.*", "web.*"]
caps   = ["log"]

[[role]]
name = "reader"

[[role.grant]]
queues = ["default"]
tasks  = ["page.*"]
caps   = ["log"]

[[principal]]
name    = "shop"
purpose = "submit"
tenant  = "acme"
keys    = ["@shop"]
roles   = ["shop"]

[[principal]]
name    = "intern"
purpose = "submit"
tenant  = "acme"
keys    = ["@intern"]
roles   = ["reader"]

[[principal]]
name    = "ops"
purpose = "operate"
keys    = ["@ops"]

[[publisher]]
name  = "build"
keys  = ["@publisher"]
tasks = ["image.*", "report.*", "page.*", "test.*", "web.*"]

[[worker]]
name = "demo-worker"
keys = ["@worker"]
`

// demoClient are the first lines of client.toml, and of the operator's.
const demoClient = `audience = "demo"
tenant   = "acme"
queue    = "default"
key      = "@USER.key"
workers  = ["@worker"]

`

// broker is the section [redis] of one user.
func (d *deployment) broker(user string) devdeploy.Redis {
	return devdeploy.Redis{Address: d.addr, User: user, PasswordFile: user + ".pass", CA: "ca.pem", Cert: user + ".crt", Key: user + ".pem"}
}

// clientFile returns the settings of who sends, or orders, as a user.
func (d *deployment) clientFile(user string) []byte {
	return []byte(devdeploy.Fill(strings.ReplaceAll(demoClient, "@USER", user), d.keys) + d.broker(user).Text())
}

func (d *deployment) writeFiles() error {
	worker := devdeploy.Worker{
		Name: "demo-worker", Queues: []string{demoQueue}, Policy: "policy.toml", Key: "worker.key", State: "state", Lease: 5 * time.Second,
		Cache: authorCache(), Redis: d.broker("worker"), LogLevel: "warn", // the cache is the author's, so that a second demo compiles nothing
	}
	return errors.Join(
		writeNew(d.path("policy.toml"), []byte(devdeploy.Fill(demoPolicy, d.keys)), 0o644),
		writeNew(d.path("worker.toml"), []byte(worker.Text()), 0o644),
		writeNew(d.path("client.toml"), d.clientFile("shop"), 0o644),
		writeNew(d.path("operator.toml"), d.clientFile("ops"), 0o644),
		writeNew(d.path("tampered.toml"), []byte("task   = \"page.tampered\"\nmodule = \"tampered.wasm\"\n"), 0o644),
		os.Mkdir(d.path("build"), 0o755))
}

// connectStore opens the store in the broker for publishing.
func (d *deployment) connectStore() error {
	s, err := readWorkerFile(d.path("worker.toml"), nil)
	if err != nil {
		return err
	}
	if d.conn, err = redisqueue.Dial(s.redis); err != nil {
		return err
	}
	d.store = modstore.Over(redisqueue.OpenBlobs(d.conn))
	return nil
}

// release builds, signs and stores one example.
func (d *deployment) release(ctx context.Context, name, folder string) error {
	m, err := readManifest(filepath.Join(folder, manifestName))
	if err != nil {
		return err
	}
	out := d.path(filepath.Join("build", name+".wasm"))
	if err := gobuild.Build(ctx, folder, out); err != nil {
		return err
	}
	module, err := readModule(out)
	if err != nil {
		return err
	}
	d.built[name] = module
	return d.publish(ctx, m, module)
}

func (d *deployment) publish(ctx context.Context, m manifest.Manifest, module []byte) error {
	_, err := publish(ctx, d.store, m, module, 0, d.keys["publisher"])
	return err
}

// tamper changes one byte of a stored module behind everybody's back.
func (d *deployment) tamper(module []byte) error {
	digest := sha256.Sum256(module)
	for _, key := range d.redis.Keys() {
		if !strings.Contains(key, hex.EncodeToString(digest[:])) {
			continue
		}
		if stored, err := d.redis.Get(key); err == nil && stored == string(module) {
			changed := []byte(stored)
			changed[len(changed)-1] ^= 1
			return d.redis.Set(key, string(changed))
		}
	}
	return errors.New("the module to change is not in the store")
}
