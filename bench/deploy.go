package main

import (
	"context"
	_ "embed" // profileSource
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/runtime/devdeploy"
)

// Names in the deployment of a run.
const (
	deployAudience = "bench"
	deployTenant   = "acme"
	deployQueue    = "jobs"
)

// A deployment is what a real one of Caisson has on disk: keys, a policy, a store of signed releases, and settings of workers.
type deployment struct {
	folder string
	binary string // caisson, built from this checkout
	cache  string // compiled modules, kept from run to run
	login  login
	keys   map[envelope.Purpose]envelope.PrivateKey
}

// A senderSetup is what a process needs that sends to the deployment.
type senderSetup struct {
	Login  login  `json:"login"`
	Key    string `json:"key"`    // secret, of purpose submit
	Worker string `json:"worker"` // public
}

// deploy makes keys, and publishes each guest as a task of its name.
// The program is built with what writes profiles when profiled is set.
func deploy(ctx context.Context, folder, work string, l login, guests map[string]string, profiled bool) (*deployment, error) {
	d := &deployment{folder: folder, binary: filepath.Join(work, "caisson"), cache: filepath.Join(work, "cache-worker"), login: l,
		keys: map[envelope.Purpose]envelope.PrivateKey{}}
	if err := d.build(ctx, profiled); err != nil {
		return nil, err
	}
	for _, p := range []envelope.Purpose{envelope.Submit, envelope.Publish, envelope.Worker} {
		key, err := envelope.GenerateKey(p, nil)
		if err != nil {
			return nil, err
		}
		d.keys[p] = key
	}
	err := errors.Join(
		os.MkdirAll(d.cache, 0o700),
		os.Mkdir(d.path("modules"), 0o700),
		os.WriteFile(d.path("worker.key"), []byte(d.keys[envelope.Worker].Text()+"\n"), 0o600),
		os.WriteFile(d.path("redis.pass"), []byte(l.Password+"\n"), 0o600))
	if err != nil {
		return nil, err
	}
	store, err := modstore.Dir(d.path("modules"))
	if err != nil {
		return nil, err
	}
	for name, path := range guests {
		if err := d.publish(ctx, store, name, path); err != nil {
			return nil, fmt.Errorf("guest %s: %w", name, err)
		}
	}
	return d, d.writeSetup()
}

// profileVariable tells a worker that was built for it where to write its processor profile.
const profileVariable = "BENCH_PROFILE"

//go:embed testdata/profile.go.txt
var profileSource []byte

// build builds caisson from this checkout. A profiled one has one file more, which the checkout does not have: no worker that ships can be asked for a profile.
func (d *deployment) build(ctx context.Context, profiled bool) error {
	args := []string{"build", "-o", d.binary}
	if profiled {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
			filepath.Join(here, "cmd", "caisson", "bench_profile.go"): d.path("profile.go"),
		}})
		if err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(d.path("profile.go"), profileSource, 0o600), os.WriteFile(d.path("overlay.json"), overlay, 0o600)); err != nil {
			return err
		}
		args = append(args, "-overlay", d.path("overlay.json"))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/caisson")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build of caisson: %w\n%s", err, out[max(0, len(out)-tailSize):])
	}
	return nil
}

func (d *deployment) path(name string) string { return filepath.Join(d.folder, name) }

// caissonTask is the task that runs the guest of that name.
func caissonTask(guest string) string { return "bench." + guest }

func (d *deployment) publish(ctx context.Context, store modstore.Store, guest, path string) error {
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := manifest.Parse("task.toml", fmt.Appendf(nil, "task = %q\nmodule = %q\n", caissonTask(guest), guest+".wasm"))
	if err != nil {
		return err
	}
	_, err = modstore.Publish(ctx, store, m, module, 1, d.keys[envelope.Publish])
	return err
}

// setupFile is where a sender finds its senderSetup.
func (d *deployment) setupFile() string { return d.path("sender.json") }

func (d *deployment) writeSetup() error {
	data, err := json.Marshal(senderSetup{Login: d.login, Key: d.keys[envelope.Submit].Text(), Worker: d.keys[envelope.Worker].Public().String()})
	if err != nil {
		return err
	}
	return os.WriteFile(d.setupFile(), data, 0o600)
}

// deployPolicy lets one principal send, and the worker's results count. Tenants that only have lanes come after it.
const deployPolicy = `version  = 1
audience = "bench"

[[role]]
name = "all"
[[role.grant]]
queues = ["jobs"]
tasks  = ["bench.*"]
caps   = ["log"]

[[principal]]
name    = "sender"
purpose = "submit"
tenant  = "acme"
keys    = ["@submit"]
roles   = ["all"]

[[publisher]]
name  = "build"
keys  = ["@publish"]
tasks = ["bench.*"]

[[worker]]
name = "worker"
keys = ["@worker"]

[[tenant]]
name = "acme"
`

// writeWorker writes the settings of one worker and returns their path. Its policy makes at least so many lanes, three for each tenant; all but
// those of one tenant stay empty. pages is where it will say how it fares.
func (d *deployment) writeWorker(s workerSpec, addr, pages string) (string, error) {
	name := fmt.Sprintf("worker-%d-%d", s.concurrency, s.lanes)
	keys := map[string]envelope.PrivateKey{}
	for purpose, key := range d.keys {
		keys[string(purpose)] = key
	}
	var tenants strings.Builder
	for i := len(queue.Priorities()); i < s.lanes; i += len(queue.Priorities()) {
		fmt.Fprintf(&tenants, "\n[[tenant]]\nname = \"idle%d\"\n", i)
	}
	settings := devdeploy.Worker{
		Name: "worker", Queues: []string{deployQueue}, Policy: name + "-policy.toml", Key: "worker.key", State: name + "-state", Concurrency: s.concurrency,
		Store: "modules", Cache: d.cache, LogLevel: "warn", HTTP: pages,
		Redis: devdeploy.Redis{Address: addr, User: d.login.User, PasswordFile: "redis.pass", CA: d.login.CA, Cert: d.login.Cert, Key: d.login.Key},
	}
	path := d.path(name + ".toml")
	return path, errors.Join(
		os.WriteFile(d.path(name+"-policy.toml"), []byte(devdeploy.Fill(deployPolicy, keys)+tenants.String()), 0o600),
		os.WriteFile(path, []byte(settings.Text()), 0o600))
}
