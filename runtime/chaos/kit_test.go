// Package chaos_test breaks a whole deployment on purpose, by seed, and holds what was seen against the promises of
// docs/promises.md.
//
// One run is real workers in processes of their own (`caisson worker`, built with the tag chaos), a real redis-server over
// TLS with ACL users, producers, an attacker with every right over Redis, and somebody who reads results all the time. A seed
// is a plan: who works, what is sent, and what breaks when (plan_test.go). All that is seen becomes a history
// (history_test.go), which a judge reads (check_test.go); the judge itself is tried on histories with one fault each.
//
//	make chaos SEEDS=100        a hundred plans
//	make soak MINUTES=20        mixed load, with memory, goroutines, files and keys measured
//	go test -run TestIdle -v . -idle-tasks 1000000 -idle-tenants 3334
//	                            a worker's memory with idle things beside it
package chaos_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caisson-run/caisson/manifest"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/runtime/devdeploy"
	"github.com/caisson-run/caisson/runtime/sandbox/guesttest"
	"github.com/caisson-run/caisson/sdk/gobuild"
)

var (
	seedsFlag       = flag.Int("seeds", 0, "how many seeds TestSeeds plays, from -seed on; 0: those that show what once was found, and one of each kind")
	seedFlag        = flag.Uint64("seed", 1000, "the first of them")
	keepFlag        = flag.String("keep", "", "folder for the histories of all seeds; empty: those of failures, in the folder for temporary files")
	minutesFlag     = flag.Float64("minutes", 0, "how long TestSoak soaks; 0: a few seconds, to try the measuring")
	rateFlag        = flag.Int("rate", soakRate, "tasks a second of TestSoak")
	profilesFlag    = flag.String("profiles", "", "folder for profiles of the workers' heaps and their mappings, for TestSoak; empty: none")
	idleTasksFlag   = flag.Int("idle-tasks", 2000, "tasks that wait, for TestIdle")
	idleTenantsFlag = flag.Int("idle-tenants", 500, "tenants that send nothing, for TestIdle; each has a lane for each priority")
	soakFlag        = flag.String("table", "", "file for TestSoak's table")
)

// The deployment's names.
const (
	audience  = "chaos"
	tenant    = "acme"
	queueName = "work"
	taskName  = "chaos.work"
	gatedName = "gated.work" // the same, behind gates
)

// queueNames are the queues of a deployment; of a cluster's three nodes, each has one.
var queueNames = []string{queueName, "mail", "rest"}

// The gates of gatedName, in each queue.
const (
	gateInFlight = 2
	gateRate     = 5 // a second
	gateBurst    = 5
)

// kit is what all runs share, since it takes long to make.
type kit struct {
	dir       string
	caisson   string // the command, built with the tag chaos
	store     string // folder with the release
	cache     string // folder for compiled modules
	shop      envelope.PrivateKey
	boss      envelope.PrivateKey
	worker    envelope.PrivateKey
	publisher envelope.PrivateKey
}

var shared struct {
	once sync.Once
	kit  *kit
	err  error
}

// temporary is where the histories of failures go; everything else of a run goes into a folder of the process.
var temporary = os.TempDir()

// ownFolder is what the names of these folders begin with, before the process's id.
const ownFolder = "caisson-chaos-run-"

func TestMain(m *testing.M) {
	flag.Parse()
	clearFolders()
	own, err := os.MkdirTemp(temporary, fmt.Sprintf("%s%d-", ownFolder, os.Getpid()))
	if err == nil {
		err = os.Setenv("TMPDIR", own) // for the servers' and workers' folders, too, which are killed and clear nothing
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(own)
	os.Exit(status)
}

// clearFolders removes the folders of processes that were killed.
func clearFolders() {
	found, _ := filepath.Glob(filepath.Join(temporary, ownFolder+"*"))
	for _, dir := range found {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), ownFolder), "-")
		if n, err := strconv.Atoi(pid); err == nil && syscall.Kill(n, 0) == syscall.ESRCH {
			os.RemoveAll(dir)
		}
	}
}

func openKit(tb testing.TB) *kit {
	tb.Helper()
	shared.once.Do(func() { shared.kit, shared.err = makeKit() })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.kit
}

func makeKit() (*kit, error) {
	dir, err := os.MkdirTemp("", "caisson-chaos-kit-")
	if err != nil {
		return nil, err
	}
	k := &kit{
		dir: dir, caisson: filepath.Join(dir, "caisson"), store: filepath.Join(dir, "store"),
		shop: makeKey(envelope.Submit), boss: makeKey(envelope.Operate), worker: makeKey(envelope.Worker), publisher: makeKey(envelope.Publish),
	}
	// Without the race detector: this is the command that people run, and compiling a guest under it takes ten times as long.
	build := exec.Command("go", "build", "-tags", "chaos", "-o", k.caisson, "../../cmd/caisson")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s%w", out, err)
	}
	if k.cache, err = guesttest.Compiled(); err != nil {
		return nil, err
	}
	return k, k.publish()
}

// makeKey makes the same key for a purpose, always.
func makeKey(purpose envelope.Purpose) envelope.PrivateKey {
	seed := sha256.Sum256([]byte("caisson chaos " + string(purpose)))
	key, err := envelope.GenerateKey(purpose, bytes.NewReader(seed[:]))
	if err != nil {
		panic(err)
	}
	return key
}

// publish builds the guest and stores its release.
func (k *kit) publish() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out := filepath.Join(k.dir, "guest.wasm")
	if err := gobuild.Build(ctx, filepath.Join("testdata", "guest"), out); err != nil {
		return err
	}
	module, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	page := filepath.Join("testdata", "guest", "task.toml")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if err := os.Mkdir(k.store, 0o700); err != nil {
		return err
	}
	store, err := modstore.Dir(k.store)
	if err != nil {
		return err
	}
	for _, task := range []string{taskName, gatedName} {
		m, err := manifest.Parse(page, bytes.ReplaceAll(text, []byte(taskName), []byte(task)))
		if err != nil {
			return err
		}
		if _, err := modstore.Publish(ctx, store, m, module, 1, k.publisher); err != nil {
			return err
		}
	}
	return nil
}

const policyText = `version  = 1
audience = "chaos"

[[tenant]]
name = "acme"

[[role]]
name = "shop"

[[role.grant]]
queues = [@queues]
tasks  = ["chaos.*"]
caps   = ["log"]

[[role.grant]]
queues    = [@queues]
tasks     = ["gated.*"]
caps      = ["log"]
in_flight = @inflight
rate      = "@rate/s"
burst     = @burst

[[principal]]
name    = "shop"
purpose = "submit"
tenant  = "acme"
keys    = ["@shop"]
roles   = ["shop"]

[[principal]]
name    = "boss"
purpose = "operate"
keys    = ["@boss"]

[[publisher]]
name  = "build"
keys  = ["@publisher"]
tasks = ["chaos.*", "gated.*"]

[[worker]]
name = "worker"
keys = ["@worker"]
`

// deploy writes what one worker needs into dir. where says where Redis is; results are kept for keep, and letters at most, 0 for as many as usual.
func (k *kit) deploy(dir, name, http string, where devdeploy.Redis, queues []string, keep time.Duration, letters int, login queuetest.Login) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	policy := strings.NewReplacer("@queues", `"`+strings.Join(queues, `", "`)+`"`, "@inflight", strconv.Itoa(gateInFlight), "@rate", strconv.Itoa(gateRate),
		"@burst", strconv.Itoa(gateBurst)).Replace(policyText)
	keys := map[string]envelope.PrivateKey{"shop": k.shop, "boss": k.boss, "publisher": k.publisher, "worker": k.worker}
	where.User, where.PasswordFile, where.CA, where.Cert, where.Key = "worker", "worker.pass", "ca.pem", "worker.crt", "worker.pem"
	worker := devdeploy.Worker{
		Name: name, Queues: queues, Policy: "policy.toml", Key: "worker.key", State: "state", Concurrency: 4, Lease: lease, Drain: 3 * time.Second,
		ResultTTL: keep, Store: k.store, Cache: k.cache, Redis: where, DeadMax: letters, LogLevel: "info", LogFormat: "json", HTTP: http,
	}
	for file, text := range map[string]string{
		"policy.toml": devdeploy.Fill(policy, keys), "worker.toml": worker.Text(), "worker.key": k.worker.Text() + "\n",
		"worker.pass": login.Password + "\n", "ca.pem": string(login.CA), "worker.crt": string(login.Cert), "worker.pem": string(login.Key),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// WorkerKey makes the kit a keyring of the one key that its workers have.
func (k *kit) WorkerKey(id envelope.KeyID) (envelope.PublicKey, bool) {
	return k.worker.Public(), id == k.worker.Public().ID()
}
