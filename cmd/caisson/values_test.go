package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caisson-run/caisson/queue/devtls"
	"github.com/caisson-run/caisson/queue/queuetest"
	"github.com/caisson-run/caisson/sdk/client"
)

// TestValuesOfTheirOwnUser keeps tasks' values as the user that docs/reference/redis.md gives them, since the
// worker's own user may not touch them.
func TestValuesOfTheirOwnUser(t *testing.T) {
	server := queuetest.Start(t, queuetest.Options{})
	d := newDeployment(t, server, "visits")
	rules, err := os.ReadFile(d.path("policy.toml"))
	check(t, err)
	granted := strings.Replace(string(rules), `caps   = ["log"]`, `caps   = ["log", "kv rw visits/*"]`, 1)
	check(t, os.WriteFile(d.path("policy.toml"), []byte(granted), 0o644))
	kv := server.Login(queuetest.UserKV)
	check(t, d.login("kv", kv.Password, devtls.Pair{Cert: kv.Cert, Key: kv.Key}))
	section := "[kv]\naddress = \"" + kv.Addr + "\"\nuser = \"kv\"\npassword_file = \"kv.pass\"\nca = \"ca.pem\"\ncert = \"kv.crt\"\nkey = \"kv.pem\"\n\n[log]"
	d.config(t, "[log]", section)
	conn := d.connection(t)
	worker := startWorkerProcess(t, d)
	for _, want := range []string{`{"page":"home","visits":1}`, `{"page":"home","visits":2}`} {
		receipts, err := conn.client.SendMany(t.Context(), []client.Task{{Name: "web.visits", Input: map[string]string{"page": "home"}}})
		check(t, err)
		for _, result := range results(t, conn, receipts, time.Minute) {
			if string(result.Output) != want {
				t.Errorf("got %s, want %s", result.Output, want)
			}
		}
	}
	worker.stop(t)
}
