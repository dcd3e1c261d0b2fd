package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/caisson-run/caisson/host"
	"github.com/caisson-run/caisson/manifest/modstore"
	"github.com/caisson-run/caisson/manifest/strict"
	"github.com/caisson-run/caisson/queue/envelope"
	"github.com/caisson-run/caisson/queue/redisqueue"
	"github.com/caisson-run/caisson/runtime"
	"github.com/caisson-run/caisson/runtime/policy"
	"github.com/caisson-run/caisson/runtime/sandbox"
)

// workerFile is worker.toml. Source: docs/reference/worker.md.
type workerFile struct {
	Name        string          `toml:"name"`
	Queues      []string        `toml:"queues"`
	Policy      string          `toml:"policy"`
	Key         string          `toml:"key"`
	State       string          `toml:"state"`
	Concurrency int             `toml:"concurrency"`
	Lease       strict.Duration `toml:"lease"`
	Drain       strict.Duration `toml:"drain"`
	ResultTTL   strict.Duration `toml:"result_ttl"`
	Store       storeSection    `toml:"store"`
	Redis       redisSection    `toml:"redis"`
	KV          *redisSection   `toml:"kv"`
	Sandbox     sandboxSection  `toml:"sandbox"`
	Log         logSection      `toml:"log"`
	HTTP        httpSection     `toml:"http"`
	Outbound    outboundSection `toml:"outbound"`
	Events      eventsSection   `toml:"events"`
	Limits      limitsSection   `toml:"limits"`
	Dead        deadSection     `toml:"dead"`
}

// storeSection says where releases and modules are: exactly one of its fields.
type storeSection struct {
	Dir   string `toml:"dir"`   // a folder
	Redis bool   `toml:"redis"` // the same Redis that carries the work
}

// sandboxSection is about the modules that the worker runs.
type sandboxSection struct {
	Cache  string      `toml:"cache"`  // folder of compiled modules; "" for cacheDefault in the state folder
	Memory strict.Size `toml:"memory"` // of running guests together; 0 for the sandbox's default
	Check  *float64    `toml:"check"`  // part of the restores that is checked; nil for the sandbox's default
}

type logSection struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text, json
}

// httpSection is where the worker's own pages are: metrics and health.
type httpSection struct {
	Address string `toml:"address"`
}

// deadSection bounds the dead letters of each queue; zero values are redisqueue's defaults.
type deadSection struct {
	Keep strict.Duration `toml:"keep"`
	Max  int             `toml:"max"`
}

// limitsSection bounds how many tasks of one kind this worker runs at a time; 0 is no bound but the concurrency.
type limitsSection struct {
	Queue  int `toml:"queue"`
	Tenant int `toml:"tenant"`
	Task   int `toml:"task"`
}

// eventsSection is about the stream of events that `caisson events` follows.
type eventsSection struct {
	Enabled bool `toml:"enabled"`
}

// outboundSection rules what tasks' http requests may reach beside the public internet.
type outboundSection struct {
	Allow []string `toml:"allow"` // private networks, as prefixes
}

const (
	httpAddressDefault = "127.0.0.1:9464"
	httpOff            = "off"
	stateDefault       = "state"
	cacheDefault       = "compiled"
	cacheOff           = "off"
)

// workerSettings is a worker.toml that has been checked, with all that it names read.
type workerSettings struct {
	file       workerFile
	base       folder
	store      modstore.Store // nil when it is the Redis that carries the work
	policyPath string
	policySeen sources // the policy file
	policy     *policy.Policy
	rules      atomic.Pointer[policy.Policy] // the one in force, once the worker runs
	key        envelope.PrivateKey
	redis      redisqueue.Config
	kv         redisqueue.Config // the same unless [kv] names another user or server
	logger     hclog.Logger
	drainSet   bool // by the file: there "0s" means that nothing is waited for
	outbound   []netip.Prefix
}

// readWorkerFile reads and checks worker.toml; every fault of it is reported at once.
func readWorkerFile(path string, log hclog.Logger) (*workerSettings, error) {
	s := &workerSettings{file: workerFile{
		Queues: []string{"default"}, Policy: "policy.toml", Key: "worker.key", State: stateDefault,
		Log: logSection{Level: "info", Format: "text"}, HTTP: httpSection{Address: httpAddressDefault},
		Events: eventsSection{Enabled: true},
	}}
	file, base, err := decodeFile(path, &s.file)
	if err != nil {
		return s, err
	}
	s.base, s.drainSet = base, file.Has("drain")
	if s.file.Name == "" {
		s.file.Name = hostName()
	}
	s.redis = s.file.Redis.config(file, "redis", base)
	s.kv = s.redis
	if s.file.KV != nil {
		s.kv = s.file.KV.config(file, "kv", base)
	}
	policyFaults := s.readKeyAndPolicy(file)
	s.checkStore(file)
	s.checkLog(file, log)
	s.checkHTTP(file)
	s.checkSandbox(file)
	s.checkOutbound(file)
	s.checkRuntime(file)
	return s, misused(errors.Join(file.Err(), policyFaults))
}

// readKeyAndPolicy returns the policy's own faults: they are of another file.
func (s *workerSettings) readKeyAndPolicy(file *strict.File) (policyFaults error) {
	var err error
	if s.key, err = readPrivateKey(s.base.path(s.file.Key), envelope.Worker); err != nil && !file.Faulty("key") {
		file.Fault("key", "%s", textOf(err))
	}
	s.policyPath = s.base.path(s.file.Policy)
	s.policySeen = sources{}
	s.policySeen.note(s.policyPath)
	if s.policy, err = readPolicy(s.policyPath); err != nil && !file.Faulty("policy") {
		if errors.As(err, new(strict.Faults)) {
			return err
		}
		file.Fault("policy", "%v", err)
	}
	s.rules.Store(s.policy)
	return nil
}

// checkStore opens a store in a folder: it must be there.
func (s *workerSettings) checkStore(file *strict.File) {
	switch dir := s.file.Store.Dir; {
	case file.Faulty("store"):
	case (dir != "") == s.file.Store.Redis:
		file.Fault("store", "needs exactly one of dir = \"FOLDER\" and redis = true")
	case dir != "":
		store, err := modstore.OpenDir(s.base.path(dir))
		if err != nil {
			file.Fault("store.dir", "%v", err)
			return
		}
		s.store = store
	}
}

func (s *workerSettings) checkLog(file *strict.File, log hclog.Logger) {
	level := hclog.LevelFromString(s.file.Log.Level)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, s.file.Log.Level) {
		file.Fault("log.level", "%q is none of debug, info, warn, error", s.file.Log.Level)
	}
	if f := s.file.Log.Format; f != "text" && f != "json" {
		file.Fault("log.format", "%q is none of text, json", f)
	}
	s.logger = log
	if s.logger == nil {
		s.logger = hclog.New(&hclog.LoggerOptions{Name: "caisson", Level: level, Output: os.Stderr, JSONFormat: s.file.Log.Format == "json"})
	}
}

// checkHTTP checks where the pages are: a loopback address unless the file says otherwise.
func (s *workerSettings) checkHTTP(file *strict.File) {
	if s.file.HTTP.Address == httpOff {
		return
	}
	_, port, err := net.SplitHostPort(s.file.HTTP.Address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		file.Fault("http.address", "%q is neither host:port nor %q", s.file.HTTP.Address, httpOff)
	}
}

func (s *workerSettings) checkSandbox(file *strict.File) {
	if rate := s.file.Sandbox.Check; rate != nil && (*rate < 0 || *rate > 1) && !file.Faulty("sandbox.check") {
		file.Fault("sandbox.check", "%g is not from 0 to 1", *rate)
	}
}

func (s *workerSettings) checkOutbound(file *strict.File) {
	for i, text := range s.file.Outbound.Allow {
		p, err := netip.ParsePrefix(text)
		switch at := fmt.Sprintf("outbound.allow[%d]", i); {
		case file.Faulty(at):
		case err != nil:
			file.Fault(at, "%q is no network such as 10.1.0.0/16", text)
		case p != p.Masked():
			file.Fault(at, "%q has bits behind its prefix: %s is the network", text, p.Masked())
		default:
			s.outbound = append(s.outbound, p)
		}
	}
}

// runtimeKeys are the keys of worker.toml by the fields of runtime.Config that they set.
var runtimeKeys = map[string]string{
	"Queues": "queues", "Key": "key", "Name": "name", "Concurrency": "concurrency", "Lease": "lease", "Drain": "drain", "ResultTTL": "result_ttl",
	"Limits.Queue": "limits.queue", "Limits.Tenant": "limits.tenant", "Limits.Task": "limits.task",
}

// queueKeys are the same of redisqueue.QueueConfig.
var queueKeys = map[string]string{"DeadKeep": "dead.keep", "DeadMax": "dead.max"}

// checkRuntime adds what the runtime and the queue find wrong, so that it is told together with all else.
func (s *workerSettings) checkRuntime(file *strict.File) {
	for key, zero := range map[string]bool{
		"concurrency": s.file.Concurrency == 0, "lease": s.file.Lease == 0, "result_ttl": s.file.ResultTTL == 0, "sandbox.memory": s.file.Sandbox.Memory == 0,
		"dead.keep": s.file.Dead.Keep == 0, "dead.max": s.file.Dead.Max == 0,
	} {
		if zero && file.Has(key) && !file.Faulty(key) {
			file.Fault(key, "is zero; leave it out for the default")
		}
	}
	_, err := runtime.Open(s.runtimeConfig()) // which lacks what is opened later, and so fails always
	for _, err := range each(err) {
		var fault *runtime.ConfigError
		if !errors.As(err, &fault) {
			continue
		}
		field, index, _ := strings.Cut(fault.Field, "[")
		key, ours := runtimeKeys[field]
		if index != "" {
			key += "[" + index
		}
		if ours && !file.Faulty(key) {
			file.Fault(key, "%s", fault.Text)
		}
	}
	for _, err := range each(s.queueConfig().Check()) {
		var fault *redisqueue.ConfigError
		if errors.As(err, &fault) && queueKeys[fault.Field] != "" && !file.Faulty(queueKeys[fault.Field]) {
			file.Fault(queueKeys[fault.Field], "%s", fault.Text)
		}
	}
}

// queueConfig says how the worker takes part in its queues.
func (s *workerSettings) queueConfig() redisqueue.QueueConfig {
	return redisqueue.QueueConfig{
		Worker: s.file.Name, Lease: time.Duration(s.file.Lease), DeadKeep: time.Duration(s.file.Dead.Keep), DeadMax: s.file.Dead.Max, Logger: s.logger,
	}
}

// runtimeConfig is the part of the settings that needs nothing opened.
func (s *workerSettings) runtimeConfig() runtime.Config {
	drain := time.Duration(s.file.Drain)
	if s.file.Drain == 0 && s.drainSet {
		drain = runtime.DrainNone
	}
	return runtime.Config{
		Queues: s.file.Queues, Policy: s.policy, Key: s.key, Name: s.file.Name, Concurrency: s.file.Concurrency,
		Lease: time.Duration(s.file.Lease), Drain: drain, Limits: runtime.Limits(s.file.Limits),
		ResultTTL: time.Duration(s.file.ResultTTL), Logger: s.logger,
	}
}

// cacheDir is the folder for compiled modules, or "" for none.
func (s *workerSettings) cacheDir() string {
	switch dir := s.file.Sandbox.Cache; dir {
	case cacheOff:
		return ""
	case "":
		return folder(s.base.path(s.file.State)).path(cacheDefault)
	default:
		return s.base.path(dir)
	}
}

// sandboxConfig is the part of the settings that the sandbox is opened with.
func (s *workerSettings) sandboxConfig(rights *host.Host) sandbox.Config {
	c := sandbox.Config{Host: rights, Logger: s.logger, CacheDir: s.cacheDir(), Memory: int64(s.file.Sandbox.Memory)}
	if rate := s.file.Sandbox.Check; rate != nil {
		if c.CheckRate = *rate; c.CheckRate == 0 {
			c.CheckRate = sandbox.CheckNever
		}
	}
	return c
}

// readPolicy reads a policy file.
func readPolicy(path string) (*policy.Policy, error) {
	data, err := readFile(path, textFileMax)
	if err != nil {
		return nil, err
	}
	return policy.Parse(path, data)
}

// hostName is this machine's name in the grammar of names, or "worker".
func hostName() string {
	name, err := os.Hostname()
	if err != nil || envelope.CheckName("name", name) != nil {
		return "worker"
	}
	return name
}
