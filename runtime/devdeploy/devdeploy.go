package devdeploy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caisson-run/caisson/queue/envelope"
)

// A Worker is what stands in a worker.toml. Zero fields are left out, which means the worker's defaults; Source: docs/reference/worker.md.
type Worker struct {
	Name        string
	Queues      []string
	Policy      string // files, relative to the folder of worker.toml, as Key, State and Store
	Key         string
	State       string
	Concurrency int
	Lease       time.Duration
	Drain       time.Duration
	ResultTTL   time.Duration
	Store       string // folder of modules and releases; "": the Redis that carries the work
	Cache       string // folder of compiled modules
	Redis       Redis
	DeadMax     int // dead letters of each queue
	LogLevel    string
	LogFormat   string
	HTTP        string // address of its pages; "": none
}

// Text returns the worker.toml.
func (w Worker) Text() string {
	var t table
	t.text("name", w.Name)
	t.list("queues", w.Queues)
	t.text("policy", w.Policy)
	t.text("key", w.Key)
	t.text("state", w.State)
	if w.Concurrency > 0 {
		t.line("concurrency", strconv.Itoa(w.Concurrency))
	}
	t.duration("lease", w.Lease)
	t.duration("drain", w.Drain)
	t.duration("result_ttl", w.ResultTTL)
	t.section("store")
	if t.text("dir", w.Store); w.Store == "" {
		t.line("redis", "true")
	}
	t.section("sandbox")
	t.text("cache", w.Cache)
	w.Redis.write(&t)
	if w.DeadMax > 0 {
		t.section("dead")
		t.line("max", strconv.Itoa(w.DeadMax))
	}
	t.section("log")
	t.text("level", w.LogLevel)
	t.text("format", w.LogFormat)
	t.section("http")
	t.text("address", cmp.Or(w.HTTP, "off"))
	return t.String()
}

// Redis is a section [redis]: where the broker is, and who one is to it. Files are relative to the folder of the settings.
type Redis struct {
	Address   string   // of one server
	Addresses []string // instead: of Sentinels with Master, of nodes with Cluster
	Master    string
	Cluster   bool

	User, PasswordFile                 string
	SentinelUser, SentinelPasswordFile string
	CA, Cert, Key                      string
}

// Text returns the section.
func (r Redis) Text() string {
	var t table
	r.write(&t)
	return strings.TrimPrefix(t.String(), "\n")
}

func (r Redis) write(t *table) {
	t.section("redis")
	t.text("address", r.Address)
	t.list("addresses", r.Addresses)
	t.text("master", r.Master)
	if r.Cluster {
		t.line("cluster", "true")
	}
	t.text("user", r.User)
	t.text("password_file", r.PasswordFile)
	t.text("sentinel_user", r.SentinelUser)
	t.text("sentinel_password_file", r.SentinelPasswordFile)
	t.text("ca", r.CA)
	t.text("cert", r.Cert)
	t.text("key", r.Key)
}

// Fill returns the text of a policy with the public keys in place of their names: "@worker" is that of keys["worker"].
func Fill(policy string, keys map[string]envelope.PrivateKey) string {
	for name, key := range keys {
		policy = strings.ReplaceAll(policy, `"@`+name+`"`, `"`+key.Public().String()+`"`)
	}
	return policy
}

// table is TOML that is being written.
type table struct{ strings.Builder }

func (t *table) section(name string) { fmt.Fprintf(t, "\n[%s]\n", name) }

func (t *table) line(key, value string) { fmt.Fprintf(t, "%-13s = %s\n", key, value) }

func (t *table) text(key, value string) {
	if value != "" {
		t.line(key, strconv.Quote(value))
	}
}

// duration writes seconds or milliseconds: settings take one unit, where Go would write "1h0m0s".
func (t *table) duration(key string, d time.Duration) {
	switch {
	case d <= 0:
	case d%time.Second == 0:
		t.text(key, fmt.Sprintf("%ds", d/time.Second))
	default:
		t.text(key, fmt.Sprintf("%dms", d.Milliseconds()))
	}
}

func (t *table) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	t.line(key, "["+strings.Join(quoted, ", ")+"]")
}
